"""`onecard usage`: what was used, and what it cost."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Iterable
from enum import Enum
from typing import Annotated, Any

import msgspec
import typer

from onecard.charging.records import (
    CSV_COLUMNS,
    EVERYTHING,
    StoredRecord,
    as_chf_record,
    as_csv_row,
    list_records,
    say_prices,
    stream_records,
    write_csv_row,
)
from onecard.cli.command import desk_command, new_group
from onecard.cli.desk import Desk
from onecard.cli.find import find_card
from onecard.cli.options import MostOption
from onecard.cli.show import Answer, Table
from onecard.cli.times import read_time
from onecard.database.parts import list_parts
from onecard.values.money import Money

app = new_group("Usage records: what was used, and what it cost.")


class Format(Enum):
    """How records are written."""

    CSV = "csv"
    JSON = "json"


@desk_command(app, "list")
async def list_(
    desk: Desk,
    card: Annotated[str, typer.Argument(metavar="CARD", help="Any number of the card, its ICCID or its id.")],
    before: Annotated[
        int, typer.Option("--before", metavar="ID", help="Go on with those before this one.")
    ] = EVERYTHING,
    most: MostOption = 50,
) -> Answer:
    """List what a card used in calls, data and events of credit control, the latest first."""
    found = (await find_card(desk.connection, card)).card
    records = await list_records(desk.connection, found.part, found.id, before=before, most=most)
    rows = [_describe(record) for record in records]
    following = records[-1].id if len(records) == most else None
    columns = ("id", "ended_at", "usage", "far", "zone", "units", "unit", "allowance_units", "price", "why")
    table = Table(columns, rows, empty=f"card {found.id} has used nothing yet")
    hint = f"more: --before {following}" if following else None
    return Answer({"card": found.id, "records": rows, "next": following}, [table], desk.zone, hint=hint)


@desk_command(app, "export")
async def export(
    desk: Desk,
    since: Annotated[
        str,
        typer.Option(
            "--from", metavar="TIME", help="Usage that ended from then on: 2026-04-01, or an instant."
        ),
    ],
    until: Annotated[
        str, typer.Option("--to", metavar="TIME", help="And before then: 2026-05-01 for all of April.")
    ],
    format_: Annotated[
        Format, typer.Option("--format", help="csv, or json with the fields of TS 32.298.")
    ] = Format.CSV,
) -> None:
    """Write the records of a span of time to stdout, however many they are; numbers of persons are masked."""
    begin, end = read_time(desk, since), read_time(desk, until)
    as_json = format_ is Format.JSON or desk.options.as_json
    async with desk.connection.transaction(isolation="repeatable_read", readonly=True):
        parts = await list_parts(desk.connection)
        records = stream_records(desk.connection, parts, begin, end)
        await (_write_json(records) if as_json else _write_csv(records))


async def _write_csv(records: AsyncIterator[StoredRecord]) -> None:
    _write([write_csv_row(CSV_COLUMNS)])
    async for record in records:
        _write([as_csv_row(record)])


async def _write_json(records: AsyncIterator[StoredRecord]) -> None:
    """One document, a record a line."""
    _write(['{"records": ['])
    separator = "\n"
    async for record in records:
        _write([separator, msgspec.json.encode(as_chf_record(record)).decode()])
        separator = ",\n"
    _write(["\n]}\n"])


def _write(pieces: Iterable[str]) -> None:
    sys.stdout.writelines(pieces)


def _describe(record: StoredRecord) -> dict[str, Any]:
    return {
        "id": record.id,
        "started_at": record.started_at,
        "ended_at": record.ended_at,
        "line": record.msisdn,
        "usage": record.usage,
        "far": record.far,
        "zone": record.zone,
        "rating_group": record.rating_group,
        "units": record.units,
        "unit": record.usage.unit,
        "allowance_units": record.allowance_units,
        "price": Money(record.price_micros, record.currency),
        "unpaid": Money(record.unpaid_micros, record.currency),
        "cause": record.cause,
        "why": say_prices(record),
    }
