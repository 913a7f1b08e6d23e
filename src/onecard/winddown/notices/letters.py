"""Letters: written together for a printer, and counted once they are in the post. Every action is one transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from onecard.database.pool import Connection
from onecard.sealing.keys import MasterKey
from onecard.subscribers.actions import read_contacts
from onecard.subscribers.model import Contact
from onecard.values.language import Language
from onecard.winddown.notices import letter_store, store
from onecard.winddown.notices.actions import record
from onecard.winddown.notices.composing import fill, hash_words
from onecard.winddown.notices.model import (
    Channel,
    NoticeRefusal,
    PostRules,
    Recipient,
    Result,
    Words,
)
from onecard.winddown.notices.rules import settle

OPENED_AT_ONCE = 500
"""Contact details that one record of the audit names."""


@dataclass(frozen=True, slots=True)
class Letter:
    """One letter, ready to be printed."""

    reference: str
    contact: Contact
    language: Language
    words: Words


@dataclass(frozen=True, slots=True)
class Letters:
    """Letters that are printed together."""

    id: int
    notice_id: int
    letters: tuple[Letter, ...]
    without_address: int
    """Who has no postal address, and so gets none."""


async def write_letters(
    connection: Connection,
    at: datetime,
    *,
    actor: str,
    master: MasterKey,
    parts: Sequence[int],
    notice_id: int,
    rules: PostRules,
    most: int,
) -> Letters | NoticeRefusal:
    """Write the letters of those whose turn it is to get one. They reach nobody until they are posted."""
    async with connection.transaction():
        if await store.find_notice(connection, notice_id) is None:
            return NoticeRefusal.UNKNOWN_NOTICE
        words = await store.get_words(connection, notice_id)
        claimed = await _claim_letters(connection, parts, notice_id, at, most)
        contacts = await _open(connection, at, actor, master, notice_id, claimed, "letters")
        with_address = [one for one in claimed if _has_address(contacts, one)]
        without = [
            settle(one, Result.NO_ADDRESS, rules, at) for one in claimed if not _has_address(contacts, one)
        ]
        await store.record_attempts(connection, without, at)
        if not with_address:
            return NoticeRefusal.NO_LETTERS
        count = len(with_address)
        letters_id = await letter_store.insert_letters(connection, notice_id, count, at, actor)
        letters = [make_letter(one, contacts[one.part, one.subscriber_id], words) for one in with_address]
        outcomes = [
            replace(
                settle(one, Result.SENT, rules, at),
                sha256=hash_words(letter.words.of(Channel.LETTER)),
                letters_id=letters_id,
            )
            for one, letter in zip(with_address, letters, strict=True)
        ]
        await store.record_attempts(connection, outcomes, at)
        await record(
            connection, at, actor, "write_letters", notice_id, {"letters": letters_id, "count": count}
        )
    return Letters(letters_id, notice_id, tuple(letters), len(without))


async def write_letters_again(
    connection: Connection,
    at: datetime,
    *,
    actor: str,
    master: MasterKey,
    parts: Sequence[int],
    letters_id: int,
) -> Letters | NoticeRefusal:
    """The same letters once more, where the files are lost; those that somebody moved on from are left out."""
    async with connection.transaction():
        found = await letter_store.lock_letters(connection, letters_id)
        if found is None:
            return NoticeRefusal.UNKNOWN_LETTERS
        notice_id = found["notice_id"]
        words = await store.get_words(connection, notice_id)
        listed = await _list_letters(connection, parts, letters_id)
        contacts = await _open(connection, at, actor, master, notice_id, listed, "letters once more")
        letters = [
            make_letter(replace(one, attempts=one.attempts - 1), contacts[one.part, one.subscriber_id], words)
            for one in listed
            if _has_address(contacts, one)
        ]
    return Letters(letters_id, notice_id, tuple(letters), 0)


async def post_letters(
    connection: Connection,
    at: datetime,
    *,
    actor: str,
    parts: Sequence[int],
    letters_id: int,
    rules: PostRules,
) -> int | NoticeRefusal:
    """Staff confirm that letters are in the post: from now on they count as having reached; returns how many."""
    async with connection.transaction():
        found = await letter_store.lock_letters(connection, letters_id)
        if found is None:
            return NoticeRefusal.UNKNOWN_LETTERS
        if found["posted_at"] is not None:
            return NoticeRefusal.POSTED_ALREADY
        listed = await _list_letters(connection, parts, letters_id)
        outcomes = [settle(one, Result.POSTED, rules, at) for one in listed]
        await store.record_results(connection, outcomes, at)
        await letter_store.post_letters(connection, letters_id, at, actor)
        said = {"letters": letters_id, "count": len(listed)}
        await record(connection, at, actor, "post_letters", found["notice_id"], said)
    return len(listed)


def make_letter(one: Recipient, contact: Contact, words: Mapping[Language, Words]) -> Letter:
    return Letter(one.reference, contact, one.language, fill(words[one.language], one))


async def _claim_letters(
    connection: Connection, parts: Sequence[int], notice_id: int, at: datetime, most: int
) -> list[Recipient]:
    claimed: list[Recipient] = []
    for part in parts:
        if len(claimed) < most:
            left = most - len(claimed)
            claimed += await letter_store.claim_letters(connection, part, notice_id, at, most=left)
    return claimed


async def _list_letters(connection: Connection, parts: Sequence[int], letters_id: int) -> list[Recipient]:
    return [one for part in parts for one in await letter_store.list_of_letters(connection, part, letters_id)]


async def _open(
    connection: Connection,
    at: datetime,
    actor: str,
    master: MasterKey,
    notice_id: int,
    recipients: Sequence[Recipient],
    reason: str,
) -> dict[tuple[int, int], Contact]:
    """The contact details of recipients, by part and subscriber."""
    opened = {}
    for part in sorted({one.part for one in recipients}):
        ids = sorted({one.subscriber_id for one in recipients if one.part == part})
        for first in range(0, len(ids), OPENED_AT_ONCE):
            contacts = await read_contacts(
                connection,
                at,
                actor=actor,
                master=master,
                part=part,
                subscriber_ids=ids[first : first + OPENED_AT_ONCE],
                subject=f"notice:{notice_id}",
                reason=reason,
            )
            opened.update({(part, one): contact for one, contact in contacts.items()})
    return opened


def _has_address(contacts: Mapping[tuple[int, int], Contact], one: Recipient) -> bool:
    contact = contacts.get((one.part, one.subscriber_id))
    return contact is not None and contact.postal_address is not None
