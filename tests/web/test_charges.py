"""Charges are explained from their facts, in the language of who pays."""

from __future__ import annotations

from datetime import UTC, datetime, time
from zoneinfo import ZoneInfo

import pytest
from msgspec import convert, to_builtins
from msgspec.structs import replace

from onecard.catalogue.model import HOME, SHORT_CODE, ChargeFacts, ListedRate, Rate, UsageKind
from onecard.catalogue.rules import facts_of
from onecard.ledger.model import EntryKind
from onecard.switching.gates import rate_under
from onecard.values.hours import Hours
from onecard.values.language import Language
from onecard.values.money import Currency
from onecard.values.phone import Country
from onecard.web.selfcare.charges import say_charge
from onecard.web.selfcare.money import USAGE
from onecard.web.words import WORDS
from onecard.web.writing import Writing
from onecard.winddown.rules import gates_at
from web.subscriber import CMLINK

CAD, CA, CN = Currency("CAD"), Country("CA"), Country("CN")
TORONTO = ZoneInfo("America/Toronto")
SPRING = datetime(2026, 4, 1, 12, tzinfo=UTC)
TEXT = Rate(UsageKind.TEXT, CN, 100_000, prefix="86")
CALL = Rate(
    UsageKind.CALL_OUT,
    CA,
    120_000,
    price_units=60,
    zone=HOME,
    hours=(Hours(frozenset(range(1, 6)), time(8), time(18)),),
    first_block=60,
    next_block=6,
    setup_micros=20_000,
    minimum_micros=50_000,
)
DATA = Rate(UsageKind.DATA, CA, 10_000, price_units=1_000_000, zone="asia")


def facts(rate: Rate, units: int) -> ChargeFacts:
    return facts_of(ListedRate("Spring", SPRING, CAD, rate), units)


def write(language: Language) -> Writing:
    return Writing(language, TORONTO)


@pytest.mark.parametrize(
    ("language", "sentence"),
    [
        (
            Language.ENGLISH,
            "Prices “Spring” of April 1, 2026: text from China to +86: 2 segments at CA$0.10 per segment: CA$0.20",
        ),
        (
            Language.FRENCH,
            "Tarif « Spring » du 1 avril 2026 : texto, Chine vers +86 : 2 segments à 0,10 $CA par segment : 0,20 $CA",
        ),
        (
            Language.CHINESE_SIMPLIFIED,
            "2026年4月1日起的价目“Spring”：短信，中国至+86：2段，每段 CA$0.10：CA$0.20",
        ),
        (
            Language.CHINESE_TRADITIONAL,
            "2026年4月1日起的價目「Spring」：短訊，中國至+86：2段，每段 CA$0.10：CA$0.20",
        ),
    ],
)
def test_a_text_is_explained_in_every_language(language: Language, sentence: str) -> None:
    assert say_charge(facts(TEXT, 2), 0, write(language)).replace("\u00a0", " ") == sentence


def test_a_call_is_explained_with_its_blocks_hours_set_up_and_minimum() -> None:
    said = say_charge(facts(CALL, 61), 0, write(Language.ENGLISH))
    assert "call from Canada to any number, not roaming, Mon – Fri 08:00–18:00" in said
    assert "61 s at CA$0.12 per 1 min, counted by 1 min at first, then by 6 s" in said
    assert "charged as 66 s, set-up CA$0.02, at least CA$0.05" in said


def test_what_an_allowance_paid_is_told_from_what_cash_did() -> None:
    mixed = say_charge(facts(DATA, 500_000), 1_500_000, write(Language.ENGLISH))
    assert "zone “asia”: 1,500 kB from your plan, 500 kB at" in mixed
    assert "0 B" not in say_charge(facts(DATA, 0), 2_000_000, write(Language.ENGLISH)).replace("00 B", "")
    whole = replace(facts(TEXT, 1), is_paid_by_allowance=True)
    assert "instead of CA$0.10" in say_charge(whole, 0, write(Language.ENGLISH))


def test_usage_that_is_free_by_order_says_so_and_names_the_stage() -> None:
    gates = gates_at(CMLINK.plan, (), SPRING)
    free = facts_of(rate_under(gates, ListedRate("Spring", SPRING, CAD, TEXT)), 1)
    assert free.listed.is_free_by_order
    assert f"({free.listed.book}), as the service is ending" in say_charge(free, 0, write(Language.ENGLISH))


@pytest.mark.parametrize("language", Language)
@pytest.mark.parametrize("usage", UsageKind)
@pytest.mark.parametrize("prefix", ["", "86", SHORT_CODE])
def test_whatever_is_priced_can_be_said(usage: UsageKind, prefix: str, language: Language) -> None:
    said = say_charge(facts(Rate(usage, CA, 1, prefix=prefix), 7), 0, write(language))
    assert "Spring" in said


@pytest.mark.parametrize("rate", [TEXT, CALL, DATA])
def test_facts_outlive_their_way_through_the_store(rate: Rate) -> None:
    kept = facts(rate, 100)
    assert convert(to_builtins(kept), ChargeFacts) == kept


def test_every_movement_that_is_listed_has_a_word() -> None:
    for kind in set(EntryKind) - USAGE:
        assert f"entry.{kind.name.lower()}" in WORDS
