"""What the console reads that no domain's own store has. Reads only; every list is read by key, a page at a time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import asyncpg

from onecard.audit import AuditRecord
from onecard.database.pool import Connection
from onecard.lines.model import NumberState
from onecard.messages.model import Direction, TextState
from onecard.payments.refunds.model import RefundState
from onecard.values.money import NUMERIC_CODES, Currency, Money
from onecard.values.table import FORMULA
from onecard.web.console.tables import ID_HIGHEST, ROWS_A_PAGE, Start, order_by, sort_by

FRESH = timedelta(minutes=1)
"""What a node said of a link before then is worth nothing: the node may be down."""
COUNTED_MOST = 1000
"""Queues are counted so far and no further."""

_READ_MOST = ROWS_A_PAGE + 1


async def _list_by(
    connection: Connection, select: str, column: str, key: str, start: Start | None, *, is_descending: bool
) -> list[asyncpg.Record]:
    """A page of a table by one of its columns, which is the program's and never a visitor's word."""
    sql = sort_by(select, column, key, is_descending=is_descending, has_start=start is not None)
    return await connection.fetch(sql, _READ_MOST, *(() if start is None else (start.value, start.key)))


# The overview

# The system's accounts hold the other side of all that subscribers have: three rows a part, however many accounts.
OWED = """
SELECT currency, -sum_micros(available) AS micros FROM account
WHERE role <> 'subscriber' AND currency = ANY ($1) GROUP BY currency HAVING sum_micros(available) <> 0
ORDER BY currency"""
TRAFFIC = """
SELECT date_bin($3, m.accepted_at, $1) AS at, l.country, count(*) AS texts,
       count(*) FILTER (WHERE m.direction = $4) AS to_card
FROM message m JOIN line l ON l.part = m.part AND l.id = m.line_id
WHERE m.accepted_at >= $1 AND m.accepted_at < $2
GROUP BY 1, 2 ORDER BY 1, 2"""
SESSIONS = """
SELECT l.country, r.usage, count(*) AS count, sum_micros(r.units) AS units
FROM usage_record r JOIN line l ON l.part = r.part AND l.id = r.line_id
WHERE r.ended_at >= $1 AND r.ended_at < $2 GROUP BY 1, 2 ORDER BY 1, 2"""
CODES = """
SELECT date_bin($3, accepted_at, $1) AS at, count(*) AS accepted,
       count(*) FILTER (WHERE state = $4) AS delivered,
       count(*) FILTER (WHERE state = ANY ($5)) AS lost,
       percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM done_at - accepted_at))
           FILTER (WHERE state = $4) AS p50,
       percentile_cont(0.9) WITHIN GROUP (ORDER BY extract(epoch FROM done_at - accepted_at))
           FILTER (WHERE state = $4) AS p90
FROM message WHERE application AND accepted_at >= $1 AND accepted_at < $2
GROUP BY GROUPING SETS ((1), ()) ORDER BY 1"""
# A text that failed, expired or was cancelled cost nothing; one that an allowance paid cost no money.
CHARGES = """
SELECT currency, what, sum_micros(micros) AS micros FROM (
    SELECT a.currency, 'text' AS what, m.price_micros AS micros FROM message m
    JOIN account a ON a.part = m.part AND a.id = m.account_id
    WHERE m.accepted_at >= $1 AND m.accepted_at < $2 AND m.price_micros > 0 AND m.state <> ALL ($3)
      AND m.allowance_account_id IS NULL
    UNION ALL
    SELECT a.currency, r.usage, r.price_micros FROM usage_record r
    JOIN account a ON a.part = r.part AND a.id = r.account_id
    WHERE r.ended_at >= $1 AND r.ended_at < $2 AND r.price_micros > 0
) charge GROUP BY 1, 2 ORDER BY 1, 2"""
LINKS = """
SELECT link, node, bound_sessions, waiting, texts_in, texts_refused, texts_out, texts_failed, receipts_in, receipts_out,
       last_error, at
FROM link_status ORDER BY link, node"""
QUEUES = """
SELECT (SELECT count(*) FROM (SELECT FROM application WHERE state = 'applied' LIMIT $1) a) AS applications,
       (SELECT count(*) FROM (SELECT FROM delivery WHERE stage = 1 LIMIT $1) d) AS waiting"""

_RETURNED = [TextState.FAILED, TextState.EXPIRED, TextState.CANCELLED]
_LOST = [TextState.FAILED, TextState.EXPIRED, TextState.UNKNOWN]


@dataclass(frozen=True, slots=True)
class Traffic:
    """Texts of the lines of one country within one step of time."""

    at: datetime
    country: str
    texts: int
    to_card: int


@dataclass(frozen=True, slots=True)
class CodeTimes:
    """How fast texts of banks and content senders arrived: half of them, and nine tenths, within so many seconds.

    `at` is None for the whole span.
    """

    at: datetime | None
    accepted: int
    delivered: int
    lost: int
    p50: float | None
    p90: float | None


@dataclass(frozen=True, slots=True)
class LinkReport:
    """What one node last said of one link. The counts are since that node started."""

    link: str
    node: str
    bound_sessions: int
    waiting: int
    texts_in: int
    texts_refused: int
    texts_out: int
    texts_failed: int
    receipts_in: int
    receipts_out: int
    last_error: str
    at: datetime

    def is_up(self, now: datetime) -> bool:
        return self.bound_sessions > 0 and now - self.at < FRESH


async def load_owed(connection: Connection) -> list[Money]:
    """What is owed to all subscribers, available and held, one amount a currency."""
    return [
        Money(row["micros"], Currency(row["currency"]))
        for row in await connection.fetch(OWED, list(NUMERIC_CODES))
    ]


async def load_traffic(
    connection: Connection, since: datetime, until: datetime, step: timedelta
) -> list[Traffic]:
    rows = await connection.fetch(TRAFFIC, since, until, step, Direction.TO_CARD)
    return [Traffic(**row) for row in rows]


async def load_sessions(
    connection: Connection, since: datetime, until: datetime
) -> list[tuple[str, str, int, int]]:
    """Country, usage, how many records of it, how many units."""
    return [tuple(row) for row in await connection.fetch(SESSIONS, since, until)]


async def load_code_times(
    connection: Connection, since: datetime, until: datetime, step: timedelta
) -> list[CodeTimes]:
    """By step of time, and the whole span last, even where nothing came."""
    rows = await connection.fetch(CODES, since, until, step, TextState.DELIVERED, _LOST)
    return [CodeTimes(**row) for row in rows]


async def load_charges(connection: Connection, since: datetime, until: datetime) -> list[tuple[str, Money]]:
    """What texts and usage cost within a span, by kind and currency."""
    rows = await connection.fetch(CHARGES, since, until, _RETURNED)
    return [(row["what"], Money(row["micros"], Currency(row["currency"]))) for row in rows]


async def list_links(connection: Connection) -> list[LinkReport]:
    return [LinkReport(**row) for row in await connection.fetch(LINKS)]


async def count_queues(connection: Connection) -> tuple[int, int]:
    """Applications that wait for a decision and texts that wait for a link, each `COUNTED_MOST` at most."""
    row = await connection.fetchrow(QUEUES, COUNTED_MOST)
    assert row is not None
    return row["applications"], row["waiting"]


# Links

LINK_TRAFFIC = """
SELECT date_bin($3, accepted_at, $1) AS at, source_link, next_link, count(*) AS texts,
       count(*) FILTER (WHERE state = ANY ($4)) AS failed
FROM message WHERE accepted_at >= $1 AND accepted_at < $2
GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"""
LINK_ERRORS = """
SELECT next_link, last_status, count(*) AS texts, max(accepted_at) AS last_at
FROM message WHERE accepted_at >= $1 AND accepted_at < $2 AND state = ANY ($3) AND last_status IS NOT NULL
GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2 LIMIT 20"""


@dataclass(frozen=True, slots=True)
class LinkTraffic:
    """Texts that came by one link and left by another within one step of time."""

    at: datetime
    source_link: str
    next_link: str
    texts: int
    failed: int


@dataclass(frozen=True, slots=True)
class LinkError:
    """How often a link answered one status to texts that failed."""

    next_link: str
    last_status: int
    texts: int
    last_at: datetime


async def load_link_traffic(
    connection: Connection, since: datetime, until: datetime, step: timedelta
) -> list[LinkTraffic]:
    rows = await connection.fetch(LINK_TRAFFIC, since, until, step, _LOST)
    return [LinkTraffic(**row) for row in rows]


async def load_link_errors(connection: Connection, since: datetime, until: datetime) -> list[LinkError]:
    return [LinkError(**row) for row in await connection.fetch(LINK_ERRORS, since, until, _LOST)]


# Subscribers

_SUBSCRIBER_ROW = """
SELECT s.part, s.id, s.language, s.created_at, s.erased_at, a.currency, a.available, a.held, c.cards, c.numbers
FROM {source} s
JOIN account a ON a.part = s.part AND a.id = s.account_id
CROSS JOIN LATERAL (
    SELECT count(DISTINCT c.id) AS cards,
           array_remove(array_agg(l.msisdn ORDER BY c.id, l.slot), NULL) AS numbers
    FROM card c LEFT JOIN line l ON l.part = c.part AND l.card_id = c.id AND l.state = 'active'
    WHERE c.part = s.part AND c.subscriber_id = s.id
) c"""
_PAGE_OF_SUBSCRIBERS = """(
    SELECT * FROM subscriber WHERE id {beyond} $1 ORDER BY id {way} LIMIT $2)"""
LIST_SUBSCRIBERS = _SUBSCRIBER_ROW.format(source=_PAGE_OF_SUBSCRIBERS) + " ORDER BY s.id {way}"
_THESE = """(
    SELECT s.* FROM unnest($1::int[], $2::bigint[]) w(part, id) JOIN subscriber s ON s.part = w.part AND s.id = w.id)"""
GET_SUBSCRIBERS = _SUBSCRIBER_ROW.format(source=_THESE) + " ORDER BY s.id"
# One id may be that of a subscriber, of a card, or of an account.
FIND_BY_ID = """
SELECT s.part, s.id FROM part p JOIN subscriber s ON s.part = p.part AND s.id = $1
UNION SELECT c.part, c.subscriber_id FROM part p JOIN card c ON c.part = p.part AND c.id = $1
UNION SELECT c.part, c.subscriber_id FROM card c WHERE c.account_id = $1"""
FIND_BY_NUMBER = """
SELECT c.part, c.subscriber_id FROM number n JOIN card c ON c.part = n.part AND c.id = n.card_id
WHERE n.msisdn = $1"""
FIND_BY_SIM = """
SELECT c.part, c.subscriber_id FROM sim s JOIN card c ON c.part = s.part AND c.id = s.card_id
WHERE s.iccid = $1 OR s.imsi = $1"""
FIND_PART_OF_SUBSCRIBER = "SELECT s.part FROM part p JOIN subscriber s ON s.part = p.part AND s.id = $1"
FIND_PART_OF_LINE = "SELECT l.part FROM part p JOIN line l ON l.part = p.part AND l.id = $1"
MSISDNS = "SELECT id, msisdn FROM line WHERE part = $1 AND id = ANY ($2)"


@dataclass(frozen=True, slots=True)
class SubscriberRow:
    """A subscriber in a list: nothing of the person."""

    part: int
    id: int
    language: str
    created_at: datetime
    erased_at: datetime | None
    available: Money
    held: Money
    cards: int
    numbers: Sequence[str]


async def list_subscribers(
    connection: Connection, from_id: int, *, is_descending: bool
) -> list[SubscriberRow]:
    """A page of all subscribers by id, which is the order in which they came."""
    sql = order_by(LIST_SUBSCRIBERS, is_descending=is_descending)
    return [_subscriber(row) for row in await connection.fetch(sql, from_id, _READ_MOST)]


async def get_subscribers(connection: Connection, found: Sequence[tuple[int, int]]) -> list[SubscriberRow]:
    """The rows of these subscribers, given by part and id."""
    parts, ids = [part for part, _ in found], [subscriber_id for _, subscriber_id in found]
    return [_subscriber(row) for row in await connection.fetch(GET_SUBSCRIBERS, parts, ids)]


async def find_by_id(connection: Connection, given: int) -> list[tuple[int, int]]:
    return [(row[0], row[1]) for row in await connection.fetch(FIND_BY_ID, given)]


async def find_by_number(connection: Connection, msisdn: str) -> list[tuple[int, int]]:
    return [(row[0], row[1]) for row in await connection.fetch(FIND_BY_NUMBER, msisdn)]


async def find_by_sim(connection: Connection, iccid_or_imsi: str) -> list[tuple[int, int]]:
    return [(row[0], row[1]) for row in await connection.fetch(FIND_BY_SIM, iccid_or_imsi)]


async def find_part_of_subscriber(connection: Connection, subscriber_id: int) -> int | None:
    part: int | None = await connection.fetchval(FIND_PART_OF_SUBSCRIBER, subscriber_id)
    return part


async def find_part_of_line(connection: Connection, line_id: int) -> int | None:
    part: int | None = await connection.fetchval(FIND_PART_OF_LINE, line_id)
    return part


async def load_msisdns(connection: Connection, part: int, line_ids: Sequence[int]) -> dict[int, str]:
    """The numbers of lines, ended ones too."""
    rows = await connection.fetch(MSISDNS, part, list(line_ids))
    return {row["id"]: row["msisdn"] for row in rows}


def _subscriber(row: asyncpg.Record) -> SubscriberRow:
    currency = Currency(row["currency"])
    return SubscriberRow(
        row["part"],
        row["id"],
        row["language"],
        row["created_at"],
        row["erased_at"],
        Money(row["available"], currency),
        Money(row["held"], currency),
        row["cards"],
        row["numbers"] or (),
    )


# Stock

COUNT_NUMBERS = "SELECT country, state, count(*) AS count FROM number GROUP BY 1, 2 ORDER BY 1, 2"
COUNT_SIMS = "SELECT state, count(*) AS count FROM sim GROUP BY 1 ORDER BY 1"
SORTS_OF_NUMBERS = ("state", "imported_at")
SORTS_OF_SIMS = ("imsi", "state", "imported_at")
"""Columns that have an index with the key behind it."""
SELECT_NUMBERS = "SELECT msisdn, country, state, until, part, card_id, imported_at FROM number"
SELECT_SIMS = """
SELECT iccid, imsi, state, activation_code IS NOT NULL AS is_esim, card_id, imported_at FROM sim"""
BEYOND_ALL_DIGITS = "\uffff"
"""Sorts after every number and every ICCID."""
LIST_NUMBERS = f"{SELECT_NUMBERS} WHERE msisdn {{beyond}} $1 ORDER BY msisdn {{way}} LIMIT $2"
LIST_NUMBERS_OF = f"""
{SELECT_NUMBERS}
WHERE country = $3 AND state = $4 AND msisdn {{beyond}} $1 ORDER BY msisdn {{way}} LIMIT $2"""
LIST_SIMS = f"{SELECT_SIMS} WHERE iccid {{beyond}} $1 ORDER BY iccid {{way}} LIMIT $2"


@dataclass(frozen=True, slots=True)
class NumberRow:
    """A number of a pool, in a list."""

    msisdn: str
    country: str
    state: str
    until: datetime | None
    part: int | None
    card_id: int | None
    imported_at: datetime


@dataclass(frozen=True, slots=True)
class SimRow:
    """A SIM or eSIM profile, in a list."""

    iccid: str
    imsi: str
    state: str
    is_esim: bool
    card_id: int | None
    imported_at: datetime


async def count_numbers(connection: Connection) -> dict[str, dict[str, int]]:
    """How many numbers of each country are in each state."""
    counts: dict[str, dict[str, int]] = {}
    for row in await connection.fetch(COUNT_NUMBERS):
        counts.setdefault(row["country"], {})[row["state"]] = row["count"]
    return counts


async def count_sims(connection: Connection) -> dict[str, int]:
    return {row["state"]: row["count"] for row in await connection.fetch(COUNT_SIMS)}


async def list_numbers(
    connection: Connection,
    after: str | None,
    *,
    is_descending: bool,
    country: str = "",
    state: NumberState | None = None,
) -> list[NumberRow]:
    """A page of all numbers, or of those of a country in a state, in their own order."""
    start = _start(after, is_descending=is_descending)
    if country and state:
        sql = order_by(LIST_NUMBERS_OF, is_descending=is_descending)
        rows = await connection.fetch(sql, start, _READ_MOST, country, state.value)
    else:
        sql = order_by(LIST_NUMBERS, is_descending=is_descending)
        rows = await connection.fetch(sql, start, _READ_MOST)
    return [NumberRow(**row) for row in rows]


async def list_numbers_by(
    connection: Connection, column: str, start: Start | None, *, is_descending: bool
) -> list[NumberRow]:
    """A page of all numbers by one of `SORTS_OF_NUMBERS`."""
    assert column in SORTS_OF_NUMBERS
    return [
        NumberRow(**row)
        for row in await _list_by(
            connection, SELECT_NUMBERS, column, "msisdn", start, is_descending=is_descending
        )
    ]


async def list_sims_by(
    connection: Connection, column: str, start: Start | None, *, is_descending: bool
) -> list[SimRow]:
    """A page of all SIMs by one of `SORTS_OF_SIMS`."""
    assert column in SORTS_OF_SIMS
    return [
        SimRow(**row)
        for row in await _list_by(
            connection, SELECT_SIMS, column, "iccid", start, is_descending=is_descending
        )
    ]


async def list_sims(connection: Connection, after: str | None, *, is_descending: bool) -> list[SimRow]:
    sql = order_by(LIST_SIMS, is_descending=is_descending)
    start = _start(after, is_descending=is_descending)
    return [SimRow(**row) for row in await connection.fetch(sql, start, _READ_MOST)]


def _start(after: str | None, *, is_descending: bool) -> str:
    return after or (BEYOND_ALL_DIGITS if is_descending else "")


# Applications

LIST_OPEN_APPLICATIONS = """
SELECT part, id, card_id, country, msisdn, state, reason, applied_at, expires_at, decided_at, decided_by
FROM application WHERE state = 'applied' AND (expires_at, id) {beyond} ($1, $2)
ORDER BY expires_at {way}, id {way} LIMIT $3"""
LIST_DECIDED_APPLICATIONS = """
SELECT part, id, card_id, country, msisdn, state, reason, applied_at, expires_at, decided_at, decided_by
FROM application WHERE state <> 'applied' AND (decided_at, id) {beyond} ($1, $2)
ORDER BY decided_at {way}, id {way} LIMIT $3"""


@dataclass(frozen=True, slots=True)
class ApplicationRow:
    """A wish for a number, in a list."""

    part: int
    id: int
    card_id: int
    country: str
    msisdn: str
    state: str
    reason: str | None
    applied_at: datetime
    expires_at: datetime
    decided_at: datetime | None
    decided_by: str | None


async def list_applications(
    connection: Connection, after: tuple[datetime, int], *, is_open: bool, is_descending: bool
) -> list[ApplicationRow]:
    """A page of those that wait, by when they run out, or of those that were decided, by when."""
    sql = LIST_OPEN_APPLICATIONS if is_open else LIST_DECIDED_APPLICATIONS
    rows = await connection.fetch(order_by(sql, is_descending=is_descending), *after, _READ_MOST)
    return [ApplicationRow(**row) for row in rows]


# Sessions

FIND_SESSION = """
SELECT s.part, s.id, s.account_id, s.card_id, s.line_id, s.number, s.is_open, s.opened_at, s.expires_at, s.closed_at
FROM part p JOIN charging_session s ON s.part = p.part AND s.id = $1"""
RECORDS_OF_SESSION = """
SELECT usage, far, zone, rating_group, started_at, ended_at, units, allowance_units, price_micros, unpaid_micros, cause,
       explanation
FROM usage_record WHERE part = $1 AND card_id = $2 AND session_id = $3 ORDER BY id LIMIT 100"""


async def find_session(connection: Connection, session_id: str) -> dict[str, Any] | None:
    """A session of credit control, open or over of late; None: there is none, or it was tidied away."""
    row = await connection.fetchrow(FIND_SESSION, session_id)
    return None if row is None else dict(row)


async def list_records_of_session(
    connection: Connection, part: int, card_id: int, session_id: str
) -> list[dict[str, Any]]:
    return [dict(row) for row in await connection.fetch(RECORDS_OF_SESSION, part, card_id, session_id)]


# The audit record

SELECT_AUDIT = "SELECT id, at, actor, action, subject, detail FROM audit"
SORTS_OF_AUDIT = ("actor", "action", "subject")
_AUDIT = SELECT_AUDIT + " WHERE {condition} id {{beyond}} $1"
_AUDIT_END = " ORDER BY id {way} LIMIT $2"
LIST_AUDIT = _AUDIT.format(condition="") + _AUDIT_END
LIST_AUDIT_BY = {
    "subject": _AUDIT.format(condition="subject = $3 AND") + _AUDIT_END,
    "actor": _AUDIT.format(condition="actor = $3 AND") + _AUDIT_END,
    "action": _AUDIT.format(condition="action = $3 AND") + _AUDIT_END,
}


async def list_audit(
    connection: Connection, from_id: int, *, is_descending: bool, by: str = "", value: str = ""
) -> list[AuditRecord]:
    """A page of what was done: all of it, or `by` one subject, actor or action."""
    sql = order_by(LIST_AUDIT_BY[by] if by else LIST_AUDIT, is_descending=is_descending)
    rows = await connection.fetch(sql, from_id, _READ_MOST, *([value] if by else []))
    return [AuditRecord(**row) for row in rows]


async def list_audit_by(
    connection: Connection, column: str, start: Start | None, *, is_descending: bool
) -> list[AuditRecord]:
    """A page of all that was done, by one of `SORTS_OF_AUDIT`."""
    assert column in SORTS_OF_AUDIT
    rows = await _list_by(connection, SELECT_AUDIT, column, "id", start, is_descending=is_descending)
    return [AuditRecord(**row) for row in rows]


# Exports


@dataclass(frozen=True, slots=True)
class Export:
    """A table that is exported whole: a statement that reads it by its key, a page after a page."""

    title: str
    columns: Sequence[str]
    sql: str


EXPORTS = {
    "numbers": Export(
        "Numbers and where each is",
        ("msisdn", "country", "state", "until", "card_id", "imported_at"),
        """SELECT msisdn, country, state, until, card_id, imported_at FROM number ORDER BY msisdn""",
    ),
    "sims": Export(
        "SIM cards",
        ("iccid", "imsi", "state", "card_id", "imported_at"),
        """SELECT iccid, imsi, state, card_id, imported_at FROM sim ORDER BY iccid""",
    ),
    "applications": Export(
        "Applications and what was decided",
        ("id", "card_id", "country", "msisdn", "state", "reason", "applied_at", "decided_at", "decided_by"),
        """SELECT id, card_id, country, msisdn, state, reason, applied_at, decided_at, decided_by
           FROM application ORDER BY part, id""",
    ),
    "balances": Export(
        "Balances by subscriber, in micros",
        ("subscriber", "account", "currency", "available_micros", "held_micros", "opened_at", "closed_at"),
        """SELECT s.id, a.id, a.currency, a.available, a.held, a.opened_at, a.closed_at
           FROM subscriber s JOIN account a ON a.part = s.part AND a.id = s.account_id ORDER BY s.part, s.id""",
    ),
    "refunds": Export(
        "Refunds, in micros",
        (
            "id",
            "subscriber",
            "value",
            "amount_micros",
            "currency",
            "state",
            "reason",
            "requested_at",
            "requested_by",
            "approved_at",
            "approved_by",
            "run",
            "closed_at",
        ),
        """SELECT id, subscriber_id, value, amount_micros, currency, state, reason, requested_at, requested_by,
                  approved_at, approved_by, run_id, closed_at FROM refund ORDER BY part, id""",
    ),
    "audit": Export(
        "The audit record",
        ("id", "at", "actor", "action", "subject", "detail"),
        """SELECT id, at, actor, action, subject, detail::text FROM audit ORDER BY id""",
    ),
}
"""By the name of the file."""


async def stream(connection: Connection, export: Export) -> AsyncIterator[list[str]]:
    """The rows of an export, by a cursor: a bounded number in memory. Within a transaction."""
    async for row in connection.cursor(export.sql, prefetch=1000):
        yield [_cell(value) for value in row]


def _cell(value: object) -> str:
    """What stands in a table; words that a spreadsheet would run are quoted for it."""
    if value is None:
        return ""
    said = value.isoformat() if isinstance(value, datetime) else str(value)
    return f"'{said}" if said.startswith(FORMULA) and not said[1:].isdigit() else said


# Refunds and port-outs

SELECT_REFUNDS = """
SELECT part, id, subscriber_id, value, amount_micros, currency, state, requested_at, requested_by, approved_by,
       payee_shown, payment_method, closed_at
FROM refund"""
SORTS_OF_REFUNDS = ("state", "amount")
_REFUND = SELECT_REFUNDS + " WHERE {condition} id {{beyond}} $1 ORDER BY id {{way}} LIMIT $2"
# A page of each state, of which one is made: an index serves all states together and each alone.
LIST_REFUNDS_BY_AMOUNT = f"""
SELECT refund.* FROM unnest($2::text[]) AS wanted (state) CROSS JOIN LATERAL (
    {SELECT_REFUNDS} WHERE refund.state = wanted.state AND (amount_micros, id) {{beyond}} ($3, $4)
    ORDER BY amount_micros {{way}}, id {{way}} LIMIT $1) refund
ORDER BY refund.amount_micros {{way}}, refund.id {{way}} LIMIT $1"""  # noqa: S608  # of constants
LIST_REFUNDS = _REFUND.format(condition="")
LIST_REFUNDS_OF = _REFUND.format(condition="state = $3 AND")
COUNT_PORTS = "SELECT state, count(*) AS count FROM port_out GROUP BY state ORDER BY state"


@dataclass(frozen=True, slots=True)
class RefundRow:
    """A refund, in a list."""

    id: int
    subscriber_id: int
    value: str
    amount: Money
    state: str
    requested_at: datetime
    requested_by: str
    approved_by: str | None
    way: str
    closed_at: datetime | None


async def list_refunds(
    connection: Connection, from_id: int, *, is_descending: bool, state: RefundState | None = None
) -> list[RefundRow]:
    """A page of all refunds, or of those of a state, by id, which is the order in which they were asked for."""
    sql = order_by(LIST_REFUNDS_OF if state else LIST_REFUNDS, is_descending=is_descending)
    rows = await connection.fetch(sql, from_id, _READ_MOST, *([state] if state else []))
    return [_refund(row) for row in rows]


async def list_refunds_by_state(
    connection: Connection, start: Start | None, *, is_descending: bool
) -> list[RefundRow]:
    """A page of all refunds by state, and within one by id."""
    rows = await _list_by(connection, SELECT_REFUNDS, "state", "id", start, is_descending=is_descending)
    return [_refund(row) for row in rows]


async def list_refunds_by_amount(
    connection: Connection, start: Start | None, *, is_descending: bool, state: RefundState | None = None
) -> list[RefundRow]:
    """A page of all refunds, or of those of a state, by their amount as a number, whatever the currency."""
    sql = order_by(LIST_REFUNDS_BY_AMOUNT, is_descending=is_descending)
    states = [state] if state else list(RefundState)
    first = Start(ID_HIGHEST, ID_HIGHEST) if is_descending else Start(0, 0)
    after = start or first
    return [_refund(row) for row in await connection.fetch(sql, _READ_MOST, states, after.value, after.key)]


def _refund(row: asyncpg.Record) -> RefundRow:
    return RefundRow(
        row["id"],
        row["subscriber_id"],
        row["value"],
        Money(row["amount_micros"], Currency(row["currency"])),
        row["state"],
        row["requested_at"],
        row["requested_by"],
        row["approved_by"],
        row["payment_method"] or row["payee_shown"] or "",
        row["closed_at"],
    )


async def count_ports(connection: Connection) -> dict[str, int]:
    """How many port-outs are in each state."""
    return {row["state"]: row["count"] for row in await connection.fetch(COUNT_PORTS)}
