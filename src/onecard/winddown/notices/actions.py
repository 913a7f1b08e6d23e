"""What is done about notices. Every action is one transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from onecard import audit
from onecard.database.pool import Connection
from onecard.winddown.notices import evidence_store, store
from onecard.winddown.notices.catalogue import Catalogue
from onecard.winddown.notices.composing import compose, hash_words
from onecard.winddown.notices.model import (
    NewNotice,
    NoticeRefusal,
    Outcome,
    PostRules,
    RecipientState,
    Result,
    Sender,
    read_reference,
)
from onecard.winddown.notices.rules import decide_due, settle
from onecard.winddown.reading import PlanFile

DETAIL_LENGTH_MOST = 100
"""Of the code that a mail server or the post gives."""


async def withdraw_stale(connection: Connection, at: datetime, *, actor: str, file: PlanFile) -> int:
    """Let notices stand no more whose dates are no longer the plan's; returns how many.

    Apart from `make_due`, which may lack words: nobody is told a wrong date meanwhile.
    """
    async with connection.transaction():
        made = await store.list_notices(connection)
        due = decide_due(file.plan, file.stays, made, at)
        stale = [one for one in due.withdrawn if await store.withdraw_notice(connection, one, at)]
        for one in stale:
            detail = {"version": file.plan.version}
            await record(connection, at, actor, "withdraw_notice", one, detail)
    return len(stale)


async def make_due(
    connection: Connection,
    at: datetime,
    *,
    actor: str,
    file: PlanFile,
    sender: Sender,
    catalogue: Catalogue,
    copy_to: str | None,
) -> tuple[int, ...]:
    """Make the notices whose time has come; returns their ids. Raises `BadTable` where words are missing: none is made.

    Any node may do it at any time: a notice that stands is not made again.
    """
    async with connection.transaction():
        made = await store.list_notices(connection)
        ids = []
        for new in decide_due(file.plan, file.stays, made, at).new:
            words = compose(new, file.plan, file.stays, sender, catalogue)
            version = file.plan.version
            fresh = await store.insert_notice(connection, new, words, at, version=version, copy_to=copy_to)
            if fresh is not None:
                detail = {"kind": new.kind, "stage": new.stage, "version": version}
                await record(connection, at, actor, "make_notice", fresh, detail)
                ids.append(fresh)
    return tuple(ids)


async def make_of_refunds(
    connection: Connection,
    at: datetime,
    *,
    actor: str,
    file: PlanFile,
    sender: Sender,
    catalogue: Catalogue,
    parts: Sequence[int],
) -> None:
    """Make the notices of refunds that are paid, or not, with the first that there is. Raises as `make_due`."""
    made = {one.kind for one in await store.list_notices(connection)}
    for kind in store.CAUSES:
        if kind in made or not [one for one in parts if await store.is_any_refund(connection, one, kind)]:
            continue
        new = NewNotice(kind.value, kind, None, {})
        words = compose(new, file.plan, file.stays, sender, catalogue)
        version = file.plan.version
        async with connection.transaction():
            fresh = await store.insert_notice(connection, new, words, at, version=version, copy_to=None)
            if fresh is not None:
                await record(connection, at, actor, "make_notice", fresh, {"kind": kind, "version": version})


async def enter_bounce(
    connection: Connection, at: datetime, *, actor: str, reference: str, detail: str, rules: PostRules
) -> Outcome | NoticeRefusal:
    """An e-mail or a letter came back: the next channel's turn. `reference` names the attempt."""
    keys = read_reference(reference)
    if keys is None:
        return NoticeRefusal.UNKNOWN_ATTEMPT
    notice_id, part, subscriber_id, occasion, number = keys
    async with connection.transaction():
        found = await evidence_store.lock_attempt(
            connection, part, subscriber_id, notice_id, occasion, number
        )
        if found is None:
            return NoticeRefusal.UNKNOWN_ATTEMPT
        recipient, state, _ = found
        if state is not RecipientState.REACHED or recipient.attempts != number:
            return NoticeRefusal.NOT_REACHED_BY_IT
        outcome = replace(settle(recipient, Result.BOUNCED, rules, at), detail=detail)
        await store.record_results(connection, [outcome], at)
        said = {"reference": reference, "detail": detail}
        await record(connection, at, actor, "enter_bounce", notice_id, said)
    return outcome


async def close_copy(
    connection: Connection,
    at: datetime,
    *,
    actor: str,
    notice_id: int,
    is_sent: bool,
    detail: str,
    words: str,
) -> None:
    """Write down what came of the copy to the regulator; one that was not sent is due again."""
    async with connection.transaction():
        hashed = hash_words(words)
        await evidence_store.close_copy(
            connection, notice_id, at, is_sent=is_sent, detail=detail, sha256=hashed
        )
        if is_sent:
            await record(connection, at, actor, "copy_notice", notice_id, {"sha256": hashed.hex()})


async def record(
    connection: Connection,
    at: datetime,
    actor: str,
    action: str,
    notice_id: int,
    detail: Mapping[str, object],
) -> None:
    """Write down who did what to a notice."""
    await audit.record(
        connection, at, actor=actor, action=action, subject=f"notice:{notice_id}", detail=dict(detail)
    )
