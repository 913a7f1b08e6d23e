"""Plans in TOML: what is read, and that every fault is named with its place."""

from __future__ import annotations

import contextlib
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onecard.values.gate import Capability
from onecard.values.language import Language
from onecard.values.table import BadTable
from onecard.winddown.model import Disconnection, Notice, NoticeKind, Order, Stay
from onecard.winddown.reading import read_plan
from winddown.plans import local

PLAN = """
name = "Maple Bridge"
time_zone = "America/Toronto"
version = 3
closed_days = [2022-04-15]

[order]
issuer = "The Governor in Council"
legal_basis = "Investment Canada Act"
received = 2021-08-06
document_sha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

[[stage]]
name = "sales end"
at = 2022-01-10T00:00:00
closes = ["sale"]
opens = ["refund"]

[[stage]]
name = "service ends"
after = 2022-03-31
closes = ["port_out", "texts"]

[[notice]]
stage = "service ends"
at = 2022-02-01T09:00:00
languages = ["en", "zh-Hant"]

[[stay]]
since = 2022-02-01T00:00:00
stages = ["service ends"]

[disconnection]
on = 2022-04-29
told = 2022-04-01

[last_days]
port_out = 2022-03-31

[refunds]
cash = "full"
unused_plan_value = "pro_rata"
vouchers = "full"
deposits = "full"
disputed = "when_decided"
promotional = "nothing"
unactivated_cards = "as_paid"
"""


def problems_of(text: str) -> list[str]:
    with pytest.raises(BadTable) as caught:
        read_plan(text)
    return list(map(str, caught.value.problems))


def test_a_notice_may_be_of_another_kind_than_that_something_changes() -> None:
    file = read_plan(PLAN.replace('"zh-Hant"]', '"zh-Hant"]\nkind = "port_out"'))
    assert [notice.kind for notice in file.plan.notices] == [NoticeKind.PORT_OUT]


def test_a_plan_is_read_with_all_that_it_says() -> None:
    file = read_plan(PLAN)
    plan = file.plan
    assert (plan.name, plan.version, plan.time_zone.key) == ("Maple Bridge", 3, "America/Toronto")
    assert plan.order == Order(
        "The Governor in Council",
        "Investment Canada Act",
        date(2021, 8, 6),
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    )
    assert [stage.at for stage in plan.stages] == [local("2022-01-10"), local("2022-04-01")]
    assert plan.stages[1].closes == {Capability.PORT_OUT, Capability.TEXTS}
    languages = (Language.ENGLISH, Language.CHINESE_TRADITIONAL)
    assert plan.notices == (Notice("service ends", local("2022-02-01T09:00"), languages),)
    assert file.stays == (Stay(local("2022-02-01"), None, frozenset({"service ends"})),)
    assert plan.disconnection == Disconnection(date(2022, 4, 29), date(2022, 4, 1))
    assert plan.last_days == {Capability.PORT_OUT: date(2022, 3, 31)}
    assert plan.closed_days == {date(2022, 4, 15)}


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ('name = "Maple Bridge"', "", "top level: Object missing required field `name`"),
        ("version = 3", "verison = 3", "top level: Object contains unknown field `verison`"),
        ("America/Toronto", "Toronto", "time_zone: 'Toronto' is not a time zone such as America/Toronto"),
        ("America/Toronto", "../etc", "time_zone: '../etc' is not a time zone such as America/Toronto"),
        ("[order]", "[ordre]", "order: there must be a table [order]"),
        ('"e3b0', '"E3b0', "line 7 ([order]): Expected `str` matching regex"),
        ('["sale"]', '["sail"]', "line 13: Invalid enum value 'sail' - at `$.closes[0]`"),
        ("at = 2022-01-10T00:00:00", "", "line 13: has either at, a time of the clock, or after, a day"),
        ("after = ", "at = 2022-03-31T00:00:00\nafter = ", "line 19: has either at, a time of the clock"),
        ("-01-10T00:00:00", "-01-10T00:00:00Z", "line 13: Expected `datetime` with no timezone component"),
        ("after = 2022", "after = 22022", "the file: is not TOML"),
        ("on = 2022-04-29", "on = 1022-04-29", "disconnection.on: 1022-04-29 is not in 1990 to 2199"),
        ('["en", "zh-Hant"]', "[]", "line 24: Expected `array` of length >= 1"),
        ("port_out = ", "sale = ", "line 37 ([last_days]): sale has no last day: only emergency, port_out"),
        ('vouchers = "full"', "", "line 40 ([refunds]): does not say what is paid back of vouchers"),
        ('cash = "full"', 'cash = "half"', "line 40 ([refunds]): Invalid enum value 'half'"),
        ("port_out = 2022-03-31", "port_out = 2022-04-01", "line 19 (stage 'service ends'): closes port_out"),
        ('stages = ["service ends"]', 'stages = ["x"]', "line 29 (stay of 2022-02-01 00:00): there is no"),
        ('stage = "service ends"', 'stage = "x"', "line 24 (notice of 'x'): there is no such stage"),
        (
            'languages = ["en", "zh-Hant"]',
            'languages = ["en"]\nkind = "host_cut"',
            "line 24 (notice of 'service ends'): host_cut is told when there is cause; a plan asks for"
            " announcement, port_out, refund, reminder, stage",
        ),
        ("[[stage]]", "[[stages]]", "top level: Object contains unknown field `stages`"),
    ],
)
def test_a_fault_is_named_with_its_place(old: str, new: str, problem: str) -> None:
    assert old in PLAN
    assert any(one.startswith(problem) for one in problems_of(PLAN.replace(old, new))), problems_of(
        PLAN.replace(old, new)
    )


def test_all_faults_are_named_at_once() -> None:
    text = PLAN.replace('"sale"', '"sail"').replace('"texts"', '"tests"').replace("told =", "tell =")
    assert [problem.partition(":")[0] for problem in problems_of(text)] == [
        "line 13",
        "line 19",
        "line 33 ([disconnection])",
    ]


def test_stages_that_are_written_inline_are_named_by_their_order() -> None:
    inline = 'stage = [{ name = "sales end", after = 2022-01-01, closes = ["sail"] }]\n'
    assert "stage 1: Invalid enum value 'sail' - at `$.closes[0]`" in problems_of(inline + "version = 1")


@given(st.integers(0, len(PLAN) - 1), st.text(max_size=3), st.integers(0, 40))
def test_any_change_of_a_plan_is_read_or_named(start: int, put: str, removed: int) -> None:
    text = PLAN[:start] + put + PLAN[start + removed :]
    with contextlib.suppress(BadTable):
        read_plan(text)
