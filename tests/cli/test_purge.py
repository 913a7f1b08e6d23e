"""The end of what was kept, at the command line: a whole wind-down by moving the clock."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cli.orders import start_order
from cli.terminal import CANADIAN, Terminal
from onecard.sealing.signing import SignatureBroken, verify_document
from onecard.values.clock import MovedClock

AFTER_ALL = datetime(2022, 6, 30, tzinfo=UTC)


def test_contact_details_are_purged_the_backups_ended_and_that_is_certified(terminal: Terminal) -> None:
    clock = MovedClock(datetime(2021, 8, 9, tzinfo=UTC))
    desk = replace(terminal, clock=clock)
    periods = Path(terminal.directory / "data.master.periods")
    assert [file.name for file in periods.iterdir()] == ["1.key"]
    start_order(desk)
    desk.sell()
    assert "destroyed yet" in desk.fail("purge", "run", "contacts")
    desk.tell("card", "end", CANADIAN, "--yes")
    clock.move_to(AFTER_ALL)

    planned = desk.ask("purge", "plan")
    [contacts] = [row for row in planned["classes"] if row["class"] == "contacts"]
    assert (contacts["kept"], contacts["ready"], contacts["overdue"]) == (1, 1, 0)
    hold = str(desk.ask("hold", "add", "T-1502-21")["hold"])
    assert "legal hold" in desk.fail("purge", "run", "contacts")
    for actor in ("staff:alice", "staff:bob"):
        desk.tell("hold", "lift", hold, "--actor", actor)

    run = desk.ask("purge", "run", "contacts")
    assert (run["rows"], run["keys"]) == (1, 2)
    rest = ("purge", "certificate", str(run["run"]), "--file", "certificate.json")
    assert "onecard purge renew" in desk.fail(*rest)
    assert not (terminal.directory / "certificate.json").exists()
    assert "onecard purge key" in desk.fail("purge", "renew")
    assert desk.ask("purge", "key")["period"] == 2
    renewed = desk.ask("purge", "renew")
    assert (renewed["period"], [one["period"] for one in renewed["destroyed"]]) == (2, [1])
    assert [file.name for file in periods.iterdir()] == ["2.key"]
    public_key = desk.ask(*rest)["public_key"]
    written = (terminal.directory / "certificate.json").read_bytes()
    document = verify_document(written, public_key)
    assert (document["class"], document["operator"]) == ("contacts", "Example Mobile")
    with pytest.raises(SignatureBroken):
        verify_document(written.replace(b"contacts", b"payees"), public_key)
    assert "ends with the database" in desk.fail("purge", "run", "audit")
    assert desk.ask("purge", "run", "sign_in")["rows"] == 0
    assert len(desk.ask("purge", "plan")["runs"]) == 2


def test_what_should_have_gone_makes_the_exit_code_one(terminal: Terminal) -> None:
    clock = MovedClock(datetime(2021, 8, 9, tzinfo=UTC))
    desk = replace(terminal, clock=clock)
    desk.sell()
    desk.tell("card", "end", CANADIAN, "--yes")
    assert desk.run("purge", "plan").exit_code == 0
    clock.move_to(datetime(2022, 10, 1, tzinfo=UTC))
    assert desk.run("purge", "plan").exit_code == 1


def test_contacts_are_read_as_before_after_a_renewal(terminal: Terminal) -> None:
    terminal.sell()
    terminal.tell("purge", "key")
    terminal.tell("purge", "renew")
    assert "Wang Fang" in terminal.tell("subscriber", "show", CANADIAN, "--reason", "a letter")
