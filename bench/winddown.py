"""A wind-down of 10,000, 100,000 and 1,000,000 accounts: every balance is recorded, requested, seen by two, and paid.

Subscribers are loaded in bulk, which is not measured. All that comes after goes through the actions that subscribers
and staff use, a batch at a time: balances are recorded at the gate, refunds are requested, each with a payee,
verified, approved, put in runs of 100,000, and written as pain.001 to the disk; a bank of ours answers with a camt.053
file a run, which is read and applied. Then the books are reconciled and the closing statement is issued, which proves
the ledger, and that nobody is owed anything.
"""

from __future__ import annotations

import asyncio
import gc
import os
import tempfile
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from time import perf_counter
from uuid import uuid4
from zoneinfo import ZoneInfo

from rich.console import Console

from bench import Figure
from onecard.database.embedded import EmbeddedServer
from onecard.database.migrations import migrate
from onecard.database.pool import Connection, Pool, connection, open_pool
from onecard.payments.bank.files import WRITERS, Format, read_report
from onecard.payments.bank.model import BankAccount, Debtor, Payee, PaymentOrder
from onecard.payments.payouts.actions import (
    apply_statement,
    list_orders,
    make_payment_file,
    make_payout_run,
    release_run,
    submit_run,
)
from onecard.payments.payouts.model import PayoutRefusal, PayoutRun, Route
from onecard.payments.refunds.actions import change_refunds, request_refunds
from onecard.payments.refunds.model import Approve, Change, Refund, Verify, Wish
from onecard.sealing.keys import KEY_BYTES, MasterKey
from onecard.sealing.signing import SigningKey
from onecard.sealing.subscriber_keys import create_subscriber_keys
from onecard.values.gate import Capability, Closed, Gates
from onecard.values.money import Currency, Money, format_minor
from onecard.winddown import actions as orders
from onecard.winddown.closing.actions import issue_statement, name_residue, take_snapshot
from onecard.winddown.closing.model import Issued, Snapshot
from onecard.winddown.model import Order, Plan, RefundPolicy, Stage, ValueKind, Version
from onecard.winddown.reading import PlanFile
from onecard.winddown.reconciliation.actions import reconcile
from onecard.winddown.writing import write_plan

SIZES = (10_000, 100_000, 1_000_000)
PARTS = (1, 2, 3, 4)
BATCH = 1000
CAD = Currency("CAD")
LOADED_AT = datetime(2021, 12, 1, tzinfo=UTC)
AT = datetime(2022, 1, 5, 12, tzinfo=UTC)
ZONE = ZoneInfo("UTC")
PLAN = Plan(
    version=1,
    name="bench",
    time_zone=ZONE,
    order=Order("nobody", "for measuring", date(2021, 11, 1), "0" * 64),
    stages=(Stage("refunds open", datetime(2022, 1, 1), opens=frozenset({Capability.REFUND})),),  # noqa: DTZ001
    last_days={},
    refunds=dict.fromkeys(ValueKind, RefundPolicy.FULL),
)
BALANCE_MICROS = 12_345_678
OPERATOR = Debtor(
    "Bench Mobile",
    BankAccount("7654321", is_iban=False, clearing_system="CACPA", clearing_member="000112345"),
)
REFUNDS_OPEN = Gates({})
FILE_OCTETS_AT_ONCE = 1 << 20

LOAD_SYSTEM = """
INSERT INTO account (part, role, currency, opened_at)
SELECT part, role, $1, $2 FROM part, unnest(ARRAY['revenue', 'funding', 'rounding']) role"""
LOAD_ACCOUNTS = """
INSERT INTO account (part, role, currency, opened_at)
SELECT $1, 'subscriber', $2, $3 FROM generate_series(1, $4::bigint) RETURNING id"""
LOAD_SUBSCRIBERS = """
INSERT INTO subscriber (part, id, account_id, language, created_at)
SELECT $1, id, id, 'en', $2 FROM unnest($3::bigint[]) id"""
TOP_UP = """
SELECT ledger_post($1, $2, $3::bigint[], array_agg(gen_random_uuid()), array_agg(1::smallint),
                   array_agg($4::bigint), array_agg(0::bigint), array_agg(0::bigint), NULL)
FROM unnest($3::bigint[])"""


async def measure() -> list[Figure]:
    """One wind-down of each size; progress goes to stderr, since the largest takes minutes."""
    console = Console(stderr=True)
    figures: list[Figure] = []
    for size in SIZES:
        figures += await measure_winddown(size, console)
    return figures


async def measure_winddown(accounts: int, console: Console) -> list[Figure]:
    """The seconds of each part of the work, for so many accounts on a database of their own."""
    with tempfile.TemporaryDirectory(prefix="onecard-bench-", dir="/tmp") as name:
        directory = Path(name)
        directory.chmod(0o711)
        async with (
            await EmbeddedServer.start(directory / "data") as server,
            open_pool(server.dsn) as pool,
        ):
            work = WindDown(pool, MasterKey(os.urandom(KEY_BYTES)), directory, console)
            await work.load(accounts)
            for what, done in work.stages():
                await work.time(what, done)
    whole = sum(seconds for _, seconds in work.took)
    return [
        *(Figure(f"{accounts:,} accounts: {what}", seconds, "s") for what, seconds in work.took),
        Figure(f"{accounts:,} accounts: all of it", whole, "s"),
        Figure(f"{accounts:,} accounts: all of it, an account", whole / accounts * 1e6, "us"),
    ]


class WindDown:
    """One wind-down under way: what was done so far, and how long it took."""

    def __init__(self, pool: Pool, master: MasterKey, directory: Path, console: Console) -> None:
        self.took: list[tuple[str, float]] = []
        self._pool = pool
        self._master = master
        self._directory = directory
        self._console = console
        self._accounts: dict[int, list[int]] = {}
        self._refunds: dict[int, list[int]] = {}
        self._runs: list[PayoutRun] = []
        self._statements: list[Path] = []

    def stages(self) -> tuple[tuple[str, Callable[[], Awaitable[None]]], ...]:
        return (
            ("balances recorded at the gate", self.record),
            ("refunds requested, each with a payee", self.request),
            ("verified by one", lambda: self.change("staff:alice", Verify("claim code"))),
            ("approved by another", lambda: self.change("staff:bob", Approve())),
            ("put in runs, released", self.make_runs),
            ("pain.001 written", self.write_files),
            ("camt.053 read and applied", self.apply_statements),
            ("books reconciled", self.reconcile),
            ("what is left named, closing statement issued", self.close),
        )

    async def time(self, what: str, work: Callable[[], Awaitable[None]]) -> None:
        """Do a part of the work, and note how long it took."""
        gc.collect()
        began = perf_counter()
        await work()
        seconds = perf_counter() - began
        self.took.append((what, seconds))
        self._console.print(f"  {sum(map(len, self._accounts.values())):,} accounts: {what}: {seconds:.1f} s")

    # ---- subscribers with a balance each

    async def load(self, accounts: int) -> None:
        """Fill the database, and tell the planner of it as autovacuum would."""
        async with connection(self._pool) as borrowed:
            await migrate(borrowed, now=AT)
            await borrowed.executemany("INSERT INTO part VALUES ($1)", [(part,) for part in PARTS])
            await borrowed.execute(LOAD_SYSTEM, CAD, LOADED_AT)
            for part in PARTS:
                rows = await borrowed.fetch(LOAD_ACCOUNTS, part, CAD, LOADED_AT, accounts // len(PARTS))
                self._accounts[part] = [row["id"] for row in rows]
                await self._load_subscribers(borrowed, part)
            await self._start_order(borrowed)
            await borrowed.execute("ANALYZE")
        self._in_hand = Money(2 * accounts * BALANCE_MICROS // 10_000 * 10_000, CAD)

    async def _start_order(self, borrowed: Connection) -> None:
        text = write_plan(PlanFile(PLAN, ()))
        assert isinstance(
            await orders.draft_plan(borrowed, LOADED_AT, actor="staff:alice", text=text), Version
        )
        for actor in ("staff:alice", "staff:bob"):
            assert isinstance(
                await orders.approve_version(borrowed, LOADED_AT, actor=actor, number=1), Version
            )
        assert isinstance(await orders.start(borrowed, LOADED_AT, actor="staff:alice"), Version)

    async def _load_subscribers(self, borrowed: Connection, part: int) -> None:
        for ids in pages(self._accounts[part], 10 * BATCH):
            await borrowed.execute(LOAD_SUBSCRIBERS, part, LOADED_AT, ids)
            await create_subscriber_keys(borrowed, self._master, part, ids)
            await borrowed.fetchval(TOP_UP, part, LOADED_AT, ids, BALANCE_MICROS)

    # ---- what is measured

    async def record(self) -> None:
        """Record what every account had when refunds opened."""
        async with connection(self._pool) as borrowed:
            taken = await take_snapshot(borrowed, AT, actor="onecard", gates=REFUNDS_OPEN, zone=ZONE)
        assert isinstance(taken, Snapshot), taken

    async def request(self) -> None:
        """Every subscriber asks for the whole balance, and says where it is to go."""
        await self._in_every_part(self._accounts, self._request)

    async def _request(self, borrowed: Connection, part: int, accounts: Sequence[int]) -> None:
        wishes = [Wish(account, uuid4(), payee=_payee(account)) for account in accounts]
        answers = await request_refunds(
            borrowed,
            AT,
            actor="self-care",
            gates=REFUNDS_OPEN,
            master=self._master,
            part=part,
            wishes=wishes,
            cooling_off=timedelta(hours=24),
        )
        assert not isinstance(answers, Closed)
        self._refunds.setdefault(part, []).extend(one.id for one in answers if isinstance(one, Refund))

    async def change(self, actor: str, change: Change) -> None:
        """Staff verify or approve all refunds."""

        async def do(borrowed: Connection, part: int, refunds: Sequence[int]) -> None:
            answers = await change_refunds(
                borrowed, AT, actor=actor, part=part, refund_ids=refunds, change=change
            )
            assert all(isinstance(one, Refund) for one in answers)

        await self._in_every_part(self._refunds, do)

    async def make_runs(self) -> None:
        """Make runs until nothing is due; somebody else releases them."""
        limit = Money(10**18, CAD)
        async with connection(self._pool) as borrowed:
            while True:
                run = await make_payout_run(
                    borrowed,
                    AT,
                    actor="staff:alice",
                    currency=CAD,
                    route=Route.BANK,
                    execution_on=AT.date(),
                    limit=limit,
                )
                if run is PayoutRefusal.NOTHING_APPROVED:
                    return
                assert isinstance(run, PayoutRun), run
                released = await release_run(borrowed, AT, actor="staff:bob", run_id=run.id, debtor=OPERATOR)
                assert isinstance(released, PayoutRun), released
                self._runs.append(released)

    async def write_files(self) -> None:
        """Write the file of each run to the disk; the bank reads it, and writes what it has booked."""
        writer = WRITERS[Format.PAIN_001]
        for run in self._runs:
            async with connection(self._pool) as borrowed:
                assert isinstance(await submit_run(borrowed, AT, actor="staff:bob", run_id=run.id), PayoutRun)
                file = make_payment_file(run)
                statement = self._directory / f"{run.id}.camt.053.xml"
                with (
                    (self._directory / f"{run.id}.pain.001.xml").open("wb") as out,
                    BankBook(statement, run, self._in_hand) as book,
                ):
                    out.write(writer.begin_file(file))
                    async for orders in list_orders(
                        borrowed, run, master=self._master, remittance="Balance refunded"
                    ):
                        out.write(b"".join(map(writer.write_order, orders)))
                        book.write(orders)
                    out.write(writer.end_file(file))
                    out.flush()
                    os.fsync(out.fileno())
                self._statements.append(statement)
                self._in_hand -= run.total

    async def apply_statements(self) -> None:
        """Read what the bank booked, and pay out what was held."""
        for path in self._statements:
            with path.open("rb") as file:
                statements = read_report(iter(lambda: file.read(FILE_OCTETS_AT_ONCE), b""))
            assert isinstance(statements, tuple)
            async with AsyncExitStack() as stack:
                first, *beside = [await stack.enter_async_context(connection(self._pool)) for _ in PARTS]
                for statement in statements:
                    applied = await apply_statement(
                        first, AT, actor="staff:alice", statement=statement, beside=beside
                    )
                    assert (applied.settled, applied.unmatched) == (len(statement.booked), 0), applied

    async def reconcile(self) -> None:
        """Hold ledger, files and statements against each other."""
        async with connection(self._pool) as borrowed:
            books = await reconcile(borrowed, AT, actor="onecard", zone=ZONE, policies=PLAN.refunds)
        if books.differences or not books.is_covered:
            raise RuntimeError("\n".join(one.sentence for one in books.differences) or "money is missing")

    async def close(self) -> None:
        """Issue the statement, which is refused unless the ledger is whole and nobody is owed anything."""
        async with connection(self._pool) as borrowed:
            left = await name_residue(borrowed, AT, actor="staff:alice", inactive_since=LOADED_AT)
            key = SigningKey(os.urandom(KEY_BYTES))
            issued = await issue_statement(
                borrowed, AT, actor="staff:alice", key=key, operator="Bench Mobile", zone=ZONE
            )
        if left or not isinstance(issued, Issued):
            raise RuntimeError(str(left or issued))

    async def _in_every_part(
        self,
        ids: Mapping[int, Sequence[int]],
        do: Callable[[Connection, int, Sequence[int]], Awaitable[None]],
    ) -> None:
        """Work through all parts side by side, a batch at a time in each."""

        async def work(part: int) -> None:
            async with connection(self._pool) as borrowed:
                for some in pages(ids[part], BATCH):
                    await do(borrowed, part, some)

        await asyncio.gather(*(work(part) for part in ids))


class BankBook:
    """A bank of ours: it books every order of a run, and says so in a camt.053 file."""

    def __init__(self, path: Path, run: PayoutRun, balance: Money) -> None:
        self._path = path
        self._run = run
        self._balances = (("OPBD", balance), ("CLBD", balance - run.total))
        self._day = AT + timedelta(days=run.id)

    def __enter__(self) -> BankBook:
        self._file = self._path.open("w", encoding="ascii")
        self._file.write(
            '<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.08"><BkToCstmrStmt>'
            f"<GrpHdr><MsgId>S{self._run.id}</MsgId><CreDtTm>{AT:%Y-%m-%dT%H:%M:%S}</CreDtTm></GrpHdr>"
            f"<Stmt><Id>S{self._run.id}</Id><Acct><Id><Othr><Id>{OPERATOR.account.number}</Id></Othr></Id></Acct>"
        )
        for code, balance in self._balances:
            self._file.write(
                f"<Bal><Tp><CdOrPrtry><Cd>{code}</Cd></CdOrPrtry></Tp>"
                f'<Amt Ccy="{CAD}">{format_minor(balance)}</Amt><CdtDbtInd>CRDT</CdtDbtInd>'
                f"<Dt><Dt>{self._day:%Y-%m-%d}</Dt></Dt></Bal>"
            )
        return self

    def __exit__(self, *_: object) -> None:
        self._file.write("</Stmt></BkToCstmrStmt></Document>")
        self._file.close()

    def write(self, orders: Sequence[PaymentOrder]) -> None:
        """Book orders, one entry each."""
        day = f"{self._day:%Y-%m-%d}"
        for order in orders:
            amount = f'<Amt Ccy="{CAD}">{format_minor(order.amount)}</Amt><CdtDbtInd>DBIT</CdtDbtInd>'
            self._file.write(
                f"<Ntry>{amount}<Sts><Cd>BOOK</Cd></Sts><BookgDt><Dt>{day}</Dt></BookgDt>"
                f"<AcctSvcrRef>B-{order.end_to_end_id}</AcctSvcrRef>"
                f"<NtryDtls><TxDtls><Refs><EndToEndId>{order.end_to_end_id}</EndToEndId></Refs>{amount}"
                "</TxDtls></NtryDtls></Ntry>\n"
            )


def _payee(account: int) -> Payee:
    return Payee(
        f"Subscriber {account}",
        BankAccount(f"{account:09d}", is_iban=False, clearing_system="CACPA", clearing_member="000412345"),
    )


def pages(ids: Sequence[int], most: int) -> Iterator[Sequence[int]]:
    return (ids[first : first + most] for first in range(0, len(ids), most))
