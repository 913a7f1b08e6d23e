"""The rows of port-outs and of their PINs."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import asyncpg

from onecard.database.pool import Connection
from onecard.portability.model import PortFailure, PortOut, PortState, Proof
from onecard.values.guard import Guard
from onecard.values.phone import E164

_COLUMNS = """p.part, p.id, p.account_id, p.card_id, p.line_id, p.msisdn, p.gaining, p.reference, p.proof, p.state,
       p.failure, p.requested_at, p.requested_by, p.due_at, p.started_at, p.ended_at"""
_PORT = f"SELECT {_COLUMNS} FROM port_out p"  # noqa: S608  # constants only
_OF_ANY_PART = f"SELECT {_COLUMNS} FROM part JOIN port_out p ON p.part = part.part"  # noqa: S608

LOCK_REFERENCE = "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))"
INSERT = """
INSERT INTO port_out (part, id, account_id, card_id, line_id, msisdn, gaining, reference, proof, state, requested_at,
                      requested_by, due_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)"""
LOCK = f"{_PORT} WHERE p.part = $1 AND p.id = $2 FOR UPDATE"
FIND = f"{_OF_ANY_PART} AND p.id = $1"
FIND_BY_REFERENCE = f"{_OF_ANY_PART} AND p.gaining = $1 AND p.reference = $2"
LIST_OF_CARD = f"{_PORT} WHERE p.part = $1 AND p.card_id = $2 ORDER BY p.id DESC"
LIST = f"{_PORT} WHERE p.id < $1 AND ($2::text IS NULL OR p.state = $2) ORDER BY p.id DESC LIMIT $3"
LIST_LATE = f"{_PORT} WHERE p.ended_at IS NULL AND p.due_at < $1 ORDER BY p.due_at, p.id LIMIT $2"
UPDATE = """
UPDATE port_out SET state = $3, failure = $4, started_at = $5, ended_at = $6 WHERE part = $1 AND id = $2"""

SAVE_PIN = """
INSERT INTO port_pin (part, card_id, pin_hash, expires_at) VALUES ($1, $2, $3, $4)
ON CONFLICT (part, card_id) DO UPDATE SET pin_hash = $3, expires_at = $4"""
FIND_PIN = """
SELECT pin_hash, expires_at, wrong_at, locked_until FROM port_pin WHERE part = $1 AND card_id = $2"""
SAVE_GUARD = "UPDATE port_pin SET wrong_at = $3, locked_until = $4 WHERE part = $1 AND card_id = $2"


async def lock_reference(connection: Connection, gaining: str, reference: str) -> None:
    """Let requests of one operator under one reference take turns, whichever numbers they name."""
    await connection.execute(LOCK_REFERENCE, f"port_out\n{gaining}\n{reference}")


async def insert_port(connection: Connection, port: PortOut) -> None:
    await connection.execute(
        INSERT,
        port.part,
        port.id,
        port.account_id,
        port.card_id,
        port.line_id,
        port.msisdn,
        port.gaining,
        port.reference,
        port.proof.value,
        port.state.value,
        port.requested_at,
        port.requested_by,
        port.due_at,
    )


async def lock_port(connection: Connection, part: int, port_id: int) -> PortOut:
    """Take hold of a port-out that is known to be there."""
    port = _port(await connection.fetchrow(LOCK, part, port_id))
    assert port is not None
    return port


async def find_port(connection: Connection, port_id: int) -> PortOut | None:
    """A port-out of which only the id is known."""
    return _port(await connection.fetchrow(FIND, port_id))


async def find_port_by_reference(connection: Connection, gaining: str, reference: str) -> PortOut | None:
    return _port(await connection.fetchrow(FIND_BY_REFERENCE, gaining, reference))


async def list_ports_of_card(connection: Connection, part: int, card_id: int) -> tuple[PortOut, ...]:
    """The port-outs of a card, the latest first."""
    return _ports(await connection.fetch(LIST_OF_CARD, part, card_id))


async def list_ports(
    connection: Connection, *, state: PortState | None = None, before: int, most: int = 100
) -> tuple[PortOut, ...]:
    """All port-outs, the latest first, a page at a time."""
    return _ports(await connection.fetch(LIST, before, state.value if state else None, most))


async def list_late_ports(connection: Connection, at: datetime, *, most: int = 100) -> tuple[PortOut, ...]:
    """Those that should be complete by now, the longest late first."""
    return _ports(await connection.fetch(LIST_LATE, at, most))


async def update_port(connection: Connection, port: PortOut) -> None:
    await connection.execute(
        UPDATE,
        port.part,
        port.id,
        port.state.value,
        port.failure.value if port.failure else None,
        port.started_at,
        port.ended_at,
    )


async def save_pin(
    connection: Connection, part: int, card_id: int, pin_hash: bytes, expires_at: datetime
) -> None:
    """Put a PIN in the place of the one before; wrong ones that were tried stay counted."""
    await connection.execute(SAVE_PIN, part, card_id, pin_hash, expires_at)


async def find_pin(connection: Connection, part: int, card_id: int) -> tuple[bytes, datetime, Guard] | None:
    """The hash of a card's PIN, until when it is good, and what guards it."""
    row = await connection.fetchrow(FIND_PIN, part, card_id)
    if row is None:
        return None
    return row["pin_hash"], row["expires_at"], Guard(tuple(row["wrong_at"]), row["locked_until"])


async def save_guard(connection: Connection, part: int, card_id: int, guard: Guard) -> None:
    await connection.execute(SAVE_GUARD, part, card_id, list(guard.wrong_at), guard.locked_until)


def _ports(rows: list[asyncpg.Record]) -> tuple[PortOut, ...]:
    return tuple(_read(row) for row in rows)


def _port(row: asyncpg.Record | None) -> PortOut | None:
    return None if row is None else _read(row)


def _read(row: asyncpg.Record) -> PortOut:
    values: dict[str, Any] = dict(row)
    return PortOut(
        **{
            **values,
            "msisdn": E164(row["msisdn"]),
            "proof": Proof(row["proof"]),
            "state": PortState(row["state"]),
            "failure": PortFailure(row["failure"]) if row["failure"] else None,
        }
    )
