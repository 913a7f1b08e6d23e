"""The life of an order at the command line: what staff type, what they are shown, what they are refused."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from cli.terminal import Terminal
from onecard.values.clock import MovedClock

READY = Path(__file__).parents[2] / "plans" / "cmlink-canada-2021.toml"
DOCUMENT = f'document_sha256 = "{"0a" * 32}"\n'
TEXT = READY.read_text(encoding="utf-8").replace("# Whoever has", f"{DOCUMENT}# Whoever has")
AUGUST = datetime(2021, 8, 9, 16, tzinfo=UTC)
ALICE, BOB = ("--actor", "staff:alice"), ("--actor", "staff:bob")


class Office:
    """A terminal whose clock only the test moves."""

    def __init__(self, terminal: Terminal) -> None:
        self.clock = MovedClock(AUGUST)
        self.terminal = replace(terminal, clock=self.clock)

    def move_to(self, instant: str) -> None:
        self.clock.move_to(datetime.fromisoformat(instant))

    def tell(self, *words: str) -> str:
        return self.terminal.tell("winddown", *words)

    def ask(self, *words: str) -> Any:
        return self.terminal.ask("winddown", *words)

    def fail(self, *words: str) -> str:
        return self.terminal.fail("winddown", *words)

    def agree(self, version: int) -> str:
        self.tell("approve", str(version), *ALICE)
        return self.tell("approve", str(version), *BOB)

    def start(self) -> None:
        self.tell("draft", self.terminal.write("plan.toml", TEXT))
        self.agree(1)
        self.tell("start")


@pytest.fixture
def office(terminal: Terminal) -> Office:
    return Office(terminal)


def test_an_order_is_drafted_approved_by_two_and_started(office: Office) -> None:
    assert office.tell("status").startswith("there is no order: its plan is entered with")
    file = office.terminal.write("plan.toml", TEXT)
    drafted = office.terminal.run("winddown", "draft", file, *ALICE)
    assert drafted.stdout.startswith("version 1 is proposed:\n  stage '28 December 2021: sales end")
    assert "2 people approve it: `onecard winddown approve 1`" in drafted.stderr
    assert "awaits approval" in office.tell("status").splitlines()[0]

    assert "is approved by 1: it takes 1 more" in office.tell("approve", "1", *ALICE)
    assert "somebody else must" in office.fail("approve", "1", *ALICE)
    assert "a version awaits approval" in office.fail("start")
    assert "`onecard winddown start` puts it in force" in office.tell("approve", "1", *BOB)
    assert "approved, and not started" in office.tell("status").splitlines()[0]
    assert office.tell("start") == "the order is started: version 1 is in force\n"
    [version] = office.ask("status")["versions"]
    assert (version["state"], [one["actor"] for one in version["approvals"]]) == (
        "in_force",
        ["staff:alice", "staff:bob"],
    )


def test_the_text_of_a_version_is_that_of_the_file(office: Office) -> None:
    text = TEXT.replace("\n", "\r\n")
    (office.terminal.directory / "plan.toml").write_bytes(text.encode())
    office.tell("draft", "plan.toml")
    assert office.terminal.run("winddown", "version", "1", "--text").stdout_bytes == text.encode()
    shown = office.ask("version", "1")
    assert (shown["text"], shown["sha256"]) == (text, sha256(text.encode()).hexdigest())
    said = office.tell("version", "1").splitlines()
    assert said[0].startswith("version 1 (draft, proposed), proposed by ")
    assert said[-2] == "approved by nobody yet"
    assert "no such version" in office.fail("version", "2")


def test_status_shows_stages_gates_and_what_comes_next(office: Office) -> None:
    office.start()
    office.move_to("2022-01-03T12:00-05:00")
    said = office.tell("status")
    lines = said.splitlines()
    assert lines[0] == "CMLink in Canada: version 1 is in force; it is 2022-01-03 12:00:00-05:00"
    assert lines[1].startswith(
        "The Governor in Council; Investment Canada Act: divest or wind up; received 2021-08-06;"
    )
    assert "* 2021-12-28 00:00:00-05:00  28 December 2021: sales end, refunds begin" in lines
    assert "  2022-01-05 00:00:00-05:00  5 January 2022: operations cease" in lines
    closed = lines.index(
        "closed since 2021-12-28 00:00:00-05:00, 28 December 2021: sales end, refunds begin:"
    )
    assert lines[closed + 1].startswith("  sale, port_in, top_up, renewal_fee")
    assert "next, in 1 day: 5 January 2022: operations cease" in said
    assert lines[lines.index("open:") + 1].startswith("  activation, renewal, charging, data, voice, texts")
    assert lines[lines.index("not opened yet:") + 1] == "  number_return, purge"
    document = office.ask("status")
    assert document["next_stage"] == {
        "stage": "5 January 2022: operations cease",
        "at": "2022-01-05T00:00:00-05:00",
    }
    office.move_to("2022-03-31T23:30-04:00")
    assert "next, in less than an hour" in office.tell("status")
    office.move_to("2022-04-01T00:00-04:00")
    assert "no stage with a date is to come" in office.tell("status")


def test_a_stay_a_lifting_an_extension_and_a_cut_are_shown_before_anybody_approves(office: Office) -> None:
    office.start()
    office.move_to("2022-01-10T12:00-05:00")
    stayed = office.ask("stay", "--since", "2022-01-11")
    assert "renewal closes: no date; before: 2022-04-01 00:00:00" in stayed["diff"]
    assert "  2022-04-01 00:00:00-04:00  31 March 2022: the service ends" in office.tell("status")
    assert office.agree(2) == "version 2 is approved, and in force\n"
    assert "stayed from 2022-01-11 00:00:00 to no date yet: all" in office.tell("status")

    office.move_to("2022-01-20T12:00-05:00")
    lifted = office.tell(
        "resume", "--at", "2022-01-21T05:00:00+00:00"
    )  # an instant, read by the plan's clock
    assert "moves from no date to 2022-04-11 00:00:00" in lifted
    office.agree(3)

    extended = office.tell("amend", "--extend", "10", "--stage", "31 March 2022: the service ends")
    assert "moves from 2022-04-11 00:00:00 to 2022-04-21 00:00:00" in extended
    office.agree(4)

    cut = office.tell("amend", "--host-cut", "data,voice", "--at", "2022-02-04T06:00", "--told", "2022-02-02")
    assert "ALARM: 4 business days must lie between telling subscribers and 2022-02-04" in cut
    assert "data closes: 2022-02-04 06:00:00; before: 2022-04-21 00:00:00" in cut
    office.agree(5)
    assert "ALARM: 4 business days must lie" in office.tell("status")

    office.terminal.write(
        "better.toml", office.tell("version", "5", "--text").replace("version = 5", "version = 6")
    )
    assert "it would change nothing" in office.fail("amend", "better.toml")
    text = (office.terminal.directory / "better.toml").read_text(encoding="utf-8")
    office.terminal.write("better.toml", text.replace("CMLink in Canada", "CMLink"))
    assert "  name is different\n" in office.tell("amend", "better.toml")
    assert office.tell("withdraw", "6") == "version 6 is withdrawn\n"


def test_what_has_come_is_not_changed(office: Office) -> None:
    office.start()
    office.tell("amend", "--extend", "10")
    office.move_to("2021-12-28T00:00-05:00")
    late = office.fail("approve", "2")
    assert "it would change what has come: stage '28 December 2021: sales end, refunds begin' came at" in late
    assert "ALARM: version 2 can no longer be approved" in office.tell("status")
    office.tell("withdraw", "2")
    sales_end = "28 December 2021: sales end, refunds begin"
    assert "cannot be put off any more" in office.fail("amend", "--extend", "10", "--stage", sales_end)


def test_every_fault_of_a_plan_is_named(office: Office) -> None:
    wrong = office.terminal.write("wrong.toml", TEXT.replace('"sale"', '"sail"').replace('cash = "full"', ""))
    said = office.fail("draft", wrong)
    assert said.startswith("onecard: the plan is no good:\n  line ")
    assert "Invalid enum value 'sail'" in said
    assert "does not say what is paid back of cash" in said
    second = office.terminal.write("second.toml", TEXT.replace("version = 1", "version = 2"))
    assert "version: must be 1, the next one, and is 2" in office.fail("draft", second)
    long = office.terminal.write("long.toml", TEXT + "#" * 1_000_000)
    assert "is longer than any plan" in office.fail("draft", long)
    (office.terminal.directory / "latin.toml").write_bytes(TEXT.encode() + "# é".encode("latin-1"))
    assert "not text in UTF-8" in office.fail("draft", "latin.toml")


def test_what_makes_no_sense_is_misuse(office: Office) -> None:
    office.start()
    for words in (
        ("amend",),
        ("amend", "plan.toml", "--extend", "3"),
        ("amend", "--host-cut", "data", "--stage", "x"),
        ("amend", "--host-cut", "data", "--at", "2022-01-01"),
        ("amend", "--host-cut", "date", "--at", "2022-01-01", "--told", "2021-12-01"),
        ("amend", "--host-cut", "data", "--at", "2022-01-01", "--told", "soon"),
        ("amend", "--extend", "0"),
        ("stay", "--since", "tomorrow"),
        ("stay",),
    ):
        assert office.terminal.misuse("winddown", *words)
    assert "cuts data, voice or texts" in office.fail(
        "amend", "--host-cut", "refund", "--at", "2022-01-01", "--told", "2021-12-01"
    )


def test_every_command_needs_an_order_that_is_started(office: Office) -> None:
    for words in (("start",), ("stay", "--since", "2022-01-01"), ("resume", "--at", "2022-01-01")):
        assert "onecard winddown" in office.fail(*words)
    assert "no such version" in office.fail("approve", "1")
    office.start()
    assert "is proposed with `onecard winddown amend`" in office.fail("draft", "plan.toml")
    assert "no such stay is open" in office.fail("resume", "--at", "2022-01-01")


def test_a_version_and_a_file_are_rehearsed_in_a_database_that_is_thrown_away(office: Office) -> None:
    office.tell("draft", office.terminal.write("plan.toml", TEXT))
    before = office.ask("status")
    said = office.tell("rehearse", "1", "--accounts", "3").splitlines()
    assert said[0].startswith("seed 1: 3 accounts, ")
    assert said[-1] == "all went by the plan"
    rehearsed = office.ask("rehearse", "plan.toml", "--accounts", "3", "--seed", "2", "--seeds", "2")
    assert [(one["seed"], one["findings"]) for one in rehearsed["rehearsals"]] == [(2, []), (3, [])]
    assert rehearsed["good"]
    after = office.ask("status")
    assert before["never_rehearsed"] == [1]
    assert after["never_rehearsed"] == []
    [version] = after["versions"]
    found = version["rehearsal"]
    assert (found["first_seed"], found["seeds"], found["accounts"], found["findings"]) == (1, 1, 3, 0)
    assert found["sha256"] == version["sha256"]
    untold = {"rehearsal": None}
    assert [{**version, **untold}] == before["versions"]


def test_the_status_says_what_was_rehearsed_and_what_never_was(office: Office) -> None:
    office.tell("draft", office.terminal.write("plan.toml", TEXT))
    assert "version 1 was never rehearsed: `onecard winddown rehearse 1`" in office.tell("status")
    office.tell("rehearse", "1", "--accounts", "2")
    said = office.tell("status")
    assert "never rehearsed" not in said
    assert "version 1 was rehearsed on " in said
    assert "1 seed of 2 accounts, all went by the plan" in said


def test_a_rehearsal_needs_a_plan_with_dates(office: Office) -> None:
    office.terminal.write("stayed.toml", TEXT + "\n[[stay]]\nsince = 2021-12-01T00:00:00\n")
    assert "there is nothing to rehearse" in office.fail("rehearse", "stayed.toml")
    assert "no such version" in office.fail("rehearse", "7")
    assert "No such file" in office.fail("rehearse", "lost.toml")
    office.terminal.write("wrong.toml", "name =")
    assert "the plan is no good: the file: is not TOML" in office.fail("rehearse", "wrong.toml")
