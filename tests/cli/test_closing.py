"""The end at the command line: from the order to a statement that anybody can prove."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pypdf import PdfReader

from cli.terminal import CANADIAN, Terminal
from onecard.values.clock import MovedClock

PLAN = """
version = 1
name = "The end"
time_zone = "UTC"
[order]
issuer = "The Governor in Council"
legal_basis = "Investment Canada Act"
received = 2026-01-01
document_sha256 = "{sha256}"
[[stage]]
name = "sales end"
at = {gate}
closes = ["sale", "top_up"]
opens = ["refund"]
[refunds]
cash = "full"
unused_plan_value = "pro_rata"
vouchers = "full"
deposits = "full"
disputed = "when_decided"
promotional = "nothing"
unactivated_cards = "as_paid"
"""
STATEMENT = """<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.08"><BkToCstmrStmt><Stmt><Id>S1</Id>
<Acct><Id><Othr><Id>1</Id></Othr></Id></Acct>
<Bal><Tp><CdOrPrtry><Cd>CLBD</Cd></CdOrPrtry></Tp><Amt Ccy="CAD">20.00</Amt><CdtDbtInd>CRDT</CdtDbtInd>
<Dt><Dt>2026-01-01</Dt></Dt></Bal></Stmt></BkToCstmrStmt></Document>"""
NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)


@pytest.fixture
def clock() -> MovedClock:
    return MovedClock(NOW)


@pytest.fixture
def staff(terminal: Terminal, clock: MovedClock) -> Terminal:
    """Staff of a service that is to end tomorrow, with 20.00 on its one account."""
    staff = replace(terminal, clock=clock)
    staff.sell()
    staff.tell("account", "topup", CANADIAN, "20.00", "--reference", "p1")
    gate = (NOW + timedelta(days=1)).isoformat(timespec="seconds").removesuffix("+00:00")
    staff.tell("winddown", "draft", staff.write("plan.toml", PLAN.format(sha256="0a" * 32, gate=gate)))
    for actor in ("staff:alice", "staff:bob"):
        staff.tell("--actor", actor, "winddown", "approve", "1")
    staff.tell("winddown", "start")
    return staff


def close(staff: Terminal) -> str:
    return staff.tell("winddown", "close", "end.json", "--pdf", "end.pdf")


def end(staff: Terminal, clock: MovedClock) -> None:
    """Everything that the statement needs, once the day has come."""
    clock.move(timedelta(days=2))
    staff.tell("winddown", "snapshot")
    staff.tell("winddown", "residue")
    staff.tell("payout", "apply", staff.write("statement.xml", STATEMENT))


def test_nothing_is_recorded_before_refunds_open(staff: Terminal) -> None:
    assert "no balance is paid back" in staff.fail("winddown", "snapshot")


def test_balances_at_the_gate_are_shown_by_kind_of_value(staff: Terminal, clock: MovedClock) -> None:
    clock.move(timedelta(days=2))
    assert "cash" in staff.tell("winddown", "snapshot")
    [row] = staff.ask("winddown", "report")["balances"]
    assert row == {
        "value": "cash",
        "count": 1,
        "worth": {"amount": "20.00", "currency": "CAD"},
        "owed": {"amount": "20.00", "currency": "CAD"},
    }


def test_addresses_are_opened_for_the_provinces_only_with_a_reason(
    staff: Terminal, clock: MovedClock
) -> None:
    clock.move(timedelta(days=2))
    assert "--reason" in staff.misuse("winddown", "residue", "--by-province")
    said = staff.ask("winddown", "residue", "--by-province", "--reason", "yearly report")
    assert [(one["province"], one["state"]) for one in said["provinces"]] == [("unknown", "unclaimed")]


def test_what_stands_against_a_statement_is_said_all_at_once(staff: Terminal) -> None:
    result = staff.run("winddown", "close", "end.json", "--json")
    assert result.exit_code == 1
    assert [one["fault"] for one in json.loads(result.stdout)["faults"]] == [
        "stages_to_come",
        "no_snapshot",
        "not_named",
        "not_covered",
    ]
    assert not Path("end.json").exists()


def test_missing_cover_is_an_alarm(staff: Terminal) -> None:
    result = staff.run("payout", "reconcile", "--json")
    found = json.loads(result.stdout)
    assert (result.exit_code, found["agrees"], found["covered"]) == (1, True, False)
    assert found["funding"][0]["spare"] == {"amount": "-20.00", "currency": "CAD"}
    assert "20.00 CAD short of what is owed" in staff.run("payout", "reconcile").stdout


def test_the_statement_is_issued_printed_and_proved(staff: Terminal, clock: MovedClock) -> None:
    end(staff, clock)
    assert "all books agree" in staff.tell("payout", "reconcile")
    assert close(staff).startswith("statement 1 is signed by ")
    assert "Closing statement" in PdfReader("end.pdf").pages[0].extract_text()
    proved = staff.ask("winddown", "verify", "end.json")
    key = proved["public_key"]
    assert staff.ask("winddown", "verify", "end.json", "--key", key)["proved"] is True
    assert "never written over" in staff.misuse("winddown", "close", "end.json")
    signed = Path("end.json").read_text(encoding="utf-8")
    staff.write("forged.json", signed.replace("20000000", "10000000"))
    forged = staff.run("winddown", "verify", "forged.json", "--key", key)
    assert (forged.exit_code, "was changed" in forged.stdout) == (1, True)
    assert "no signed file" in staff.fail("winddown", "verify", "plan.toml")


def test_the_report_from_the_audit_record_is_the_same_bytes_each_time(
    staff: Terminal, clock: MovedClock
) -> None:
    end(staff, clock)
    close(staff)
    until = clock.now().isoformat()
    first = staff.tell("winddown", "report", "--from-audit", "--until", until)
    clock.move(timedelta(days=1))
    staff.tell("winddown", "residue")
    assert staff.tell("winddown", "report", "--from-audit", "--until", until) == first
    told = json.loads(first)
    sums = {one["action"]: one for one in told["sums"]}
    assert sums["top_up"]["micros"] == {"CAD": 20_000_000}
    assert sums["approve_version"]["count"] == 2
    acts = [one["action"] for one in told["acts"]]
    assert acts.index("take_snapshot") < acts.index("name_residue") < acts.index("issue_statement")
    assert "--until goes with" in staff.misuse("winddown", "report", "--until", until)
