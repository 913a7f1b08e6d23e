"""`onecard db`: make, migrate and prove the database."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from onecard import ledger
from onecard.cli import store
from onecard.cli.command import desk_command, new_group, plain_command, run
from onecard.cli.desk import Desk, check_made, open_bare_desk
from onecard.cli.failures import Failure, Misuse
from onecard.cli.options import Options
from onecard.cli.show import Answer
from onecard.database.embedded import attach
from onecard.database.migrations import migrate
from onecard.payments.check import find_violations as find_refund_violations
from onecard.sealing.check import check_master_key
from onecard.sealing.files import create_key_file
from onecard.sealing.keys import MASTER_KEY_VARIABLE
from onecard.sealing.loading import load_master_key, periods_directory
from onecard.sealing.periods import PeriodKeys
from onecard.sealing.renewal import begin_first_period

PARTS_DEFAULT = 4
PARTS_MOST = 1024
PART_HIGHEST = 2**31 - 1
VIOLATIONS_MOST_OF_EACH = 1000

app = new_group("Make, migrate and prove the database.")


def _parse_parts(text: str | None) -> list[int] | None:
    """``4`` is the parts 1 to 4; ``1,4,9`` are those."""
    if text is None:
        return None
    items = text.split(",")
    if not all(item.strip().isascii() and item.strip().isdigit() for item in items):
        raise Misuse("--parts is a count such as 4, or a list such as 1,4,9")
    values = sorted(int(item) for item in items)
    parts = values if len(values) > 1 else list(range(1, min(values[0], PARTS_MOST + 1) + 1))
    if not 1 <= len(parts) <= PARTS_MOST or len(set(parts)) < len(parts) or parts[-1] > PART_HIGHEST:
        raise Misuse(f"there are 1 to {PARTS_MOST} parts, each once")
    return parts


@plain_command(app, "init")
def init(
    options: Options,
    parts: Annotated[
        str | None,
        typer.Option(
            "--parts",
            metavar="PARTS",
            help="How many parts, or which: 1,4,9. They can never be changed.  [default: 4]",
        ),
    ] = None,
) -> Answer:
    """Make the database, its tables and parts, and the master key where there is none."""
    wanted = _parse_parts(parts)
    return run(_init(options, wanted))


async def _init(options: Options, wanted: list[int] | None) -> Answer:
    async with open_bare_desk(options) as desk:
        applied = await migrate(desk.connection, now=desk.at)
        parts = await store.insert_parts(desk.connection, wanted or list(range(1, PARTS_DEFAULT + 1)))
        if wanted is not None and parts != wanted:
            raise Failure(
                "other_parts",
                f"the database has the parts {_say_parts(parts)} already, and parts can never be changed",
            )
        key = await _make_master_key(desk)
    place = "the database of ONECARD_DATABASE_URL" if options.database_url else f"{options.directory}"
    said = [
        f"database ready in {place}: {len(applied)} migrations applied, parts {_say_parts(parts)}",
        f"master key: {key} (keep a copy elsewhere, and of the keys of periods beside it:"
        " without them nothing sealed can be read)",
    ]
    document = {"place": place, "migrations_applied": len(applied), "parts": parts, "master_key": key}
    return Answer(document, said)


async def _make_master_key(desk: Desk) -> str:
    """Make the key if it is the first, try it, and say where it is. Never make a second one for what is sealed."""
    file = desk.options.master_key_file(desk.config_found)
    in_environment = MASTER_KEY_VARIABLE in os.environ
    if not in_environment and not await store.has_keys(desk.connection):
        create_key_file(file)
        await begin_first_period(desk.connection, PeriodKeys(periods_directory(file)), desk.at, desk.actor)
    await check_master_key(desk.connection, load_master_key(file))
    return MASTER_KEY_VARIABLE if in_environment else str(file)


def _say_parts(parts: list[int]) -> str:
    return ", ".join(map(str, parts))


@plain_command(app, "migrate")
def migrate_(options: Options) -> Answer:
    """Bring the tables of the database up to date with this onecard."""
    return run(_migrate(options))


async def _migrate(options: Options) -> Answer:
    check_made(options)
    async with open_bare_desk(options) as desk:
        applied = [f"{one.number:04d}_{one.name}" for one in await migrate(desk.connection, now=desk.at)]
    said = f"applied {', '.join(applied)}" if applied else "the database is up to date"
    return Answer({"applied": applied}, [said])


@desk_command(app, "check")
async def check(desk: Desk) -> Answer:
    """Prove the database: the ledger sums to zero, refunds are held, numbers and lines fit. Traffic may go on."""
    report = await ledger.check_ledger(desk.connection)
    async with desk.connection.transaction(isolation="repeatable_read", readonly=True):
        misfits = await store.find_violations(desk.connection, VIOLATIONS_MOST_OF_EACH)
        misfits += await find_refund_violations(desk.connection, VIOLATIONS_MOST_OF_EACH)
    violations = [*report.violations, *misfits]
    counted = f"{report.accounts} accounts, {report.entries} entries"
    said = f"{len(violations)} violations in {counted}" if violations else f"all is well: {counted}"
    document = {
        "good": not violations,
        "accounts": report.accounts,
        "entries": report.entries,
        "violations": violations,
    }
    return Answer(document, [*violations, said], desk.zone, is_good=not violations)


@plain_command(app, "url")
def url(options: Options) -> Answer:
    """Print the address of the database, for psql and others. It holds a password."""
    return run(_url(options))


async def _url(options: Options) -> Answer:
    address = options.database_url or (await attach(options.data)).dsn
    return Answer({"url": address}, [address])
