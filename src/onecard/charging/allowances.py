"""Allowances: units that are used before cash. They are given, listed with what is left, and ended.

Each has a ledger account of its own whose currency is the unit, so that units are held, used and proved like money.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from uuid import UUID

import asyncpg

from onecard import audit, ledger
from onecard.catalogue.model import HOME, UsageKind
from onecard.charging.notices import EXPIRY_WARNING
from onecard.database.pool import Connection
from onecard.ledger import EntryKind, Posted, Posting
from onecard.ledger.model import MOST_POSTING_MICROS
from onecard.switching.model import TextAllowance
from onecard.values.money import Currency
from onecard.values.phone import Country

UNIT_CURRENCIES = {
    UsageKind.TEXT: Currency("seg"),
    UsageKind.CALL_OUT: Currency("sec"),
    UsageKind.CALL_IN: Currency("sec"),
    UsageKind.DATA: Currency("oct"),
}
"""The units as currencies of the ledger; ISO 4217 has none in small letters."""
ENDED_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Gift:
    """Units to give: segments, seconds or octets."""

    usage: UsageKind
    units: int
    expires_at: datetime
    line_countries: tuple[Country, ...] = ()
    """Of which lines; none: of all."""
    zones: tuple[str, ...] = ()
    """Where the card is; none: anywhere."""
    overage: bool = True
    """Whether cash pays when they are used up; else what they are for ends there, until they expire."""


@dataclass(frozen=True, slots=True)
class GivenAllowance:
    """An allowance of an account, with what is left of it."""

    part: int
    id: int
    account_id: int
    unit_account_id: int
    subscription_id: int | None
    gift: Gift
    given_at: datetime
    available: int
    held: int


class AllowanceRefusal(Enum):
    """Why an allowance was not given."""

    BAD_UNITS = "bad_units"
    """Not more than zero, or more than one posting may carry."""
    EXPIRED_ALREADY = "expired_already"
    UNKNOWN_ACCOUNT = "unknown_account"
    CONFLICTING_EVENT = "conflicting_event"


class _InUse(Exception):
    """Somebody holds, or just used, units of an allowance that was to end."""


_ALLOWANCE = """
SELECT a.*, u.available, u.held FROM allowance a JOIN account u ON u.part = a.part AND u.id = a.unit_account_id"""
FIND_BY_EVENT = f"{_ALLOWANCE} WHERE a.part = $1 AND a.account_id = $2 AND a.event_id = $3"
LIST = f"""
{_ALLOWANCE} WHERE a.part = $1 AND a.account_id = $2 AND a.closed_at IS NULL ORDER BY a.expires_at, a.id"""
INSERT = """
INSERT INTO allowance (part, account_id, unit_account_id, subscription_id, event_id, usage, line_countries, zones,
                       overage, granted, given_at, expires_at, told_expiry)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)"""
# What a session still holds is settled first: the ones held are passed over, and ended once they are not.
LIST_ENDING = f"""
{_ALLOWANCE} WHERE a.part = $1 AND a.closed_at IS NULL AND a.expires_at <= $2 AND u.held = 0
ORDER BY a.expires_at LIMIT $3"""
LOCK = "SELECT FROM allowance WHERE part = $1 AND id = $2 AND closed_at IS NULL FOR UPDATE SKIP LOCKED"
CLOSE = "UPDATE allowance SET closed_at = $3 WHERE part = $1 AND id = $2"
LIST_OF_TEXTS = """
SELECT unit_account_id, line_countries, zones, expires_at, overage FROM allowance
WHERE part = $1 AND account_id = $2 AND closed_at IS NULL AND usage = 'text' ORDER BY expires_at, id"""
# Nodes remember an account's allowances by the account, and those of texts with each card that it pays for.
RECORD_CHANGE = """
SELECT record_change('account', $2, $3)
UNION ALL SELECT record_change('card', id, $3) FROM card WHERE part = $1 AND account_id = $2 AND state <> 'ended'"""


async def give_allowance(
    connection: Connection,
    at: datetime,
    *,
    actor: str,
    part: int,
    account_id: int,
    gift: Gift,
    event: str,
    subscription_id: int | None = None,
) -> GivenAllowance | AllowanceRefusal:
    """Give units to an account, once for each `event` (the giver's own reference). Call it in a transaction."""
    if not 0 < gift.units <= MOST_POSTING_MICROS:
        return AllowanceRefusal.BAD_UNITS
    event_id = ledger.name_event("allowance", event)
    given = await _find_by_event(connection, part, account_id, event_id)
    if given is not None:
        return given if given.gift == gift else AllowanceRefusal.CONFLICTING_EVENT
    if gift.expires_at <= at:
        return AllowanceRefusal.EXPIRED_ALREADY
    account = await ledger.find_account(connection, part, account_id)
    if account is None or account.closed_at is not None:
        return AllowanceRefusal.UNKNOWN_ACCOUNT
    try:
        async with connection.transaction():
            await _give(connection, at, actor, account, gift, event_id, subscription_id)
    except asyncpg.UniqueViolationError as violation:  # given by another at the same time
        if violation.constraint_name != "allowance_is_given_once":
            raise
    given = await _find_by_event(connection, part, account_id, event_id)
    assert given is not None
    return given if given.gift == gift else AllowanceRefusal.CONFLICTING_EVENT


async def _give(
    connection: Connection,
    at: datetime,
    actor: str,
    account: ledger.Account,
    gift: Gift,
    event_id: UUID,
    subscription_id: int | None,
) -> None:
    part = account.part
    unit_account_id = await ledger.open_account(connection, part, UNIT_CURRENCIES[gift.usage], at)
    need_not_be_told = subscription_id is not None or gift.expires_at - at <= EXPIRY_WARNING
    await connection.execute(
        INSERT,
        part,
        account.id,
        unit_account_id,
        subscription_id,
        event_id,
        gift.usage.value,
        gift.line_countries,
        gift.zones,
        gift.overage,
        gift.units,
        at,
        gift.expires_at,
        need_not_be_told,
    )
    if subscription_id is None:
        detail = {"usage": gift.usage.value, "units": gift.units}
        subject = f"account:{account.id}"
        await audit.record(
            connection, at, actor=actor, action="give_allowance", subject=subject, detail=detail
        )
    await connection.execute(RECORD_CHANGE, part, account.id, at)
    contents = ledger.hash_contents(account.id, gift.units)
    posting = Posting(part, unit_account_id, event_id, EntryKind.ALLOWANCE_GIVEN, gift.units, contents)
    posted = await ledger.post_one(connection, posting, at)
    assert posted is Posted.POSTED


async def list_given_allowances(connection: Connection, part: int, account_id: int) -> list[GivenAllowance]:
    """The allowances of an account that have not ended, in the order in which they are used."""
    return [_given(row) for row in await connection.fetch(LIST, part, account_id)]


async def list_text_allowances(
    connection: Connection, part: int, account_id: int
) -> tuple[TextAllowance, ...]:
    """Those that pay for texts, in the order in which they are used. Texts are priced as sent from home."""
    rows = await connection.fetch(LIST_OF_TEXTS, part, account_id)
    return tuple(
        TextAllowance(
            row["unit_account_id"],
            tuple(map(Country, row["line_countries"])),
            row["expires_at"],
            row["overage"],
        )
        for row in rows
        if not row["zones"] or HOME in row["zones"]
    )


async def end_expired_allowances(connection: Connection, part: int, at: datetime) -> int:
    """End allowances whose time is over; returns how many. Call it outside a transaction, on any node."""
    rows = await connection.fetch(LIST_ENDING, part, at, ENDED_AT_ONCE)
    return sum([await _end(connection, at, _given(row)) for row in rows])


async def _end(connection: Connection, at: datetime, allowance: GivenAllowance) -> bool:
    """Take what is left, and close the account that counted it; not while somebody uses it."""
    try:
        async with connection.transaction():
            if not await connection.fetch(LOCK, allowance.part, allowance.id):
                return False  # another node ends it
            await connection.execute(CLOSE, allowance.part, allowance.id, at)
            await connection.execute(RECORD_CHANGE, allowance.part, allowance.account_id, at)
            await _take_rest(connection, at, allowance)
    except _InUse:
        return False
    return True


async def _take_rest(connection: Connection, at: datetime, allowance: GivenAllowance) -> None:
    if allowance.available:
        posting = Posting(
            allowance.part,
            allowance.unit_account_id,
            ledger.name_event("allowance_ended", str(allowance.id)),
            EntryKind.ALLOWANCE_ENDED,
            -allowance.available,
            ledger.hash_contents(allowance.id),
        )
        if await ledger.post_one(connection, posting, at) is not Posted.POSTED:
            raise _InUse
    if not await ledger.close_account(connection, allowance.part, allowance.unit_account_id, at):
        raise _InUse


async def _find_by_event(
    connection: Connection, part: int, account_id: int, event_id: UUID
) -> GivenAllowance | None:
    row = await connection.fetchrow(FIND_BY_EVENT, part, account_id, event_id)
    return None if row is None else _given(row)


def _given(row: asyncpg.Record) -> GivenAllowance:
    gift = Gift(
        UsageKind(row["usage"]),
        row["granted"],
        row["expires_at"],
        tuple(map(Country, row["line_countries"])),
        tuple(row["zones"]),
        row["overage"],
    )
    return GivenAllowance(
        row["part"],
        row["id"],
        row["account_id"],
        row["unit_account_id"],
        row["subscription_id"],
        gift,
        row["given_at"],
        row["available"],
        row["held"],
    )
