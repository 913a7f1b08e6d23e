"""Amounts, times, numbers and hours as people of each language write them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from onecard.values.hours import parse_hours
from onecard.values.language import Language
from onecard.values.money import Currency, Money
from onecard.web.writing import Writing

EN, FR, HANS, HANT = Language
VANCOUVER = ZoneInfo("America/Vancouver")
CAD = Currency("CAD")


@pytest.mark.parametrize(
    ("span", "words"),
    [
        (timedelta(days=50, hours=23), ("50 days", "50 jours", "50天", "50 天")),
        (timedelta(days=400), ("400 days", "400 jours", "400天", "400 天")),
        (timedelta(hours=47), ("47 hours", "47 heures", "47小时", "47 小時")),
        (timedelta(minutes=119), ("119 minutes", "119 minutes", "119分钟", "119 分鐘")),
        (timedelta(minutes=1, seconds=59), ("1 minute", "1 minute", "1分钟", "1 分鐘")),
    ],
)
def test_a_span_is_told_in_whole_days_hours_or_minutes(span: timedelta, words: tuple[str, ...]) -> None:
    said = [Writing(language, VANCOUVER).span(span).replace("\u00a0", " ") for language in Language]
    assert said == list(words)


@pytest.mark.parametrize(
    ("micros", "money", "price"),
    [
        (12_500_000, "CA$12.50", "CA$12.50"),
        (966_000, "CA$0.96", "CA$0.966"),  # never more than can be paid
        (50_000_000, "CA$50.00", "CA$50.00"),
        (1, "CA$0.00", "CA$0.000001"),
    ],
)
def test_money_is_rounded_down_and_a_price_is_exact(micros: int, money: str, price: str) -> None:
    writing = Writing(EN, VANCOUVER)
    assert (writing.money(Money(micros, CAD)), writing.price(Money(micros, CAD))) == (money, price)


def test_times_are_those_of_the_zone() -> None:
    at = datetime(2026, 3, 11, 6, 5, 9, tzinfo=UTC)
    english = Writing(EN, VANCOUVER)
    assert english.moment(at).replace("\u202f", " ") == "Mar 10, 2026, 11:05 PM"
    assert english.clock(at).replace("\u202f", " ") == "11:05:09 PM"
    assert english.day(at) == "March 10, 2026"
    assert english.iso(at) == "2026-03-10T23:05:09-07:00"
    assert Writing(FR, VANCOUVER).moment(at) == "10 mars 2026, 23:05"
    assert Writing(HANS, VANCOUVER).moment(at) == "2026年3月10日 23:05"


def test_numbers_are_grouped_and_what_is_masked_stays_as_it_is() -> None:
    writing = Writing(HANT, VANCOUVER)
    assert writing.phone("+8613800138000") == "+86 138 0013 8000"
    assert writing.phone("+86138********") == "+86138********"
    assert writing.country("CN") == "中國"
    assert writing.country("ZX") == "ZX"


@pytest.mark.parametrize(
    ("hours", "words"),
    [
        ("mon-fri 08:00-22:00", "Mon – Fri 08:00–22:00"),
        ("sat,sun 10:00-02:00", "Sat, Sun 10:00–02:00"),
        ("daily 00:00-24:00", "Mon – Sun 00:00–00:00"),
    ],
)
def test_hours_are_said_with_the_days_of_the_language(hours: str, words: str) -> None:
    assert Writing(EN, VANCOUVER).hours(parse_hours(hours)) == words


@pytest.mark.parametrize(("octets", "words"), [(900, "900 B"), (48_000, "48 kB"), (48_340_000, "48.3 MB")])
def test_data_is_told_in_the_largest_unit_that_fits(octets: int, words: str) -> None:
    assert Writing(EN, VANCOUVER).size(octets) == words
