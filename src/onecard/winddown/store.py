"""The versions of the plan as they were written, and what became of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import astuple
from datetime import datetime
from hashlib import sha256

import asyncpg

from onecard.database.pool import Connection
from onecard.winddown.model import Approval, Version, VersionKind, VersionRehearsal
from onecard.winddown.reading import PlanFile, read_plan
from onecard.winddown.versions import Versions

LOAD_IN_FORCE = """
SELECT plan FROM winddown_version WHERE in_force_since IS NOT NULL ORDER BY version DESC LIMIT 1"""
# One proposes, approves, withdraws or starts at a time.
LOCK = "LOCK TABLE winddown_version IN EXCLUSIVE MODE"
LIST_VERSIONS = """
SELECT version, kind, sha256, diff, proposed_by, proposed_at, withdrawn_by, withdrawn_at, in_force_since
FROM winddown_version ORDER BY version"""
LIST_APPROVALS = "SELECT version, actor, at FROM winddown_approval ORDER BY version, at, actor"
GET_TEXT = "SELECT plan FROM winddown_version WHERE version = $1"
INSERT_VERSION = """
INSERT INTO winddown_version (version, kind, plan, sha256, diff, proposed_by, proposed_at)
VALUES ($1, $2, $3, $4, $5, $6, $7)"""
INSERT_APPROVAL = "INSERT INTO winddown_approval (version, actor, at) VALUES ($1, $2, $3)"
WITHDRAW = "UPDATE winddown_version SET withdrawn_by = $2, withdrawn_at = $3 WHERE version = $1"
PUT_IN_FORCE = "UPDATE winddown_version SET in_force_since = $2 WHERE version = $1"
INSERT_REHEARSAL = """
INSERT INTO winddown_rehearsal (version, sha256, first_seed, seeds, accounts, findings, rehearsed_by, rehearsed_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)"""
LIST_REHEARSALS = """
SELECT DISTINCT ON (version) version AS number, sha256, first_seed, seeds, accounts, findings, rehearsed_by,
       rehearsed_at
FROM winddown_rehearsal ORDER BY version, id DESC"""
RECORD_CHANGE = "SELECT record_change('winddown', $1, $2)"


async def load_in_force(connection: Connection) -> PlanFile | None:
    """The version of the plan that is in force, with its stays; None: there is no order, or it was not started."""
    text = await connection.fetchval(LOAD_IN_FORCE)
    return None if text is None else read_plan(text)


async def lock_versions(connection: Connection) -> Versions:
    """All versions, which nobody else changes until the end of the transaction."""
    await connection.execute(LOCK)
    return await list_versions(connection)


async def list_versions(connection: Connection) -> Versions:
    """All versions without their texts: as many as people have proposed."""
    approvals: dict[int, list[Approval]] = {}
    for row in await connection.fetch(LIST_APPROVALS):
        approvals.setdefault(row["version"], []).append(Approval(row["actor"], row["at"]))
    rows = await connection.fetch(LIST_VERSIONS)
    return Versions([_version(row, approvals.get(row["version"], ())) for row in rows])


async def get_text(connection: Connection, number: int) -> str:
    """The text of a version that there is, as it was written."""
    text = await connection.fetchval(GET_TEXT, number)
    assert isinstance(text, str)
    return text


async def insert_version(connection: Connection, version: Version, text: str) -> None:
    await connection.execute(
        INSERT_VERSION,
        version.number,
        version.kind,
        text,
        version.sha256,
        list(version.diff),
        version.proposed_by,
        version.proposed_at,
    )


async def insert_approval(connection: Connection, number: int, approval: Approval) -> None:
    await connection.execute(INSERT_APPROVAL, number, approval.actor, approval.at)


async def withdraw(connection: Connection, number: int, actor: str, at: datetime) -> None:
    await connection.execute(WITHDRAW, number, actor, at)


async def put_in_force(connection: Connection, number: int, at: datetime) -> None:
    """From now on; every node and desk reads it anew."""
    await connection.execute(PUT_IN_FORCE, number, at)
    await connection.execute(RECORD_CHANGE, number, at)


async def insert_rehearsal(connection: Connection, rehearsal: VersionRehearsal) -> None:
    await connection.execute(INSERT_REHEARSAL, *astuple(rehearsal))


async def list_rehearsals(connection: Connection) -> Mapping[int, VersionRehearsal]:
    """The latest rehearsal of each version that was rehearsed, by its number."""
    rows = await connection.fetch(LIST_REHEARSALS)
    return {row["number"]: VersionRehearsal(**row) for row in rows}


def hash_text(text: str) -> str:
    """The SHA-256 of a version, as `sha256sum` says it of the file."""
    return sha256(text.encode()).hexdigest()


def _version(row: asyncpg.Record, approvals: Sequence[Approval]) -> Version:
    return Version(
        number=row["version"],
        kind=VersionKind(row["kind"]),
        sha256=row["sha256"],
        diff=tuple(row["diff"]),
        proposed_by=row["proposed_by"],
        proposed_at=row["proposed_at"],
        approvals=tuple(approvals),
        withdrawn_by=row["withdrawn_by"],
        withdrawn_at=row["withdrawn_at"],
        in_force_since=row["in_force_since"],
    )
