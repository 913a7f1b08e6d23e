"""Contact details are sealed at rest, read only with a reason, and erased with their key."""

from __future__ import annotations

import pytest

from onecard.audit import list_records
from onecard.database.pool import Connection, Database, transaction
from onecard.legal_holds.actions import add_hold
from onecard.sealing.keys import KeyDestroyed, SealBroken
from onecard.sealing.lookup_key import destroy_unused_lookup_key, find_lookup_key
from onecard.sealing.subscriber_keys import get_subscriber_key
from onecard.subscribers import store
from onecard.subscribers.actions import (
    change_contact,
    change_language,
    create_subscriber,
    erase_subscriber,
    find_by_name,
    read_contact,
)
from onecard.subscribers.model import Contact, Subscriber, SubscriberRefusal
from onecard.subscribers.rules import NAME_WORDS_MOST, BadContact, hash_name, parse_contact
from onecard.values.language import Language
from shop import AT, CAD, MASTER, STAFF, WANG, open_shop, sell

CARE = "staff:bob"


async def create(connection: Connection) -> Subscriber:
    return await create_subscriber(
        connection, AT, actor=STAFF, master=MASTER, contact=WANG, language=Language.ENGLISH, currency=CAD
    )


async def read(connection: Connection, subscriber: Subscriber) -> Contact | SubscriberRefusal:
    return await read_contact(
        connection,
        AT,
        actor=CARE,
        master=MASTER,
        part=subscriber.part,
        subscriber_id=subscriber.id,
        reason="refund 17",
    )


async def test_contact_details_are_read_back_and_the_reading_is_recorded(database: Database) -> None:
    async with transaction(database.pool) as connection:
        await open_shop(connection)
        subscriber = await create(connection)
        assert await read(connection, subscriber) == WANG
        latest, first = await list_records(connection, f"subscriber:{subscriber.id}")
    assert (latest.actor, latest.action, latest.detail) == (CARE, "read_contact", {"reason": "refund 17"})
    assert (first.actor, first.action) == (STAFF, "create_subscriber")


async def test_nothing_of_a_contact_is_in_the_database_in_clear(database: Database) -> None:
    async with transaction(database.pool) as connection:
        await open_shop(connection)
        subscriber = await create(connection)
        sealed = await store.get_sealed_contact(connection, subscriber.part, subscriber.id)
        audit_rows = await connection.fetchval("SELECT string_agg(audit::text, '') FROM audit")
    for secret in ("Wang", "example.com", "Main Street"):
        assert secret.encode() not in sealed
        assert secret not in audit_rows


async def test_an_erased_contact_is_gone_with_its_key(database: Database) -> None:
    async with transaction(database.pool) as connection:
        await open_shop(connection)
        subscriber = await create(connection)
        place = {"part": subscriber.part, "subscriber_id": subscriber.id}
        erased = await erase_subscriber(connection, AT, actor=STAFF, **place)
        assert isinstance(erased, Subscriber)
        assert erased.erased_at == AT
        assert await store.find_subscriber(connection, subscriber.part, subscriber.id) == erased
        assert await read(connection, subscriber) is SubscriberRefusal.ERASED
        with pytest.raises(KeyDestroyed):
            await get_subscriber_key(connection, MASTER, subscriber.part, subscriber.id)
        assert await connection.fetchval("SELECT sealed_contact FROM subscriber") is None
        again = await erase_subscriber(connection, AT, actor=STAFF, **place)
    assert again is SubscriberRefusal.ERASED


async def test_nobody_is_erased_under_a_legal_hold(database: Database) -> None:
    async with transaction(database.pool) as connection:
        await open_shop(connection)
        subscriber = await create(connection)
        await add_hold(connection, AT, actor=STAFF, reason="T-1502-21")
        erased = await erase_subscriber(
            connection, AT, actor=STAFF, part=subscriber.part, subscriber_id=subscriber.id
        )
        assert erased is SubscriberRefusal.LEGAL_HOLD
        assert await read(connection, subscriber) == WANG


async def test_a_contact_moved_to_another_subscriber_does_not_open(database: Database) -> None:
    async with transaction(database.pool) as connection:
        await open_shop(connection, parts=1)
        one, other = await create(connection), await create(connection)
        sealed = await store.get_sealed_contact(connection, one.part, one.id)
        await store.update_sealed_contact(connection, other.part, other.id, sealed)
        with pytest.raises(SealBroken):
            await read(connection, other)


async def test_a_changed_contact_replaces_the_old_one(database: Database) -> None:
    moved = Contact("Wang Fang", "fang@example.org")
    async with transaction(database.pool) as connection:
        await open_shop(connection)
        subscriber = await create(connection)
        await change_contact(
            connection,
            AT,
            actor=STAFF,
            master=MASTER,
            part=subscriber.part,
            subscriber_id=subscriber.id,
            contact=moved,
        )
        assert await read(connection, subscriber) == moved


async def test_a_new_language_makes_every_node_forget_the_cards(database: Database) -> None:
    async with transaction(database.pool) as connection:
        await open_shop(connection)
        card = await sell(connection)
        before = await connection.fetchval("SELECT max(id) FROM change")
        changed = await change_language(
            connection,
            AT,
            actor=STAFF,
            part=card.part,
            subscriber_id=card.subscriber_id,
            language=Language.FRENCH,
        )
        rows = await connection.fetch("SELECT kind, key FROM change WHERE id > $1", before)
    assert isinstance(changed, Subscriber)
    assert changed.language is Language.FRENCH
    assert [tuple(row) for row in rows] == [("card", card.id)]


async def test_an_unknown_subscriber_is_refused(database: Database) -> None:
    async with transaction(database.pool) as connection:
        outcome = await erase_subscriber(connection, AT, actor=STAFF, part=1, subscriber_id=1)
    assert outcome is SubscriberRefusal.UNKNOWN_SUBSCRIBER


def test_contact_details_are_tidied() -> None:
    assert parse_contact(" 王芳 ", " fang@example.org ", "") == Contact("王芳", "fang@example.org", None)
    assert parse_contact("Zoë", "z.o+e@mail.example.co.uk", "1 Rue\nParis").postal_address == "1 Rue\nParis"


@pytest.mark.parametrize(
    ("name", "email", "postal_address"),
    [
        ("", "a@example.org", None),
        ("   ", "a@example.org", None),
        ("x" * 201, "a@example.org", None),
        ("a\x00b", "a@example.org", None),
        ("A", "a@example", None),
        ("A", "a@@example.org", None),
        ("A", "a b@example.org", None),
        ("A", "a\x01b@example.org", None),
        ("=1+1", "a@example.org", None),
        ("A", "=1+1@example.org", None),
        ("A", "a@example.org", "@SUM(1)"),
        ("A", "=?utf-8?q?mallory=40evil.example=0D=0A?=@example.org", None),
        ("A", "=?utf-8?q?@^a?=.com", None),
        ("A", "@example.org", None),
        ("A", "a@.org", None),
        ("A", "", None),
        ("A", "a@" + "b" * 250 + ".org", None),
        ("A", "a@example.org", "x" * 501),
        ("A", "a@example.org", "x\x1b[2J"),
    ],
)
def test_impossible_contact_details_are_refused(name: str, email: str, postal_address: str | None) -> None:
    with pytest.raises(BadContact):
        parse_contact(name, email, postal_address)


async def look_up(connection: Connection, name: str) -> list[int]:
    found = await find_by_name(connection, AT, actor=CARE, master=MASTER, name=name)
    return [subscriber_id for _, subscriber_id in found]


async def test_a_subscriber_is_found_by_the_words_of_their_name_until_they_are_erased(
    database: Database,
) -> None:
    async with transaction(database.pool) as connection:
        await open_shop(connection)
        wang = await create(connection)
        other = await create(connection)
        named = Contact("Zoë Wang-Lévesque", "zoe@example.com")
        await change_contact(
            connection,
            AT,
            actor=CARE,
            master=MASTER,
            part=other.part,
            subscriber_id=other.id,
            contact=named,
        )
        assert await look_up(connection, "wang") == [wang.id, other.id]
        assert await look_up(connection, "FANG  Wang") == [wang.id]
        assert await look_up(connection, "levesque zoe") == [other.id]
        assert await look_up(connection, "Wan") == []
        assert await look_up(connection, " - ") == []
        await erase_subscriber(connection, AT, actor=STAFF, part=wang.part, subscriber_id=wang.id)
        assert await look_up(connection, "wang") == [other.id]
        [latest, *_] = await list_records(connection, "subscribers")
        assert (latest.actor, latest.action, latest.detail) == (CARE, "find_by_name", {"found": 1})


def test_words_of_a_name_are_hashed_whatever_their_order_case_and_accents_and_are_bounded() -> None:
    key = bytes(32)
    assert hash_name(key, "Zoë  LÉVESQUE") == hash_name(key, "levesque, zoe")
    assert hash_name(key, "王芳") == hash_name(key, " 王芳 ") != hash_name(bytes([1]) * 32, "王芳")
    assert len(hash_name(key, " ".join(map(str, range(1000))))) == NAME_WORDS_MOST
    assert hash_name(key, "") == frozenset()


async def test_names_are_looked_up_by_an_index_however_many_there_are(database: Database) -> None:
    async with transaction(database.pool) as connection:
        await open_shop(connection)
        await connection.execute(
            """INSERT INTO subscriber_name (part, word_hash, subscriber_id)
               SELECT 1 + i % 4, decode(lpad(to_hex(i % 997), 16, '0'), 'hex'), i FROM generate_series(1, 50000) i"""
        )
        await connection.execute("ANALYZE subscriber_name")
        plan = await connection.fetchval(f"EXPLAIN (FORMAT JSON) {store.FIND_BY_NAME}", bytes(8), [], 50)
        assert "Seq Scan on subscriber_name" not in str(plan)
        assert '"Index Name": "subscriber_name_pkey"' in str(plan)


async def test_names_are_looked_up_by_a_key_that_ends_with_the_last_of_them(database: Database) -> None:
    async with transaction(database.pool) as connection:
        await open_shop(connection)
        assert await find_lookup_key(connection, MASTER) is None
        subscriber = await create(connection)
        key = await find_lookup_key(connection, MASTER)
        assert not await destroy_unused_lookup_key(connection)
        await erase_subscriber(connection, AT, actor=STAFF, part=subscriber.part, subscriber_id=subscriber.id)
        assert await find_lookup_key(connection, MASTER) == key
        assert await destroy_unused_lookup_key(connection)
        found = await find_by_name(connection, AT, actor=STAFF, master=MASTER, name=WANG.name)
        assert found == ()
        again = await create(connection)
        assert await find_lookup_key(connection, MASTER) not in (None, key)
        found = await find_by_name(connection, AT, actor=STAFF, master=MASTER, name=WANG.name)
    assert found == ((again.part, again.id),)
