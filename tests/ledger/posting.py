"""Short ways to say what the ledger's tests post, and an auditor that knows the answers beforehand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID, uuid4

from onecard.database.pool import Connection
from onecard.ledger import EntryKind, Posted, Posting, find_account, open_account, store
from onecard.values.money import Currency

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
CAD = Currency("CAD")


def event(number: int) -> UUID:
    """The event id that a table of cases calls by a small number."""
    return UUID(int=number)


def posting(
    account_id: int,
    available: int,
    held: int = 0,
    *,
    kind: EntryKind = EntryKind.TEXT_CHARGE,
    event_id: UUID | None = None,
    content_hash: int = 1,
    part: int = 1,
) -> Posting:
    """A posting with an event of its own unless one is named."""
    return Posting(part, account_id, event_id or uuid4(), kind, available, content_hash, held)


async def post(borrowed: Connection, postings: Sequence[Posting], part: int = 1) -> list[Posted]:
    """One batch."""
    return await store.post(borrowed, part, AT, postings)


async def open_with(borrowed: Connection, micros: int, currency: Currency = CAD, part: int = 1) -> int:
    """An account with so much available."""
    account_id = await open_account(borrowed, part, currency, AT)
    if micros:
        await post(borrowed, [posting(account_id, micros, kind=EntryKind.TOP_UP, part=part)], part)
    return account_id


async def balance(borrowed: Connection, account_id: int, part: int = 1) -> tuple[int, int]:
    """What is available and what is held."""
    account = await find_account(borrowed, part, account_id)
    assert account is not None
    return account.available_micros, account.held_micros


@dataclass
class Auditor:
    """Decides one posting after the other in memory: what the ledger must answer, however it batches them."""

    balances: dict[int, tuple[int, int]] = field(default_factory=dict)
    seen: dict[tuple[int, UUID], int] = field(default_factory=dict)

    def predict(self, asked: Posting) -> Posted:
        key = (asked.account_id, asked.event_id)
        if key in self.seen:
            return Posted.REPEATED if self.seen[key] == asked.content_hash else Posted.CONFLICTING
        if asked.account_id not in self.balances:
            return Posted.NO_ACCOUNT
        available, held = self.balances[asked.account_id]
        after = (available + asked.available, held + asked.held)
        if min(after) < 0:
            return Posted.INSUFFICIENT
        self.balances[asked.account_id] = after
        self.seen[key] = asked.content_hash
        return Posted.POSTED
