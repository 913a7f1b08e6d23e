"""Why something cost what it did, in the language of who pays: from the facts that were kept with the charge."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from msgspec import convert

from onecard.catalogue.model import ANYWHERE, HOME, SHORT_CODE, ChargeFacts, Rate, UsageKind
from onecard.catalogue.rules import charged_units
from onecard.charging.records import StoredRecord
from onecard.messages.model import Trace
from onecard.values.money import Currency, Money
from onecard.web.words import say
from onecard.web.writing import KILOBYTE, MEGABYTE, Writing

SECONDS_A_MINUTE = 60


@dataclass(frozen=True, slots=True)
class Reason:
    """How one charge, or the part of one that a rate was for, came about."""

    sentence: str
    """In English, as it was written down."""
    facts: ChargeFacts | None = None
    """None: it was written down before facts were."""
    allowance_units: int = 0
    """Units that an allowance paid, beside those that the price is for."""


def reasons_of_text(trace: Trace) -> Sequence[Reason]:
    return (Reason(trace.rate, trace.facts),) if trace.rate else ()


def reasons_of_record(record: StoredRecord) -> Sequence[Reason]:
    """One for each rate."""
    return [_read_piece(piece) for piece in record.explanation.get("pieces", ())]


def _read_piece(piece: dict[str, Any]) -> Reason:
    facts = convert(piece["facts"], ChargeFacts) if "facts" in piece else None
    return Reason(piece["price"], facts, piece.get("allowance_units", 0))


def say_charge(facts: ChargeFacts, allowance_units: int, writing: Writing) -> str:
    """One sentence: by which price, for what, how it was reckoned, and what it came to."""
    listed, language = facts.listed, writing.language
    key = "charge.by_order" if listed.is_free_by_order else "charge.by_book"
    return say(
        "charge.sentence",
        language,
        book=say(key, language, book=listed.book, day=writing.day(listed.effective_from)),
        what=_join(writing, _say_use(listed.rate, writing)),
        how=_join(writing, _say_sum(facts, allowance_units, writing)),
        price=_say_total(facts, writing),
    )


def _join(writing: Writing, pieces: Iterator[str]) -> str:
    return say("charge.comma", writing.language).join(pieces)


def _say_use(rate: Rate, writing: Writing) -> Iterator[str]:
    language = writing.language
    yield say(
        f"charge.{rate.usage.value}",
        language,
        country=writing.country(rate.line_country),
        far=_say_far(rate.prefix, writing),
    )
    if rate.zone == HOME:
        yield say("charge.at_home", language)
    elif rate.zone != ANYWHERE:
        yield say("charge.in_zone", language, zone=rate.zone)
    yield from map(writing.hours, rate.hours)


def _say_far(prefix: str, writing: Writing) -> str:
    word = {"": "charge.any_number", SHORT_CODE: "charge.short_codes"}.get(prefix)
    return say(word, writing.language) if word else f"+{prefix}"


def _say_sum(facts: ChargeFacts, allowance_units: int, writing: Writing) -> Iterator[str]:
    rate, language = facts.listed.rate, writing.language
    if allowance_units:
        yield say("charge.from_plan", language, units=_say_units(rate.usage, allowance_units, writing))
    if facts.units or not allowance_units:
        yield say(
            "charge.units_at",
            language,
            units=_say_units(rate.usage, facts.units, writing),
            price=_join(writing, _say_price(facts, writing)),
        )
    charged = charged_units(rate, facts.units)
    if charged != facts.units:
        yield say("charge.charged_as", language, units=_say_units(rate.usage, charged, writing))
    for word, micros in (("set_up", rate.setup_micros), ("minimum", rate.minimum_micros)):
        if micros:
            yield say(f"charge.{word}", language, price=_write(facts, micros, writing))


def _say_price(facts: ChargeFacts, writing: Writing) -> Iterator[str]:
    rate, language = facts.listed.rate, writing.language
    is_single = rate.usage is UsageKind.TEXT and rate.price_units == 1
    units = (
        say("charge.segment", language) if is_single else _say_units(rate.usage, rate.price_units, writing)
    )
    yield say("charge.price_per", language, price=_write(facts, rate.price_micros, writing), units=units)
    if (rate.first_block, rate.next_block) != (1, 1):
        first, following = (
            _say_units(rate.usage, block, writing) for block in (rate.first_block, rate.next_block)
        )
        yield say("charge.blocks", language, first=first, following=following)


def _say_units(usage: UsageKind, units: int, writing: Writing) -> str:
    """Units to the last one, as the bill counts them."""
    if usage is UsageKind.TEXT:
        word = "charge.one_segment" if units == 1 else "units.segments"
        return say(word, writing.language, count=writing.number(units))
    if usage is not UsageKind.DATA:
        minutes, seconds = divmod(units, SECONDS_A_MINUTE)
        return f"{writing.number(minutes)} min" if minutes and not seconds else f"{writing.number(units)} s"
    for size, name in ((MEGABYTE, "MB"), (KILOBYTE, "kB")):
        if units and units % size == 0:
            return f"{writing.number(units // size)} {name}"
    return f"{writing.number(units)} B"


def _say_total(facts: ChargeFacts, writing: Writing) -> str:
    price = _write(facts, facts.price_micros, writing)
    return say("charge.instead_of", writing.language, price=price) if facts.is_paid_by_allowance else price


def _write(facts: ChargeFacts, micros: int, writing: Writing) -> str:
    return writing.price(Money(micros, Currency(facts.listed.currency)))
