"""`onecard tariff`: price books."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from onecard.catalogue.actions import import_price_book
from onecard.catalogue.model import PriceBook
from onecard.catalogue.rules import PriceList, read_csv_price_list, read_toml_price_list
from onecard.catalogue.store import load_tariff
from onecard.cli.command import desk_command, new_group
from onecard.cli.desk import Desk
from onecard.cli.failures import Misuse, accept
from onecard.cli.show import Answer, Table, say_time
from onecard.values.money import parse_currency

NOW = "now"

app = new_group("Price books.")


@desk_command(app, "import")
async def import_(
    desk: Desk,
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            exists=True,
            dir_okay=False,
            readable=True,
            help="CSV: line_country,prefix,price_per_segment; or TOML: name, currency, effective_from "
            "and [[text]] tables with the same three.",
        ),
    ],
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
    if file.suffix.lower() == ".toml":
        if name or currency:
            raise Misuse("a book in TOML form has its own name and currency")
        prices = read_toml_price_list(file.read_text(encoding="utf-8"))
        prices = replace(prices, effective_from=instant or prices.effective_from)
    else:
        prices = _read_csv(desk, file, name, currency, instant or desk.at)
    book = accept(await import_price_book(desk.connection, desk.at, actor=desk.actor, prices=prices))
    since = say_time(book.effective_from, desk.zone)
    said = f"price book {book.id} ({book.name}): {len(book.text_rates)} rates in {book.currency} from {since}"
    return Answer(_describe(book, in_effect=book.effective_from <= desk.at), [said], desk.zone)


def _read_csv(
    desk: Desk, file: Path, name: str | None, currency: str | None, effective_from: datetime
) -> PriceList:
    with file.open(encoding="utf-8", newline="") as lines:
        return read_csv_price_list(
            lines,
            name=name or file.stem,
            currency=parse_currency(currency) if currency else desk.config.operator.money,
            effective_from=effective_from,
        )


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


@desk_command(app, "list")
async def list_(desk: Desk) -> Answer:
    """List the price books, the latest first, and which of them are in effect."""
    seen: set[str] = set()
    rows = []
    for book in (await load_tariff(desk.connection)).books:
        in_effect = book.effective_from <= desk.at and book.currency not in seen
        seen |= {book.currency} if in_effect else set()
        rows.append(_describe(book, in_effect=in_effect))
    columns = ("book", "name", "currency", "effective_from", "in_effect", "rates")
    table = Table(columns, rows, empty="there is no price book: import one with `onecard tariff import FILE`")
    return Answer({"books": rows}, [table], desk.zone)


def _describe(book: PriceBook, *, in_effect: bool) -> dict[str, Any]:
    return {
        "book": book.id,
        "name": book.name,
        "currency": book.currency,
        "effective_from": book.effective_from,
        "in_effect": in_effect,
        "rates": len(book.text_rates),
    }
