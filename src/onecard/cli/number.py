"""`onecard number`: the pools of numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from onecard.cli.command import desk_command, new_group
from onecard.cli.desk import Desk
from onecard.cli.show import Answer, Table
from onecard.lines import actions, store
from onecard.lines.model import NumberState
from onecard.values.phone import parse_country

PAGE_MOST = 1000

app = new_group("The pools of numbers.")


@desk_command(app, "import")
async def import_(
    desk: Desk,
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE", exists=True, dir_okay=False, readable=True, help="CSV: msisdn[,country]"
        ),
    ],
) -> Answer:
    """Add numbers to the pools from a CSV file: all, or none where a row is wrong."""
    with file.open(encoding="utf-8", newline="") as lines:
        count = await actions.import_numbers(desk.connection, desk.at, actor=desk.actor, lines=lines)
    return Answer({"imported": count}, [f"{count} numbers imported"])


@desk_command(app, "list")
async def list_(
    desk: Desk,
    country: Annotated[
        str | None, typer.Option("--country", metavar="COUNTRY", help="Of one country, such as CA.")
    ] = None,
    state: Annotated[
        NumberState | None,
        typer.Option("--state", metavar="free|reserved|assigned|quarantined", help="In one state."),
    ] = None,
    after: Annotated[str, typer.Option("--after", metavar="NUMBER", help="Go on after this number.")] = "",
    most: Annotated[
        int, typer.Option("--most", metavar="COUNT", min=1, max=PAGE_MOST, help="How many at most.")
    ] = 100,
) -> Answer:
    """List the numbers of the pools, and whose they are."""
    found = await store.list_numbers(
        desk.connection,
        country=parse_country(country) if country else None,
        state=state,
        after=after,
        most=most + 1,
    )
    rows = [
        {
            "number": number.msisdn,
            "country": number.country,
            "state": number.state,
            "until": number.until,
            "card": number.card_id,
        }
        for number in found[:most]
    ]
    following = rows[-1]["number"] if len(found) > most else None
    table = Table(
        ("number", "country", "state", "until", "card"), rows, empty="no such number is in the pools"
    )
    hint = f"more: --after {following}" if following else None
    return Answer({"numbers": rows, "next": following}, [table], desk.zone, hint=hint)
