"""What notices say, in four languages, of the plan of the case in Canada."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from onecard.values.language import Language
from onecard.values.table import BadTable
from onecard.winddown.model import Notice, NoticeKind
from onecard.winddown.notices.catalogue import load_catalogue
from onecard.winddown.notices.composing import SEGMENTS_MOST, compose, count_segments_of, fill
from onecard.winddown.notices.model import Channel, NewNotice, Recipient, Sender, Words
from onecard.winddown.notices.rules import plan_notice
from onecard.winddown.reading import read_plan
from winddown.plans import local

CMLINK = read_plan((Path(__file__).parents[3] / "plans" / "cmlink-canada-2021.toml").read_text("utf-8")).plan
SALES, _, END = CMLINK.stages
SENDER = Sender("Maple Bridge", "https://maple.example/notice", "1-800-555-0100")
ALL = tuple(Language)
EN, FR, HANS, HANT = ALL


def told(kind: NoticeKind, stage: str, at: str, sender: Sender = SENDER) -> Mapping[Language, Words]:
    new = plan_notice(CMLINK, (), Notice(stage, local(at), ALL, kind))
    return compose(new, CMLINK, (), sender, load_catalogue())


def texts(words: Mapping[Language, Words]) -> list[str]:
    return [words[language].text.removesuffix(SENDER.page or "") for language in ALL]


def test_the_order_is_announced_with_what_matters_most() -> None:
    assert texts(told(NoticeKind.ANNOUNCEMENT, SALES.name, "2021-11-01T09:00")) == [
        "Maple Bridge must end its service by official order: it ends from Apr 1, 2022. To keep your number, transfer"
        " it by Mar 31, 2022. You can ask for your balance from Dec 28, 2021. All dates: ",
        "Maple Bridge doit mettre fin à son service, sur ordre officiel, à partir du 1er avr. 2022. Pour garder votre"
        " numéro, transférez-le au plus tard le 31 mars 2022. Vous pouvez demander votre solde à partir du 28 déc."
        " 2021. Toutes les dates : ",
        "Maple Bridge奉命终止服务，自2022年4月1日起停止。如需保留号码，请于2022年3月31日前（含当日）转网。"
        "自2021年12月28日起可申请退还余额。全部日期：",
        "Maple Bridge奉命終止服務，由2022年4月1日起停止。如需保留號碼，請於2022年3月31日前（含當日）轉台。"
        "由2021年12月28日起可申請退還餘額。全部日期：",
    ]


def test_a_stage_is_told_with_what_stops_and_what_is_free() -> None:
    assert texts(told(NoticeKind.STAGE, SALES.name, "2021-12-01T09:00")) == [
        "Maple Bridge, from Dec 28, 2021: No more SIM card sales, transfers of numbers to us, top-ups, plan changes,"
        " SIM card replacements, and new secondary numbers. Plans renew free of charge. You can ask for your balance to"
        " be paid back. Details: ",
        "Maple Bridge, à partir du 28 déc. 2021. Fin de ces services : ventes de cartes SIM, transferts de numéros vers"
        " nous, recharges, changements de forfait, remplacements de cartes SIM et nouveaux numéros secondaires. Les"
        " forfaits se renouvellent gratuitement. Vous pouvez demander le remboursement de votre solde. Détails : ",
        "Maple Bridge：自2021年12月28日起，停止SIM卡销售、号码转入、充值、套餐变更、补换SIM卡和新增副号。"
        "套餐免费续订。可申请退还余额。详情：",
        "Maple Bridge：由2021年12月28日起，停止SIM卡銷售、號碼轉入、增值、套餐變更、補換SIM卡和新增副號。"
        "套餐免費續訂。可申請退還餘額。詳情：",
    ]


def test_a_reminder_counts_the_days_that_are_left() -> None:
    many, one = (texts(told(NoticeKind.REMINDER, END.name, at)) for at in ("2022-03-01", "2022-03-31"))
    assert [text.partition("。")[0].partition(".")[0] for text in (*many, one[0], one[1])] == [
        "Maple Bridge, reminder: 31 days are left",
        "Maple Bridge, rappel : il reste 31 jours",
        "Maple Bridge提醒：还剩31天",
        "Maple Bridge提醒：尚餘31天",
        "Maple Bridge, reminder: one day is left",
        "Maple Bridge, rappel : il reste un jour",
    ]


@pytest.mark.parametrize("kind", [NoticeKind.PORT_OUT, NoticeKind.REFUND])
def test_a_letter_leaves_no_place_open(kind: NoticeKind) -> None:
    for words in told(kind, END.name, "2022-02-01").values():
        body = words.of(Channel.LETTER)
        assert ("{" in body, "\n\n\n" in body, "  " in body) == (False, False, False)


def test_the_midst_of_a_day_is_told_with_its_time() -> None:
    plan = replace(CMLINK, stages=(SALES, replace(END, at=local("2022-03-31T23:30"))))
    new = plan_notice(plan, (), Notice(END.name, local("2022-03-01"), ALL))
    words = compose(new, plan, (), SENDER, load_catalogue())
    assert "from Mar 31, 2022, 11:30 PM:" in words[EN].text
    assert "à partir du 31 mars 2022 à 23:30." in words[FR].text
    assert "自2022年3月31日23:30起" in words[HANS].text
    assert "(Eastern Time)" in words[EN].body


def test_texts_in_french_stay_in_the_alphabet_of_texts_also_in_august() -> None:
    plan = replace(CMLINK, stages=(SALES, replace(END, at=local("2022-08-02"))))
    for kind in (NoticeKind.ANNOUNCEMENT, NoticeKind.STAGE, NoticeKind.PORT_OUT, NoticeKind.REMINDER):
        new = plan_notice(plan, (), Notice(END.name, local("2022-03-01"), ALL, kind))
        words = compose(new, plan, (), SENDER, load_catalogue())[FR]
        assert count_segments_of(words.text) == -(-len(words.text) // 153)
        assert "aout 2022" in words.text
        assert kind is NoticeKind.PORT_OUT or "août 2022" in words.body


def test_a_correction_that_is_too_long_for_a_text_is_left_to_the_page_it_names() -> None:
    stages = [replace(SALES, name=f"stage {n}", at=local(f"2022-01-{n:02}")) for n in range(1, 10)]
    dates = {stage.name: stage.at for stage in stages}
    plan = replace(CMLINK, stages=tuple(stages))
    new = NewNotice("c", NoticeKind.CORRECTION, None, dates, was=dict.fromkeys(dates, local("2021-12-31")))
    words = compose(new, plan, (), SENDER, load_catalogue())
    assert words[EN].text == f"Maple Bridge: dates we told you have changed. All dates: {SENDER.page}"
    assert words[EN].body.count("Planned for Friday, December 31, 2021, now from") == 9
    assert all(count_segments_of(one.text) <= SEGMENTS_MOST for one in words.values())


def test_a_stage_that_is_gone_is_corrected_by_its_name() -> None:
    new = NewNotice("c", NoticeKind.CORRECTION, None, {"tea": None}, was={"tea": local("2022-01-01")})
    words = compose(new, CMLINK, (), SENDER, load_catalogue())
    assert "Planned for Jan 1, 2022, now suspended without a date: tea" in words[EN].text


def test_all_that_is_missing_is_named_at_once() -> None:
    with pytest.raises(BadTable) as caught:
        told(NoticeKind.STAGE, SALES.name, "2021-12-01", Sender("Maple Bridge"))
    assert [str(problem) for problem in caught.value.problems] == [
        f"stage in {language.value}: there is nothing to put in the place of {{{name}}}"
        for language in ALL
        for name in ("page", "phone")
    ]


def test_a_text_that_is_too_long_is_no_notice() -> None:
    with pytest.raises(BadTable, match="the text has 9 segments: 6 are allowed"):
        told(NoticeKind.STAGE, SALES.name, "2021-12-01", replace(SENDER, name="Maple Bridge " * 80))


def test_what_is_the_subscribers_own_is_filled_in_when_it_is_sent() -> None:
    new = NewNotice("r", NoticeKind.REFUND_PAID, None, {})
    words = compose(new, CMLINK, (), replace(SENDER, name="{amount}"), load_catalogue())[HANT]
    recipient = Recipient(1, 1, 1, 7, HANT, Channel.TEXT, 0, None, {"micros": "5000000", "currency": "CAD"})
    assert "您的退款CA$5.00已支付" in fill(words, recipient).text
