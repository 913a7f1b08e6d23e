"""Bodies of texts are sealed with the key of their day, and end with it."""

from __future__ import annotations

import asyncio
from datetime import date, timedelta

import pytest

from onecard.database.pool import Database, transaction
from onecard.sealing.body_keys import CACHED_MOST, BodyKeys, day_of, destroy_body_keys
from onecard.sealing.check import check_master_key
from onecard.sealing.keys import KeyDestroyed, MasterKey, SealBroken, WrongMasterKey
from onecard.sealing.subscriber_keys import create_subscriber_key

MASTER = MasterKey(bytes(32))
OTHER = MasterKey(bytes(range(32)))
TODAY = date(2026, 3, 10)


async def test_a_body_opens_on_another_node(database: Database) -> None:
    here, there = BodyKeys(database.pool, MASTER), BodyKeys(database.pool, MASTER)
    sealed = (await here.of(TODAY)).seal(b"Your code is 123456", b"text:1:2")
    assert day_of(sealed) == TODAY
    assert b"123456" not in sealed
    assert await there.open(sealed, b"text:1:2") == b"Your code is 123456"
    with pytest.raises(SealBroken):
        await there.open(sealed, b"text:1:3")


async def test_nodes_that_make_the_key_of_a_day_at_once_share_it(database: Database) -> None:
    nodes = [BodyKeys(database.pool, MASTER) for _ in range(5)]
    keys = await asyncio.gather(*(node.of(TODAY) for node in nodes))
    for key in keys:
        assert keys[0].open(key.seal(b"text", b"row"), b"row") == b"text"


async def test_a_destroyed_key_takes_its_bodies_with_it(database: Database) -> None:
    keys = BodyKeys(database.pool, MASTER)
    old = (await keys.of(TODAY - timedelta(days=1))).seal(b"old", b"row")
    new = (await keys.of(TODAY)).seal(b"new", b"row")
    async with transaction(database.pool) as connection:
        assert await destroy_body_keys(connection, TODAY) == (TODAY - timedelta(days=1),)
    keys.forget(TODAY)
    with pytest.raises(KeyDestroyed):
        await keys.open(old, b"row")
    assert await keys.open(new, b"row") == b"new"


async def test_a_day_that_was_changed_in_a_sealed_body_does_not_open(database: Database) -> None:
    keys = BodyKeys(database.pool, MASTER)
    await keys.of(TODAY)
    sealed = bytearray((await keys.of(TODAY - timedelta(days=1))).seal(b"text", b"row"))
    sealed[:4] = TODAY.toordinal().to_bytes(4, "big")
    with pytest.raises(SealBroken):
        await keys.open(bytes(sealed), b"row")


@pytest.mark.parametrize("noise", [b"", b"\x00" * 50, b"\xff" * 50])
async def test_bytes_that_are_no_sealed_body_are_refused(database: Database, noise: bytes) -> None:
    with pytest.raises(SealBroken):
        await BodyKeys(database.pool, MASTER).open(noise, b"row")


async def test_only_so_many_days_are_held_in_memory(database: Database) -> None:
    keys = BodyKeys(database.pool, MASTER)
    for days in range(CACHED_MOST + 1):
        await keys.of(TODAY + timedelta(days=days))
    assert keys.cached(TODAY) is None
    assert keys.cached(TODAY + timedelta(days=1)) is not None


async def test_a_wrong_master_key_is_noticed_at_the_start(database: Database) -> None:
    async with transaction(database.pool) as connection:
        await check_master_key(connection, OTHER)  # nothing is sealed yet: any key will do
        await create_subscriber_key(connection, MASTER, 1, 7)
        with pytest.raises(WrongMasterKey):
            await check_master_key(connection, OTHER)
        await check_master_key(connection, MASTER)
    await BodyKeys(database.pool, MASTER).of(TODAY)
    async with transaction(database.pool) as connection:
        await check_master_key(connection, MASTER)
        with pytest.raises(WrongMasterKey):
            await check_master_key(connection, OTHER)
