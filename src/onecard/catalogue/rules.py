"""Find rates, and price usage by them. Pure, and exact in micros.

A session is priced by all it has used so far, so that it costs the same however often it was reported on.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from functools import lru_cache
from operator import attrgetter

from onecard.catalogue.model import (
    ANYWHERE,
    HOME,
    SHORT_CODE,
    UNKNOWN_ZONE,
    ChargeFacts,
    Explanation,
    ListedRate,
    PriceBook,
    PriceList,
    Rate,
    RateChange,
    RateTable,
    Tariff,
    UsageKind,
    Use,
    say_units,
)
from onecard.values.hours import Hours, format_hours, next_edges, parse_hours, zone_named
from onecard.values.money import Currency, format_micros
from onecard.values.phone import Country

UNITS_MOST = 2**50
"""No usage is larger: a petaoctet. What costs nothing may go on so far."""


# Finding


def index_price_book(book_id: int, prices: PriceList) -> PriceBook:
    """Lay the rates of a price list out so that one is found in a few probes; the list itself is put in order."""
    rates = sorted(prices.rates, key=lambda rate: (*rate.key[:4], say_use(rate)))
    prices = replace(prices, rates=tuple(rates), plans=tuple(sorted(prices.plans, key=attrgetter("name"))))
    groups: dict[tuple[UsageKind, Country], list[ListedRate]] = defaultdict(list)
    for rate in prices.rates:
        listed = ListedRate(prices.name, prices.effective_from, prices.currency, rate)
        groups[rate.usage, rate.line_country].append(listed)
    return PriceBook(book_id, prices, {key: _lay_out(group) for key, group in groups.items()})


def _lay_out(group: Sequence[ListedRate]) -> RateTable:
    by_prefix: dict[str, list[ListedRate]] = defaultdict(list)
    for listed in sorted(group, key=_order_of_choice):
        by_prefix[listed.rate.prefix].append(listed)
    return RateTable(
        {prefix: tuple(rates) for prefix, rates in by_prefix.items()},
        tuple(sorted({len(prefix) for prefix in by_prefix if prefix != SHORT_CODE}, reverse=True)),
        frozenset(hours for listed in group for hours in listed.rate.hours),
    )


def _order_of_choice(listed: ListedRate) -> tuple[bool, bool]:
    """Of one prefix: an exact zone goes before anywhere, hours that hold go before no hours."""
    return listed.rate.zone == ANYWHERE, not listed.rate.hours


def find_rate(tariff: Tariff, use: Use, at: datetime) -> ListedRate | None:
    """The rate of a use now, from the book in effect: the one with the longest prefix of the far end that holds.

    A far end without a plus sign is a short code of the line's country. None is no price, so no usage.
    """
    table = _find_table(tariff, use, at)
    if table is None:
        return None
    if not use.far.startswith("+"):
        return _choose_for_no_number(table, use, at)
    for length in table.lengths:
        listed = _choose(table.by_prefix.get(use.far[1 : length + 1], ()), use, at)
        if listed is not None:
            return listed
    return None


def _choose_for_no_number(table: RateTable, use: Use, at: datetime) -> ListedRate | None:
    """A caller may be shown as a name, or not at all: such a call must have a price too."""
    short = _choose(table.by_prefix.get(SHORT_CODE, ()), use, at) if use.far else None
    if short is not None or (use.far and use.usage is not UsageKind.CALL_IN):
        return short
    return _choose(table.by_prefix.get("", ()), use, at)


def _choose(rates: Iterable[ListedRate], use: Use, at: datetime) -> ListedRate | None:
    """The first of the rates of a prefix that holds where the card is, and now."""
    for listed in rates:
        rate = listed.rate
        in_zone = rate.zone in (ANYWHERE, use.zone)
        if in_zone and (not rate.hours or _hold(rate.hours, use, at)):
            return listed
    return None


def find_book(tariff: Tariff, currency: Currency, at: datetime) -> PriceBook | None:
    """The price book in effect."""
    for book in tariff.books:  # the latest first
        if book.prices.effective_from <= at and book.prices.currency == currency:
            return book
    return None


def _find_table(tariff: Tariff, use: Use, at: datetime) -> RateTable | None:
    book = find_book(tariff, use.currency, at)
    return book.tables.get((use.usage, use.line_country)) if book else None


def _hold(hours: Iterable[Hours], use: Use, at: datetime) -> bool:
    local = at.astimezone(zone_named(use.time_zone))
    return any(one.hold(local) for one in hours)


def zone_of(tariff: Tariff, currency: Currency, network: str, at: datetime) -> str:
    """The zone of a network, by the longest beginning of its MCC and MNC that the book in effect names.

    No network is home.
    """
    if not network:
        return HOME
    book = find_book(tariff, currency, at)
    zones = book.prices.zones if book else {}
    lengths = range(len(network), 0, -1)
    return next((zones[network[:n]] for n in lengths if network[:n] in zones), UNKNOWN_ZONE)


def next_change(tariff: Tariff, use: Use, at: datetime) -> datetime | None:
    """The instant at which another rate, or none, takes over for a use: by its hours, or with another book."""
    now = find_rate(tariff, use, at)
    for edge in _edges(tariff, use, at):
        if find_rate(tariff, use, edge) != now:
            return edge
    return None


def _edges(tariff: Tariff, use: Use, at: datetime) -> Iterator[datetime]:
    """The instants at which another rate may take over, in their order."""
    takeovers = sorted(
        book.prices.effective_from
        for book in tariff.books
        if book.prices.effective_from > at and book.prices.currency == use.currency
    )
    table = _find_table(tariff, use, at)
    if table and table.windows:
        edges = next_edges(table.windows, use.time_zone, at)
        yield from (edge for edge in edges if not takeovers or edge < takeovers[0])
    yield from takeovers


def compare(old: PriceList, new: PriceList) -> list[RateChange]:
    """Rate by rate what two price lists say differently, in the order of what the rates are for."""
    before, after = ({rate.key: rate for rate in prices.rates} for prices in (old, new))
    changes = [
        RateChange(before.get(key), after.get(key))
        for key in before.keys() | after.keys()
        if before.get(key) != after.get(key)
    ]
    return sorted(changes, key=lambda change: say_use(change.either))


# Pricing


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


def facts_of(listed: ListedRate, units: int) -> ChargeFacts:
    """What `explain` makes its words from, to be said in any language."""
    return ChargeFacts(listed, units, price(listed.rate, units))


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


def parse_all_hours(text: str) -> tuple[Hours, ...]:
    """Read what `format_all_hours` writes, in any order; raises `BadHours`. Empty text is none: always."""
    hours = (parse_hours(piece) for piece in text.split(";") if piece.strip())
    return tuple(sorted(hours, key=lambda one: (sorted(one.days), one.begin, one.end)))
