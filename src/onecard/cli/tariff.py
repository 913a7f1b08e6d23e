"""`onecard tariff`: price books."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from onecard.catalogue.actions import import_price_book
from onecard.catalogue.model import (
    Explanation,
    PriceBook,
    PriceList,
    Rate,
    RateChange,
    Tariff,
    UsageKind,
    Use,
)
from onecard.catalogue.reading import read_csv_price_list, read_toml_price_list
from onecard.catalogue.rules import (
    compare,
    explain,
    find_book,
    find_rate,
    next_change,
    say_price,
    say_use,
    zone_of,
)
from onecard.catalogue.store import load_tariff
from onecard.cli.command import desk_command, new_group, plain_command
from onecard.cli.desk import Desk
from onecard.cli.failures import Failure, Misuse, accept
from onecard.cli.options import Options
from onecard.cli.show import Answer, Table, say_time
from onecard.switching.enquiry import read_use
from onecard.values.money import Currency, Money, format_micros, parse_currency
from onecard.values.table import BadTable

NOW = "now"
ANY_CURRENCY = Currency("XXX")
"""ISO 4217 for no currency: that of a CSV book that is only checked."""

app = new_group("Price books.")

_FILE_HELP = (
    "CSV: usage,line_country,prefix,price,per (and zone,hours,first_block,next_block,setup,minimum); "
    "or TOML with all in one file."
)
FileArgument = Annotated[
    Path,
    typer.Argument(metavar="FILE", exists=True, dir_okay=False, readable=True, help=_FILE_HELP),
]


@desk_command(app, "import")
async def import_(
    desk: Desk,
    file: FileArgument,
    name: Annotated[
        str | None,
        typer.Option(
            "--name", metavar="NAME", help="Name of a book in CSV form; that of the file unless given."
        ),
    ] = None,
    currency: Annotated[
        str | None,
        typer.Option(
            "--currency", metavar="CURRENCY", help="Currency of a book in CSV form; the operator's own."
        ),
    ] = None,
    effective_from: Annotated[
        str | None,
        typer.Option(
            "--effective-from",
            metavar="INSTANT",
            help="now, or like 2026-01-01T00:00:00-08:00; a CSV's takes effect now unless given.",
        ),
    ] = None,
) -> Answer:
    """Import a price book: the rates of one currency from an instant on. A book is never changed."""
    instant = desk.at if effective_from == NOW else _parse_instant(effective_from)
    if _is_toml(file):
        if name or currency:
            raise Misuse("a book in TOML form has its own name and currency")
        prices = read_toml_price_list(file.read_text(encoding="utf-8"))
        prices = replace(prices, effective_from=instant or prices.effective_from)
    else:
        money = parse_currency(currency) if currency else desk.config.operator.money
        prices = _read_csv(file, money, instant or desk.at, name)
    book = accept(await import_price_book(desk.connection, desk.at, actor=desk.actor, prices=prices))
    said = f"price book {book.id} ({prices.name}): {_say_contents(book.prices)} in {prices.currency}"
    since = say_time(prices.effective_from, desk.zone)
    in_effect = prices.effective_from <= desk.at
    return Answer(_describe(book, in_effect=in_effect), [f"{said} from {since}"], desk.zone)


@plain_command(app, "check")
def check(options: Options, file: FileArgument) -> Answer:
    """Read a price book without importing it, and say what is in it, or all that is wrong with it."""
    try:
        prices = _read_file(file, ANY_CURRENCY, options.clock.now())
    except BadTable as bad:
        problems = [{"place": problem.place, "reason": problem.reason} for problem in bad.problems]
        return Answer({"good": False, "problems": problems}, list(map(str, bad.problems)), is_good=False)
    contents = {"rates": len(prices.rates), "networks": len(prices.zones), "plans": len(prices.plans)}
    return Answer({"good": True, **contents}, [f"the price book is good: {_say_contents(prices)}"])


@desk_command(app, "list")
async def list_(desk: Desk) -> Answer:
    """List the price books, the latest first, and which of them are in effect."""
    tariff = await load_tariff(desk.connection)
    rows = [
        _describe(book, in_effect=find_book(tariff, book.prices.currency, desk.at) is book)
        for book in tariff.books
    ]
    columns = ("book", "name", "currency", "effective_from", "in_effect", "rates", "plans")
    table = Table(columns, rows, empty="there is no price book: import one with `onecard tariff import FILE`")
    return Answer({"books": rows}, [table], desk.zone)


@desk_command(app, "diff")
async def diff(
    desk: Desk,
    one: Annotated[
        str,
        typer.Argument(metavar="BOOK", help="A file, or the id of a price book."),
    ],
    other: Annotated[
        str | None,
        typer.Argument(
            metavar="[NEWER]",
            help="A file or id to compare it with; else BOOK is compared with what is in effect.",
        ),
    ] = None,
) -> Answer:
    """Compare two price books rate by rate: what came, what went, and what has another price."""
    tariff = await load_tariff(desk.connection)
    first = _find_prices(desk, tariff, one)
    if other is None:
        old, new = _get_prices_in_effect(desk, tariff, first), first
    else:
        old, new = first, _find_prices(desk, tariff, other)
    rows = [_describe_change(change) for change in compare(old, new)]
    table = Table(("change", "rate", "old", "new"), rows, empty="no rate differs")
    return Answer({"old": old.name, "new": new.name, "changes": rows}, [table], desk.zone)


@desk_command(app, "price")
async def price(
    desk: Desk,
    usage: Annotated[UsageKind, typer.Argument(metavar="USAGE", help="text, call_out, call_in or data.")],
    line: Annotated[str, typer.Argument(metavar="LINE", help="The number of the line, as +16045550100.")],
    far: Annotated[
        str, typer.Argument(metavar="[FAR]", help="The far end, as dialled from the line; not for data.")
    ] = "",
    segments: Annotated[
        int | None, typer.Option("--segments", metavar="COUNT", min=1, help="Of a text; 1 unless given.")
    ] = None,
    seconds: Annotated[
        int | None, typer.Option("--seconds", metavar="COUNT", min=0, help="Of a call; 60 unless given.")
    ] = None,
    octets: Annotated[
        int | None, typer.Option("--octets", metavar="COUNT", min=0, help="Of data; 1000000 unless given.")
    ] = None,
    at: Annotated[str | None, typer.Option("--at", metavar="INSTANT", help="When; now unless given.")] = None,
    zone: Annotated[
        str | None,
        typer.Option("--zone", metavar="ZONE", help="The roaming zone of the card; home unless given."),
    ] = None,
    network: Annotated[
        str,
        typer.Option("--network", metavar="MCCMNC", help="The network of the card, in place of its zone."),
    ] = "",
    currency: Annotated[
        str | None, typer.Option("--currency", metavar="CURRENCY", help="Of the account; the operator's own.")
    ] = None,
) -> Answer:
    """Say what a text, a call or data would cost, and by which rule."""
    if zone and network:
        raise Misuse("where the card is, is said by --zone or by --network")
    units = _read_units(usage, segments, seconds, octets)
    instant = _parse_instant(at) or desk.at
    money = parse_currency(currency) if currency else desk.config.operator.money
    tariff = await load_tariff(desk.connection)
    if (usage is UsageKind.DATA) is bool(far):
        raise Misuse("a text or a call has a far end, data has none")
    use = await read_use(desk.connection, usage, money, line, far)
    use = msgspec.structs.replace(use, zone=zone or zone_of(tariff, money, network, instant))
    listed = find_rate(tariff, use, instant)
    if listed is None:
        raise Failure("no_rate", "no rate covers this: it would be refused; see `onecard tariff list`")
    return _explain(desk, explain(listed, units), use, next_change(tariff, use, instant))


def _explain(desk: Desk, explanation: Explanation, use: Use, change: datetime | None) -> Answer:
    """The price, the rule, and until when it holds."""
    document = {
        "price": Money(explanation.price_micros, explanation.currency),
        "zone": use.zone,
        "explanation": explanation.as_text(),
        "rule": msgspec.to_builtins(explanation),
        "until": change,
    }
    said = [explanation.as_text()]
    if change:
        said.append(f"until {say_time(change, desk.zone)}")
    return Answer(document, said, desk.zone)


_UNIT_OPTIONS = {
    UsageKind.TEXT: ("--segments", 1),
    UsageKind.CALL_OUT: ("--seconds", 60),
    UsageKind.CALL_IN: ("--seconds", 60),
    UsageKind.DATA: ("--octets", 1_000_000),
}


def _read_units(usage: UsageKind, segments: int | None, seconds: int | None, octets: int | None) -> int:
    given = {"--segments": segments, "--seconds": seconds, "--octets": octets}
    option, units = _UNIT_OPTIONS[usage]
    wrong = [name for name, value in given.items() if value is not None and name != option]
    if wrong:
        raise Misuse(f"{usage} is counted by {option}, not by {wrong[0]}")
    value = given[option]
    return units if value is None else value


def _is_toml(file: Path) -> bool:
    return file.suffix.lower() == ".toml"


def _read_file(file: Path, currency: Currency, effective_from: datetime) -> PriceList:
    if _is_toml(file):
        return read_toml_price_list(file.read_text(encoding="utf-8"))
    return _read_csv(file, currency, effective_from, None)


def _read_csv(file: Path, currency: Currency, effective_from: datetime, name: str | None) -> PriceList:
    with file.open(encoding="utf-8", newline="") as lines:
        return read_csv_price_list(
            lines, name=name or file.stem, currency=currency, effective_from=effective_from
        )


def _find_prices(desk: Desk, tariff: Tariff, name: str) -> PriceList:
    """A price list by the id of its book, or by its file."""
    if name.isascii() and name.isdigit():
        for book in tariff.books:
            if book.id == int(name):
                return book.prices
        raise Failure("unknown_book", f"there is no price book {name}: see `onecard tariff list`")
    file = Path(name)
    return _read_file(file, ANY_CURRENCY if _is_toml(file) else desk.config.operator.money, desk.at)


def _get_prices_in_effect(desk: Desk, tariff: Tariff, prices: PriceList) -> PriceList:
    book = find_book(tariff, prices.currency, desk.at)
    if book is None:
        raise Failure("unknown_book", f"no price book in {prices.currency} is in effect to compare it with")
    return book.prices


def _describe_change(change: RateChange) -> dict[str, Any]:
    kind = "changed" if change.old and change.new else "added" if change.new else "removed"
    return {
        "change": kind,
        "rate": say_use(change.either),
        "old": _say_whole_price(change.old),
        "new": _say_whole_price(change.new),
    }


def _say_whole_price(rate: Rate | None) -> str | None:
    if rate is None:
        return None
    setup = f", set-up {format_micros(rate.setup_micros)}" if rate.setup_micros else ""
    minimum = f", at least {format_micros(rate.minimum_micros)}" if rate.minimum_micros else ""
    return f"{say_price(rate)}{setup}{minimum}"


def _say_contents(prices: PriceList) -> str:
    contents = [(len(prices.rates), "rate"), (len(prices.zones), "network"), (len(prices.plans), "plan")]
    return ", ".join(f"{count} {word}{'' if count == 1 else 's'}" for count, word in contents if count)


def _parse_instant(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        instant = None
    if instant is None or instant.tzinfo is None:
        raise Misuse("an instant has its offset: 2026-01-01T00:00:00-08:00, or now")
    return instant


def _describe(book: PriceBook, *, in_effect: bool) -> dict[str, Any]:
    prices = book.prices
    return {
        "book": book.id,
        "name": prices.name,
        "currency": prices.currency,
        "effective_from": prices.effective_from,
        "in_effect": in_effect,
        "rates": len(prices.rates),
        "networks": len(prices.zones),
        "plans": len(prices.plans),
    }
