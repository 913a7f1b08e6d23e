"""The rows of numbers, applications and lines; and a card with all its lines, as switching needs it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import datetime, time
from itertools import groupby
from operator import itemgetter
from typing import Any, NamedTuple

import asyncpg

from onecard.cards.model import Card
from onecard.cards.store import find_card_of_sim, read_card
from onecard.database.parts import list_parts
from onecard.database.pool import Connection
from onecard.lines.model import (
    Application,
    ApplicationState,
    Line,
    Number,
    NumberState,
    Usage,
    Window,
)
from onecard.values.card import Iccid, Imsi
from onecard.values.hours import Hours
from onecard.values.language import Language
from onecard.values.money import Currency
from onecard.values.phone import E164, Country

# Numbers

_NUMBER = "SELECT msisdn, country, state, until, part, card_id, gone_to FROM number"

INSERT_NUMBERS = """
INSERT INTO number (msisdn, country, state, imported_at)
SELECT m, c, 'free', $3 FROM unnest($1::text[], $2::text[]) AS item(m, c)
ON CONFLICT DO NOTHING RETURNING msisdn"""
FIND_NUMBER = f"{_NUMBER} WHERE msisdn = $1"
LOCK_NUMBER = f"{FIND_NUMBER} FOR UPDATE"
# Two that want any number at once get two: each passes over the one that the other holds.
LOCK_NEXT_NUMBER = f"""
{_NUMBER} WHERE state = 'free' AND country = $1 ORDER BY msisdn LIMIT 1 FOR UPDATE SKIP LOCKED"""
OFFER_NUMBERS = "SELECT msisdn FROM number WHERE state = 'free' AND country = $1 ORDER BY msisdn LIMIT $2"
PORT_NUMBER = """
UPDATE number SET state = 'ported', part = NULL, card_id = NULL, gone_to = $2, gone_at = $3 WHERE msisdn = $1"""
MOVE_NUMBER = "UPDATE number SET state = $2, until = $3, part = $4, card_id = $5 WHERE msisdn = $1"
RELEASE_NUMBERS = """
UPDATE number SET state = 'free', until = NULL WHERE state = 'quarantined' AND until <= $1
RETURNING msisdn"""
LIST_NUMBERS = f"""
{_NUMBER} WHERE msisdn > $1 AND ($2::text IS NULL OR country = $2) AND ($3::text IS NULL OR state = $3)
ORDER BY msisdn LIMIT $4"""


async def insert_numbers(
    connection: Connection, numbers: Sequence[tuple[E164, Country]], at: datetime
) -> set[E164]:
    """Add free numbers to the pools; returns those added. One that was there before is left as it is."""
    rows = await connection.fetch(
        INSERT_NUMBERS, [msisdn for msisdn, _ in numbers], [country for _, country in numbers], at
    )
    return {E164(row["msisdn"]) for row in rows}


async def find_number(connection: Connection, msisdn: E164) -> Number | None:
    row = await connection.fetchrow(FIND_NUMBER, msisdn)
    return None if row is None else _number(row)


async def lock_free_number(
    connection: Connection, country: Country, wanted: E164 | None = None
) -> Number | None:
    """Take hold of the wanted number of a country's pool if it is free, or else of the next free one."""
    if wanted is None:
        row = await connection.fetchrow(LOCK_NEXT_NUMBER, country)
    else:
        row = await connection.fetchrow(LOCK_NUMBER, wanted)
    if row is None or row["state"] != NumberState.FREE.value or row["country"] != country:
        return None
    return _number(row)


async def offer_numbers(connection: Connection, country: Country, most: int = 3) -> tuple[E164, ...]:
    """Free numbers to choose from. They are not kept back: whoever applies first has one."""
    return tuple(E164(row["msisdn"]) for row in await connection.fetch(OFFER_NUMBERS, country, most))


async def reserve_number(
    connection: Connection, msisdn: E164, part: int, card_id: int, until: datetime
) -> None:
    await connection.execute(MOVE_NUMBER, msisdn, NumberState.RESERVED.value, until, part, card_id)


async def assign_number(connection: Connection, msisdn: E164, part: int, card_id: int) -> None:
    await connection.execute(MOVE_NUMBER, msisdn, NumberState.ASSIGNED.value, None, part, card_id)


async def quarantine_number(connection: Connection, msisdn: E164, until: datetime) -> None:
    await connection.execute(MOVE_NUMBER, msisdn, NumberState.QUARANTINED.value, until, None, None)


async def port_number(connection: Connection, msisdn: E164, gaining: str, at: datetime) -> None:
    await connection.execute(PORT_NUMBER, msisdn, gaining, at)


async def free_number(connection: Connection, msisdn: E164) -> None:
    """Put back a number that nobody has used."""
    await connection.execute(MOVE_NUMBER, msisdn, NumberState.FREE.value, None, None, None)


async def release_quarantined(connection: Connection, at: datetime) -> int:
    """Free every number whose quarantine is over; returns how many."""
    return len(await connection.fetch(RELEASE_NUMBERS, at))


async def list_numbers(
    connection: Connection,
    *,
    country: Country | None = None,
    state: NumberState | None = None,
    after: str = "",
    most: int = 100,
) -> tuple[Number, ...]:
    """The numbers of the pools in their order, a page at a time."""
    rows = await connection.fetch(LIST_NUMBERS, after, country, state.value if state else None, most)
    return tuple(_number(row) for row in rows)


def _number(row: asyncpg.Record) -> Number:
    return Number(
        msisdn=E164(row["msisdn"]),
        country=Country(row["country"]),
        state=NumberState(row["state"]),
        until=row["until"],
        part=row["part"],
        card_id=row["card_id"],
        gone_to=row["gone_to"],
    )


# Applications

_APPLICATION = """
SELECT part, id, card_id, country, msisdn, state, reason, applied_at, expires_at, decided_at, decided_by
FROM application"""

INSERT_APPLICATION = """
INSERT INTO application (part, id, card_id, country, msisdn, state, applied_at, expires_at)
VALUES ($1, $2, $3, $4, $5, 'applied', $6, $7)"""
FIND_APPLICATION = f"{_APPLICATION} WHERE part = $1 AND id = $2"
FIND_PART_OF_APPLICATION = "SELECT a.part FROM part p JOIN application a ON a.part = p.part AND a.id = $1"
LIST_APPLICATIONS_OF_CARD = f"{_APPLICATION} WHERE part = $1 AND card_id = $2 ORDER BY id"
LIST_OPEN_APPLICATIONS = f"""
{_APPLICATION} WHERE state = 'applied' AND (part, id) > ($1, $2) ORDER BY part, id LIMIT $3"""
LIST_EXPIRED_APPLICATIONS = f"""
{_APPLICATION} WHERE state = 'applied' AND expires_at <= $1 ORDER BY expires_at, part, id LIMIT $2"""
COUNT_APPLICATIONS = """
SELECT count(*) FROM application WHERE part = $1 AND card_id = $2 AND applied_at >= $3 AND applied_at < $4"""
COUNT_OPEN_APPLICATIONS = """
SELECT count(*) FROM application WHERE part = $1 AND card_id = $2 AND state = 'applied'"""
DECIDE_APPLICATION = """
UPDATE application SET state = $3, reason = $4, decided_at = $5, decided_by = $6
WHERE part = $1 AND id = $2"""


async def insert_application(connection: Connection, application: Application) -> None:
    await connection.execute(
        INSERT_APPLICATION,
        application.part,
        application.id,
        application.card_id,
        application.country,
        application.msisdn,
        application.applied_at,
        application.expires_at,
    )


async def find_application(connection: Connection, part: int, application_id: int) -> Application | None:
    """An application. What changes one has locked its card before."""
    row = await connection.fetchrow(FIND_APPLICATION, part, application_id)
    return None if row is None else _application(row)


async def find_part_of_application(connection: Connection, application_id: int) -> int | None:
    """The part of an application of which only the id is known."""
    part: int | None = await connection.fetchval(FIND_PART_OF_APPLICATION, application_id)
    return part


async def list_applications_of_card(
    connection: Connection, part: int, card_id: int
) -> tuple[Application, ...]:
    rows = await connection.fetch(LIST_APPLICATIONS_OF_CARD, part, card_id)
    return tuple(_application(row) for row in rows)


async def list_open_applications(
    connection: Connection, *, after: tuple[int, int] = (-1, 0), most: int = 100
) -> tuple[Application, ...]:
    """The applications that wait for an outcome by (part, id), a page at a time."""
    rows = await connection.fetch(LIST_OPEN_APPLICATIONS, *after, most)
    return tuple(_application(row) for row in rows)


async def list_expired_applications(
    connection: Connection, at: datetime, *, most: int = 100
) -> tuple[Application, ...]:
    """Applications to which no outcome came in time, the oldest first."""
    rows = await connection.fetch(LIST_EXPIRED_APPLICATIONS, at, most)
    return tuple(_application(row) for row in rows)


async def count_applications(
    connection: Connection, part: int, card_id: int, begin: datetime, end: datetime
) -> int:
    """How many applications a card made from one instant until before another, whatever became of them."""
    count: int = await connection.fetchval(COUNT_APPLICATIONS, part, card_id, begin, end)
    return count


async def count_open_applications(connection: Connection, part: int, card_id: int) -> int:
    count: int = await connection.fetchval(COUNT_OPEN_APPLICATIONS, part, card_id)
    return count


async def update_decision(connection: Connection, application: Application) -> None:
    await connection.execute(
        DECIDE_APPLICATION,
        application.part,
        application.id,
        application.state.value,
        application.reason,
        application.decided_at,
        application.decided_by,
    )


def _application(row: asyncpg.Record) -> Application:
    return Application(
        part=row["part"],
        id=row["id"],
        card_id=row["card_id"],
        country=Country(row["country"]),
        msisdn=E164(row["msisdn"]),
        state=ApplicationState(row["state"]),
        reason=row["reason"],
        applied_at=row["applied_at"],
        expires_at=row["expires_at"],
        decided_at=row["decided_at"],
        decided_by=row["decided_by"],
    )


# Lines

_LINE_COLUMNS = """l.id AS line_id, l.slot, l.msisdn, l.country, l.time_zone, l.switched_on, l.bar_texts_in,
       l.bar_calls_in, l.blocked, l.allowed, l.schedule, l.ending_until, l.porting_since"""
_LINE = f"SELECT l.part, l.card_id, {_LINE_COLUMNS} FROM line l WHERE l.state = 'active'"  # noqa: S608  # constants only

INSERT_LINE = """
INSERT INTO line (part, id, card_id, slot, msisdn, country, time_zone, state, started_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, 'active', $8)"""
LIST_LINES = f"{_LINE} AND l.part = $1 AND l.card_id = $2 ORDER BY l.slot"
FIND_LINE = f"{_LINE} AND l.part = $1 AND l.id = $2"
LOCK_LINE = f"{FIND_LINE} FOR UPDATE"
UPDATE_LINE = """
UPDATE line SET time_zone = $3, switched_on = $4, bar_texts_in = $5, bar_calls_in = $6, blocked = $7,
       allowed = $8, schedule = $9, ending_until = $10
WHERE part = $1 AND id = $2"""
END_LINE = """
UPDATE line SET state = 'ended', ended_at = $3, ending_until = NULL, porting_since = NULL
WHERE part = $1 AND id = $2"""
MARK_PORTING = "UPDATE line SET porting_since = $3 WHERE part = $1 AND id = $2"


async def insert_line(connection: Connection, line: Line, at: datetime) -> None:
    """Add a line with nothing set for it yet."""
    await connection.execute(
        INSERT_LINE,
        line.part,
        line.id,
        line.card_id,
        line.slot,
        line.msisdn,
        line.country,
        line.time_zone,
        at,
    )


async def list_lines(connection: Connection, part: int, card_id: int) -> tuple[Line, ...]:
    """The active lines of a card by slot."""
    return tuple(_line(row) for row in await connection.fetch(LIST_LINES, part, card_id))


async def find_line(connection: Connection, part: int, line_id: int) -> Line | None:
    row = await connection.fetchrow(FIND_LINE, part, line_id)
    return None if row is None else _line(row)


async def find_line_of_number(connection: Connection, msisdn: E164) -> Line | None:
    """The active line that a number is."""
    number = await find_number(connection, msisdn)
    if number is None or number.state is not NumberState.ASSIGNED:
        return None
    assert number.part is not None
    assert number.card_id is not None
    lines = await list_lines(connection, number.part, number.card_id)
    return next((line for line in lines if line.msisdn == msisdn), None)


async def lock_line(connection: Connection, part: int, line_id: int) -> Line | None:
    """Take hold of an active line. Where the card is locked too, it is locked first."""
    row = await connection.fetchrow(LOCK_LINE, part, line_id)
    return None if row is None else _line(row)


async def update_line(connection: Connection, line: Line) -> None:
    """Write down all that is set for a line."""
    await connection.execute(
        UPDATE_LINE,
        line.part,
        line.id,
        line.time_zone,
        line.switched_on,
        line.bar_texts_in,
        line.bar_calls_in,
        line.blocked,
        line.allowed,
        [_write_window(window) for window in line.schedule],
        line.ending_until,
    )


async def mark_porting(connection: Connection, part: int, line_id: int, since: datetime | None) -> None:
    """A line is being taken to another operator from now on; None: it is not any more."""
    await connection.execute(MARK_PORTING, part, line_id, since)


async def end_line(connection: Connection, part: int, line_id: int, at: datetime) -> None:
    await connection.execute(END_LINE, part, line_id, at)


def _line(row: asyncpg.Record) -> Line:
    return Line(
        part=row["part"],
        id=row["line_id"],
        card_id=row["card_id"],
        slot=row["slot"],
        msisdn=E164(row["msisdn"]),
        country=Country(row["country"]),
        time_zone=row["time_zone"],
        switched_on=row["switched_on"],
        bar_texts_in=row["bar_texts_in"],
        bar_calls_in=row["bar_calls_in"],
        blocked=tuple(row["blocked"]),
        allowed=tuple(row["allowed"]),
        schedule=tuple(_read_window(window) for window in row["schedule"]),
        ending_until=row["ending_until"],
        porting_since=row["porting_since"],
    )


def _write_window(window: Window) -> dict[str, Any]:
    return {
        "usage": window.usage.value,
        "days": sorted(window.hours.days),
        "begin": window.hours.begin.isoformat("minutes"),
        "end": window.hours.end.isoformat("minutes"),
    }


def _read_window(window: dict[str, Any]) -> Window:
    return Window(
        Usage(window["usage"]),
        Hours(
            frozenset(window["days"]),
            time.fromisoformat(window["begin"]),
            time.fromisoformat(window["end"]),
        ),
    )


# A card with all its lines

_WITH_LINES = f"""
SELECT c.part, c.id, c.subscriber_id, c.account_id, c.iccid, c.imsi, c.state, c.id AS card_id,
       s.language, a.currency, {_LINE_COLUMNS}
FROM {{cards}} c
JOIN subscriber s ON s.part = c.part AND s.id = c.subscriber_id
JOIN account a ON a.part = c.part AND a.id = c.account_id
LEFT JOIN line l ON l.part = c.part AND l.card_id = c.id AND l.state = 'active'
{{where}} ORDER BY c.id, l.slot"""  # noqa: S608  # constants only

FIND_CARD_WITH_LINES = _WITH_LINES.format(cards="card", where="WHERE c.part = $1 AND c.id = $2")
LIST_CARDS_WITH_LINES = _WITH_LINES.format(
    cards="""(SELECT * FROM card WHERE part = $1 AND id > $2 AND state <> 'ended' ORDER BY id LIMIT $3)""",
    where="",
)
CARDS_A_PAGE = 2000


class CardWithLines(NamedTuple):
    """A card, its subscriber's language, its account's currency, and its active lines by slot."""

    card: Card
    language: Language
    currency: Currency
    lines: tuple[Line, ...]


async def find_card_with_lines(connection: Connection, msisdn: E164) -> CardWithLines | None:
    """The card that a number is on. Two look-ups, as on a cluster number and card may lie apart."""
    number = await find_number(connection, msisdn)
    if number is None or number.state is not NumberState.ASSIGNED:
        return None
    assert number.part is not None
    assert number.card_id is not None
    return await find_card_with_lines_by_id(connection, number.part, number.card_id)


async def find_card_with_lines_by_id(connection: Connection, part: int, card_id: int) -> CardWithLines | None:
    """A card by its id, also when it has ended: then it has no lines."""
    rows = await connection.fetch(FIND_CARD_WITH_LINES, part, card_id)
    return _card_with_lines(rows) if rows else None


async def find_card_with_lines_by_sim(
    connection: Connection, *, iccid: Iccid | None = None, imsi: Imsi | None = None
) -> CardWithLines | None:
    """The card that a SIM is in now, by either of its identifiers."""
    place = await find_card_of_sim(connection, iccid=iccid, imsi=imsi)
    return None if place is None else await find_card_with_lines_by_id(connection, *place)


async def stream_cards_with_lines(connection: Connection) -> AsyncIterator[CardWithLines]:
    """All cards that have not ended, part by part, for a warm start."""
    for part in await list_parts(connection):
        last_id = 0
        while rows := await connection.fetch(LIST_CARDS_WITH_LINES, part, last_id, CARDS_A_PAGE):
            for _, group in groupby(rows, key=itemgetter("id")):
                yield _card_with_lines(list(group))
            last_id = rows[-1]["id"]


def _card_with_lines(rows: Sequence[asyncpg.Record]) -> CardWithLines:
    first = rows[0]
    return CardWithLines(
        read_card(first),
        Language(first["language"]),
        Currency(first["currency"]),
        tuple(_line(row) for row in rows if row["line_id"] is not None),
    )
