"""Refunds and payouts at the command line, up to the bank and back."""

from __future__ import annotations

import stat
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from cli.terminal import CANADIAN, Terminal
from onecard.payments.bank.model import OrderState, OrderStatus, StatusReport
from onecard.payments.bank.table import read_payment_file, write_status_report
from onecard.values.clock import MovedClock

ALICE, BOB, CAROL = (("--actor", f"staff:{name}") for name in ("alice", "bob", "carol"))
WANG = ("--payee", "Wang Fang", "--canadian", "004-12345-9876501")
OTHER = ("--payee", "Wang Fang", "--iban", "GB82 WEST 1234 5698 7654 32")
PAYING = """
[payouts.paid_from]
name = "Maple Bridge"
canadian = "003-00001-7654321"
"""
BEFORE, AFTER = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 4, 2, tzinfo=UTC)
ORDER = """
version = 1
name = "Test"
time_zone = "America/Vancouver"

[order]
issuer = "A court"
legal_basis = "An act"
received = 2026-01-01
document_sha256 = "{hash}"

[[stage]]
name = "refunds begin"
at = 2026-04-01T00:00:00
opens = ["refund"]
closes = ["sale", "activation", "top_up"]

[refunds]
cash = "full"
unused_plan_value = "pro_rata"
vouchers = "full"
deposits = "full"
disputed = "when_decided"
promotional = "nothing"
unactivated_cards = "as_paid"
"""


@pytest.fixture
def treasury(terminal: Terminal) -> Terminal:
    """A shop with a card that was paid, money on the account, an order in force, and an account to pay from."""
    terminal = replace(terminal, clock=MovedClock(BEFORE))
    with (terminal.directory / "onecard.toml").open("a", encoding="utf-8") as config:
        config.write(PAYING)
    paid = ("--paid", "19.99", "--method", "visa", "--reference", "PAY-77")
    terminal.ask("card", "sell", "--name", "Wang Fang", "--email", "wang.fang@example.com", *paid)
    terminal.tell("account", "topup", CANADIAN, "12.345678", "--reference", "first")
    terminal.write("order.toml", ORDER.format(hash="ab" * 32))
    drafted = terminal.ask("winddown", "draft", "order.toml", *ALICE)
    for actor in (ALICE, BOB):
        terminal.tell("winddown", "approve", str(drafted["version"]), *actor)
    terminal.tell("winddown", "start", *ALICE)
    return replace(terminal, clock=MovedClock(AFTER))


def approve(terminal: Terminal) -> str:
    refund = str(terminal.ask("refund", "request", CANADIAN, *WANG, *ALICE)["refund"])
    terminal.tell("refund", "verify", refund, "--by", "claim code", *ALICE)
    terminal.tell("refund", "approve", refund, *BOB)
    return refund


def write(terminal: Terminal, run: str, name: str = "run.csv") -> Any:
    terminal.ask("payout", "write", run, "--file", name, "--format", "csv", *BOB)
    file = terminal.directory / name
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    return read_payment_file([file.read_bytes()])


def answer(terminal: Terminal, run: str, state: OrderState, message_id: str) -> Any:
    """The bank's answer to all orders of a run, taken in."""
    head, orders = write(terminal, run, f"again-{message_id}.csv")
    statuses = tuple(OrderStatus(order.end_to_end_id, state, "AC04") for order in orders)
    report = StatusReport(message_id, head.message_id, None, None, statuses)
    amounts = {order.end_to_end_id: order.amount for order in orders}
    (terminal.directory / "answer.csv").write_bytes(b"".join(write_status_report(report, amounts)))
    [row] = terminal.ask("payout", "apply", "answer.csv")["messages"]
    return row


def test_a_balance_goes_to_the_bank_and_is_paid_once(treasury: Terminal) -> None:
    asked = treasury.ask("refund", "request", CANADIAN, *WANG, "--reference", "web-1", *ALICE)
    assert (asked["amount"]["amount"], asked["paid_to"]) == ("12.345678", "…501")
    again = treasury.ask("refund", "request", CANADIAN, *WANG, "--reference", "web-1", *ALICE)
    assert again["refund"] == asked["refund"]
    refund = str(asked["refund"])
    assert "is under way" in treasury.fail("refund", "request", CANADIAN)
    assert "in which this cannot" in treasury.fail("refund", "approve", refund, *BOB)
    treasury.tell("refund", "verify", refund, "--by", "claim code", *ALICE)
    assert "somebody else" in treasury.fail("refund", "approve", refund, *ALICE)
    treasury.tell("refund", "approve", refund, *BOB)

    run = str(treasury.ask("payout", "make", *ALICE)["run"])
    assert "has this refund" in treasury.fail("refund", "reject", refund, "--reason", "x")
    assert "cannot be done" in treasury.fail("payout", "write", run, "--file", "run.xml")
    assert "somebody else" in treasury.fail("payout", "release", run, *ALICE)
    treasury.tell("payout", "release", run, *BOB)
    head, [order] = write(treasury, run)
    assert (str(head.total), order.payee.account.number) == ("12.35 CAD", "9876501")
    treasury.tell("payout", "write", run, "--file", "run.xml")
    first = (treasury.directory / "run.xml").read_bytes()
    treasury.tell("payout", "write", run, "--file", "run.xml")
    assert (treasury.directory / "run.xml").read_bytes() == first

    assert answer(treasury, run, OrderState.SETTLED, "B1")["settled"] == 1
    repeated = answer(treasury, run, OrderState.SETTLED, "B1")
    assert (repeated["settled"], repeated["repeated"]) == (0, True)
    shown = treasury.ask("refund", "show", refund)
    assert [row["what"] for row in shown["history"]] == [
        *("request", "verify", "approve", "freeze", "submit", "settle"),
    ]
    assert shown["payouts"][0]["state"] == "settled"
    assert treasury.ask("account", "show", CANADIAN)["held"]["amount"] == "0.00"
    [row] = treasury.ask("refund", "report")["refunds"]
    assert (row["state"], row["count"]) == ("settled", 1)
    assert treasury.ask("payout", "show", run)["payments"][0]["state"] == "settled"
    assert treasury.ask("db", "check")["violations"] == []
    assert "9876501" not in treasury.tell("refund", "show", refund) + treasury.tell("refund", "list")


def test_a_claim_code_verifies_the_refund_of_its_own_subscriber(treasury: Terminal) -> None:
    before = replace(treasury, clock=MovedClock(BEFORE))
    other = before.ask("card", "sell", "--name", "Li", "--email", "li@example.com", *ALICE)
    foreign = treasury.tell("claim", "issue", f"card:{other['card']}").strip()
    asking = ("refund", "request", CANADIAN, *WANG, "--reference", "paper", "--claim-code", "-", *ALICE)
    assert "another subscriber's" in treasury.fail(*asking, typed=f"{foreign}\n")
    own = treasury.tell("claim", "issue", CANADIAN).strip()
    asked = treasury.ask(*asking, typed=f"{own}\n")
    assert asked["state"] == "verified"
    assert treasury.ask(*asking, typed=f"{own}\n")["refund"] == asked["refund"]
    shown = treasury.ask("refund", "show", str(asked["refund"]))
    assert [row["what"] for row in shown["history"]] == ["request", "verify"]
    assert "claim code" in treasury.tell("refund", "show", str(asked["refund"]), "--json")
    assert "somebody else" in treasury.fail("refund", "approve", str(asked["refund"]), *ALICE)


def test_what_the_bank_returns_gets_another_payee(treasury: Terminal) -> None:
    refund = approve(treasury)
    run = str(treasury.ask("payout", "make", *ALICE)["run"])
    treasury.tell("payout", "release", run, *BOB)
    assert answer(treasury, run, OrderState.REJECTED, "B1")["rejected"] == 1
    assert treasury.ask("refund", "show", refund)["reason"] == "AC04"
    changed = treasury.ask("refund", "change-payee", refund, *OTHER, *CAROL)
    assert changed["cooling_until"]
    assert treasury.ask("refund", "approve", "--all", *BOB) == {"changed": 1, "refused": 0}
    assert "cooled off" in treasury.fail("payout", "make", *ALICE)
    opened = treasury.ask("refund", "show", refund, "--open-payee", "asked for it")["payee"]
    assert opened["account"] == "GB82WEST12345698765432"


def test_what_others_put_where_the_file_of_a_run_is_to_be_is_not_written_to(treasury: Terminal) -> None:
    approve(treasury)
    run = str(treasury.ask("payout", "make", *ALICE)["run"])
    treasury.tell("payout", "release", run, *BOB)
    theirs = treasury.directory / treasury.write("theirs.txt", "theirs")
    for name in ("run.csv", ".run.csv.draft"):
        (treasury.directory / name).symlink_to(theirs)
    _, [order] = write(treasury, run)
    assert order.payee.account.number == "9876501"
    assert not (treasury.directory / "run.csv").is_symlink()
    assert theirs.read_text() == "theirs"


def test_a_void_card_goes_back_as_it_was_paid(treasury: Terminal) -> None:
    rest = ("--value", "unactivated_cards")
    refund = treasury.ask("refund", "request", CANADIAN, *rest, *ALICE)
    assert (refund["amount"]["amount"], refund["paid_to"]) == ("19.99", "visa PAY-77")
    number = str(refund["refund"])
    treasury.tell("refund", "verify", number, "--by", "never used", *ALICE)
    treasury.tell("refund", "approve", number, *BOB)
    run = str(treasury.ask("payout", "make", "--route", "as_paid", *ALICE)["run"])
    treasury.tell("payout", "release", run, *BOB)
    assert "csv" in treasury.misuse("payout", "write", run, "--file", "run.xml", "--format", "pain.001")
    _, [order] = write(treasury, run)
    assert (order.payee.name, order.payee.account.number) == ("visa", "PAY-77")


def test_everyone_is_requested_at_once_and_may_cancel(treasury: Terminal) -> None:
    assert treasury.ask("refund", "everyone") == {"requested": 1}
    assert treasury.ask("refund", "everyone") == {"requested": 0}
    [row] = treasury.ask("refund", "list", CANADIAN)["refunds"]
    assert row["state"] == "requested"
    assert treasury.ask("refund", "verify", "--all", "--by", "list", *ALICE)["changed"] == 1
    assert treasury.ask("refund", "approve", "--all", *BOB) == {"changed": 0, "refused": 1}
    treasury.tell("refund", "cancel", str(row["refund"]))
    assert treasury.ask("account", "show", CANADIAN)["available"]["amount"] == "12.345678"


def test_value_is_kept_apart_from_cash(treasury: Terminal) -> None:
    reference = ("--reference", "1")
    treasury.tell("account", "deposit", CANADIAN, "20", *reference)
    treasury.tell("account", "dispute", CANADIAN, "2", *reference)
    treasury.tell("account", "dispute", CANADIAN, "1", *reference, "--decided", "kept")
    treasury.tell("account", "promote", CANADIAN, "5", *reference)
    treasury.tell("account", "promote", CANADIAN, "1", *reference, "--end")
    shown = treasury.ask("account", "show", CANADIAN)
    apart = {side["value"]: side["available"]["amount"] for side in shown["apart"]}
    assert apart == {"deposits": "20.00", "disputed": "1.00", "promotional": "4.00"}
    assert shown["available"]["amount"] == "11.345678"
    assert "not that much" in treasury.fail("account", "deposit", CANADIAN, "21", *reference, "--release")
    deposit = treasury.ask("refund", "request", CANADIAN, "--value", "deposits", *ALICE)
    assert deposit["amount"]["amount"] == "20.00"
    assert treasury.ask("db", "check")["violations"] == []


def test_what_makes_no_sense_is_misuse(treasury: Terminal) -> None:
    misuse = treasury.misuse
    assert "name of the --payee" in misuse("refund", "request", CANADIAN, "--iban", "GB82WEST12345698765432")
    assert "check digits" in misuse(
        "refund", "request", CANADIAN, "--payee", "W", "--iban", "GB83WEST12345698765432"
    )
    assert "one of them" in misuse("refund", "request", CANADIAN, "--payee", "W")
    assert "--all" in misuse("refund", "approve")
    assert "--all" in misuse("refund", "approve", "1", "--all")
    assert "has passed" in misuse("payout", "make", "--on", "2001-01-01")
    assert "amount_most" in misuse("payout", "make", "--limit", "1000000.01")
    assert "go together" in misuse("card", "sell", "--name", "A", "--email", "a@b.example", "--paid", "1")
    assert "no such refund" in treasury.fail("refund", "show", "99")
    assert "no such run" in treasury.fail("payout", "show", "99")
    assert "no such line" in treasury.fail("payout", "resolve", "99", "--note", "x")
    treasury.write("bad.xml", "<a/>")
    assert "bad.xml" in treasury.fail("payout", "apply", "bad.xml")


def test_without_an_order_no_refund_is_open(terminal: Terminal) -> None:
    terminal.sell()
    assert "no balance is paid back yet" in terminal.fail("refund", "request", CANADIAN)
