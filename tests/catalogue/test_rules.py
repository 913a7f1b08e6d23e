"""The rate of a use: longest prefix, then zone, then hours; and when another one takes over."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace as with_

from onecard.catalogue.model import (
    ANYWHERE,
    HOME,
    SHORT_CODE,
    UNKNOWN_ZONE,
    PriceBook,
    PriceList,
    Rate,
    Tariff,
    UsageKind,
    Use,
)
from onecard.catalogue.rules import (
    compare,
    find_rate,
    index_price_book,
    next_change,
    parse_all_hours,
    zone_of,
)
from onecard.values.money import Currency
from onecard.values.phone import Country

CA, CN = Country("CA"), Country("CN")
CAD, CNY = Currency("CAD"), Currency("CNY")
NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)
APRIL = datetime(2026, 4, 1, tzinfo=UTC)
VANCOUVER = "America/Vancouver"
ZONES = {"302720": HOME, "454": "asia", "525": "asia", "52501": "city"}
TEXT, CALL_OUT, CALL_IN, DATA = UsageKind


def make_rate(
    micros: int,
    prefix: str = "",
    zone: str = ANYWHERE,
    hours: str = "",
    *,
    usage: UsageKind = CALL_OUT,
    country: Country = CA,
) -> Rate:
    return Rate(usage, country, micros, prefix=prefix, zone=zone, hours=parse_all_hours(hours))


def make_book(
    *rates: Rate, currency: Currency = CAD, effective_from: datetime = NEW_YEAR, book_id: int = 1
) -> PriceBook:
    return index_price_book(book_id, PriceList("book", currency, effective_from, rates, ZONES))


def make_use(far: str = "", usage: UsageKind = CALL_OUT, country: Country = CA, zone: str = HOME) -> Use:
    return Use(usage, CAD, country, VANCOUVER, far, zone)


def price_of(tariff: Tariff, use: Use, at: datetime = NEW_YEAR) -> int | None:
    listed = find_rate(tariff, use, at)
    return listed.rate.price_micros if listed else None


TEXTS = Tariff(
    (
        make_book(make_rate(300_000, usage=TEXT), effective_from=APRIL, book_id=3),
        make_book(
            make_rate(250_000, usage=TEXT),
            make_rate(50_000, "1", usage=TEXT),
            make_rate(40_000, "1604", usage=TEXT),
            make_rate(0, SHORT_CODE, usage=TEXT),
            make_rate(100_000, "86", usage=TEXT, country=CN),
        ),
        make_book(make_rate(100_000, "86", usage=TEXT, country=CN), currency=CNY, book_id=2),
    )
)


@pytest.mark.parametrize(
    ("currency", "line_country", "destination", "at", "micros"),
    [
        (CAD, CA, "+16045550100", NEW_YEAR, 40_000),
        (CAD, CA, "+14165550100", NEW_YEAR, 50_000),
        (CAD, CA, "+33612345678", NEW_YEAR, 250_000),
        (CAD, CA, "+8613800138000", NEW_YEAR, 250_000),
        (CAD, CN, "+8613800138000", NEW_YEAR, 100_000),
        (CAD, CN, "+16045550100", NEW_YEAR, None),
        (CAD, CA, "77777", NEW_YEAR, 0),
        (CAD, CN, "95588", NEW_YEAR, None),
        (CAD, CA, "+16045550100", APRIL - timedelta(microseconds=1), 40_000),
        (CAD, CA, "+16045550100", APRIL, 300_000),
        (CAD, CA, "+16045550100", NEW_YEAR - timedelta(microseconds=1), None),
        (CNY, CA, "+8613800138000", NEW_YEAR, None),
        (Currency("EUR"), CA, "+16045550100", NEW_YEAR, None),
    ],
)
def test_the_longest_prefix_of_the_book_in_effect_sets_the_rate(
    currency: Currency, line_country: Country, destination: str, at: datetime, micros: int | None
) -> None:
    use = with_(make_use(destination, TEXT, line_country), currency=currency)
    assert price_of(TEXTS, use, at) == micros


WORK = "mon-fri 08:00-18:00"
MONDAY_NOON = datetime(2026, 3, 9, 19, tzinfo=UTC)
SUNDAY_NOON = datetime(2026, 3, 8, 19, tzinfo=UTC)
CHOICES = Tariff(
    (
        make_book(
            make_rate(1),
            make_rate(2, zone=HOME),
            make_rate(3, "86"),
            make_rate(4, "86", hours=WORK),
            make_rate(5, "86", "asia"),
            make_rate(6, "86", "asia", WORK),
            make_rate(7, "8610", "city"),
            make_rate(8, "8613", hours=WORK),
            make_rate(9, "8613800138000"),
            make_rate(20, usage=CALL_IN),
            make_rate(21, "86", usage=CALL_IN),
            make_rate(22, SHORT_CODE, usage=CALL_IN, country=CN),
            make_rate(23, usage=CALL_IN, country=CN),
            make_rate(30, usage=DATA),
            make_rate(31, zone="asia", usage=DATA),
        ),
    )
)


@pytest.mark.parametrize(
    ("use", "at", "micros"),
    [
        (make_use("+33612345678"), MONDAY_NOON, 2),  # exact zone before anywhere
        (make_use("+33612345678", zone="asia"), MONDAY_NOON, 1),
        (make_use("+33612345678", zone=UNKNOWN_ZONE), MONDAY_NOON, 1),
        (make_use("+862012345678"), MONDAY_NOON, 4),  # hours that hold before none, prefix before zone
        (make_use("+862012345678"), SUNDAY_NOON, 3),
        (make_use("+862012345678", zone="asia"), MONDAY_NOON, 6),
        (make_use("+862012345678", zone="asia"), SUNDAY_NOON, 5),  # exact zone before hours
        (make_use("+861012345678", zone="city"), MONDAY_NOON, 7),
        (make_use("+861012345678", zone="asia"), MONDAY_NOON, 6),  # the longer prefix is of another zone
        (make_use("+8613900001111"), MONDAY_NOON, 8),
        (make_use("+8613900001111"), SUNDAY_NOON, 3),  # the hours of the longer prefix do not hold
        (make_use("+8613800138000"), MONDAY_NOON, 9),  # a whole number
        (make_use("+8613800138000", CALL_IN), MONDAY_NOON, 21),
        (make_use("Bank", CALL_IN), MONDAY_NOON, 20),
        (make_use("", CALL_IN), MONDAY_NOON, 20),
        (make_use("95588", CALL_IN, CN), MONDAY_NOON, 22),
        (make_use("+16045550100", CALL_IN, CN), MONDAY_NOON, 23),
        (make_use("", DATA), MONDAY_NOON, 30),
        (make_use("", DATA, zone="asia"), MONDAY_NOON, 31),
        (make_use("", DATA, CN), MONDAY_NOON, None),
        (make_use("95588"), MONDAY_NOON, None),  # a short code has no price of anywhere
    ],
)
def test_prefix_goes_before_zone_and_zone_before_hours(use: Use, at: datetime, micros: int | None) -> None:
    assert price_of(CHOICES, use, at) == micros


def test_hours_are_those_of_the_line() -> None:
    shanghai = with_(make_use("+862012345678"), time_zone="Asia/Shanghai")
    assert price_of(CHOICES, shanghai, MONDAY_NOON) == 3  # Tuesday 03:00 there


@pytest.mark.parametrize(
    ("network", "zone"),
    [
        ("", HOME),
        ("302720", HOME),
        ("302610", UNKNOWN_ZONE),
        ("45412", "asia"),
        ("52501", "city"),
        ("52505", "asia"),
    ],
)
def test_a_network_is_in_the_zone_of_its_longest_beginning(network: str, zone: str) -> None:
    assert zone_of(CHOICES, CAD, network, NEW_YEAR) == zone


def test_without_a_book_every_network_is_unknown() -> None:
    assert zone_of(CHOICES, CNY, "302720", NEW_YEAR) == UNKNOWN_ZONE


digits = st.text("0123456789", max_size=6)


@given(st.sets(digits, max_size=20), st.text("0123456789", min_size=1, max_size=15))
def test_the_probe_finds_what_a_search_of_all_rates_finds(prefixes: set[str], number: str) -> None:
    tariff = Tariff((make_book(*(make_rate(1, prefix) for prefix in prefixes)),))
    best = max((prefix for prefix in prefixes if number.startswith(prefix)), key=len, default=None)
    listed = find_rate(tariff, make_use(f"+{number}"), NEW_YEAR)
    assert (listed.rate.prefix if listed else None) == best


few_hours = st.sampled_from(["", WORK, "sat 10:00-02:00", "sun 02:00-03:00"])
few_rates = st.lists(
    st.builds(
        make_rate,
        st.integers(0, 10**6),
        st.sampled_from(["", "8", "86", SHORT_CODE]),
        st.sampled_from([ANYWHERE, HOME, "asia"]),
        few_hours,
    ),
    unique_by=lambda rate: rate.key,
    max_size=20,
)
few_uses = st.builds(
    make_use,
    st.sampled_from(["+8610", "+8", "+1", "95588"]),
    st.just(CALL_OUT),
    st.just(CA),
    st.sampled_from([HOME, "asia", UNKNOWN_ZONE]),
)
instants = st.integers(0, 2 * 365 * 24 * 60).map(lambda minutes: NEW_YEAR + timedelta(minutes=minutes))


@given(few_rates, few_uses, instants, st.randoms(use_true_random=False))
def test_the_choice_does_not_depend_on_the_order_of_the_rates(
    rates: list[Rate], use: Use, at: datetime, chance: Random
) -> None:
    shuffled = list(rates)
    chance.shuffle(shuffled)
    first, second = (Tariff((make_book(*some),)) for some in (rates, shuffled))
    assert first == second
    assert find_rate(first, use, at) == find_rate(second, use, at)


# When another rate takes over. America/Vancouver in 2026 goes forward on 8 March at 02:00 (10:00 UTC), back on
# 1 November at 02:00 (09:00 UTC).

CHANGING = Tariff(
    (
        make_book(make_rate(5), effective_from=datetime(2026, 12, 1, tzinfo=UTC), book_id=2),
        make_book(
            make_rate(1),
            make_rate(2, "1", hours=WORK),
            make_rate(3, "44", hours="sun 02:30-04:00"),
            make_rate(4, "49", hours="sun 01:00-01:30"),
        ),
    )
)


@pytest.mark.parametrize(
    ("far", "at", "change"),
    [
        ("+16045550100", "2026-03-06T20:00:00Z", "2026-03-07T02:00:00Z"),  # Friday 18:00 PST
        ("+16045550100", "2026-03-07T02:00:00Z", "2026-03-09T15:00:00Z"),  # Monday 08:00 PDT
        ("+16045550100", "2026-11-30T20:00:00Z", "2026-12-01T00:00:00Z"),  # another book, in working hours
        ("+441234567890", "2026-03-08T09:59:59Z", "2026-03-08T10:00:00Z"),  # 02:30 is left out: at 03:00
        ("+441234567890", "2026-03-08T10:00:00Z", "2026-03-08T11:00:00Z"),
        ("+491234567890", "2026-11-01T08:00:00Z", "2026-11-01T08:30:00Z"),
        ("+491234567890", "2026-11-01T08:30:00Z", "2026-11-01T09:00:00Z"),  # 01:00 comes again
        ("+491234567890", "2026-11-01T09:00:00Z", "2026-11-01T09:30:00Z"),
        ("+8613800138000", "2026-06-01T00:00:00Z", "2026-12-01T00:00:00Z"),  # no hours: the next book
        ("+8613800138000", "2026-12-01T00:00:00Z", None),
        ("95588", "2026-06-01T00:00:00Z", None),
    ],
)
def test_the_next_rate_takes_over_at_an_instant(far: str, at: str, change: str | None) -> None:
    expected = datetime.fromisoformat(change) if change else None
    assert next_change(CHANGING, make_use(far), datetime.fromisoformat(at)) == expected


@given(few_rates, few_uses, instants)
@settings(max_examples=50)
def test_until_the_next_change_the_rate_is_the_same(rates: list[Rate], use: Use, at: datetime) -> None:
    tariff = Tariff((make_book(*rates),))
    change = next_change(tariff, use, at)
    end = change or at + timedelta(days=8)
    step = timedelta(minutes=15)
    probes = [at + step * n for n in range((end - at) // step)]
    assert {find_rate(tariff, use, probe) for probe in [*probes, end - timedelta(microseconds=1)]} == {
        find_rate(tariff, use, at)
    }
    if change:
        assert find_rate(tariff, use, change) != find_rate(tariff, use, at)
        assert change.astimezone(ZoneInfo(VANCOUVER)) > at


def test_two_lists_are_compared_rate_by_rate() -> None:
    old = make_book(make_rate(1), make_rate(2, "1"), make_rate(3, "86")).prices
    new = replace(old, rates=(make_rate(1), make_rate(4, "1"), make_rate(5, "44")))
    assert [(change.old, change.new) for change in compare(old, new)] == [
        (make_rate(2, "1"), make_rate(4, "1")),
        (None, make_rate(5, "44")),
        (make_rate(3, "86"), None),
    ]
