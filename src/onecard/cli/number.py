"""`onecard number`: the pools of numbers."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer

from onecard.cli.command import desk_command, new_group
from onecard.cli.desk import Desk
from onecard.cli.failures import Misuse, accept
from onecard.cli.options import ID_HIGHEST, MostOption
from onecard.cli.secret import new_private_file, put_on_disk
from onecard.cli.show import Answer, Table
from onecard.lines import actions, store
from onecard.lines.model import NumberState
from onecard.portability import return_store, returns
from onecard.portability.model import NumberReturn
from onecard.values.phone import parse_country

RETURN_COLUMNS = ("list", "holder", "count", "made_at", "made_by", "confirmed_at", "confirmed_by")

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
        typer.Option("--state", metavar="STATE", help="In one state, such as free or quarantined."),
    ] = None,
    after: Annotated[str, typer.Option("--after", metavar="NUMBER", help="Go on after this number.")] = "",
    most: MostOption = 100,
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


@desk_command(app, "return")
async def return_(
    desk: Desk,
    holder: Annotated[
        str | None,
        typer.Argument(
            metavar="[HOLDER]", help="The link of the operator in whose range they are; else: the lists."
        ),
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option("--file", metavar="FILE", help="Write the numbers to this CSV file, which must be new."),
    ] = None,
    confirm: Annotated[
        int | None,
        typer.Option(
            "--confirm", metavar="LIST", min=1, max=ID_HIGHEST, help="The holder has taken this list back."
        ),
    ] = None,
    transferred_to: Annotated[
        str | None,
        typer.Option(
            "--transferred-to",
            metavar="OPERATOR",
            help="With --confirm: not the holder has them now, but this operator, with the customers.",
        ),
    ] = None,
) -> Answer:
    """Offer a holder its numbers that nobody has and that have rested, confirm such a list, or show all lists."""
    if confirm is not None and holder is None and file is None:
        return await _confirm(desk, confirm, transferred_to)
    if transferred_to is not None or (holder is None) != (file is None):
        raise Misuse("give a HOLDER and a --file, or a list to --confirm, or nothing")
    if holder is None or file is None:
        rows = [_describe_return(one) for one in await return_store.list_returns(desk.connection)]
        return Answer(
            {"lists": rows}, [Table(RETURN_COLUMNS, rows, empty="no numbers were offered")], desk.zone
        )
    return await _offer(desk, holder, file)


async def _offer(desk: Desk, holder: str, file: Path) -> Answer:
    with new_private_file(file) as out:
        async with desk.connection.transaction():  # the list is on disk before the numbers are out of reach
            offered = accept(
                await returns.offer_numbers(
                    desk.connection,
                    desk.at,
                    actor=desk.actor,
                    gates=desk.gates,
                    holders=desk.config.number_holders,
                    holder=holder,
                )
            )
            await _write_numbers(desk, offered, out)
    said = f"list {offered.id}: {offered.count} numbers of {holder} are in {file}"
    hint = f"when {holder} has taken them back: onecard number return --confirm {offered.id}"
    return Answer({**_describe_return(offered), "file": str(file)}, [said], desk.zone, hint=hint)


async def _write_numbers(desk: Desk, offered: NumberReturn, out: TextIO) -> None:
    writer = csv.writer(out)
    writer.writerow(("msisdn",))
    after = ""
    while some := await return_store.list_numbers_of_return(desk.connection, offered.id, after=after):
        writer.writerows((msisdn,) for msisdn in some)
        after = some[-1]
    put_on_disk(out)


async def _confirm(desk: Desk, return_id: int, transferred_to: str | None) -> Answer:
    confirmed = accept(
        await returns.confirm_return(
            desk.connection, desk.at, actor=desk.actor, return_id=return_id, transferred_to=transferred_to
        )
    )
    said = f"{confirmed.count} numbers of list {return_id} are {transferred_to or confirmed.holder}'s now"
    return Answer(_describe_return(confirmed), [said], desk.zone)


def _describe_return(offered: NumberReturn) -> dict[str, Any]:
    return {
        "list": offered.id,
        "holder": offered.holder,
        "count": offered.count,
        "made_at": offered.made_at,
        "made_by": offered.made_by,
        "confirmed_at": offered.confirmed_at,
        "confirmed_by": offered.confirmed_by,
    }


@desk_command(app, "account")
async def account(desk: Desk) -> Answer:
    """Account for every number there ever was: by state, against the imports; what does not agree is named."""
    found = await returns.account_for_numbers(desk.connection)
    rows = [
        {"country": country, "state": state, "count": count}
        for country, states in sorted(found.totals.items())
        for state, count in sorted(states.items(), key=lambda pair: pair[0].value)
    ]
    differences = [
        {"what": one.what, "count": one.count, "examples": list(one.examples)} for one in found.differences
    ]
    document = {
        "count": found.count,
        "imported": found.imported,
        "is_balanced": found.is_balanced,
        "totals": rows,
        "differences": differences,
    }
    said = [
        f"{found.count} numbers, of {found.imported} that were imported",
        *(f"{one.count} {one.what}: {', '.join(one.examples)}" for one in found.differences),
    ]
    table = Table(("country", "state", "count"), rows, empty="no number was imported")
    return Answer(document, [table, *said], desk.zone, is_good=found.is_balanced)
