"""Read price books from files, and name every fault of one at once. Pure: text in, a price list out."""

from __future__ import annotations

import re
import tomllib
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from datetime import datetime
from itertools import combinations, islice
from typing import Annotated, Any, TypeVar

import msgspec

from onecard.catalogue.model import (
    ANYWHERE,
    HOME,
    SHORT_CODE,
    UNKNOWN_ZONE,
    Plan,
    PlanAllowance,
    PriceList,
    Prorating,
    Rate,
    UsageKind,
)
from onecard.catalogue.rules import UNITS_MOST, parse_all_hours, say_use
from onecard.values.hours import Hours, overlap
from onecard.values.money import Currency, parse_currency, parse_micros
from onecard.values.phone import Country, parse_country
from onecard.values.table import BadTable, Problem, parse_rows, read_table

COLUMNS = ("usage", "line_country", "prefix", "price", "per")
COLUMNS_OPTIONAL = ("zone", "hours", "first_block", "next_block", "setup", "minimum")
RATES_MOST = 200_000
NETWORKS_MOST = 5_000
PLANS_MOST = 1_000
HOURS_MOST = 50
NAME_LENGTH_MOST = 100
PREFIX_LENGTH_MOST = 15
PRICE_MICROS_MOST = 10**12
"""A million units of the currency: whole batches of the longest texts at such a price still fit the ledger."""

_DATA_BLOCK = 1_000
_CALL_UNITS = {"s": 1, "second": 1, "min": 60, "minute": 60, "h": 3600, "hour": 3600}
_UNITS: Mapping[UsageKind, Mapping[str, int]] = {
    UsageKind.TEXT: {"segment": 1},
    UsageKind.CALL_OUT: _CALL_UNITS,
    UsageKind.CALL_IN: _CALL_UNITS,
    UsageKind.DATA: {
        "octet": 1,
        "kB": 10**3,
        "MB": 10**6,
        "GB": 10**9,
        "KiB": 2**10,
        "MiB": 2**20,
        "GiB": 2**30,
    },
}

Place = str
"""Where something stands in a file: ``line 7``."""
T = TypeVar("T")


class BadRate(ValueError):
    """A rate, a plan, or the head of a price book, that cannot be right."""


def read_csv_price_list(
    lines: Iterable[str], *, name: str, currency: Currency, effective_from: datetime
) -> PriceList:
    """Read rates, one a row, below a header of `COLUMNS`, with any of `COLUMNS_OPTIONAL`.

    Raises `BadTable` that names every fault.
    """
    rows = read_table(lines, required=COLUMNS, optional=COLUMNS_OPTIONAL, rows_most=RATES_MOST)
    problems: list[Problem] = []
    rates = _collect(parse_rows(rows, _parse_rate), (), problems)
    _refuse(problems)
    return PriceList(_parse_name(name), currency, _parse_date(effective_from), rates)


def read_toml_price_list(text: str) -> PriceList:
    """Read ``name``, ``currency``, ``effective_from``, ``[zones]``, ``[[rate]]``, ``[[free]]`` and ``[[plan]]``.

    Raises `BadTable` that names every fault, with its line where that is known.
    """
    try:
        document = tomllib.loads(text, parse_float=str)  # a price goes into micros as it is written
    except tomllib.TOMLDecodeError as error:
        raise BadTable([Problem("the file", f"is not TOML: {error}")]) from None
    problems: list[Problem] = []
    head = _read_head(document, problems)
    zones, names = _read_zones(document.get("zones", {}), problems)
    tables = _Tables(text, document)
    rates = _collect(
        (*tables.parse("rate", _parse_rates), *tables.parse("free", _parse_free)), names, problems
    )
    plans = _read_plans(tables.parse("plan", _parse_plans), names, problems)
    _refuse(problems)
    assert head is not None  # or there was a problem
    return PriceList(*head, rates, zones, plans)


def _refuse(problems: list[Problem]) -> None:
    if problems:
        raise BadTable(problems)


# The tables of a TOML file


class _Tables:
    """The arrays of tables of a document, each with the line it begins on."""

    def __init__(self, text: str, document: Mapping[str, Any]) -> None:
        self._text = text
        self._document = document

    def parse(
        self, name: str, parse: Callable[[Mapping[str, Any]], Iterable[T]]
    ) -> Iterator[tuple[Place, T] | Problem]:
        """What each table of a name holds; a ValueError of `parse` becomes its problem."""
        tables = self._document.get(name, [])
        if not isinstance(tables, list) or len(tables) > RATES_MOST:
            yield Problem(name, f"must be [[{name}]] tables, at most {RATES_MOST}")
            return
        for place, table in zip(self._places(name, len(tables)), tables, strict=True):
            try:
                for value in parse(table if isinstance(table, dict) else {}):
                    yield place, value
            except ValueError as error:
                yield Problem(place, str(error))

    def _places(self, name: str, count: int) -> list[Place]:
        """Lines, unless the tables are written inline, where only their order is known."""
        heading = re.compile(rf"\s*\[\[\s*{name}\s*\]\]")
        lines = [n for n, line in enumerate(self._text.splitlines(), 1) if heading.match(line)]
        if len(lines) == count:
            return [f"line {n}" for n in lines]
        return [f"{name} {n}" for n in range(1, count + 1)]


def _read_head(document: Mapping[str, Any], problems: list[Problem]) -> tuple[str, Currency, datetime] | None:
    """The three values that stand above all; what is wrong with any of them is added to `problems`."""
    parsers = {"name": _parse_name, "currency": _parse_currency, "effective_from": _parse_date}
    values: list[Any] = []
    for key, parse in parsers.items():
        try:
            values.append(parse(document.get(key)))
        except ValueError as error:
            problems.append(Problem(key, str(error)))
    unknown = set(document) - {*parsers, "zones", "rate", "free", "plan"}
    problems.extend(Problem(key, "is not known here") for key in sorted(unknown))
    if len(values) < len(parsers):
        return None
    name, currency, effective_from = values
    return name, currency, effective_from


def _read_zones(zones: object, problems: list[Problem]) -> tuple[dict[str, str], frozenset[str]]:
    """Networks and the zone each is in; and the names of all zones, whatever is wrong with their networks."""
    found: dict[str, str] = {}
    if not isinstance(zones, dict):
        problems.append(Problem("zones", 'must be a table such as asia = ["454", "52501"]'))
        return found, frozenset()
    for zone, networks in zones.items():
        try:
            _check_zone(zone)
            for network in _parse_networks(networks):
                if network in found:
                    raise BadRate(f"{network} is in {found[network]} already")
                found[network] = zone
        except ValueError as error:
            problems.append(Problem(f"zones.{zone}", str(error)))
    if len(found) > NETWORKS_MOST:
        problems.append(Problem("zones", f"there are more than {NETWORKS_MOST} networks"))
    return found, frozenset(zones)


def _check_zone(zone: str) -> None:
    if re.fullmatch(r"[a-z][a-z0-9-]{0,30}", zone) is None or zone == UNKNOWN_ZONE:
        raise BadRate(f"a zone is named in small letters, digits and dashes, and not {UNKNOWN_ZONE}")


def _parse_networks(networks: object) -> list[str]:
    written: list[Any] = networks if isinstance(networks, list) else [networks]
    for network in written:
        if not isinstance(network, str) or re.fullmatch(r"[0-9]{3,6}", network) is None:
            raise BadRate(f"{network!r} is not an MCC, such as 454, nor an MCC and the beginning of an MNC")
    return written


# Rates


def _parse_rates(table: Mapping[str, Any]) -> Iterator[Rate]:
    """The one rate of a table with the CSV form's columns."""
    missing = [column for column in COLUMNS if column not in table]
    unknown = [column for column in table if column not in (*COLUMNS, *COLUMNS_OPTIONAL)]
    if missing or unknown:
        said = [f"has no {column}" for column in missing] + [
            f"{column!r} is not known here" for column in unknown
        ]
        raise BadRate(", ".join(said))
    yield _parse_rate(dict.fromkeys(COLUMNS_OPTIONAL, "") | {key: str(cell) for key, cell in table.items()})


def _parse_rate(cells: Mapping[str, str]) -> Rate:
    usage = _parse_usage(cells["usage"])
    block = _DATA_BLOCK if usage is UsageKind.DATA else 1
    return Rate(
        usage,
        parse_country(cells["line_country"]),
        _parse_price(cells["price"]),
        parse_units(cells["per"], usage),
        _parse_prefix(cells["prefix"], usage),
        cells["zone"].lower() or ANYWHERE,
        _parse_hours(cells["hours"]),
        parse_units(cells["first_block"], usage) if cells["first_block"] else block,
        parse_units(cells["next_block"], usage) if cells["next_block"] else block,
        _parse_price(cells["setup"] or "0"),
        _parse_price(cells["minimum"] or "0"),
    )


class _Free(msgspec.Struct, forbid_unknown_fields=True):
    """A ``[[free]]`` table."""

    usage: UsageKind
    line_country: str
    numbers: list[str]


def _parse_free(table: Mapping[str, Any]) -> Iterator[Rate]:
    """A rate of nothing for each number."""
    free = msgspec.convert(table, _Free)
    country = parse_country(free.line_country)
    for number in free.numbers:
        prefix = _parse_prefix(number, free.usage)
        if not number.startswith("+") or len(prefix) < 4:  # a slip of the pen must not make a country free
            raise BadRate(f"{number!r} is not an E.164 number such as +18005550100")
        yield Rate(free.usage, country, 0, prefix=prefix)


def _parse_usage(text: str) -> UsageKind:
    try:
        return UsageKind(text.lower())
    except ValueError:
        raise BadRate(f"{text[:20]!r} is none of {', '.join(UsageKind)}") from None


def _parse_price(amount: str) -> int:
    micros = parse_micros(amount)
    if not 0 <= micros <= PRICE_MICROS_MOST:
        raise BadRate(f"the price {amount} is not between 0 and {PRICE_MICROS_MOST // 10**6}")
    return micros


def _parse_prefix(text: str, usage: UsageKind) -> str:
    """Read a prefix, with or without a plus sign; nothing, or ``*``, is everywhere."""
    if text in ("", "*"):
        return ""
    if usage is UsageKind.DATA:
        raise BadRate(f"data has no far end, so no prefix: {text[:20]!r}")
    if text == SHORT_CODE:
        return SHORT_CODE
    digits = text.removeprefix("+")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= PREFIX_LENGTH_MOST):
        raise BadRate(f"{text[:40]!r} is not the beginning of an E.164 number, nor * or {SHORT_CODE}")
    return digits


def parse_units(text: str, usage: UsageKind) -> int:
    """Read an amount of usage such as ``segment``, ``60s``, ``100 minutes``, ``MB`` or ``1000000``.

    Returns segments, seconds or octets; raises `BadRate`.
    """
    match = re.fullmatch(r"(\d{0,15})\s*([A-Za-z]*)", text.strip(), re.ASCII)
    count, word = match.groups() if match else ("", "")
    known = _UNITS[usage]
    size = known.get(word) or known.get(word.removesuffix("s")) if word else 1
    if size is None or not (count or word) or not 1 <= int(count or 1) * size <= UNITS_MOST:
        raise BadRate(f"{text[:20]!r} is not an amount of {usage}, such as {', '.join(known)} or 60")
    return int(count or 1) * size


def _parse_hours(text: str) -> tuple[Hours, ...]:
    hours = parse_all_hours(text)
    if len(hours) > HOURS_MOST:
        raise BadRate(f"a rate has at most {HOURS_MOST} windows of hours")
    return hours


def _collect(
    rates: Iterable[tuple[Place, Rate] | Problem], zones: Collection[str], problems: list[Problem]
) -> tuple[Rate, ...]:
    """All rates, each key once, in the order of what they are for; adds what is wrong to `problems`."""
    found: list[tuple[Place, Rate]] = []
    for item in rates:
        if isinstance(item, Problem):
            problems.append(item)
        else:
            found.append(item)
    problems.extend(_check_zones(found, zones))
    problems.extend(_check_keys(found))
    if not found and not problems:
        problems.append(Problem("the file", "has no rates"))
    return tuple(rate for _, rate in found)


def _check_zones(rates: Iterable[tuple[Place, Rate]], zones: Collection[str]) -> Iterator[Problem]:
    for place, rate in rates:
        if rate.zone not in (ANYWHERE, HOME, *zones):
            yield Problem(
                place, f"no network is in a zone {rate.zone[:40]!r}: [zones] of a book in TOML names them"
            )


def _check_keys(rates: Iterable[tuple[Place, Rate]]) -> Iterator[Problem]:
    """Of any use at any time one rate holds: neither two keys nor two hours of a key may be in doubt."""
    groups: dict[tuple[str, ...], dict[tuple[Hours, ...], Place]] = defaultdict(dict)
    for place, rate in rates:
        group = groups[rate.usage, rate.line_country, rate.prefix, rate.zone]
        if rate.hours in group:
            yield Problem(place, f"{group[rate.hours]} has a price for {say_use(rate)} already")
        group.setdefault(rate.hours, place)
    for group in groups.values():
        yield from _check_hours(group)


def _check_hours(places: Mapping[tuple[Hours, ...], Place]) -> Iterator[Problem]:
    if len(places) > HOURS_MOST:
        yield Problem(
            next(islice(places.values(), HOURS_MOST, None)), f"there are more than {HOURS_MOST} such rates"
        )
        return
    for (one, first), (other, second) in combinations(places.items(), 2):
        if any(overlap(mine, theirs) for mine in one for theirs in other):
            yield Problem(second, f"its hours overlap those of {first}")


# Plans


class _Allowance(msgspec.Struct, forbid_unknown_fields=True):
    """A ``[[plan.allowance]]`` table."""

    usage: UsageKind
    units: str | int
    line_countries: list[str] = []
    zones: list[str] = []


class _Plan(msgspec.Struct, forbid_unknown_fields=True):
    """A ``[[plan]]`` table."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=NAME_LENGTH_MOST)]
    monthly_fee: str | int
    first_months_free: Annotated[int, msgspec.Meta(ge=0, le=120)] = 0
    prorating: Prorating = Prorating.NONE
    reserve_days: Annotated[int, msgspec.Meta(ge=0, le=27)] = 0
    overage: bool = True
    allowance: Annotated[list[_Allowance], msgspec.Meta(max_length=100)] = []


def _parse_plans(table: Mapping[str, Any]) -> Iterator[Plan]:
    """The one plan of a table."""
    plan = msgspec.convert(table, _Plan)
    yield Plan(
        plan.name,
        _parse_price(str(plan.monthly_fee)),
        plan.first_months_free,
        plan.prorating,
        plan.reserve_days,
        plan.overage,
        tuple(map(_parse_allowance, plan.allowance)),
    )


def _parse_allowance(allowance: _Allowance) -> PlanAllowance:
    units = parse_units(str(allowance.units), allowance.usage)
    countries: tuple[Country, ...] = tuple(map(parse_country, allowance.line_countries))
    return PlanAllowance(allowance.usage, units, countries, tuple(allowance.zones))


def _read_plans(
    plans: Iterable[tuple[Place, Plan] | Problem], zones: Collection[str], problems: list[Problem]
) -> tuple[Plan, ...]:
    found: dict[str, Plan] = {}
    for item in plans:
        if isinstance(item, Problem):
            problems.append(item)
            continue
        place, plan = item
        if plan.name in found:
            problems.append(Problem(place, f"there is a plan {plan.name} already"))
        unknown = {zone for allowance in plan.allowances for zone in allowance.zones} - {HOME, *zones}
        problems.extend(Problem(place, f"no network is in a zone {zone[:40]!r}") for zone in sorted(unknown))
        found[plan.name] = plan
    if len(found) > PLANS_MOST:
        problems.append(Problem("plan", f"there are more than {PLANS_MOST} plans"))
    return tuple(found.values())


# The head


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
