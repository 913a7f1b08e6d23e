"""What was purged cannot be read from a backup that was made before, put back beside the keys that are left."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import asyncpg
import pytest

import shop
from onecard.database.binaries import Binaries, find_binaries
from onecard.database.pool import Connection, Database, open_pool
from onecard.retention.model import DataClass
from onecard.sealing.body_keys import BodyKeys
from onecard.sealing.keys import KeyDestroyed
from onecard.sealing.lookup_key import find_lookup_key
from retention.office import AFTER, Office

Restore = Callable[[Path], Awaitable[Connection]]
BODY, BOUND = b"Your code is 123456", b"text:1:1"


@pytest.fixture
def programs() -> Binaries:
    return Binaries(find_binaries(None).directory, None)


@pytest.fixture
async def restore(database: Database, programs: Binaries) -> AsyncIterator[Restore]:
    """Puts a dump back into a new database; returns a connection to that."""
    dsn = database.dsn.replace("@/test_", "@/restored_backup_test_", 1)
    name = dsn.split("@/", 1)[1].split("?", 1)[0]
    pools = []

    async def put_back(dump: Path) -> Connection:
        admin = await asyncpg.connect(database.dsn)
        await admin.execute(f'CREATE DATABASE "{name}"')
        await admin.close()
        programs.run("pg_restore", "--exit-on-error", "--no-owner", "--dbname", dsn, str(dump))
        opened = open_pool(dsn)
        pools.append(opened)
        return await (await opened.__aenter__()).acquire()

    yield put_back
    for opened in pools:
        await opened.__aexit__(KeyError, KeyError(), None)
    admin = await asyncpg.connect(database.dsn)
    await admin.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
    await admin.close()


def dump(programs: Binaries, database: Database, file: Path) -> Path:
    programs.run("pg_dump", "--format", "custom", "--file", str(file), database.dsn)
    return file


async def test_a_restored_backup_cannot_read_what_was_purged(
    office: Office, database: Database, programs: Binaries, restore: Restore, tmp_path: Path
) -> None:
    gone, stays = await shop.sell(office.borrowed), await shop.sell(office.borrowed)
    sealed = (await BodyKeys(database.pool, office.master).of(shop.AT.date())).seal(BODY, BOUND)
    backup = dump(programs, database, tmp_path / "before.dump")

    await office.end(gone)
    office.clock.move(AFTER)
    run = await office.purge(DataClass.CONTACTS)
    assert (run.rows, run.keys) == (1, 1)
    await office.renew()
    assert await office.is_erased(gone)
    assert await office.contact(stays) == shop.WANG
    assert await BodyKeys(database.pool, office.master).open(sealed, BOUND) == BODY

    restored = await restore(backup)
    rows = await restored.fetch("SELECT id, sealed_contact IS NOT NULL AS sealed FROM subscriber")
    assert {row["id"]: row["sealed"] for row in rows} == {
        gone.subscriber_id: True,
        stays.subscriber_id: True,
    }
    for card in (gone, stays):  # the whole backup is cut off, and a fresh one is due
        with pytest.raises(KeyDestroyed):
            await office.contact(card, restored)
    assert await restored.fetchval("SELECT count(*) FROM subscriber_name") > 0
    with pytest.raises(KeyDestroyed):  # nor can anybody test whom it holds
        await find_lookup_key(restored, office.master)
    wrapped = await restored.fetchval("SELECT wrapped FROM body_key")
    with pytest.raises(KeyDestroyed):
        office.master.unwrap(wrapped, b"body_key:" + shop.AT.date().isoformat().encode())


async def test_before_the_renewal_a_backup_still_tells_and_that_is_why_no_certificate_is_given(
    office: Office, database: Database, programs: Binaries, restore: Restore, tmp_path: Path
) -> None:
    gone = await shop.sell(office.borrowed)
    backup = dump(programs, database, tmp_path / "before.dump")
    await office.end(gone)
    office.clock.move(AFTER)
    run = await office.purge(DataClass.CONTACTS)
    restored = await restore(backup)
    assert await office.contact(gone, restored) == shop.WANG
    assert not isinstance(await office.certify(run), dict)


async def test_a_backup_from_after_the_renewal_reads_what_is_left(
    office: Office, database: Database, programs: Binaries, restore: Restore, tmp_path: Path
) -> None:
    card = await shop.sell(office.borrowed)
    await office.renew()
    backup = dump(programs, database, tmp_path / "after.dump")
    restored = await restore(backup)
    assert await office.contact(card, restored) == shop.WANG


async def test_a_copy_of_the_rows_without_the_former_key_is_nothing_but_noise(office: Office) -> None:
    card = await shop.sell(office.borrowed)
    row = await office.borrowed.fetchrow("SELECT wrapped FROM subscriber_key")
    assert row is not None
    await office.renew()
    await office.borrowed.execute("UPDATE subscriber_key SET wrapped = $1", row["wrapped"])
    with pytest.raises(KeyDestroyed):
        await office.contact(card)
