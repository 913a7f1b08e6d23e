"""Port-outs, legal holds and numbers that go back, at the command line."""

from __future__ import annotations

import csv
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from cli.orders import start_order
from cli.terminal import CANADIAN, CHINESE, Terminal
from onecard.values.clock import MovedClock

LINK = """
[[links]]
name = "us-host"
role = "home"
system_id = "ushost"
numbers = ["+1604"]
[links.connect]
address = "127.0.0.1:1"
"""
REQUEST = ("port", "request", CANADIAN, "--to", "rogue-mobile", "--reference", "R1")


def test_a_number_is_taken_elsewhere_by_pin(terminal: Terminal) -> None:
    terminal.sell()
    terminal.add_line()
    code = terminal.tell("claim", "issue", CANADIAN).strip()
    assert "--claim-code" in terminal.misuse("port", "pin", CANADIAN)
    issued = terminal.ask("port", "pin", CANADIAN, "--claim-code", "-", typed=f"{code}\n")
    assert "--claim-code" in terminal.misuse(*REQUEST)
    assert "this PIN is wrong" in terminal.fail(*REQUEST, "--pin", "x")
    port = terminal.ask(*REQUEST, "--pin", issued["pin"])
    assert (port["state"], port["proof"], port["ends_too"]) == ("requested", "pin", [CHINESE])
    name = str(port["port"])
    assert f"with it {CHINESE}" in terminal.tell(*REQUEST, "--pin", issued["pin"])
    assert "taken to another operator" in terminal.fail("card", "end", CANADIAN, "--yes")
    assert "was not started" in terminal.fail("port", "complete", name)
    assert terminal.ask("port", "start", name)["state"] == "pending"
    assert terminal.ask("port", "list", "--state", "pending")["ports"][0]["port"] == port["port"]
    assert "no port-out is late" in terminal.tell("port", "list", "--late")
    assert terminal.ask("port", "complete", name)["state"] == "complete"
    assert terminal.ask("port", "show", name)["ended_at"]
    assert "is over" in terminal.fail("port", "cancel", name)
    assert "no such port-out" in terminal.fail("port", "show", "99999")
    [ported] = terminal.ask("number", "list", "--state", "ported")["numbers"]
    assert ported["number"] == CANADIAN
    assert terminal.ask("number", "account")["is_balanced"]


def test_a_claim_code_takes_only_the_numbers_of_its_own_subscriber(terminal: Terminal) -> None:
    terminal.sell()
    other = terminal.sell()
    foreign = terminal.tell("claim", "issue", f"card:{other['card']}").strip()
    assert "another subscriber's" in terminal.fail(*REQUEST, "--claim-code", foreign)
    own = terminal.tell("claim", "issue", CANADIAN).strip()
    port = terminal.ask(*REQUEST, "--claim-code", own)
    assert port["proof"] == "claim_code"
    failed = terminal.ask("port", "fail", str(port["port"]), "--because", "routing")
    assert (failed["state"], failed["failure"]) == ("failed", "routing")
    second = terminal.ask(*REQUEST[:-1], "R2", "--claim-code", own)
    assert terminal.ask("port", "cancel", str(second["port"]))["state"] == "cancelled"


def test_numbers_wait_for_the_order_and_for_legal_holds(terminal: Terminal) -> None:
    rest = ("--file", "back.csv")
    assert "no number goes back" in terminal.fail("number", "return", "us-host", *rest)
    assert not (terminal.directory / "back.csv").exists()
    assert "no numbers were offered" in terminal.tell("number", "return")
    assert "HOLDER" in terminal.misuse("number", "return", "us-host")
    assert "no such list" in terminal.fail("number", "return", "--confirm", "1")
    alice, bob = ("--actor", "staff:alice"), ("--actor", "staff:bob")
    hold = str(terminal.ask("hold", "add", "T-1502-21", *alice)["hold"])
    assert "second person" in terminal.tell("hold", "lift", hold, *alice)
    assert "another person" in terminal.fail("hold", "lift", hold, *alice)
    assert "is lifted" in terminal.tell("hold", "lift", hold, *bob)
    [listed] = terminal.ask("hold", "list")["holds"]
    assert (listed["lift_asked_by"], listed["lifted_by"]) == ("staff:alice", "staff:bob")


def test_a_list_of_numbers_is_written_for_their_holder(terminal: Terminal) -> None:
    config = terminal.directory / "onecard.toml"
    config.write_text(config.read_text(encoding="utf-8") + LINK, encoding="utf-8")
    clock = MovedClock(datetime(2021, 8, 9, tzinfo=UTC))
    later = replace(terminal, clock=clock)
    start_order(later)
    clock.move_to(datetime(2022, 6, 30, tzinfo=UTC))
    listed = later.ask("number", "return", "us-host", "--file", "back.csv")
    assert listed["count"] == 5
    with Path(terminal.directory / "back.csv").open(encoding="ascii", newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows[0]["msisdn"] == CANADIAN
    assert "nobody uses" in later.fail("number", "return", "us-host", "--file", "again.csv")
    assert later.ask("number", "return", "--confirm", str(listed["list"]))["confirmed_by"]
    assert len(later.ask("number", "list", "--state", "returned")["numbers"]) == 5
    assert later.ask("number", "account")["is_balanced"]
