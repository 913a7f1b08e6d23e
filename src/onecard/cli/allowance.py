"""`onecard allowance`: units that are used before cash."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from onecard.catalogue.model import UsageKind, say_units
from onecard.catalogue.reading import parse_units
from onecard.charging.allowances import Gift, GivenAllowance, give_allowance, list_given_allowances
from onecard.cli.command import desk_command, new_group
from onecard.cli.desk import Desk
from onecard.cli.failures import Misuse, accept
from onecard.cli.find import find_card
from onecard.cli.show import Answer, Table
from onecard.cli.times import read_time
from onecard.values.phone import parse_country

REFERENCE_LENGTH_MOST = 200

app = new_group("Allowances: units that are used before cash.")

CardArgument = Annotated[
    str, typer.Argument(metavar="CARD", help="Any number of the card, its ICCID or its id.")
]


@desk_command(app, "give")
async def give(
    desk: Desk,
    card: CardArgument,
    usage: Annotated[UsageKind, typer.Argument(metavar="USAGE", help="text, call_out, call_in or data.")],
    units: Annotated[str, typer.Argument(metavar="UNITS", help="As '100 minutes', '500MB' or 20.")],
    until: Annotated[
        str,
        typer.Option("--until", metavar="TIME", help="When it expires: 2026-05-01, or an instant."),
    ],
    reference: Annotated[
        str,
        typer.Option("--reference", metavar="REFERENCE", help="Your own: the same one twice gives once."),
    ],
    line_country: Annotated[
        list[str] | None,
        typer.Option(
            "--line-country", metavar="COUNTRY", help="For lines of this country only; may be repeated."
        ),
    ] = None,
    zone: Annotated[
        list[str] | None,
        typer.Option("--zone", metavar="ZONE", help="Only where the card is in this zone; may be repeated."),
    ] = None,
) -> Answer:
    """Give units to the account of a card, as a gift."""
    if not 0 < len(reference.strip()) <= REFERENCE_LENGTH_MOST:
        raise Misuse(f"a reference has 1 to {REFERENCE_LENGTH_MOST} characters")
    found = (await find_card(desk.connection, card)).card
    countries = tuple(map(parse_country, line_country or ()))
    gift = Gift(usage, _read_units(units, usage), read_time(desk, until), countries, tuple(zone or ()))
    async with desk.connection.transaction():
        given = accept(
            await give_allowance(
                desk.connection,
                desk.at,
                actor=desk.actor,
                part=found.part,
                account_id=found.account_id,
                gift=gift,
                event=f"gift:{reference.strip()}",
            )
        )
    is_repeated = given.given_at != desk.at
    said = (
        f"this reference gave an allowance to account {found.account_id} before: nothing was given"
        if is_repeated
        else f"account {found.account_id} was given {say_units(gift.units, usage.unit)} for {usage}"
    )
    return Answer({**_describe(given), "repeated": is_repeated}, [said], desk.zone)


def _read_units(text: str, usage: UsageKind) -> int:
    try:
        return parse_units(text, usage)
    except ValueError as error:
        raise Misuse(str(error)) from None


@desk_command(app, "list")
async def list_(desk: Desk, card: CardArgument) -> Answer:
    """List the allowances of a card's account in the order in which they are used, with what is left."""
    found = (await find_card(desk.connection, card)).card
    given = await list_given_allowances(desk.connection, found.part, found.account_id)
    rows = [_describe(one) for one in given]
    columns = ("usage", "available", "held", "granted", "unit", "expires_at", "line_countries", "zones")
    table = Table(columns, rows, empty=f"account {found.account_id} has no allowance")
    return Answer({"account": found.account_id, "allowances": rows}, [table], desk.zone)


def _describe(given: GivenAllowance) -> dict[str, Any]:
    gift = given.gift
    return {
        "allowance": given.id,
        "account": given.account_id,
        "subscription": given.subscription_id,
        "usage": gift.usage,
        "unit": gift.usage.unit,
        "granted": gift.units,
        "available": given.available,
        "held": given.held,
        "line_countries": list(gift.line_countries),
        "zones": list(gift.zones),
        "given_at": given.given_at,
        "expires_at": gift.expires_at,
    }
