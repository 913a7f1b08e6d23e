"""The words of notices: whole in every language, or none is said."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onecard.values.language import Language
from onecard.values.table import BadTable
from onecard.winddown.notices.catalogue import PLACEHOLDERS, load_catalogue

FRENCH = """
msgid "stops.voice"
msgstr "les conversations"
"""


def problems_of(directory: Path, *entries: str, language: str = "fr") -> list[str]:
    (directory / f"{language}.po").write_text("\n\n".join(entries), encoding="utf-8")
    with pytest.raises(BadTable) as caught:
        load_catalogue(directory)
    return list(map(str, caught.value.problems))


def entry(key: str, words: str) -> str:
    return f'msgid "{key}"\nmsgstr "{words}"'


def test_our_own_words_are_whole_in_every_language() -> None:
    catalogue = load_catalogue()
    for language in Language:
        assert catalogue.say(language, "stops.voice", {})
        assert "3" in catalogue.count(language, "days_left", 3)


def test_a_count_has_the_plural_of_its_language() -> None:
    catalogue = load_catalogue()
    assert [catalogue.count(Language.ENGLISH, "days_left", n) for n in (1, 2)] == [
        "one day is left",
        "2 days are left",
    ]
    assert catalogue.count(Language.FRENCH, "days_left", 1) == "il reste un jour"
    assert catalogue.count(Language.CHINESE_SIMPLIFIED, "days_left", 1) == "还剩1天"


def test_an_operator_puts_its_own_words_in_the_place_of_some(tmp_path: Path) -> None:
    (tmp_path / "fr.po").write_text(FRENCH, encoding="utf-8")
    catalogue = load_catalogue(tmp_path)
    assert catalogue.say(Language.FRENCH, "stops.voice", {}) == "les conversations"
    assert catalogue.say(Language.FRENCH, "stops.texts", {}) == "textos"
    assert catalogue.say(Language.ENGLISH, "stops.voice", {}) == "calls"


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ("", "moment in fr: the words are missing"),
        ("le {date}", "moment in fr: the placeholder {time} is missing"),
        ("le {date} à {time} {page}", "moment in fr: the placeholder {page} is not known here"),
        ("le {date} à {time", "moment in fr: a brace is not closed: expected '}' before end of string"),
        ("le {date} à {} {time}", "moment in fr: the placeholder {} is not known here"),
    ],
)
def test_words_that_lack_something_are_named(tmp_path: Path, words: str, problem: str) -> None:
    assert problems_of(tmp_path, entry("moment", words)) == [problem]


def test_words_that_are_marked_as_doubtful_are_missing(tmp_path: Path) -> None:
    problems = problems_of(tmp_path, "#, fuzzy\n" + entry("stops.voice", "appels"))
    assert problems == ["stops.voice in fr: the words are missing"]


def test_a_key_by_which_nothing_is_said_is_named(tmp_path: Path) -> None:
    assert problems_of(tmp_path, entry("stops.tea", "thé")) == [
        "stops.tea in fr: nothing is said by this key"
    ]


def test_a_plural_without_its_count_is_named(tmp_path: Path) -> None:
    words = 'msgid "days_left"\nmsgid_plural "days_left"\nmsgstr[0] "un jour"\nmsgstr[1] "des jours"'
    assert problems_of(tmp_path, words) == ["days_left in fr: the placeholder {days} is missing"]


def test_a_file_that_is_no_catalogue_is_named(tmp_path: Path) -> None:
    [problem] = problems_of(tmp_path, 'msgid "stops.voice\n')
    assert problem.startswith(f"{tmp_path / 'fr.po'}: is no catalogue of gettext")


@given(st.sampled_from(sorted(PLACEHOLDERS)), st.sampled_from(list(Language)), st.text(max_size=20))
def test_whatever_is_filled_in_comes_out_as_it_went_in(key: str, language: Language, filling: str) -> None:
    """Braces in a value are no placeholders."""
    values = {name: f"{{{name}}}{filling}" for name in PLACEHOLDERS[key]}
    said = load_catalogue().say(language, key, values)
    assert [value for value in values.values() if value not in said] == []
