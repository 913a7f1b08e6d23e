"""Letters as a printer gets them."""

from __future__ import annotations

from datetime import date
from io import BytesIO

import pytest
from pypdf import PdfReader

from onecard.subscribers.model import Contact
from onecard.values.language import Language
from onecard.winddown.notices.letters import Letter
from onecard.winddown.notices.model import Sender, Words
from onecard.winddown.notices.printing import print_letters

SENDER = Sender("Maple Bridge")
ON = date(2026, 5, 1)
WORDS = {
    Language.ENGLISH: Words("It ends", "", "First & last <all>.\n\n- one\n- two"),
    Language.FRENCH: Words("Fin", "", "Dépôts – être, ça, œuvre."),
    Language.CHINESE_SIMPLIFIED: Words("终止", "", "命令由以下机关作出：The Governor\n\n- 停止充值"),
    Language.CHINESE_TRADITIONAL: Words("終止", "", "無須辦理任何手續"),
}


def make_letter(language: Language, name: str = "Wang Fang", body: str | None = None) -> Letter:
    words = WORDS[language] if body is None else Words("x", "", body)
    return Letter("7.3.1001.0.2", Contact(name, "w@example.com", "1 Main Street\nVancouver"), language, words)


def texts_of(*letters: Letter) -> list[str]:
    pdf = print_letters(letters, SENDER, ON)
    return [page.extract_text() for page in PdfReader(BytesIO(pdf)).pages]


@pytest.mark.parametrize("language", Language)
def test_a_letter_has_address_day_reference_and_its_exact_words(language: Language) -> None:
    [page] = texts_of(make_letter(language))
    for words in ("Wang Fang", "1 Main Street", "2026-05-01 | 7.3.1001.0.2", WORDS[language].subject):
        assert words in page
    assert [line for line in WORDS[language].body.splitlines() if line not in page] == []


def test_a_name_in_another_script_is_printed_too() -> None:
    [page] = texts_of(make_letter(Language.ENGLISH, name="王芳 Wang"))
    assert "王芳" in page


def test_each_letter_begins_on_a_page_of_its_own() -> None:
    long = make_letter(Language.ENGLISH, body="\n\n".join(["A paragraph. " * 20] * 20))
    pages = texts_of(long, make_letter(Language.FRENCH))
    assert ["7.3.1001.0.2" in page for page in pages] == [True, False, True]


def test_the_same_letters_are_the_same_bytes() -> None:
    letters = [make_letter(language) for language in Language]
    assert print_letters(letters, SENDER, ON) == print_letters(letters, SENDER, ON)
