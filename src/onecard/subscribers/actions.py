"""What is done to subscribers. Every action is one transaction, or a part of its caller's."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime

import msgspec

from onecard import audit, ledger
from onecard.database.pool import Connection
from onecard.legal_holds.store import is_held
from onecard.sealing.keys import MasterKey
from onecard.sealing.lookup_key import find_lookup_key, get_or_create_lookup_key
from onecard.sealing.subscriber_keys import (
    create_subscriber_key,
    destroy_subscriber_key,
    get_subscriber_key,
    get_subscriber_keys,
)
from onecard.subscribers import store
from onecard.subscribers.model import Contact, Subscriber, SubscriberRefusal
from onecard.subscribers.rules import hash_name
from onecard.values.language import Language
from onecard.values.money import Currency


async def create_subscriber(
    connection: Connection,
    at: datetime,
    *,
    actor: str,
    master: MasterKey,
    contact: Contact,
    language: Language,
    currency: Currency,
) -> Subscriber:
    """Take in a subscriber: an account in the part whose turn it is, and the contact details sealed."""
    async with connection.transaction():
        part = await store.next_part(connection)
        account_id = await ledger.open_account(connection, part, currency, at)
        subscriber_id = await store.next_id(connection)
        subscriber = Subscriber(part, subscriber_id, account_id, language, created_at=at, erased_at=None)
        key = await create_subscriber_key(connection, master, part, subscriber_id)
        sealed = key.seal(msgspec.json.encode(contact), _bound_to(part, subscriber_id))
        await store.insert_subscriber(connection, subscriber, sealed)
        await _keep_name(connection, master, part, subscriber_id, contact.name)
        await _record(connection, at, actor, "create_subscriber", subscriber)
    return subscriber


async def read_contact(
    connection: Connection,
    at: datetime,
    *,
    actor: str,
    master: MasterKey,
    part: int,
    subscriber_id: int,
    reason: str,
) -> Contact | SubscriberRefusal:
    """Open a subscriber's contact details; who looked, and what for, is written down."""
    async with connection.transaction():
        subscriber = await _lock(connection, part, subscriber_id)
        if isinstance(subscriber, SubscriberRefusal):
            return subscriber
        contact = await open_contact(connection, master, part, subscriber_id)
        await _record(connection, at, actor, "read_contact", subscriber, reason=reason)
    return contact


async def open_contact(connection: Connection, master: MasterKey, part: int, subscriber_id: int) -> Contact:
    """The contact details of a subscriber whom the caller holds; the caller writes down who looks, and what for."""
    key = await get_subscriber_key(connection, master, part, subscriber_id)
    sealed = await store.get_sealed_contact(connection, part, subscriber_id)
    return msgspec.json.decode(key.open(sealed, _bound_to(part, subscriber_id)), type=Contact)


async def find_by_name(
    connection: Connection, at: datetime, *, actor: str, master: MasterKey, name: str, most: int = 50
) -> tuple[tuple[int, int], ...]:
    """Part and id of the subscribers whose names have all the words of this one, `most` at most.

    Whether somebody is a subscriber is personal as well: who looked is written down, though not for whom.
    """
    key = await find_lookup_key(connection, master)
    words = frozenset() if key is None else hash_name(key, name)
    found = await store.find_by_name(connection, words, most) if words else ()
    await audit.record(
        connection,
        at,
        actor=actor,
        action="find_by_name",
        subject="subscribers",
        detail={"found": len(found)},
    )
    return found


async def read_contacts(
    connection: Connection,
    at: datetime,
    *,
    actor: str,
    master: MasterKey,
    part: int,
    subscriber_ids: Collection[int],
    subject: str,
    reason: str,
) -> dict[int, Contact]:
    """Open the contact details of some of a part, by subscriber, without those who were erased.

    For work that concerns many, as notices do: `subject` (``notice:7``) names the work. One record says who looked,
    what for, and at whom.
    """
    async with connection.transaction():
        keys = await get_subscriber_keys(connection, master, part, list(subscriber_ids))
        sealed = await store.list_sealed_contacts(connection, part, subscriber_ids)
        contacts = {
            one: msgspec.json.decode(keys[one].open(sealed[one], _bound_to(part, one)), type=Contact)
            for one in sorted(keys.keys() & sealed.keys())
        }
        detail = {"reason": reason, "part": part, "subscribers": list(contacts)}
        await audit.record(
            connection, at, actor=actor, action="read_contacts", subject=subject, detail=detail
        )
    return contacts


async def change_contact(
    connection: Connection,
    at: datetime,
    *,
    actor: str,
    master: MasterKey,
    part: int,
    subscriber_id: int,
    contact: Contact,
) -> Subscriber | SubscriberRefusal:
    """Put other contact details in place of the old ones."""
    async with connection.transaction():
        subscriber = await _lock(connection, part, subscriber_id)
        if isinstance(subscriber, SubscriberRefusal):
            return subscriber
        key = await get_subscriber_key(connection, master, part, subscriber_id)
        sealed = key.seal(msgspec.json.encode(contact), _bound_to(part, subscriber_id))
        await store.update_sealed_contact(connection, part, subscriber_id, sealed)
        await store.delete_name(connection, part, subscriber_id)
        await _keep_name(connection, master, part, subscriber_id, contact.name)
        await _record(connection, at, actor, "change_contact", subscriber)
    return subscriber


async def change_language(
    connection: Connection, at: datetime, *, actor: str, part: int, subscriber_id: int, language: Language
) -> Subscriber | SubscriberRefusal:
    """Speak to a subscriber in another language from now on."""
    async with connection.transaction():
        subscriber = await _lock(connection, part, subscriber_id)
        if isinstance(subscriber, SubscriberRefusal):
            return subscriber
        changed = replace(subscriber, language=language)
        await store.update_language(connection, part, subscriber_id, language)
        await store.record_changes(connection, part, subscriber_id, at)
        await _record(connection, at, actor, "change_language", subscriber, language=language.value)
    return changed


async def erase_subscriber(
    connection: Connection, at: datetime, *, actor: str, part: int, subscriber_id: int
) -> Subscriber | SubscriberRefusal:
    """Erase the contact details for good: the key is destroyed. Account, cards and lines stay."""
    async with connection.transaction():
        subscriber = await _lock(connection, part, subscriber_id)
        if isinstance(subscriber, SubscriberRefusal):
            return subscriber
        if await is_held(connection):
            return SubscriberRefusal.LEGAL_HOLD
        if await store.has_refund_under_way(connection, part, subscriber_id):
            return SubscriberRefusal.REFUND_UNDER_WAY
        await destroy_subscriber_key(connection, part, subscriber_id)
        await store.delete_name(connection, part, subscriber_id)
        await store.erase_contact(connection, part, subscriber_id, at)
        await _record(connection, at, actor, "erase_subscriber", subscriber)
    return replace(subscriber, erased_at=at)


async def _lock(connection: Connection, part: int, subscriber_id: int) -> Subscriber | SubscriberRefusal:
    subscriber = await store.lock_subscriber(connection, part, subscriber_id)
    if subscriber is None:
        return SubscriberRefusal.UNKNOWN_SUBSCRIBER
    return SubscriberRefusal.ERASED if subscriber.erased_at else subscriber


async def _record(
    connection: Connection, at: datetime, actor: str, action: str, subscriber: Subscriber, **detail: str
) -> None:
    subject = f"subscriber:{subscriber.id}"
    await audit.record(connection, at, actor=actor, action=action, subject=subject, detail=detail)


async def _keep_name(
    connection: Connection, master: MasterKey, part: int, subscriber_id: int, name: str
) -> None:
    """Keep what a name is looked up by."""
    key = await get_or_create_lookup_key(connection, master)
    await store.insert_name(connection, part, subscriber_id, hash_name(key, name))


def _bound_to(part: int, subscriber_id: int) -> bytes:
    return b"contact:%d:%d" % (part, subscriber_id)
