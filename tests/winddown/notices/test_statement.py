"""The public statement of the case in Canada, in four languages, and under a stay."""

from __future__ import annotations

from pathlib import Path

import pytest

from onecard.values.language import Language
from onecard.winddown.model import Stay
from onecard.winddown.notices.model import Sender
from onecard.winddown.notices.statement import StatementPage, statement
from onecard.winddown.reading import read_plan
from winddown.plans import local

CMLINK = read_plan((Path(__file__).parents[3] / "plans" / "cmlink-canada-2021.toml").read_text("utf-8"))
SENDER = Sender("Maple Bridge", "https://maple.example/notice", "1-800-555-0100")


def make_page(language: Language, *stays: Stay) -> StatementPage:
    return statement(CMLINK.plan, stays, language, sender=SENDER)


LAST_ITEMS = {
    Language.ENGLISH: (
        "From Friday, April 1, 2022: No more plan renewals, mobile data, calls, texts, secondary numbers,"
        " and transfers of numbers to other providers."
    ),
    Language.FRENCH: (
        "À partir du vendredi 1er avril 2022 – Fin de ces services : renouvellements de forfaits, données mobiles,"
        " appels, textos, numéros secondaires et transferts de numéros vers d'autres fournisseurs."
    ),
    Language.CHINESE_SIMPLIFIED: (
        "自2022年4月1日星期五起：停止套餐续订、移动数据、通话、短信、副号服务和号码转出。"
    ),
    Language.CHINESE_TRADITIONAL: (
        "由2022年4月1日星期五起：停止套餐續訂、流動數據、通話、短訊、副號服務和號碼轉出。"
    ),
}
LAST_DAYS = {
    Language.ENGLISH: "until Thursday, March 31, 2022, that day included",
    Language.FRENCH: "jusqu'au jeudi 31 mars 2022 inclusivement",
    Language.CHINESE_SIMPLIFIED: "您可在2022年3月31日星期四前（含当日）",
    Language.CHINESE_TRADITIONAL: "您可在2022年3月31日星期四前（含當日）",
}


@pytest.mark.parametrize("language", Language)
def test_the_statement_says_what_stops_when_in_every_language(language: Language) -> None:
    page = make_page(language)
    dates, number, balance, contact = page.sections
    assert (page.language, page.version) == (language, 1)
    assert SENDER.name in page.title
    assert "The Governor in Council" in page.introduction
    assert [item.at for item in dates.items] == [
        local("2021-12-28"),
        local("2022-01-05"),
        local("2022-04-01"),
    ]
    assert dates.items[-1].words == LAST_ITEMS[language]
    assert LAST_DAYS[language] in number.paragraphs[0]
    assert len(balance.items) == 7
    assert "1-800-555-0100" in contact.paragraphs[0]


def test_what_is_stayed_has_no_date_in_the_statement_and_that_is_said() -> None:
    page = make_page(Language.ENGLISH, Stay(local("2022-01-01")))
    dates, number, *_ = page.sections
    assert [item.at for item in dates.items] == [local("2021-12-28"), None, None]
    assert dates.items[-1].words.startswith("Suspended, no date yet: No more plan renewals")
    assert "A part of the order is suspended." in dates.paragraphs[1]
    assert "until Thursday, March 31, 2022" in number.paragraphs[0]  # what was promised stays promised


def test_a_statement_without_a_telephone_number_has_no_section_of_questions() -> None:
    page = statement(CMLINK.plan, (), Language.ENGLISH, sender=Sender("Maple Bridge"))
    assert [section.heading for section in page.sections] == [
        "What changes, and when",
        "Your number",
        "Your money",
    ]
