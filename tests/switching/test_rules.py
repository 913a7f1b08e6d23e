"""What becomes of a text: every refusal, the order of the checks, what passes in spite of them, and where it goes."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onecard.cards.model import CardState
from onecard.catalogue.model import PriceList, Rate, Tariff, UsageKind
from onecard.catalogue.rules import index_price_book
from onecard.lines.model import Line
from onecard.lines.rules import parse_schedule
from onecard.switching.model import (
    CardEntry,
    FromCard,
    LinkRole,
    Route,
    TextRefusal,
    ToCard,
    ToServiceCode,
)
from onecard.switching.rules import Routes, Setting, decide_text_from_card, decide_text_to_card
from onecard.values.address import Address, international, unknown
from onecard.values.card import Imsi
from onecard.values.gate import NO_ORDER, Capability, Gates
from onecard.values.phone import E164
from orders import SINCE, STAGE, closing
from switching.entries import CA, CAD, CN, make_entry, msisdn_of

AT = datetime(2026, 3, 11, 4, tzinfo=UTC)  # noon of a Wednesday in Shanghai, evening before in Vancouver
FRIEND = international("+8613900001111")
NEVER_NOW = parse_schedule("daily 20:00-21:00 texts")
ROUTES = Routes(
    (
        Route("host", LinkRole.HOST, numbers=("+1",), cards=("302",)),
        Route("host-west", LinkRole.HOST, cards=("302990",)),
        Route("cn-home", LinkRole.HOME, numbers=("+86",)),
        Route("bank", LinkRole.APPLICATION),
    )
)
RATES = {
    (CA, "1"): 50_000,
    (CA, "1604"): 40_000,
    (CA, ""): 250_000,
    (CN, "86"): 100_000,
    (CN, "short"): 20_000,
}


def make_setting(**changes: Any) -> Setting:
    rates = tuple(Rate(UsageKind.TEXT, country, micros, prefix=p) for (country, p), micros in RATES.items())
    prices = PriceList("first", CAD, AT - timedelta(days=1), rates)
    setting = Setting("12583", ROUTES, Tariff((index_price_book(1, prices),)))
    return replace(setting, **changes)


SETTING = make_setting()


def with_line(slot: int = 1, **changes: Any) -> CardEntry:
    """A card with two secondary lines; the line in a slot is changed."""
    entry = make_entry(1, secondaries=2)
    lines = tuple(replace(line, **changes) if line.slot == slot else line for line in entry.lines)
    return replace(entry, lines=lines)


def to_card(
    entry: CardEntry,
    *,
    slot: int = 1,
    source: Address = FRIEND,
    role: LinkRole = LinkRole.HOME,
    setting: Setting = SETTING,
    gates: Gates = NO_ORDER,
) -> ToCard | TextRefusal:
    return decide_text_to_card(
        entry, msisdn_of(1, slot), source, role=role, setting=setting, gates=gates, at=AT
    )


def from_card(
    dialled: str | Address,
    *,
    entry: CardEntry | None = None,
    segments: int = 1,
    setting: Setting = SETTING,
    gates: Gates = NO_ORDER,
) -> FromCard | ToServiceCode | TextRefusal:
    destination = unknown(dialled) if isinstance(dialled, str) else dialled
    return decide_text_from_card(
        entry or with_line(), destination, segments=segments, setting=setting, gates=gates, at=AT
    )


# To the card

STOPS: list[tuple[dict[str, Any], TextRefusal]] = [
    ({"blocked": ("+8613900001111",)}, TextRefusal.SENDER_BLOCKED),
    ({"blocked": ("+86139*",)}, TextRefusal.SENDER_BLOCKED),
    ({"allowed": ("+16045550100",)}, TextRefusal.SENDER_BLOCKED),
    ({"bar_texts_in": True}, TextRefusal.TEXTS_BARRED),
    ({"switched_on": False}, TextRefusal.LINE_OFF),
    ({"schedule": NEVER_NOW}, TextRefusal.OUTSIDE_SCHEDULE),
]


@pytest.mark.parametrize(("changes", "refusal"), STOPS)
def test_what_the_subscriber_set_stops_a_text(changes: dict[str, Any], refusal: TextRefusal) -> None:
    assert to_card(with_line(**changes)) is refusal


@pytest.mark.parametrize(("changes", "refusal"), STOPS)
@pytest.mark.parametrize("role", [LinkRole.HOST, LinkRole.HOME])
def test_one_line_does_not_stop_the_texts_of_another(
    changes: dict[str, Any], refusal: TextRefusal, role: LinkRole
) -> None:
    assert isinstance(to_card(with_line(slot=2, **changes), role=role), ToCard)


@pytest.mark.parametrize("first", range(len(STOPS)))
def test_of_several_reasons_the_first_in_order_is_given(first: int) -> None:
    """Lists, bars, off, schedule: STOPS is in this order."""
    changes: dict[str, Any] = {}
    for one, _ in reversed(STOPS[first:]):
        changes |= one
    assert to_card(with_line(**changes)) is STOPS[first][1]


@pytest.mark.parametrize(("changes", "refusal"), STOPS)
def test_a_code_of_a_bank_passes_all_but_a_bar(changes: dict[str, Any], refusal: TextRefusal) -> None:
    decision = to_card(with_line(**changes), role=LinkRole.APPLICATION)
    if refusal is TextRefusal.TEXTS_BARRED:
        assert decision is refusal
    else:
        assert isinstance(decision, ToCard)


def test_a_bar_on_calls_is_nothing_to_a_text() -> None:
    assert isinstance(to_card(with_line(bar_calls_in=True)), ToCard)


def test_a_schedule_for_calls_is_nothing_to_a_text() -> None:
    assert isinstance(to_card(with_line(schedule=parse_schedule("daily 20:00-21:00 calls"))), ToCard)


def test_a_schedule_is_read_in_the_time_zone_of_the_line() -> None:
    window = parse_schedule("wed 11:59-12:01 texts")
    assert isinstance(to_card(with_line(schedule=window)), ToCard)
    assert to_card(with_line(slot=0, schedule=window), slot=0) is TextRefusal.OUTSIDE_SCHEDULE


def test_a_card_that_no_link_reaches_is_refused_after_all_that_its_subscriber_set() -> None:
    nowhere = make_setting(routes=Routes(ROUTES.routes[2:]))
    assert to_card(with_line(), setting=nowhere) is TextRefusal.NO_ROUTE
    assert to_card(with_line(switched_on=False), setting=nowhere) is TextRefusal.LINE_OFF


def test_a_card_is_reached_by_the_link_with_the_longest_prefix_of_its_imsi() -> None:
    entry = with_line()
    decision = to_card(entry)
    assert isinstance(decision, ToCard)
    assert decision.link == "host-west"
    other = replace(entry, card=replace(entry.card, imsi=Imsi("302110000000001")))
    decision = to_card(other)
    assert isinstance(decision, ToCard)
    assert decision.link == "host"


@pytest.mark.parametrize("slot", [0, 1, 2])
def test_a_text_to_any_number_goes_to_the_primary_number_of_the_card(slot: int) -> None:
    decision = to_card(with_line(), slot=slot)
    assert isinstance(decision, ToCard)
    assert decision.destination == international(msisdn_of(1, 0))
    assert decision.line.slot == slot
    assert decision.far == "+8613900001111"


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        (international("+8613900001111"), unknown("12583113900001111")),
        (Address(2, 1, "13900001111"), unknown("12583113900001111")),
        (Address(0, 0, "8613900001111"), unknown("12583113900001111")),
        (international("+16042345678"), unknown("1258310016042345678")),
        (unknown("95588"), unknown("12583195588")),
        (unknown("10690123456"), unknown("12583110690123456")),
        (unknown("1069012345678901"), unknown("1069012345678901")),
        (Address(5, 0, "ICBC"), Address(5, 0, "ICBC")),
        (Address(5, 0, "95588"), Address(5, 0, "95588")),
        (Address(0, 0, "ICBC"), Address(0, 0, "ICBC")),
        (Address(0, 0, ""), Address(0, 0, "")),
        (Address(1, 1, "+8613900001111"), unknown("12583113900001111")),
        (Address(0, 0, "²³"), Address(0, 0, "²³")),
    ],
)
def test_a_secondary_line_shows_its_slot_before_a_sender_that_can_be_dialled(
    source: Address, shown: Address
) -> None:
    decision = to_card(with_line(), source=source)
    assert isinstance(decision, ToCard)
    assert decision.source == shown


@pytest.mark.parametrize("source", [FRIEND, unknown("95588"), Address(5, 0, "ICBC")])
def test_the_primary_line_shows_the_sender_as_it_is(source: Address) -> None:
    decision = to_card(with_line(), slot=0, source=source)
    assert isinstance(decision, ToCard)
    assert decision.source == source


def test_answering_a_text_reaches_its_sender_from_the_line_that_was_called() -> None:
    decision = to_card(with_line(), slot=2)
    assert isinstance(decision, ToCard)
    answer = from_card(decision.source)
    assert isinstance(answer, FromCard)
    assert answer.line.slot == 2
    assert answer.destination == FRIEND


# From the card


@pytest.mark.parametrize(
    ("dialled", "slot", "destination", "link", "micros"),
    [
        ("6042345678", 0, international("+16042345678"), "host", 40_000),
        ("+16132345678", 0, international("+16132345678"), "host", 50_000),
        ("0118613900001111", 0, international("+8613900001111"), "host", 250_000),
        ("1258306042345678", 0, international("+16042345678"), "host", 40_000),
        ("12583113900001111", 1, international("+8613900001111"), "cn-home", 100_000),
        ("12583295588", 2, unknown("95588"), "cn-home", 20_000),
        (Address(1, 1, "16042345678"), 0, international("+16042345678"), "host", 40_000),
        (Address(1, 1, "12583113900001111"), 1, international("+8613900001111"), "cn-home", 100_000),
    ],
)
def test_a_text_leaves_from_the_line_that_was_dialled(
    dialled: str | Address, slot: int, destination: Address, link: str, micros: int
) -> None:
    decision = from_card(dialled)
    assert isinstance(decision, FromCard)
    assert decision.line.slot == slot
    assert decision.source == international(msisdn_of(1, slot))
    assert (decision.destination, decision.link) == (destination, link)
    assert decision.price_micros == micros


def test_each_segment_is_paid() -> None:
    decision = from_card("12583113900001111", segments=3)
    assert isinstance(decision, FromCard)
    assert decision.price_micros == 300_000


def test_a_text_to_the_service_code_alone_is_a_command() -> None:
    assert from_card("12583") == ToServiceCode(with_line())
    assert from_card(international("+12583")) == ToServiceCode(with_line())


@pytest.mark.parametrize(
    ("dialled", "changes", "refusal"),
    [
        ("12583313900001111", {}, TextRefusal.NO_LINE_IN_SLOT),
        ("12583913900001111", {"switched_on": False}, TextRefusal.NO_LINE_IN_SLOT),
        ("12583113900001111", {"switched_on": False}, TextRefusal.LINE_OFF),
        ("125831", {"switched_on": False}, TextRefusal.LINE_OFF),
        ("125831", {}, TextRefusal.BAD_DESTINATION),
        ("12583*1", {}, TextRefusal.BAD_DESTINATION),
        ("", {}, TextRefusal.BAD_DESTINATION),
        ("1258311", {}, TextRefusal.BAD_DESTINATION),
        (Address(5, 0, "ICBC"), {}, TextRefusal.BAD_DESTINATION),
        (Address(5, 0, "1800FLOWERS"), {}, TextRefusal.BAD_DESTINATION),
        ("1258310016042345678", {}, TextRefusal.NO_RATE),
        ("911", {}, TextRefusal.NO_RATE),
    ],
)
def test_a_text_that_cannot_be_sent_is_refused_with_the_first_reason(
    dialled: str | Address, changes: dict[str, Any], refusal: TextRefusal
) -> None:
    assert from_card(dialled, entry=with_line(**changes)) is refusal


def test_a_text_without_a_price_is_not_sent() -> None:
    assert from_card("6042345678", setting=make_setting(tariff=Tariff())) is TextRefusal.NO_RATE


def test_a_line_that_no_link_serves_sends_nothing() -> None:
    nowhere = make_setting(routes=Routes(ROUTES.routes[:2]))
    assert from_card("12583113900001111", setting=nowhere) is TextRefusal.NO_ROUTE


def test_what_keeps_texts_out_does_not_keep_the_subscriber_from_sending() -> None:
    entry = with_line(bar_texts_in=True, blocked=("+8613900001111",), schedule=NEVER_NOW)
    assert isinstance(from_card("12583113900001111", entry=entry), FromCard)


# Routes


def test_the_longest_prefix_wins_whatever_the_order_of_the_links() -> None:
    routes = [
        Route("world", LinkRole.HOST, numbers=("+",)),
        Route("canada", LinkRole.HOST, numbers=("+1",)),
        Route("vancouver", LinkRole.HOST, numbers=("+1604", "+1778")),
    ]
    for order in (routes, routes[::-1]):
        assert Routes(tuple(order)).link_for_line(E164("+16042345678")) == "vancouver"
        assert Routes(tuple(order)).link_for_line(E164("+16132345678")) == "canada"
        assert Routes(tuple(order)).link_for_line(E164("+8613800138000")) == "world"
    assert Routes(()).link_for_line(E164("+16042345678")) is None


def test_a_home_operator_serves_the_numbers_of_its_own_ranges_only() -> None:
    assert ROUTES.serves("cn-home", E164("+8613800138000"))
    assert not ROUTES.serves("cn-home", E164("+16042345678"))
    assert not ROUTES.serves("bank", E164("+8613800138000"))


# Whatever comes

octets = st.characters(min_codepoint=1, max_codepoint=0xFF)
digits = st.text("0123456789", max_size=20)
address_texts = st.text(octets, max_size=20) | digits | digits.map("12583".__add__) | st.text("+*#0123456789")
some_addresses = st.builds(Address, st.integers(0, 255), st.integers(0, 255), address_texts)
lines_set = st.fixed_dictionaries(
    {
        "switched_on": st.booleans(),
        "bar_texts_in": st.booleans(),
        "blocked": st.sampled_from([(), ("+86*",), ("icbc",)]),
        "allowed": st.sampled_from([(), ("+86*",), ("95588",)]),
        "schedule": st.sampled_from([(), NEVER_NOW]),
    }
)


@given(source=some_addresses, changes=lines_set, slot=st.integers(0, 2), role=st.sampled_from(list(LinkRole)))
def test_no_sender_makes_a_decision_fail(
    source: Address, changes: dict[str, Any], slot: int, role: LinkRole
) -> None:
    decision = to_card(with_line(slot, **changes), slot=slot, source=source, role=role)
    if isinstance(decision, ToCard):
        assert decision.source == source or len(decision.source.digits) <= 20


@given(destination=some_addresses, changes=lines_set, segments=st.integers(1, 255))
def test_no_destination_makes_a_decision_fail(
    destination: Address, changes: dict[str, Any], segments: int
) -> None:
    decision = from_card(destination, entry=with_line(**changes), segments=segments)
    if isinstance(decision, FromCard):
        assert decision.price_micros > 0
        assert decision.line.switched_on
        assert isinstance(decision.line, Line)
        assert len(decision.destination.digits) <= 20


# Under an order to stop

C = Capability
VOID = replace(with_line(), card=replace(with_line().card, state=CardState.SOLD))


@pytest.mark.parametrize("role", list(LinkRole))
@pytest.mark.parametrize("slot", [0, 1])
def test_texts_that_have_ended_are_refused_to_every_line_whoever_sends_them(
    slot: int, role: LinkRole
) -> None:
    assert to_card(with_line(), slot=slot, role=role, gates=closing(C.TEXTS)) is TextRefusal.TEXTS_ENDED


@pytest.mark.parametrize("dialled", ["6045550199", "12583113800138000"])
def test_texts_that_have_ended_are_refused_from_every_line(dialled: str) -> None:
    assert from_card(dialled, gates=closing(C.TEXTS)) is TextRefusal.TEXTS_ENDED


@pytest.mark.parametrize("role", list(LinkRole))
def test_when_secondary_lines_have_ended_their_texts_are_refused_and_those_of_the_primary_are_not(
    role: LinkRole,
) -> None:
    gates = closing(C.SECONDARY_LINES)
    assert to_card(with_line(), slot=1, role=role, gates=gates) is TextRefusal.SECONDARY_LINES_ENDED
    assert from_card("12583113800138000", gates=gates) is TextRefusal.SECONDARY_LINES_ENDED
    assert isinstance(to_card(with_line(), slot=0, role=role, gates=gates), ToCard)
    assert isinstance(from_card("6045550199", gates=gates), FromCard)


def test_a_card_that_was_never_activated_sends_nothing_once_activation_has_ended() -> None:
    gates = closing(C.ACTIVATION)
    assert from_card("6045550199", entry=VOID, gates=gates) is TextRefusal.CARD_VOID
    assert isinstance(from_card("6045550199", gates=gates), FromCard)
    assert isinstance(from_card("6045550199", entry=VOID), FromCard)


@pytest.mark.parametrize("entry", [with_line(), VOID])
def test_commands_are_obeyed_as_long_as_there_is_support(entry: CardEntry) -> None:
    all_but_support = set(Capability) - {C.SUPPORT}
    assert isinstance(from_card("12583", entry=entry, gates=closing(*all_but_support)), ToServiceCode)
    assert from_card("12583", entry=entry, gates=closing(C.SUPPORT)) is TextRefusal.SUPPORT_ENDED


def test_a_text_is_free_once_charging_has_ended_and_its_explanation_names_the_stage() -> None:
    decision = from_card("6045550199", segments=2, gates=closing(C.CHARGING))
    assert isinstance(decision, FromCard)
    assert decision.price_micros == 0
    assert decision.explanation.as_text() == (
        f"{STAGE} of {SINCE.date()}: text from CA to +1604: 2 segments at 0.00 per segment: 0.00 CAD"
    )


def test_what_has_no_price_is_not_carried_for_free_either() -> None:
    bare = replace(SETTING, tariff=Tariff())
    assert from_card("6045550199", setting=bare, gates=closing(C.CHARGING)) is TextRefusal.NO_RATE


@pytest.mark.parametrize(
    "closed", sorted(set(Capability) - {C.TEXTS, C.SECONDARY_LINES, C.CHARGING, C.SUPPORT})
)
def test_no_other_gate_stands_before_the_texts_of_a_card_in_use(closed: Capability) -> None:
    gates = closing(closed)
    assert to_card(with_line(), gates=gates) == to_card(with_line())
    assert from_card("12583113800138000", gates=gates) == from_card("12583113800138000")
    assert from_card("12583", gates=gates) == from_card("12583")
