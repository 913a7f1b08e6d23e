"""Read price books and find prices. Pure."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from onecard.catalogue.model import (
    ANYWHERE,
    HOME,
    SHORT_CODE,
    Explanation,
    ListedRate,
    PriceBook,
    Rate,
    Tariff,
    TextRate,
    UsageKind,
    say_units,
)
from onecard.values.hours import Hours, format_hours
from onecard.values.money import Currency, format_micros, parse_currency, parse_micros
from onecard.values.phone import Country, parse_country
from onecard.values.table import BadTable, Problem, parse_rows, read_table

COLUMNS = ("line_country", "prefix", "price_per_segment")
RATES_MOST = 200_000
NAME_LENGTH_MOST = 100
PREFIX_LENGTH_MOST = 15


@dataclass(frozen=True, slots=True)
class PriceList:
    """A price book before it is imported."""

    name: str
    currency: Currency
    effective_from: datetime
    text_rates: tuple[TextRate, ...]


class BadRate(ValueError):
    """A rate, or the head of a price book, that cannot be right."""


def read_csv_price_list(
    lines: Iterable[str], *, name: str, currency: Currency, effective_from: datetime
) -> PriceList:
    """Read ``line_country,prefix,price_per_segment``; raises `BadTable` that names every fault."""
    rows = read_table(lines, required=COLUMNS, rows_most=RATES_MOST)
    return PriceList(
        _parse_name(name), currency, _parse_date(effective_from), _collect(parse_rows(rows, _parse_rate))
    )


def read_toml_price_list(text: str) -> PriceList:
    """Read ``name``, ``currency``, ``effective_from`` and ``[[text]]`` tables with the CSV form's columns.

    Raises `BadTable` that names every fault; a rate is named by its place in the file.
    """
    try:
        document = tomllib.loads(text, parse_float=str)  # a price goes into micros as it is written
    except tomllib.TOMLDecodeError as error:
        raise BadTable([Problem("the file", f"is not TOML: {error}")]) from None
    problems: list[Problem] = []
    head = _read_head(document, problems)
    try:
        rates = _collect(_read_toml_rates(document))
    except BadTable as bad:
        problems.extend(bad.problems)
    if head is None or problems:
        raise BadTable(problems)
    return PriceList(*head, rates)


def _read_head(document: Mapping[str, Any], problems: list[Problem]) -> tuple[str, Currency, datetime] | None:
    """The three values that stand above the rates; what is wrong with any of them is added to `problems`."""
    parsers = {"name": _parse_name, "currency": _parse_currency, "effective_from": _parse_date}
    values: list[Any] = []
    for key, parse in parsers.items():
        try:
            values.append(parse(document.get(key)))
        except ValueError as error:
            problems.append(Problem(key, str(error)))
    unknown = set(document) - {*parsers, "text"}
    problems.extend(Problem(key, "is not known here") for key in sorted(unknown))
    if len(values) < len(parsers):
        return None
    name, currency, effective_from = values
    return name, currency, effective_from


def _read_toml_rates(document: Mapping[str, Any]) -> Iterator[tuple[str, TextRate] | Problem]:
    rates = document.get("text")
    if not isinstance(rates, list) or len(rates) > RATES_MOST:
        yield Problem("text", f"must be [[text]] tables, at most {RATES_MOST}")
        return
    for number, cells in enumerate(rates, 1):
        place = f"text rate {number}"
        if not isinstance(cells, dict) or set(cells) != set(COLUMNS):
            yield Problem(place, f"must have {', '.join(COLUMNS)} and nothing else")
            continue
        try:
            yield place, _parse_rate({column: str(cell) for column, cell in cells.items()})
        except ValueError as error:
            yield Problem(place, str(error))


def _collect(rates: Iterable[tuple[str, TextRate] | Problem]) -> tuple[TextRate, ...]:
    """All rates, each prefix of a country once; raises `BadTable` that names every fault."""
    found: dict[tuple[Country, str], TextRate] = {}
    problems: list[Problem] = []
    for item in rates:
        if isinstance(item, Problem):
            problems.append(item)
            continue
        place, rate = item
        if (rate.line_country, rate.prefix) in found:
            problems.append(Problem(place, f"{rate.line_country} {rate.prefix or '*'} has a price already"))
        found[rate.line_country, rate.prefix] = rate
    if not found and not problems:
        problems.append(Problem("the file", "has no rates"))
    if problems:
        raise BadTable(problems)
    return tuple(found.values())


def _parse_rate(cells: Mapping[str, str]) -> TextRate:
    micros = parse_micros(cells["price_per_segment"])
    if micros < 0:
        raise BadRate(f"the price {cells['price_per_segment']} is negative")
    return TextRate(parse_country(cells["line_country"]), _parse_prefix(cells["prefix"]), micros)


def _parse_prefix(text: str) -> str:
    """Read a prefix, with or without a plus sign; nothing, or ``*``, is everywhere."""
    if text in ("", "*"):
        return ""
    if text == SHORT_CODE:
        return SHORT_CODE
    digits = text.removeprefix("+")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= PREFIX_LENGTH_MOST):
        raise BadRate(f"{text!r} is not the beginning of an E.164 number, nor * or {SHORT_CODE}")
    return digits


def _parse_name(name: object) -> str:
    if not isinstance(name, str) or not 0 < len(name.strip()) <= NAME_LENGTH_MOST:
        raise BadRate(f"a price book has a name of at most {NAME_LENGTH_MOST} characters")
    return name.strip()


def _parse_currency(code: object) -> Currency:
    return parse_currency(code if isinstance(code, str) else repr(code))


def _parse_date(date: object) -> datetime:
    if not isinstance(date, datetime) or date.tzinfo is None:
        raise BadRate("must be an instant with its offset, such as 2026-01-01T00:00:00Z")
    return date


def find_text_rate(
    tariff: Tariff, currency: Currency, line_country: Country, destination: str, at: datetime
) -> TextRate | None:
    """The rate of a text now: of the book in effect, the one with the longest prefix of the destination.

    A destination without a plus sign is a short code of the line's country. None is no price, so no text.
    """
    book = _book_in_effect(tariff, currency, at)
    if book is None:
        return None
    if not destination.startswith("+"):
        return book.text_rates.get((line_country, SHORT_CODE))
    digits = destination[1:]
    for length in range(len(digits), -1, -1):
        rate = book.text_rates.get((line_country, digits[:length]))
        if rate is not None:
            return rate
    return None


def _book_in_effect(tariff: Tariff, currency: Currency, at: datetime) -> PriceBook | None:
    for book in tariff.books:  # the latest first
        if book.currency == currency and book.effective_from <= at:
            return book
    return None


def price_text(rate: TextRate, segments: int) -> int:
    """The price in micros of a text of so many segments."""
    assert segments > 0
    return rate.micros_per_segment * segments


# Prices

UNITS_MOST = 2**50
"""No usage is larger: a petaoctet. What costs nothing may go on so far."""


def charged_units(rate: Rate, units: int) -> int:
    """The units that are paid for: whole blocks."""
    if units == 0:
        return 0
    further = max(0, units - rate.first_block)
    return rate.first_block + -(-further // rate.next_block) * rate.next_block


def price(rate: Rate, units: int) -> int:
    """What so many units in all cost, in micros, each fraction of one rounded up. No units cost nothing."""
    assert units >= 0
    if units == 0:
        return 0
    by_units = -(-charged_units(rate, units) * rate.price_micros // rate.price_units)
    return rate.setup_micros + max(rate.minimum_micros, by_units)


def units_affordable(rate: Rate, micros: int, already_used: int = 0) -> int:
    """How many more units `micros` pay for after `already_used`: the most whose price exceeds theirs by no more.

    The rest of a block that is paid for already is among them. At most `UNITS_MOST` in all.
    """
    assert micros >= 0
    budget = micros + price(rate, already_used) - rate.setup_micros
    if budget < rate.minimum_micros:
        return 0  # not even the first block; after it the minimum is in the price already
    return max(0, _units_within(rate, budget) - already_used)


def _units_within(rate: Rate, budget_micros: int) -> int:
    """The most units in whole blocks that cost no more, set-up and minimum apart."""
    if rate.price_micros == 0:
        return UNITS_MOST
    paid = budget_micros * rate.price_units // rate.price_micros
    if paid < rate.first_block:
        return 0
    blocks = (paid - rate.first_block) // rate.next_block
    return min(UNITS_MOST, rate.first_block + blocks * rate.next_block)


def explain(listed: ListedRate, units: int) -> Explanation:
    """The price of so many units in all, and how it comes about."""
    rate = listed.rate
    return Explanation(
        listed.book,
        listed.effective_from,
        listed.currency,
        say_use(rate),
        say_price(rate),
        rate.usage.unit,
        units,
        charged_units(rate, units),
        rate.setup_micros,
        rate.minimum_micros,
        price(rate, units),
    )


@lru_cache(maxsize=4096)
def say_use(rate: Rate) -> str:
    """What a rate is for: ``call_out from CA to +86 at home, mon-fri 08:00-18:00``."""
    zone = {ANYWHERE: "", HOME: " at home"}.get(rate.zone, f" in {rate.zone}")
    hours = f", {format_all_hours(rate.hours)}" if rate.hours else ""
    return f"{rate.usage} {_say_ends(rate)}{zone}{hours}"


def _say_ends(rate: Rate) -> str:
    if rate.usage is UsageKind.DATA:
        return f"of {rate.line_country}"
    far = {"": "anywhere", SHORT_CODE: "short codes"}.get(rate.prefix, f"+{rate.prefix}")
    if rate.usage is UsageKind.CALL_IN:
        return f"to {rate.line_country} from {far}"
    return f"from {rate.line_country} to {far}"


@lru_cache(maxsize=4096)
def say_price(rate: Rate) -> str:
    """What a rate costs but for set-up and minimum: ``0.12 per 60 s``, with its blocks where they matter."""
    unit = rate.usage.unit
    units = unit if rate.price_units == 1 else say_units(rate.price_units, unit)
    per = f"{format_micros(rate.price_micros)} per {units}"
    blocks = (rate.first_block, rate.next_block)
    return per if blocks == (1, 1) else f"{per} in blocks of {blocks[0]}/{blocks[1]}"


def format_all_hours(hours: Iterable[Hours]) -> str:
    """Hours as price books write them: ``mon-fri 08:00-18:00; sat 09:00-12:00``."""
    return "; ".join(map(format_hours, hours))
