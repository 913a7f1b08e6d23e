"""`onecard card`: SIM stock and the cards that are sold."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from onecard.cards import actions
from onecard.cards import store as cards
from onecard.cards.model import Card, CardPayment, StockItem
from onecard.cards.rules import EXCEPTION_LENGTH_MOST
from onecard.cli import store
from onecard.cli.command import desk_command, new_group
from onecard.cli.desk import Desk
from onecard.cli.failures import Failure, Misuse, accept
from onecard.cli.find import find_card
from onecard.cli.options import ID_HIGHEST, MostOption
from onecard.cli.show import Answer, Table
from onecard.cli.subscriber import check_contact
from onecard.ledger.model import MOST_POSTING_MICROS
from onecard.lines.store import CardWithLines, find_card_with_lines_by_id
from onecard.sales.actions import end_card, sell_card, sell_card_to_newcomer
from onecard.sealing.check import check_master_key
from onecard.values.card import parse_iccid
from onecard.values.language import Language
from onecard.values.money import Money, parse_micros
from onecard.values.phone import E164, parse_country, parse_msisdn

PAYMENT_LENGTH_MOST = 34
"""Of a method or a reference: what fits where a bank has an account."""

app = new_group("SIM stock and the cards that are sold.")

CardArgument = Annotated[
    str, typer.Argument(metavar="CARD", help="Any number of the card (+16045550100), its ICCID or its id.")
]
StockFile = Annotated[
    Path,
    typer.Argument(
        metavar="FILE", exists=True, dir_okay=False, readable=True, help="CSV: iccid,imsi[,activation_code]"
    ),
]
IccidOption = Annotated[
    str | None,
    typer.Option("--iccid", metavar="ICCID", help="The SIM to give; the next one in stock unless named."),
]


@desk_command(app, "import")
async def import_(desk: Desk, file: StockFile) -> Answer:
    """Add SIMs to the stock from a CSV file: all, or none where a row is wrong."""
    with file.open(encoding="utf-8", newline="") as lines:
        count = await actions.import_stock(desk.connection, desk.at, actor=desk.actor, lines=lines)
    in_stock = await cards.count_stock(desk.connection)
    said = f"{count} SIMs imported; {in_stock} in stock"
    return Answer({"imported": count, "in_stock": in_stock}, [said])


@desk_command(app, "sell")
async def sell(
    desk: Desk,
    name: Annotated[
        str | None, typer.Option("--name", metavar="NAME", help="Name of a new subscriber.")
    ] = None,
    email: Annotated[
        str | None, typer.Option("--email", metavar="EMAIL", help="E-mail address of a new subscriber.")
    ] = None,
    address: Annotated[
        str | None, typer.Option("--address", metavar="ADDRESS", help="Postal address.")
    ] = None,
    language: Annotated[
        Language,
        typer.Option(
            "--language",
            metavar="en|fr|zh-Hans|zh-Hant",
            help="Language that the subscriber is spoken to in.",
        ),
    ] = Language.ENGLISH,
    number: Annotated[
        str | None,
        typer.Option(
            "--number", metavar="NUMBER", help="The primary number; the next free one unless named."
        ),
    ] = None,
    country: Annotated[
        str | None,
        typer.Option(
            "--country", metavar="COUNTRY", help="Country of the primary number; the operator's own."
        ),
    ] = None,
    iccid: IccidOption = None,
    subscriber: Annotated[
        int | None,
        typer.Option(
            "--subscriber",
            metavar="ID",
            min=1,
            max=ID_HIGHEST,
            help="A subscriber we know, in place of a new one.",
        ),
    ] = None,
    paid: Annotated[
        str | None,
        typer.Option(
            "--paid", metavar="AMOUNT", help="What was paid for the card, with --method and --reference."
        ),
    ] = None,
    method: Annotated[
        str | None,
        typer.Option("--method", metavar="METHOD", help="How: cash, or the payment provider's name."),
    ] = None,
    reference: Annotated[
        str | None,
        typer.Option("--reference", metavar="REFERENCE", help="The payment's, to be paid back to."),
    ] = None,
) -> Answer:
    """Sell a card: a SIM, a primary number, and an account that pays."""
    goods: dict[str, Any] = {
        "payment": _read_payment(desk, paid, method, reference),
        "country": parse_country(country) if country else desk.config.operator.country,
        "msisdn": parse_msisdn(number) if number else None,
        "iccid": parse_iccid(iccid) if iccid else None,
    }
    if subscriber is not None:
        if name or email or address:
            raise Misuse("--subscriber goes without --name, --email and --address")
        return await _tell_sale(desk, await _sell_to_known(desk, subscriber, goods))
    if not name or not email:
        raise Misuse("give --name and --email, or --subscriber")
    return await _tell_sale(desk, await _sell_to_newcomer(desk, name, email, address, language, goods))


def _read_payment(
    desk: Desk, paid: str | None, method: str | None, reference: str | None
) -> CardPayment | None:
    """What was paid for a card, in the operator's currency."""
    if (paid, method, reference) == (None,) * 3:
        return None
    if not paid or not method or not reference:
        raise Misuse("--paid, --method and --reference go together")
    if max(len(method), len(reference)) > PAYMENT_LENGTH_MOST:
        raise Misuse(f"--method and --reference have {PAYMENT_LENGTH_MOST} characters at most")
    micros = parse_micros(paid)
    if not 0 < micros <= MOST_POSTING_MICROS:
        raise Misuse("what was paid is more than zero and at most a billion")
    return CardPayment(Money(micros, desk.config.operator.money), method, reference)


async def _sell_to_newcomer(
    desk: Desk, name: str, email: str, address: str | None, language: Language, goods: dict[str, Any]
) -> Card:
    master = desk.load_master_key()
    await check_master_key(desk.connection, master)
    sold = await sell_card_to_newcomer(
        desk.connection,
        desk.at,
        actor=desk.actor,
        gates=desk.gates,
        master=master,
        contact=check_contact(name, email, address),
        language=language,
        currency=desk.config.operator.money,
        **goods,
    )
    return accept(sold)


async def _sell_to_known(desk: Desk, subscriber_id: int, goods: dict[str, Any]) -> Card:
    part = await store.find_part_of_subscriber(desk.connection, subscriber_id)
    if part is None:
        raise Failure(
            "unknown_subscriber", f"there is no subscriber {subscriber_id}: see `onecard card list`"
        )
    sold = await sell_card(
        desk.connection,
        desk.at,
        actor=desk.actor,
        gates=desk.gates,
        part=part,
        subscriber_id=subscriber_id,
        **goods,
    )
    return accept(sold)


async def _tell_sale(desk: Desk, card: Card) -> Answer:
    document = _describe(await _with_lines(desk, card))
    said = (
        f"card {card.id} sold: number {document['numbers'][0]}, ICCID {card.iccid}, "
        f"account {card.account_id}, subscriber {card.subscriber_id}"
    )
    return Answer(document, [said])


async def _with_lines(desk: Desk, card: Card) -> CardWithLines:
    found = await find_card_with_lines_by_id(desk.connection, card.part, card.id)
    assert found is not None  # nothing deletes cards
    return found


def _describe(found: CardWithLines) -> dict[str, Any]:
    card = found.card
    return {
        "card": card.id,
        "state": card.state,
        "numbers": [line.msisdn for line in found.lines],
        "iccid": card.iccid,
        "imsi": card.imsi,
        "account": card.account_id,
        "currency": found.currency,
        "subscriber": card.subscriber_id,
        "language": found.language,
        "part": card.part,
    }


@desk_command(app, "activate")
async def activate(desk: Desk, card: CardArgument) -> Answer:
    """Note that a card is in use on the network."""
    found = (await find_card(desk.connection, card)).card
    changed = accept(
        await actions.activate_card(
            desk.connection,
            desk.at,
            actor=desk.actor,
            gates=desk.gates,
            part=found.part,
            card_id=found.id,
        )
    )
    return Answer(_describe(await _with_lines(desk, changed)), [f"card {changed.id} is active"])


@desk_command(app, "replace")
async def replace(
    desk: Desk,
    card: CardArgument,
    iccid: IccidOption = None,
    exception: Annotated[
        str | None,
        typer.Option(
            "--exception",
            metavar="REASON",
            help="Why it is done though the order to stop has closed it; written down, so name no person.",
        ),
    ] = None,
) -> Answer:
    """Give a card another SIM; numbers, lines and account stay."""
    reason = None if exception is None else _read_exception(exception)
    found = (await find_card(desk.connection, card)).card
    changed = accept(
        await actions.replace_sim(
            desk.connection,
            desk.at,
            actor=desk.actor,
            gates=desk.gates,
            part=found.part,
            card_id=found.id,
            iccid=parse_iccid(iccid) if iccid else None,
            exception=reason,
        )
    )
    said = f"card {changed.id} has the SIM {changed.iccid} now, in place of {found.iccid}"
    return Answer(_describe(await _with_lines(desk, changed)), [said])


def _read_exception(reason: str) -> str:
    if not 0 < len(reason.strip()) <= EXCEPTION_LENGTH_MOST:
        raise Misuse(f"the reason of an exception has 1 to {EXCEPTION_LENGTH_MOST} characters")
    return reason.strip()


@desk_command(app, "end")
async def end(
    desk: Desk,
    card: CardArgument,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask whether this is meant.")] = False,
) -> Answer:
    """End a card with all its lines, for good. The account stays, with what is on it."""
    found = await find_card(desk.connection, card)
    if not yes:
        _ask(found)
    ended = accept(
        await end_card(
            desk.connection,
            desk.at,
            actor=desk.actor,
            part=found.card.part,
            card_id=found.card.id,
            limits=desk.config.operator.line_limits,
        )
    )
    said = f"card {ended.id} has ended; its numbers are quarantined: {', '.join(_numbers(found))}"
    return Answer(_describe(await _with_lines(desk, ended)), [said])


def _ask(found: CardWithLines) -> None:
    if not sys.stdin.isatty():
        raise Misuse("the end of a card cannot be undone: say --yes if it is meant")
    question = f"End card {found.card.id} with {', '.join(_numbers(found))} for good?"
    typer.confirm(question, abort=True, err=True)


def _numbers(found: CardWithLines) -> list[E164]:
    return [line.msisdn for line in found.lines]


@desk_command(app, "list")
async def list_(
    desk: Desk,
    stock: Annotated[bool, typer.Option("--stock", help="The SIMs in stock, not the cards.")] = False,
    after: Annotated[
        str | None,
        typer.Option("--after", metavar="ID", help="Go on after this card id (of the stock: ICCID)."),
    ] = None,
    most: MostOption = 100,
) -> Answer:
    """List the cards that were sold, or the SIMs in stock."""
    if stock:
        return _tell_stock(await cards.list_stock(desk.connection, after=after or "", most=most + 1), most)
    place = await _find_place(desk, after) if after else (-1, 0)
    found = await cards.list_cards(desk.connection, after=place, most=most + 1)
    rows = [_describe(await _with_lines(desk, card)) for card in found[:most]]
    following = rows[-1]["card"] if len(found) > most else None
    columns = ("card", "state", "numbers", "iccid", "account", "currency", "subscriber", "language")
    table = Table(columns, rows, empty="no card was sold yet")
    hint = f"more: --after {following}" if following else None
    return Answer({"cards": rows, "next": following}, [table], desk.zone, hint=hint)


async def _find_place(desk: Desk, card_id: str) -> tuple[int, int]:
    if not (card_id.isascii() and card_id.isdigit()):
        raise Misuse("--after is a card id here")
    found = (await find_card(desk.connection, f"card:{card_id}")).card
    return found.part, found.id


def _tell_stock(found: tuple[StockItem, ...], most: int) -> Answer:
    rows = [
        {"iccid": item.iccid, "imsi": item.imsi, "is_esim": item.activation_code is not None}
        for item in found
    ]
    following = rows[most - 1]["iccid"] if len(rows) > most else None
    table = Table(("iccid", "imsi", "is_esim"), rows[:most], empty="there is no SIM in stock")
    hint = f"more: --after {following}" if following else None
    return Answer({"stock": rows[:most], "next": following}, [table], hint=hint)
