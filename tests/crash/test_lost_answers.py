"""The database commits and is lost before it can say so: nothing that was claimed is left lying."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from crash.wire import Wire, rewired
from onecard.database.pool import Database, DatabaseUnavailable, open_pool
from onecard.values.address import Address, international
from simulation.audited import AuditedOperator, open_operator
from simulation.story import BANK, HOST, Moment, Script, Text, tell_story

STORY = replace(tell_story(1), moments=())


@pytest.fixture
async def wired(database: Database) -> AsyncIterator[tuple[AuditedOperator, Wire]]:
    """An operator whose only way to its database is a wire."""
    with tempfile.TemporaryDirectory(prefix="onecard-wire-") as name:
        server, dsn = rewired(database.dsn, Path(name))
        wire = Wire(server, Path(name))
        async with wire.open(), open_pool(dsn) as pool, open_operator(pool, STORY) as operator:
            yield operator, wire


async def send_code(operator: AuditedOperator, ident: int) -> int:
    """The bank texts the first card, and wants a receipt."""
    text = Text(ident, f"t{ident} ", "always", None, Script())
    number = international(operator.lines[0][0].msisdn)
    message_id = await operator.accept(BANK, Address(5, 0, "ICBC"), number, text.words, text)
    assert isinstance(message_id, int)
    return message_id


async def begin_and_lose_sight(operator: AuditedOperator, wire: Wire) -> None:
    """Let a moment begin in which everybody is there and the answer to a commit is lost, and then the next."""
    wire.cut_after(b"COMMIT")
    with pytest.raises(DatabaseUnavailable):
        await operator.begin(Moment(8))
    assert wire.is_cut
    await operator.begin(Moment(12))


async def test_texts_whose_claim_was_lost_from_sight_are_handed_over(
    wired: tuple[AuditedOperator, Wire],
) -> None:
    operator, wire = wired
    await operator.begin(Moment(4, away=frozenset({HOST})))
    await send_code(operator, 1)
    await begin_and_lose_sight(operator, wire)
    assert len(operator.attempts[1]) == 1


async def test_receipts_whose_claim_was_lost_from_sight_are_delivered_once(
    wired: tuple[AuditedOperator, Wire],
) -> None:
    operator, wire = wired
    await operator.begin(Moment(4))
    message_id = await send_code(operator, 1)
    operator.queues.of(BANK).on_ready.clear()  # the bank leaves
    operator.away = frozenset({BANK})
    await operator.drain()
    assert not operator.receipts
    await begin_and_lose_sight(operator, wire)
    assert operator.receipts == {(BANK, message_id): 1}
