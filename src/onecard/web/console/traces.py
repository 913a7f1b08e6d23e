"""What became of a text or of a session of credit control: every step, never the contents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from litestar import get

from onecard.database.pool import Connection
from onecard.lines.store import CardWithLines, find_card_with_lines, find_card_with_lines_by_id
from onecard.messages.model import Trace
from onecard.messages.store import find_trace, list_traces, list_traces_upwards
from onecard.staff.model import Permission
from onecard.values.phone import BadNumber, parse_msisdn
from onecard.web.console import store
from onecard.web.console.desk import Desk, GivenDesk, needs
from onecard.web.console.tables import ID_HIGHEST, ROWS_A_PAGE, Rows, cut, read_wish
from onecard.web.layout import Page
from onecard.web.visit import AnyRequest


@dataclass(frozen=True, slots=True)
class Step:
    """Something that happened, and how long after the step before."""

    at: datetime | None
    what: str
    after: timedelta | None = None


@get("/console/traces", opt=needs(Permission.SEE_TRACES))
async def show_traces(request: AnyRequest, desk: GivenDesk) -> Page:
    """Look for a text by its id, for a session by its id, or for the texts of a number."""
    wish = read_wish(request, "q")
    asked = wish.filters["q"]
    values: dict[str, Any] = {"text": None, "session": None, "table": None, "asked": asked, "card": None}
    async with desk.connection() as borrowed:
        if asked:
            values |= await _look(borrowed, desk, asked, request)
    return desk.page("traces.html", **values)


async def _look(borrowed: Connection, desk: Desk, asked: str, request: AnyRequest) -> dict[str, Any]:
    if asked.isascii() and asked.isdigit():
        found = await find_trace(borrowed, desk.site.parts, min(int(asked), ID_HIGHEST))
        if found is not None:
            return await _tell_text(borrowed, found)
    try:
        card = await find_card_with_lines(borrowed, parse_msisdn("".join(asked.split())))
    except BadNumber:
        card = None
    return await (_list_texts(borrowed, card, request) if card else _tell_session(borrowed, asked))


async def _tell_text(borrowed: Connection, found: Trace) -> dict[str, Any]:
    card = await find_card_with_lines_by_id(borrowed, found.part, found.card_id)
    assert card is not None  # nothing deletes cards
    numbers = await store.load_msisdns(borrowed, found.part, [found.line_id])
    return {"text": found, "card": card, "number": numbers.get(found.line_id, ""), "steps": steps_of(found)}


def steps_of(text: Trace) -> Sequence[Step]:
    """The life of a text, in order; what has not happened yet has no time."""
    handed = Step(
        text.handed_over_at,
        f"handed over to {text.next_link}",
        _between(text.accepted_at, text.handed_over_at),
    )
    end = text.state.name.lower().replace("_", " ") if text.state.is_final else "not over yet"
    return [
        Step(text.accepted_at, f"accepted from {text.source_link or 'ourselves'}"),
        handed,
        Step(text.done_at, end, _between(text.handed_over_at or text.accepted_at, text.done_at)),
    ]


def _between(earlier: datetime, later: datetime | None) -> timedelta | None:
    return later - earlier if later else None


async def _list_texts(borrowed: Connection, card: CardWithLines, request: AnyRequest) -> dict[str, Any]:
    wish = read_wish(request, "q")
    part, card_id, most = card.card.part, card.card.id, ROWS_A_PAGE + 1
    if wish.is_descending:
        found = await list_traces(borrowed, part, card_id, before=wish.from_id or ID_HIGHEST, most=most)
    else:
        found = await list_traces_upwards(borrowed, part, card_id, after=wish.from_id, most=most)
    table: Rows[Trace] = cut(wish, found, lambda row: row.id)
    numbers = await store.load_msisdns(borrowed, card.card.part, [text.line_id for text in table.rows])
    return {"table": table, "card": card, "numbers": numbers}


async def _tell_session(borrowed: Connection, session_id: str) -> dict[str, Any]:
    found = await store.find_session(borrowed, session_id)
    if found is None:
        return {}
    card = await find_card_with_lines_by_id(borrowed, found["part"], found["card_id"])
    assert card is not None
    records = await store.list_records_of_session(borrowed, found["part"], found["card_id"], session_id)
    return {"session": found, "card": card, "records": records}


ROUTES = (show_traces,)
