"""The two SQL functions of credit control, on filled tables: all of a request or nothing of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from ledger.posting import balance, event, open_with
from onecard.catalogue.model import UsageKind, Use
from onecard.charging import store
from onecard.charging.model import Movement, Session, UsageRecord, Written
from onecard.charging.store import ChargeStatus
from onecard.database.pool import Connection, Database, connection
from onecard.ledger import EntryKind, check_ledger
from onecard.values.money import Currency
from onecard.values.phone import Country

AT = datetime(2026, 4, 1, 12, tzinfo=UTC)
CAD, SECONDS = Currency("CAD"), Currency("sec")
POST_GROUPS = "SELECT ledger_post_groups(1, $1, $2, $3, $4, $5, $6, $7, $8, NULL)"
WRITTEN, INSUFFICIENT, NO_ACCOUNT, STALE = ChargeStatus
HOLD, SETTLE, CHARGE = EntryKind.HOLD, EntryKind.SETTLE, EntryKind.USAGE_CHARGE
USE = Use(UsageKind.CALL_OUT, CAD, Country("CA"), "America/Vancouver", "+16045550199")


@pytest.fixture
async def borrowed(database: Database) -> AsyncIterator[Connection]:
    """A connection, to a database with one part."""
    async with connection(database.pool) as borrowed:
        await borrowed.execute("INSERT INTO part VALUES (1)")
        yield borrowed


Request = tuple[int, int, int, int, int, int]
"""Group, account, event, available, held, hash."""


async def post_groups(borrowed: Connection, requests: Sequence[Request]) -> list[int] | None:
    group, account, events, available, held, hashes = zip(*requests, strict=True)
    statuses: list[int] | None = await borrowed.fetchval(
        POST_GROUPS,
        AT,
        group,
        account,
        [event(n) for n in events],
        [CHARGE] * len(group),
        available,
        held,
        hashes,
    )
    return statuses


# Accounts 0 to 2 have 100, account 3 has 100 seconds; 9 is none. Requests by place; statuses; available after.
GROUPS: dict[str, tuple[list[Request], list[int] | None, list[int]]] = {
    "all can pay": ([(1, 0, 1, -10, 0, 1), (2, 1, 2, -100, 0, 1)], None, [90, 0, 100, 100]),
    "cash and seconds in one group": ([(1, 0, 1, -10, 5, 1), (1, 3, 1, -60, 0, 1)], None, [90, 100, 100, 40]),
    "too few seconds take no cash": (
        [(1, 0, 1, -10, 0, 1), (1, 3, 1, -101, 0, 1), (2, 1, 2, -1, 0, 1)], [3, 0], [100, 99, 100, 100]),
    "too little cash takes no seconds": (
        [(1, 3, 1, -60, 0, 1), (1, 0, 1, -101, 0, 1), (2, 1, 2, -1, 0, 1)], [3, 0], [100, 99, 100, 100]),
    "poor and rich in one batch": (
        [(1, 0, 1, -101, 0, 1), (2, 1, 2, -50, 0, 1), (3, 2, 3, -200, 0, 1), (4, 1, 4, -50, 0, 1)],
        [3, 0, 3, 0], [100, 0, 100, 100]),
    "an account in several groups pays the first that fit": (
        [(1, 0, 1, -60, 0, 1), (2, 0, 2, -50, 0, 1), (3, 0, 3, -40, 0, 1)], [0, 3, 0], [0, 100, 100, 100]),
    "what an undone group took is there for the next": (
        [(1, 0, 1, -90, 0, 1), (1, 3, 1, -900, 0, 1), (2, 0, 2, -90, 0, 1)], [3, 0], [10, 100, 100, 100]),
    "money that comes in a group before pays": (
        [(1, 0, 1, 100, 0, 1), (2, 0, 2, -150, 0, 1)], [0, 0], [50, 100, 100, 100]),
    "money that comes in a group after does not": (
        [(1, 0, 1, -150, 0, 1), (2, 0, 2, 100, 0, 1)], [3, 0], [200, 100, 100, 100]),
    "no such account": ([(1, 0, 1, -10, 0, 1), (1, 9, 1, -1, 0, 1), (2, 1, 2, -1, 0, 1)], [4, 0],
                        [100, 99, 100, 100]),
    "groups between that move nothing": (
        [(2, 0, 1, -101, 0, 1), (5, 1, 2, -1, 0, 1)], [0, 3, 0, 0, 0], [100, 99, 100, 100]),
    "what is held cannot be less than nothing": ([(1, 0, 1, 10, -10, 1), (2, 1, 2, -1, 0, 1)], [3, 0],
                                                 [100, 99, 100, 100]),
}  # fmt: skip


@pytest.mark.parametrize("case", GROUPS)
async def test_groups_are_posted_whole_or_not_at_all(borrowed: Connection, case: str) -> None:
    requests, statuses, after = GROUPS[case]
    accounts = {place: await open_with(borrowed, 100) for place in range(3)}
    accounts[3] = await open_with(borrowed, 100, SECONDS)
    accounts[9] = 10**9
    asked = [(group, accounts[place], *rest) for group, place, *rest in requests]
    assert await post_groups(borrowed, asked) == statuses  # type: ignore[arg-type]
    assert [(await balance(borrowed, accounts[place]))[0] for place in range(4)] == after
    assert not (await check_ledger(borrowed)).violations


async def test_groups_that_come_again_change_nothing(borrowed: Connection) -> None:
    cash, seconds = await open_with(borrowed, 100), await open_with(borrowed, 100, SECONDS)
    group = [(1, cash, 1, -60, 0, 1), (1, seconds, 1, -60, 0, 1)]
    assert await post_groups(borrowed, group) is None
    again = [*group, (2, cash, 2, -40, 0, 1), (3, cash, 1, -60, 0, 7)]
    assert await post_groups(borrowed, again) == [1, 0, 2]
    assert await balance(borrowed, cash) == (0, 0)
    assert await balance(borrowed, seconds) == (40, 0)
    assert not (await check_ledger(borrowed)).violations


# ---- charge_sessions


def written(
    name: str, account_id: int, version: int, *movements: Movement, is_open: bool = True, records: int = 0
) -> Written:
    """A request as the batch has it."""
    session = Session(name, version, version, 1, account_id, 11, 12, USE, AT)
    record = UsageRecord(
        UsageKind.CALL_OUT, "+16045******", "home", None, AT, 60, 0, 60, 0, "logout", {"pieces": []}
    )
    answer = f"answer {version}".encode()
    state = b"sealed" if is_open else None
    return Written(session, is_open, AT + timedelta(hours=1), state, answer, movements, (record,) * records)


def hold(account_id: int, micros: int) -> Movement:
    return Movement(account_id, HOLD, -micros, micros)


async def test_a_batch_writes_what_can_be_written_and_says_what_not(
    borrowed: Connection, database: Database
) -> None:
    rich, poor = await open_with(borrowed, 1000), await open_with(borrowed, 10)

    async def write(*batch: Written) -> list[ChargeStatus]:
        return await store.charge_batch(database.pool, 1, AT, batch)

    assert await write(written("a", rich, 0, hold(rich, 60)), written("b", rich, 0)) == [WRITTEN] * 2
    settle = Movement(rich, SETTLE, 0, -60)
    statuses = await write(
        written("a", rich, 1, settle, is_open=False, records=1),
        written("b", rich, 0, hold(rich, 1), records=1),  # it has been opened before
        written("c", poor, 0, hold(poor, 60), records=1),
        written("d", 10**9, 0, hold(10**9, 1), records=1),
        written("e", rich, 3, hold(rich, 1), records=1),  # there is no such session
        written("f", poor, 0, hold(poor, 10)),
    )
    assert statuses == [WRITTEN, STALE, INSUFFICIENT, NO_ACCOUNT, STALE, WRITTEN]
    assert await balance(borrowed, rich) == (940, 0)
    assert await balance(borrowed, poor) == (0, 10)
    assert await borrowed.fetchval("SELECT array_agg(session_id) FROM usage_record") == ["a"]
    rows = await borrowed.fetch("SELECT id, version, is_open, closed_at FROM charging_session ORDER BY id")
    assert [tuple(row) for row in rows] == [
        ("a", 2, False, AT),
        ("b", 1, True, None),
        ("f", 1, True, None),
    ]
    assert not (await check_ledger(borrowed)).violations


async def test_a_batch_that_comes_again_is_stale_whole(borrowed: Connection, database: Database) -> None:
    account = await open_with(borrowed, 1000)
    batch = [written(name, account, 0, hold(account, 60), is_open=False, records=1) for name in "abc"]
    assert await store.charge_batch(database.pool, 1, AT, batch) == [WRITTEN] * 3
    assert await store.charge_batch(database.pool, 1, AT, batch) == [STALE] * 3
    assert await balance(borrowed, account) == (820, 180)
    assert await borrowed.fetchval("SELECT count(*) FROM usage_record") == 3


async def test_a_session_id_that_comes_back_pays_anew(borrowed: Connection, database: Database) -> None:
    account = await open_with(borrowed, 1000)
    first = written("a", account, 0, hold(account, 60), is_open=False)
    assert await store.charge_batch(database.pool, 1, AT, [first]) == [WRITTEN]
    await borrowed.execute("DELETE FROM charging_session")  # as those are that are long over
    later = replace(first, session=replace(first.session, opened_at=AT + timedelta(days=90)))
    assert await store.charge_batch(database.pool, 1, AT, [later]) == [WRITTEN]
    assert await balance(borrowed, account) == (880, 120)


async def test_what_was_written_is_found_again(borrowed: Connection, database: Database) -> None:
    account = await open_with(borrowed, 1000)
    await store.charge_batch(database.pool, 1, AT, [written("a", account, 0, hold(account, 60))])
    found = await store.find_session(database.pool, (1, 2), "a")
    assert found == store.StoredSession(1, 0, True, AT + timedelta(hours=1), b"sealed", b"answer 0")
    assert await store.find_session(database.pool, (1, 2), "b") is None
    assert await store.list_expired(database.pool, 1, AT, 9) == []
    assert await store.list_expired(database.pool, 1, AT + timedelta(hours=1), 9) == ["a"]


COUNT = """
SELECT sum(coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0))::bigint FROM pg_stat_xact_user_tables
WHERE relname IN ('account', 'entry', 'charging_session', 'usage_record', 'part')"""


async def test_a_batch_on_full_tables_reads_what_it_names(borrowed: Connection) -> None:
    """With a plan that was made, and kept, while the tables were empty."""
    accounts = [await open_with(borrowed, 1000) for _ in range(4)]
    for _ in range(7):
        assert await post_groups(borrowed, [(1, accounts[0], 90 + _, -1, 0, 1)]) is None
    await borrowed.execute(
        """
        INSERT INTO account (part, role, currency, opened_at) SELECT 1, 'subscriber', 'CAD', $1
        FROM generate_series(1, 5000)""",
        AT,
    )
    await borrowed.execute(
        """
        INSERT INTO charging_session SELECT 1, 'full-' || n, 1, 1, 1, 1, 0, true, $1, $1, NULL, 'x', 'x'
        FROM generate_series(1, 5000) n""",
        AT,
    )
    await borrowed.execute("ANALYZE")

    async with borrowed.transaction():
        before = await borrowed.fetchval(COUNT)
        statuses = await borrowed.fetchval(
            store.CHARGE,
            *columns([written(f"s{n}", accounts[n % 4], 0, hold(accounts[n % 4], 1)) for n in range(20)]),
        )
        read = await borrowed.fetchval(COUNT) - before
    assert statuses is None
    assert read < 300


def columns(batch: Sequence[Written]) -> list[object]:
    """The arguments of `charge_sessions`, without records of use."""
    sessions = [each.session for each in batch]
    moves = [(place, move) for place, each in enumerate(batch, 1) for move in each.movements]
    return [
        1,
        AT,
        [session.id for session in sessions],
        [session.account_id for session in sessions],
        [session.card_id for session in sessions],
        [session.line_id for session in sessions],
        [session.version for session in sessions],
        [session.number for session in sessions],
        [each.is_open for each in batch],
        [session.opened_at for session in sessions],
        [each.expires_at for each in batch],
        [each.sealed_state for each in batch],
        [each.answer for each in batch],
        [place for place, _ in moves],
        [move.account_id for _, move in moves],
        [event(place) for place, _ in moves],
        [move.kind for _, move in moves],
        [move.available for _, move in moves],
        [move.held for _, move in moves],
        [1] * len(moves),
        *([] for _ in range(12)),
    ]
