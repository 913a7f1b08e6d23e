"""Charges a second through the ledger, end to end, beside pgbench on the same server in the same run.

A charge counts when its caller has the answer: it went through the batch writer, was checked, is in the
journal and on disk. The reference is pgbench's own tpcb-like transaction, with 16 clients. Both use the
embedded server with the settings it has in production, so every commit waits for the disk.
"""

from __future__ import annotations

import asyncio
import gc
import os
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path
from random import Random
from statistics import median
from time import perf_counter

from asyncpg.pgproto.pgproto import UUID

from bench import Figure
from onecard.database.binaries import choose_account, find_binaries
from onecard.database.embedded import EmbeddedServer
from onecard.database.migrations import migrate
from onecard.database.pool import Connection, Pool, connection, open_pool
from onecard.ledger import EntryKind, Ledger, Posted, Posting, check_ledger
from onecard.values.clock import SystemClock

ACCOUNTS = 200_000
CURRENCIES = ("CAD", "CNY")
CHARGE_MICROS = 50_000
CLIENTS = 16
PGBENCH_SCALE = 20  # more than the clients, so that they seldom wait for one branch
MEASURE_SECONDS = 4
ROUNDS = 3
PARTS = ((1,), (2, 3))  # all accounts in one part, or half of them in each of two
CALLERS = 2_500  # a part: enough that a full batch waits while one is in flight

LOAD_ACCOUNTS = """
INSERT INTO account (part, role, currency, opened_at)
SELECT $1::integer, role, currency, $3::timestamptz
FROM unnest(ARRAY['revenue', 'funding', 'rounding']) role, unnest($2::text[]) currency
UNION ALL
SELECT $1, 'subscriber', ($2::text[])[1 + i % cardinality($2::text[])], $3
FROM generate_series(1, $4::bigint) i"""

TOP_UP_ALL = """
SELECT ledger_post($1, $2, array_agg(id), array_agg(gen_random_uuid()), array_agg(1::smallint),
                   array_agg(1000000000000), array_agg(0::bigint), array_agg(0::bigint), NULL)
FROM (SELECT id FROM account WHERE part = $1 AND role = 'subscriber') a GROUP BY id / 10000"""


async def measure() -> list[Figure]:
    """Take turns, so that whatever else the machine does disturbs both sides alike; the median round counts."""
    with tempfile.TemporaryDirectory(prefix="onecard-bench-") as name:
        directory = Path(name)
        os.chmod(directory, 0o711)  # noqa: PTH101, S103 (the server runs under another account when we are root)
        async with await EmbeddedServer.start(directory / "data") as server, open_pool(server.dsn) as pool:
            pgbench = await _prepare_pgbench(server, directory)
            await _prepare_ledger(pool)
            rounds = [await _measure_round(pool, pgbench, server.dsn) for _ in range(ROUNDS)]
            entries = await _prove(pool)
    return [*_summarise(rounds), Figure("entries in the ledger, proven afterwards", entries, "entries")]


async def _measure_round(pool: Pool, pgbench: str, dsn: str) -> list[float]:
    """Transactions of pgbench, and charges with the accounts in one part and in two; all a second."""
    return [await measure_pgbench(pgbench, dsn), *[await measure_charges(pool, parts) for parts in PARTS]]


def _summarise(rounds: list[list[float]]) -> list[Figure]:
    reference = median(figures[0] for figures in rounds)
    summary = [Figure(f"pgbench tpcb-like, {CLIENTS} clients", reference, "transactions/s")]
    for place, parts in enumerate(PARTS, start=1):
        name = f"ledger, {ACCOUNTS:,} accounts in {len(parts)} part{'s' * (len(parts) > 1)}"
        charges = median(figures[place] for figures in rounds)
        ratio = median(figures[place] / figures[0] for figures in rounds)
        summary += [Figure(name, charges, "charges/s"), Figure(f"{name}, to pgbench", ratio, "times")]
    return summary


async def _prepare_pgbench(server: EmbeddedServer, directory: Path) -> str:
    """Fill pgbench's tables; returns where the program is."""
    program = str(find_binaries(choose_account(directory / "data" / "postgres")).directory / "pgbench")
    await _run(program, "--initialize", f"--scale={PGBENCH_SCALE}", "--quiet", server.dsn)
    return program


async def measure_pgbench(program: str, dsn: str) -> float:
    """Transactions a second of pgbench's tpcb-like script."""
    options = (f"--client={CLIENTS}", "--jobs=2", f"--time={MEASURE_SECONDS}", "--builtin=tpcb-like")
    said = await _run(program, "--no-vacuum", *options, dsn)
    found = re.search(r"tps = ([\d.]+)", said)
    if found is None:
        raise RuntimeError(f"pgbench did not say how many transactions a second it did: {said}")
    return float(found[1])


async def _run(*command: str) -> str:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdout=pipe, stderr=pipe)
    said, complaints = await process.communicate()
    if process.returncode != 0:
        raise RuntimeError(f"{command[0]} failed: {complaints.decode()}")
    return said.decode()


async def _prove(pool: Pool) -> int:
    """Check the ledger that the charges left; returns how many entries were proven."""
    async with connection(pool) as borrowed:
        report = await check_ledger(borrowed)
    if report.violations:
        raise RuntimeError("\n".join(report.violations))
    return report.entries


async def _prepare_ledger(pool: Pool) -> None:
    async with connection(pool) as borrowed:
        await migrate(borrowed, now=SystemClock().now())
        for part, accounts in ((1, ACCOUNTS), (2, ACCOUNTS // 2), (3, ACCOUNTS // 2)):
            await _load(borrowed, part, accounts)
        await borrowed.execute("VACUUM ANALYZE account, entry")  # what autovacuum does in time
        await borrowed.execute("CHECKPOINT")


async def _load(borrowed: Connection, part: int, accounts: int) -> None:
    now = SystemClock().now()
    await borrowed.execute("INSERT INTO part (part) VALUES ($1)", part)
    await borrowed.execute(LOAD_ACCOUNTS, part, CURRENCIES, now, accounts)
    await borrowed.execute(TOP_UP_ALL, part, now)


async def measure_charges(pool: Pool, parts: Sequence[int]) -> float:
    """Charges a second: callers that each wait for the answer to one charge before they make the next."""
    ledger = Ledger(pool, SystemClock(), parts)
    async with connection(pool) as borrowed:
        accounts = {part: await _list_accounts(borrowed, part) for part in parts}
    gc.collect()
    gc.freeze()  # the collector is not to walk over what the preparation left
    begin = perf_counter()
    end = begin + MEASURE_SECONDS
    callers = [_call(ledger, part, accounts[part], Random(), end) for part in parts for _ in range(CALLERS)]  # noqa: S311
    charges = sum(await asyncio.gather(*callers))
    seconds = perf_counter() - begin
    await ledger.close()
    return charges / seconds


async def _list_accounts(borrowed: Connection, part: int) -> list[int]:
    rows = await borrowed.fetch("SELECT id FROM account WHERE part = $1 AND role = 'subscriber'", part)
    return [row["id"] for row in rows]


async def _call(ledger: Ledger, part: int, accounts: list[int], random: Random, end: float) -> int:
    charges = 0
    while perf_counter() < end:
        event = UUID(random.randbytes(16))
        account = accounts[int(random.random() * len(accounts))]
        posting = Posting(part, account, event, EntryKind.TEXT_CHARGE, -CHARGE_MICROS, charges)
        if await ledger.post(posting) is not Posted.POSTED:
            raise RuntimeError(f"a charge that could be paid was not posted: {posting}")
        charges += 1
    return charges
