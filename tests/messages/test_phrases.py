"""What subscribers are told: in every language, with the same things filled in, in as few segments as can be."""

from __future__ import annotations

from string import Formatter

import pytest

from onecard.messages.commands import write_amount
from onecard.messages.phrases import REASONS, WORDS, Phrase, say
from onecard.switching.model import TextRefusal
from onecard.values.alphabet import encode_gsm7, split_segments
from onecard.values.language import Language
from onecard.values.money import Currency, Money

WIDEST = {
    "amount": "CN¥12,345,678.90",
    "balance": "CN¥12,345,678.90",
    "number": "+8613800138000",
    "state": "inactive",
    "slot": 3,
    "code": "12583123",
    "pin": "12345678",
    "far": "12583200447911123456",
    "plan": "Bridge Plus",
    "day": "2026-12-31",
    "left": "123,456 Mo de données",
    "granted": "123,456 Mo de données",
    "count": 123_456,
}
every_phrase = pytest.mark.parametrize("phrase", list(Phrase))
every_language = pytest.mark.parametrize("language", list(Language))


def placeholders(words: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(words) if name is not None}


@every_phrase
def test_a_phrase_is_there_in_every_language_with_the_same_things_filled_in(phrase: Phrase) -> None:
    assert set(WORDS[phrase]) == set(Language)
    assert len({frozenset(placeholders(words)) for words in WORDS[phrase].values()}) == 1


@pytest.mark.parametrize("refusal", list(REASONS))
def test_a_reason_is_there_in_every_language_and_takes_nothing(refusal: TextRefusal) -> None:
    assert set(REASONS[refusal]) == set(Language)
    assert not any(placeholders(words) for words in REASONS[refusal].values())


def test_every_refusal_of_a_subscribers_own_text_that_is_their_affair_has_a_reason() -> None:
    networks_affair = {
        TextRefusal.UNKNOWN_SENDER,
        TextRefusal.UNKNOWN_LINE,
        TextRefusal.NOT_YOUR_NUMBER,
        TextRefusal.TEXTS_BARRED,
        TextRefusal.SENDER_BLOCKED,
        TextRefusal.OUTSIDE_SCHEDULE,
        TextRefusal.NO_ROUTE,
        TextRefusal.SUPPORT_ENDED,  # nobody is there to tell them
        TextRefusal.QUEUE_FULL,
        TextRefusal.UNAVAILABLE,
    }
    assert set(TextRefusal) == networks_affair | set(REASONS)


@every_language
@every_phrase
def test_every_phrase_fits_one_segment(phrase: Phrase, language: Language) -> None:
    reasons = [words[language] for words in REASONS.values()] if phrase is Phrase.NOT_SENT else [""]
    for reason in reasons:
        assert len(split_segments(say(phrase, language, reason=reason, **WIDEST), reference=0)) == 1


@every_phrase
@pytest.mark.parametrize("language", [Language.ENGLISH, Language.FRENCH])
def test_english_and_french_stay_in_the_gsm_alphabet(phrase: Phrase, language: Language) -> None:
    reasons = [words[language] for words in REASONS.values()]
    for reason in reasons:
        assert encode_gsm7(say(phrase, language, reason=reason, **WIDEST)) is not None


@pytest.mark.parametrize(
    ("language", "written"),
    [
        (Language.ENGLISH, "CA$1,234.50"),
        (Language.FRENCH, "1 234,50 $CA"),
        (Language.CHINESE_SIMPLIFIED, "CA$1,234.50"),
        (Language.CHINESE_TRADITIONAL, "CA$1,234.50"),
    ],
)
def test_an_amount_is_written_as_people_of_the_language_write_it(language: Language, written: str) -> None:
    amount = write_amount(Money(1_234_500_000, Currency("CAD")), language)
    assert amount == written
    assert encode_gsm7(amount) is not None
