"""Claim codes: what proves a subscriber when the service is gone and no text reaches them any more.

A code is printed in advance, shown once, and kept only as a hash with a key that is not in the database. Every action
is one transaction, or a part of its caller's.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import datetime

from onecard import audit
from onecard.database.pool import Connection
from onecard.sealing.keys import MasterKey
from onecard.subscribers import claim_store, store
from onecard.subscribers.actions import open_contact
from onecard.subscribers.model import ClaimLetter, ClaimRefusal, Subscriber
from onecard.subscribers.rules import CODES, hash_secret, make_claim_code, read_claim_code
from onecard.values.guard import count_wrong, is_locked

PURPOSE = b"claim codes"
"""What the key of the hashes is derived for."""
LETTERS_MOST = 1000


async def issue_claim_code(
    connection: Connection, at: datetime, *, actor: str, master: MasterKey, part: int, subscriber_id: int
) -> str | ClaimRefusal:
    """Give a subscriber a claim code, which is known now and never again; the one before is worthless from now on."""
    async with connection.transaction():
        subscriber = await store.lock_subscriber(connection, part, subscriber_id)
        if subscriber is None:
            return ClaimRefusal.UNKNOWN_SUBSCRIBER
        code = _draw_code()
        await claim_store.save_code(connection, part, subscriber_id, _hash(master, code), at)
        await _record(connection, at, actor, "issue_claim_code", subscriber)
    return code


async def issue_claim_codes(
    connection: Connection, at: datetime, *, actor: str, master: MasterKey, after: tuple[int, int] = (-1, 0)
) -> tuple[Sequence[ClaimLetter], tuple[int, int] | None]:
    """Give the next `LETTERS_MOST` of a part, who have none and were not erased, a claim code each.

    Returns their letters, and where to go on; None when there is nobody left. To be called in a transaction of the
    caller's, who has the letters on disk before it commits.
    """
    for part in await claim_store.list_parts(connection, since=after[0]):
        first = after[1] if part == after[0] else 0
        ids, last_id = await claim_store.lock_without_code(connection, part, after=first, most=LETTERS_MOST)
        if last_id is not None:
            letters = [await _write_letter(connection, master, part, id_) for id_ in ids]
            codes = [(letter.subscriber_id, _hash(master, letter.code)) for letter in letters]
            await claim_store.insert_codes(connection, part, codes, at)
            subjects = [f"subscriber:{id_}" for id_ in ids]
            await audit.record_each(
                connection, at, actor=actor, action="write_claim_letter", subjects=subjects
            )
            return letters, (part, last_id)
    return (), None


async def _write_letter(
    connection: Connection, master: MasterKey, part: int, subscriber_id: int
) -> ClaimLetter:
    subscriber = await store.find_subscriber(connection, part, subscriber_id)
    assert subscriber is not None  # the caller holds it
    contact = await open_contact(connection, master, part, subscriber_id)
    return ClaimLetter(part, subscriber_id, subscriber.language, contact, _draw_code())


async def list_good_codes(connection: Connection, *, master: MasterKey, codes: Sequence[str]) -> set[str]:
    """Those of some codes that prove somebody: a run that broke off may have printed some that do not."""
    hashes = {_hash(master, code): code for code in codes}
    return {hashes[known] for known in await claim_store.list_known(connection, list(hashes))}


async def has_claim_code(connection: Connection, part: int, subscriber_id: int) -> bool:
    """Whether a subscriber was given a code; what it is, nobody knows any more."""
    return bool(await claim_store.list_coded(connection, part, [subscriber_id]))


async def prove_claim_code(
    connection: Connection,
    at: datetime,
    *,
    master: MasterKey,
    code: str,
    actor: str,
    source: str | None = None,
) -> Subscriber | ClaimRefusal:
    """Tell whose code it is, as a person wrote it; also of one who was erased.

    A code that nobody has is counted against `source`: who tries it (an address, say), or else the actor; so many lock
    it out for a while. What is kept of a source is a hash. Commit refusals, too.
    """
    read = read_claim_code(code)
    if read is None:
        return ClaimRefusal.BAD_CODE
    async with connection.transaction():
        tries_from = hash_secret(master.derive(PURPOSE), f"source {source or actor}")
        guard = await claim_store.lock_guard(connection, tries_from)
        if is_locked(guard, at):
            return ClaimRefusal.LOCKED
        place = await claim_store.find_code(connection, _hash(master, read))
        if place is None:
            await claim_store.save_guard(connection, tries_from, count_wrong(guard, at), at)
            return ClaimRefusal.UNKNOWN_CODE
        subscriber = await store.find_subscriber(connection, *place)
        assert subscriber is not None  # nothing deletes subscribers that have a code
        await _record(connection, at, actor, "prove_claim_code", subscriber)
    return subscriber


def _draw_code() -> str:
    return make_claim_code(secrets.randbelow(CODES))


def _hash(master: MasterKey, code: str) -> bytes:
    return hash_secret(master.derive(PURPOSE), code)


async def _record(
    connection: Connection, at: datetime, actor: str, action: str, subscriber: Subscriber
) -> None:
    await audit.record(connection, at, actor=actor, action=action, subject=f"subscriber:{subscriber.id}")
