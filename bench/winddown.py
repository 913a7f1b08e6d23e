"""A wind-down of 10,000, 100,000 and 1,000,000 accounts: every balance is requested, seen by two, and paid by the bank.

Subscribers are loaded in bulk, which is not measured. All that comes after goes through the actions that subscribers
and staff use, a batch at a time: refunds are requested, each with a payee, verified, approved, put in runs of 100,000,
and written as pain.001 to the disk; a bank of ours answers with a camt.053 file a run, which is read and applied. At
the end the ledger proves itself, and nobody is owed anything.
"""

from __future__ import annotations

import asyncio
import gc
import os
import tempfile
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from uuid import uuid4

from rich.console import Console

from bench import Figure
from onecard.database.embedded import EmbeddedServer
from onecard.database.migrations import migrate
from onecard.database.pool import Connection, Pool, connection, open_pool
from onecard.ledger import check_ledger
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
from onecard.sealing.subscriber_keys import create_subscriber_keys
from onecard.values.gate import Closed, Gates
from onecard.values.money import Currency, Money

SIZES = (10_000, 100_000, 1_000_000)
PARTS = (1, 2, 3, 4)
BATCH = 1000
CAD = Currency("CAD")
AT = datetime(2022, 1, 5, 12, tzinfo=UTC)
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
OWED = "SELECT coalesce(sum(available + held), 0)::bigint FROM account WHERE role = 'subscriber'"


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
            await work.prove()
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
            ("refunds requested, each with a payee", self.request),
            ("verified by one", lambda: self.change("staff:alice", Verify("claim code"))),
            ("approved by another", lambda: self.change("staff:bob", Approve())),
            ("put in runs, released", self.make_runs),
            ("pain.001 written", self.write_files),
            ("camt.053 read and applied", self.apply_statements),
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
            await borrowed.execute(LOAD_SYSTEM, CAD, AT)
            for part in PARTS:
                rows = await borrowed.fetch(LOAD_ACCOUNTS, part, CAD, AT, accounts // len(PARTS))
                self._accounts[part] = [row["id"] for row in rows]
                await self._load_subscribers(borrowed, part)
            await borrowed.execute("ANALYZE")

    async def _load_subscribers(self, borrowed: Connection, part: int) -> None:
        for ids in pages(self._accounts[part], 10 * BATCH):
            await borrowed.execute(LOAD_SUBSCRIBERS, part, AT, ids)
            await create_subscriber_keys(borrowed, self._master, part, ids)
            await borrowed.fetchval(TOP_UP, part, AT, ids, BALANCE_MICROS)

    # ---- what is measured

    async def request(self) -> None:
        """Every subscriber asks for the whole balance, and says where it is to go."""
        await self._in_every_part(self._accounts, self._request)

    async def _request(self, borrowed: Connection, part: int, accounts: Sequence[int]) -> None:
        wishes = [Wish(account, uuid4(), payee=_payee(account)) for account in accounts]
        answers = await request_refunds(
            borrowed, AT, actor="self-care", gates=REFUNDS_OPEN, master=self._master, part=part, wishes=wishes
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
                    BankBook(statement, run) as book,
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

    async def apply_statements(self) -> None:
        """Read what the bank booked, and pay out what was held."""
        for path in self._statements:
            with path.open("rb") as file:
                statements = read_report(iter(lambda: file.read(FILE_OCTETS_AT_ONCE), b""))
            assert isinstance(statements, tuple)
            async with connection(self._pool) as borrowed:
                for statement in statements:
                    applied = await apply_statement(borrowed, AT, actor="staff:alice", statement=statement)
                    assert (applied.settled, applied.unmatched) == (len(statement.booked), 0), applied

    async def prove(self) -> None:
        """The ledger is whole, and nobody is owed anything."""
        async with connection(self._pool) as borrowed:
            report = await check_ledger(borrowed)
            owed = await borrowed.fetchval(OWED)
        if report.violations or owed:
            raise RuntimeError("\n".join([*report.violations, f"{owed} micros are owed"]))

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

    def __init__(self, path: Path, run: PayoutRun) -> None:
        self._path = path
        self._run = run

    def __enter__(self) -> BankBook:
        self._file = self._path.open("w", encoding="ascii")
        self._file.write(
            '<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.08"><BkToCstmrStmt>'
            f"<GrpHdr><MsgId>S{self._run.id}</MsgId><CreDtTm>{AT:%Y-%m-%dT%H:%M:%S}</CreDtTm></GrpHdr>"
            f"<Stmt><Id>S{self._run.id}</Id><Acct><Id><Othr><Id>{OPERATOR.account.number}</Id></Othr></Id></Acct>"
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._file.write("</Stmt></BkToCstmrStmt></Document>")
        self._file.close()

    def write(self, orders: Sequence[PaymentOrder]) -> None:
        """Book orders, one entry each."""
        day = f"{AT:%Y-%m-%d}"
        for order in orders:
            amount = f'<Amt Ccy="{CAD}">{order.amount.micros / 1e6:.2f}</Amt><CdtDbtInd>DBIT</CdtDbtInd>'
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
