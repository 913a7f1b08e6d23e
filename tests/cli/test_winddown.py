"""Wind-down plans at the command line: no database, no configuration."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from cli.terminal import Terminal

READY = Path(__file__).parents[2] / "plans" / "cmlink-canada-2021.toml"


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """A terminal in a directory that holds the ready plan and nothing else."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(READY, "plan.toml")
    return Terminal(tmp_path)


def gates(desk: Terminal, at: str) -> dict[str, tuple[str, str | None]]:
    shown = desk.ask("winddown", "show", "plan.toml", "--at", at)
    return {row["gate"]: (row["state"], row["since"]) for row in shown["gates"]}


def test_a_good_plan_is_said_to_be_good(desk: Terminal) -> None:
    result = desk.run("winddown", "check", "plan.toml")
    assert (result.exit_code, result.stdout) == (0, "the plan is good: CMLink in Canada, 3 stages\n")
    assert "document_sha256 is not entered yet" in result.stderr
    contents = {"version": 1, "stages": 3, "stays": 0}
    assert desk.ask("winddown", "check", "plan.toml") == {"good": True, **contents, "alarms": []}


def test_subscribers_who_are_told_too_late_are_an_alarm_and_no_fault(desk: Terminal) -> None:
    cut = "\n[disconnection]\non = 2022-03-31\ntold = 2022-03-30\n"
    desk.write("plan.toml", READY.read_text(encoding="utf-8") + cut)
    said = desk.tell("winddown", "check", "plan.toml").splitlines()
    assert said[1].startswith("ALARM: 4 business days must lie between telling subscribers and 2022-03-31")


def test_all_that_is_wrong_with_a_plan_is_named_with_its_place(desk: Terminal) -> None:
    text = READY.read_text(encoding="utf-8")
    desk.write("plan.toml", text.replace("port_out = 2022-03-31", "port_out = 2022-04-30"))
    result = desk.run("winddown", "check", "plan.toml")
    line = text.splitlines().index('name = "31 March 2022: the service ends"')  # of the heading above it
    said = f"line {line} (stage '31 March 2022: the service ends'): closes port_out before its last day"
    assert (result.exit_code, result.stdout.startswith(said)) == (1, True)
    assert "closes port_out before" in desk.fail("winddown", "show", "plan.toml")


def test_the_gates_are_shown_at_a_time_of_the_plan_or_at_an_instant(desk: Terminal) -> None:
    assert gates(desk, "2022-03-31T23:59:59")["texts"] == ("open", None)
    closed = ("closed", "2022-04-01T00:00:00-04:00")
    assert gates(desk, "2022-04-01T00:00:00")["texts"] == closed
    assert gates(desk, "2022-04-01T04:00:00+00:00")["texts"] == closed
    assert gates(desk, "2022-04-01T00:00:00")["purge"] == ("not opened", None)


def test_people_are_shown_stages_stays_and_gates(desk: Terminal) -> None:
    stay = "\n[[stay]]\nsince = 2022-01-01T00:00:00\n"
    desk.write("plan.toml", READY.read_text(encoding="utf-8") + stay)
    shown = desk.tell("winddown", "show", "plan.toml", "--at", "2022-06-01")
    assert "2021-12-28 00:00:00-05:00  yes       28 December 2021" in shown
    assert "stayed from 2022-01-01 00:00:00 to no date yet: all" in shown
    assert "voids unactivated_cards" in shown


def test_the_present_is_shown_unless_a_time_is_given(desk: Terminal) -> None:
    assert "at 20" in desk.tell("winddown", "show", "plan.toml").splitlines()[0]
    assert "a time is like" in desk.misuse("winddown", "show", "plan.toml", "--at", "tomorrow")
