"""Bring a database up to date: plain SQL files, forward only, one transaction a file.

A file is named `0001_name.sql`. What was applied stands in the table `schema_migration` with a hash of the
file, so that a file changed afterwards and a database from a newer onecard are noticed.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.resources import files
from importlib.resources.abc import Traversable

import asyncpg

from onecard.database.pool import Connection, DatabaseUnsuitable, is_away

FILES: Traversable = files("onecard.database") / "migrations"
LOCK_KEY = 0x6F6E65636172640A  # "onecard\n": one node migrates, the others wait and find nothing left to do

_CREATE_LEDGER = """
CREATE TABLE IF NOT EXISTS schema_migration (
    number integer PRIMARY KEY,
    name text NOT NULL,
    sha256 text NOT NULL,
    applied_at timestamptz NOT NULL
)"""


@dataclass(frozen=True, slots=True)
class Migration:
    """One file."""

    number: int
    name: str
    sql: str

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()


class MigrationFailed(DatabaseUnsuitable):
    """A file could not be applied; the database is as it was before that file."""


async def migrate(connection: Connection, *, now: datetime, source: Traversable = FILES) -> list[Migration]:
    """Apply what is pending, in order, and return it. Nodes that migrate at once take turns.

    Raises DatabaseUnsuitable when the database does not fit the files, before anything is applied.
    """
    await connection.execute("SELECT pg_advisory_lock($1)", LOCK_KEY)
    try:
        await connection.execute(_CREATE_LEDGER)
        wanted = await pending(connection, source=source)
        for migration in wanted:
            await _apply(connection, migration, now)
        return wanted
    finally:
        if not connection.is_closed():  # a lost session has lost its lock too
            await connection.execute("SELECT pg_advisory_unlock($1)", LOCK_KEY)


async def pending(connection: Connection, *, source: Traversable = FILES) -> list[Migration]:
    """What `migrate` would apply, in order. Changes nothing."""
    known = read_migrations(source)
    applied = await _read_ledger(connection)
    _check(known, applied)
    return [migration for migration in known if migration.number not in applied]


def read_migrations(source: Traversable = FILES) -> list[Migration]:
    """The files of a directory by number."""
    found = sorted(
        (file for file in source.iterdir() if file.name.endswith(".sql")), key=lambda file: file.name
    )
    migrations = [_read(file) for file in found]
    numbers = [migration.number for migration in migrations]
    assert len(set(numbers)) == len(numbers), f"two migrations have one number: {numbers}"
    return sorted(migrations, key=lambda migration: migration.number)


def _read(file: Traversable) -> Migration:
    match = re.fullmatch(r"(\d{4})_(\w+)\.sql", file.name)
    assert match is not None, f"{file.name} is not named like 0001_name.sql"
    return Migration(int(match[1]), match[2], file.read_text(encoding="utf-8"))


async def _read_ledger(connection: Connection) -> dict[int, tuple[str, str]]:
    """Number -> name and hash of what was applied."""
    if await connection.fetchval("SELECT to_regclass('schema_migration')") is None:
        return {}
    rows = await connection.fetch("SELECT number, name, sha256 FROM schema_migration ORDER BY number")
    return {row["number"]: (row["name"], row["sha256"]) for row in rows}


def _check(known: Sequence[Migration], applied: Mapping[int, tuple[str, str]]) -> None:
    by_number = {migration.number: migration for migration in known}
    newest = max(by_number, default=0)
    for number, (name, sha256) in applied.items():
        file = f"{number:04d}_{name}"
        if number > newest:
            raise DatabaseUnsuitable(
                f"the database is newer than this onecard: it has {file}; upgrade onecard"
            )
        if number not in by_number:
            raise DatabaseUnsuitable(f"the database has {file}, which this onecard does not know")
        if by_number[number].sha256 != sha256:
            raise DatabaseUnsuitable(f"{file} was changed after it was applied to this database")


async def _apply(connection: Connection, migration: Migration, now: datetime) -> None:
    try:
        async with connection.transaction():
            await connection.execute(migration.sql)
            await connection.execute(
                "INSERT INTO schema_migration (number, name, sha256, applied_at) VALUES ($1, $2, $3, $4)",
                migration.number,
                migration.name,
                migration.sha256,
                now,
            )
    except asyncpg.PostgresError as error:
        if is_away(error):
            raise
        raise MigrationFailed(f"{migration.number:04d}_{migration.name} failed: {error}") from error
