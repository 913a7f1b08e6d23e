"""A plan that is written is read again as the same plan."""

from __future__ import annotations

import tomllib
from pathlib import Path

from hypothesis import given

from onecard.winddown.reading import PlanFile, read_plan
from onecard.winddown.writing import write_plan
from winddown.plans import good_files

READY = Path(__file__).parents[2] / "plans" / "cmlink-canada-2021.toml"


@given(good_files())
def test_what_is_written_is_read_as_the_same(file: PlanFile) -> None:
    assert read_plan(write_plan(file)) == file


@given(good_files())
def test_the_same_plan_is_written_the_same_way(file: PlanFile) -> None:
    assert write_plan(read_plan(write_plan(file))) == write_plan(file)


def test_the_ready_plan_is_written_without_what_goes_without_saying() -> None:
    file = read_plan(READY.read_text(encoding="utf-8"))
    text = write_plan(file)
    assert read_plan(text) == file
    assert tomllib.loads(text)["stage"][1] == {
        "name": "5 January 2022: operations cease",
        "at": file.plan.stages[1].at,
        "closes": ["activation", "charging"],
        "voids": ["unactivated_cards"],
    }
    assert "closed_days = [2021-12-27, 2021-12-28, 2022-01-03, 2022-04-15]\n" in text
