"""`onecard text`: what became of texts. Contents are never shown, and far numbers are masked."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from onecard.cli import store
from onecard.cli.command import desk_command, new_group
from onecard.cli.desk import Desk
from onecard.cli.failures import Failure, Misuse
from onecard.cli.find import find_card
from onecard.cli.options import ID_HIGHEST, MostOption
from onecard.cli.show import Answer, Table
from onecard.database.parts import list_parts
from onecard.lines.store import CardWithLines, find_card_with_lines_by_id
from onecard.messages.model import Trace
from onecard.messages.store import find_trace, list_traces
from onecard.values.money import Money

app = new_group("What became of texts.")


@desk_command(app, "trace")
async def trace(
    desk: Desk,
    text: Annotated[
        int | None, typer.Argument(metavar="[ID]", min=1, max=ID_HIGHEST, help="Of one text: its id.")
    ] = None,
    number: Annotated[
        str | None,
        typer.Option(
            "--number",
            metavar="NUMBER",
            help="The latest texts of the card that has this number.",
        ),
    ] = None,
    before: Annotated[
        int,
        typer.Option(
            "--before", metavar="ID", min=1, max=ID_HIGHEST, help="Go on with those before this id."
        ),
    ] = ID_HIGHEST,
    most: MostOption = 20,
) -> Answer:
    """Say what became of a text, or of the latest texts of a card: every step, never the contents."""
    if (text is None) == (number is None):
        raise Misuse("give the id of a text, or --number")
    if text is not None:
        return await _tell_one(desk, text)
    assert number is not None
    return await _tell_latest(desk, await find_card(desk.connection, number), before, most)


async def _tell_one(desk: Desk, text_id: int) -> Answer:
    parts = await list_parts(desk.connection)
    found = await find_trace(desk.connection, parts, text_id)
    if found is None:
        raise Failure("unknown_text", f"there is no trace of a text {text_id}, or it was deleted by age")
    card = await find_card_with_lines_by_id(desk.connection, found.part, found.card_id)
    assert card is not None  # nothing deletes cards
    document = await _describe(desk, card, found)
    facts = [{"what": key.replace("_", " "), "value": value} for key, value in document.items()]
    return Answer(document, [Table(("what", "value"), facts, is_headless=True)], desk.zone)


async def _tell_latest(desk: Desk, card: CardWithLines, before: int, most: int) -> Answer:
    found = await list_traces(desk.connection, card.card.part, card.card.id, before=before, most=most + 1)
    rows = [await _describe(desk, card, one) for one in found[:most]]
    following = rows[-1]["text"] if len(found) > most else None
    columns = ("text", "accepted_at", "direction", "line", "far", "state", "price", "segments", "next_link")
    table = Table(columns, rows, empty=f"there is no trace of a text of card {card.card.id}")
    hint = f"more: --before {following}" if following else None
    return Answer({"texts": rows, "next": following}, [table], desk.zone, hint=hint)


async def _describe(desk: Desk, card: CardWithLines, found: Trace) -> dict[str, Any]:
    return {
        "text": found.id,
        "direction": found.direction.name.lower(),
        "card": found.card_id,
        "line": await store.find_msisdn_of_line(desk.connection, found.part, found.line_id),
        "far": found.far,
        "application": found.application,
        "source_link": found.source_link,
        "next_link": found.next_link,
        "segments": found.segments,
        "price": Money(found.price_micros, card.currency),
        "rate": found.rate or None,
        "state": found.state.name.lower(),
        "attempts": found.attempts,
        "last_status": None if found.last_status is None else f"0x{found.last_status:08x}",
        "accepted_at": found.accepted_at,
        "handed_over_at": found.handed_over_at,
        "done_at": found.done_at,
    }
