"""Usage records: listed for a card, exported as CSV or in the manner of TS 32.298, purged when they are old.

Far numbers were masked when the records were written; the card's own number and IMSI are masked on the way out.
"""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg

from onecard.catalogue.model import UsageKind
from onecard.database.pool import Connection
from onecard.values.money import Currency, format_micros
from onecard.values.phone import mask

PAGE_MOST = 1000
CHF_RECORD = "chargingFunctionRecord"
"""The record type of TS 32.298 section 5.1.5.0.1."""
EVERYTHING = 2**63 - 1

_RECORD = """
SELECT r.*, l.msisdn, c.imsi, a.currency FROM usage_record r
JOIN line l ON l.part = r.part AND l.id = r.line_id
JOIN card c ON c.part = r.part AND c.id = r.card_id
JOIN account a ON a.part = r.part AND a.id = r.account_id"""
LIST_OF_CARD = f"""
{_RECORD} WHERE r.part = $1 AND r.card_id = $2 AND r.id < $3 ORDER BY r.id DESC LIMIT $4"""
LIST_ENDED = f"""
{_RECORD} WHERE r.part = $1 AND r.ended_at >= $2 AND r.ended_at < $3 AND r.id > $4 ORDER BY r.id LIMIT $5"""
PURGE = "DELETE FROM usage_record WHERE part = $1 AND ended_at < $2"


@dataclass(frozen=True, slots=True)
class StoredRecord:
    """What a service of a session, or a one-time event, used and cost. Numbers of persons are masked."""

    part: int
    id: int
    card_id: int
    msisdn: str
    imsi: str
    session_id: str
    usage: UsageKind
    far: str
    zone: str
    rating_group: int | None
    started_at: datetime
    ended_at: datetime
    units: int
    allowance_units: int
    price_micros: int
    unpaid_micros: int
    currency: Currency
    cause: str
    explanation: dict[str, Any]


async def list_records(
    connection: Connection, part: int, card_id: int, *, before: int = EVERYTHING, most: int = 50
) -> list[StoredRecord]:
    """A page of a card's records, the latest first; `before` is the id to go on from."""
    assert 0 < most <= PAGE_MOST
    return [_read(row) for row in await connection.fetch(LIST_OF_CARD, part, card_id, before, most)]


async def stream_records(
    connection: Connection, parts: Sequence[int], since: datetime, until: datetime
) -> AsyncIterator[StoredRecord]:
    """All records of usage that ended from `since` on and before `until`, part by part, a page in memory at a time."""
    for part in parts:
        last_id = 0
        while rows := await connection.fetch(LIST_ENDED, part, since, until, last_id, PAGE_MOST):
            for row in rows:
                yield _read(row)
            last_id = rows[-1]["id"]


async def purge_records(connection: Connection, part: int, before: datetime) -> int:
    """Delete records of usage that ended before an instant; returns how many."""
    done = await connection.execute(PURGE, part, before)
    return int(done.split()[-1])


CSV_COLUMNS = (
    "id",
    "card",
    "served_msisdn",
    "served_imsi",
    "usage",
    "far",
    "zone",
    "rating_group",
    "started_at",
    "ended_at",
    "units",
    "unit",
    "allowance_units",
    "price",
    "unpaid",
    "currency",
    "cause",
    "explanation",
)


def write_csv_row(values: Sequence[object]) -> str:
    """One line of CSV (RFC 4180)."""
    line = io.StringIO()
    csv.writer(line).writerow(values)
    return line.getvalue()


def as_csv_row(record: StoredRecord) -> str:
    """A record as one line, in the order of `CSV_COLUMNS`."""
    return write_csv_row(
        (
            record.id,
            record.card_id,
            record.msisdn,
            record.imsi,
            record.usage.value,
            record.far,
            record.zone,
            "" if record.rating_group is None else record.rating_group,
            record.started_at.isoformat(),
            record.ended_at.isoformat(),
            record.units,
            record.usage.unit,
            record.allowance_units,
            format_micros(record.price_micros),
            format_micros(record.unpaid_micros),
            record.currency,
            record.cause,
            "; ".join(say_prices(record)),
        )
    )


def say_prices(record: StoredRecord) -> list[str]:
    """How the record came to its price: a sentence for each rate."""
    return [piece["price"] for piece in record.explanation.get("pieces", ())]


def as_chf_record(record: StoredRecord) -> dict[str, Any]:
    """A record with the fields of CHFRecord (TS 32.298 section 5.1.5.0.1); what is ours is in `recordExtensions`."""
    return {
        "recordType": CHF_RECORD,
        "subscriberIdentifier": {
            "subscriptionIDType": "eND-USER-E164",
            "subscriptionIDData": record.msisdn,
            "servedIMSI": record.imsi,
        },
        "chargingSessionIdentifier": record.session_id,
        "recordOpeningTime": record.started_at.isoformat(),
        "duration": int((record.ended_at - record.started_at).total_seconds()),
        "localRecordSequenceNumber": record.id,
        "causeForRecClosing": record.cause,
        "listOfMultipleUnitUsage": [_unit_usage(record)],
        "recordExtensions": {
            "card": record.card_id,
            "usage": record.usage.value,
            "far": record.far,
            "zone": record.zone,
            "allowanceUnits": record.allowance_units,
            "price": format_micros(record.price_micros),
            "unpaid": format_micros(record.unpaid_micros),
            "currency": record.currency,
            "explanation": say_prices(record),
        },
    }


_CONTAINER = {
    UsageKind.CALL_OUT: "time",
    UsageKind.CALL_IN: "time",
    UsageKind.DATA: "dataTotalVolume",
    UsageKind.TEXT: "serviceSpecificUnits",
}


def _unit_usage(record: StoredRecord) -> dict[str, Any]:
    used = {"usedUnitContainers": [{_CONTAINER[record.usage]: record.units}]}
    return used if record.rating_group is None else {"ratingGroup": record.rating_group, **used}


def _read(row: asyncpg.Record) -> StoredRecord:
    return StoredRecord(
        row["part"],
        row["id"],
        row["card_id"],
        mask(row["msisdn"]),
        mask(row["imsi"]),
        row["session_id"],
        UsageKind(row["usage"]),
        row["far"],
        row["zone"],
        row["rating_group"],
        row["started_at"],
        row["ended_at"],
        row["units"],
        row["allowance_units"],
        row["price_micros"],
        row["unpaid_micros"],
        Currency(row["currency"]),
        row["cause"],
        row["explanation"],
    )
