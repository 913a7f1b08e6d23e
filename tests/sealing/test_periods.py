"""The second wrapping: keys of periods outside the database, whose end is the end of every earlier copy."""

from __future__ import annotations

import asyncio
import stat
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from onecard.database.pool import Connection, Database, connection
from onecard.sealing.body_keys import BodyKeys
from onecard.sealing.files import create_key_file
from onecard.sealing.keys import KeyDestroyed, MasterKey, WrongMasterKey, period_of
from onecard.sealing.loading import load_master_key, periods_directory
from onecard.sealing.periods import PeriodKeys
from onecard.sealing.renewal import (
    Renewal,
    begin_first_period,
    begin_renewal,
    end_renewal,
    find_renewal_after,
    rewrap_other_keys,
    rewrap_subscriber_keys,
)
from onecard.sealing.subscriber_keys import create_subscriber_key, get_subscriber_key

AT = datetime(2026, 3, 10, 12, tzinfo=UTC)
KEY = bytes(range(32))
BOUND = b"row"
DAY = date(2026, 3, 10)
PART = 1


@pytest.fixture
def periods(tmp_path: Path) -> PeriodKeys:
    keys = PeriodKeys(tmp_path / "master.periods")
    keys.create_next()
    return keys


@pytest.fixture
def master(periods: PeriodKeys) -> MasterKey:
    return MasterKey(KEY, periods)


def test_a_data_key_is_wrapped_by_its_period_and_moves_to_another(
    periods: PeriodKeys, master: MasterKey
) -> None:
    key, first = master.new_key(BOUND, 1)
    assert period_of(first) == 1
    assert periods.create_next() == 2
    assert master.unwrap(first, BOUND).open(key.seal(b"x", b""), b"") == b"x"
    moved = master.rewrap(first, BOUND, 2)
    assert period_of(moved) == 2
    periods.destroy(1)
    assert master.unwrap(moved, BOUND).open(key.seal(b"x", b""), b"") == b"x"
    for lost in (lambda: master.unwrap(first, BOUND), lambda: master.new_key(BOUND, 1)):
        with pytest.raises(KeyDestroyed, match="period 1 was destroyed"):
            lost()


def test_the_key_of_a_period_alone_or_the_master_key_alone_opens_nothing(
    periods: PeriodKeys, master: MasterKey
) -> None:
    _, wrapped = master.new_key(BOUND, 1)
    with pytest.raises(WrongMasterKey):
        MasterKey(bytes(32), periods).unwrap(wrapped, BOUND)
    with pytest.raises(KeyDestroyed):
        MasterKey(KEY).unwrap(wrapped, BOUND)
    with pytest.raises(WrongMasterKey):
        master.unwrap(wrapped, b"another row")
    renumbered = wrapped[:1] + (2).to_bytes(4, "big") + wrapped[5:]
    periods.create_next()
    with pytest.raises(WrongMasterKey):
        master.unwrap(renumbered, BOUND)


def test_without_a_period_the_master_key_wraps_alone_and_is_moved_into_the_first(
    periods: PeriodKeys, master: MasterKey
) -> None:
    key, wrapped = master.new_key(BOUND)
    assert period_of(wrapped) is None
    assert MasterKey(KEY).unwrap(wrapped, BOUND).open(key.seal(b"x", b""), b"") == b"x"
    moved = master.rewrap(wrapped, BOUND, 1)
    assert period_of(moved) == 1
    assert master.unwrap(moved, BOUND).open(key.seal(b"x", b""), b"") == b"x"


def test_the_keys_are_beside_the_master_key_and_private(tmp_path: Path) -> None:
    file = tmp_path / "onecard.master.key"
    create_key_file(file)
    directory = periods_directory(file)
    assert directory == tmp_path / "onecard.master.periods"
    PeriodKeys(directory).create_next()
    assert period_of(load_master_key(file, {}).new_key(BOUND, 1)[1]) == 1
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert stat.S_IMODE((directory / "1.key").stat().st_mode) == 0o600
    assert (directory / "1.key").read_bytes() != file.read_bytes()


def test_a_key_that_was_put_back_opens_again_and_a_foreign_file_is_no_period(
    periods: PeriodKeys, master: MasterKey
) -> None:
    _, wrapped = master.new_key(BOUND, 1)
    file = periods.directory / "1.key"
    copy = file.read_bytes()
    (periods.directory / "old.key").write_bytes(copy)
    periods.destroy(1)
    assert periods.list_periods() == ()
    file.write_bytes(copy)
    file.chmod(0o600)
    master.unwrap(wrapped, BOUND)
    periods.destroy(2)


# In the database


async def fill(borrowed: Connection, master: MasterKey, *ids: int) -> None:
    async with borrowed.transaction():
        await borrowed.execute("INSERT INTO part VALUES ($1) ON CONFLICT DO NOTHING", PART)
        for subscriber_id in ids:
            await create_subscriber_key(borrowed, master, PART, subscriber_id)


async def begin(borrowed: Connection, periods: PeriodKeys) -> Renewal:
    begun = await begin_renewal(borrowed, periods, AT, "staff:alice")
    assert begun is not None
    return begun


async def move_all(borrowed: Connection, master: MasterKey, begun: Renewal) -> None:
    after: int | None = 0
    while after is not None:
        after = await rewrap_subscriber_keys(borrowed, master, begun.period, PART, after=after)
    await rewrap_other_keys(borrowed, master, begun.period)


async def test_renewal_moves_every_key_and_cuts_off_every_earlier_copy(
    database: Database, periods: PeriodKeys, master: MasterKey
) -> None:
    async with connection(database.pool) as borrowed:
        await begin_first_period(borrowed, periods, AT, "staff:alice")
        bodies = BodyKeys(database.pool, master)
        sealed = (await bodies.of(DAY)).seal(b"Your code is 123456", BOUND)
        await fill(borrowed, master, *range(1, 4))
        copy = await borrowed.fetch("SELECT subscriber_id, wrapped FROM subscriber_key")
        assert {period_of(row["wrapped"]) for row in copy} == {1}
        assert await begin_renewal(borrowed, periods, AT, "staff:alice") is None
        periods.create_next()
        fingerprint = periods.fingerprint(1)
        begun = await begin(borrowed, periods)
        assert (begun.period, begun.destroyed) == (2, {1: fingerprint})
        assert not await end_renewal(borrowed, periods, begun, AT)
        await move_all(borrowed, master, begun)
        assert await end_renewal(borrowed, periods, begun, AT)
        assert periods.list_periods() == (2,)
        assert await find_renewal_after(borrowed, AT) is not None
        for subscriber_id in range(1, 4):
            await get_subscriber_key(borrowed, master, PART, subscriber_id)
        assert await BodyKeys(database.pool, master).open(sealed, BOUND) == b"Your code is 123456"
        await borrowed.executemany(
            "UPDATE subscriber_key SET wrapped = $2 WHERE subscriber_id = $1", [tuple(row) for row in copy]
        )
        with pytest.raises(KeyDestroyed):
            await get_subscriber_key(borrowed, master, PART, 1)


async def test_a_database_without_periods_gets_its_first_by_a_renewal(
    database: Database, periods: PeriodKeys, master: MasterKey
) -> None:
    async with connection(database.pool) as borrowed:
        await fill(borrowed, master, 1)
        begun = await begin(borrowed, periods)
        assert (begun.period, begun.destroyed) == (1, {})
        await fill(borrowed, master, 2)
        await move_all(borrowed, master, begun)
        assert await end_renewal(borrowed, periods, begun, AT)
        for subscriber_id in (1, 2):
            await get_subscriber_key(borrowed, master, PART, subscriber_id)


async def test_a_renewal_that_broke_off_is_begun_again(
    database: Database, periods: PeriodKeys, master: MasterKey
) -> None:
    async with connection(database.pool) as borrowed:
        await begin_first_period(borrowed, periods, AT, "staff:alice")
        await fill(borrowed, master, 1, 2)
        periods.create_next()
        begun = await begin(borrowed, periods)
        await fill(borrowed, master, 3)  # what is new belongs to the new period already
        periods.create_next()
        assert await begin(borrowed, periods) == begun
        await move_all(borrowed, master, begun)
        await move_all(borrowed, master, begun)
        periods.destroy(1)  # the files went, and then the power
        assert await end_renewal(borrowed, periods, begun, AT)
        assert periods.list_periods() == (2, 3)
        assert (await begin(borrowed, periods)).period == 3


async def test_no_key_is_destroyed_while_a_data_key_is_being_made(
    database: Database, periods: PeriodKeys, master: MasterKey
) -> None:
    async with connection(database.pool) as borrowed, connection(database.pool) as other:
        await begin_first_period(borrowed, periods, AT, "staff:alice")
        await fill(borrowed, master, 1)
        periods.create_next()
        making = other.transaction()
        await making.start()
        await create_subscriber_key(other, master, PART, 2)
        beginning = asyncio.ensure_future(begin(borrowed, periods))
        done, _ = await asyncio.wait([beginning], timeout=0.2)
        assert not done
        await making.commit()
        begun = await beginning
        await move_all(borrowed, master, begun)
        assert await end_renewal(borrowed, periods, begun, AT)
        await get_subscriber_key(borrowed, master, PART, 2)


async def test_a_machine_to_which_the_new_key_was_not_copied_makes_no_data_key(
    database: Database, periods: PeriodKeys, tmp_path: Path
) -> None:
    elsewhere = PeriodKeys(tmp_path / "elsewhere")
    async with connection(database.pool) as borrowed:
        await begin_first_period(borrowed, periods, AT, "staff:alice")
        with pytest.raises(KeyDestroyed, match="never copied"):
            await fill(borrowed, MasterKey(KEY, elsewhere), 1)
