"""Plans, allowances and usage records at the command line."""

from __future__ import annotations

import csv
import json

import pytest

from cli.terminal import CANADIAN, Terminal

BOOK = """
name = "With plans"
currency = "CAD"
effective_from = 2099-01-01T00:00:00Z

[[rate]]
usage = "text"
line_country = "CA"
prefix = "*"
price = "0.05"
per = "segment"

[[plan]]
name = "Bridge"
monthly_fee = "10.00"

[[plan.allowance]]
usage = "call_out"
units = "100 minutes"
line_countries = ["CA"]

[[plan]]
name = "Small"
monthly_fee = "4.00"
"""
GIFT = ("allowance", "give", CANADIAN, "text", "20", "--until", "2099-05-01", "--reference", "sorry 1")


@pytest.fixture
def shop(terminal: Terminal) -> Terminal:
    """A shop that sells plans, and a card with money."""
    terminal.tell("tariff", "import", terminal.write("book.toml", BOOK), "--effective-from", "now")
    terminal.sell()
    terminal.tell("account", "topup", CANADIAN, "15", "--reference", "receipt 1")
    return terminal


def balance(terminal: Terminal) -> str:
    return str(terminal.ask("account", "show", CANADIAN)["available"]["amount"])


def test_plans_that_are_sold_are_listed(shop: Terminal) -> None:
    [bridge, small] = shop.ask("plan", "list")["plans"]
    assert (bridge["plan"], bridge["fee"]["amount"]) == ("Bridge", "10.00")
    assert bridge["allowances"] == ["call_out 6000 s of lines of CA"]
    assert "Small" in shop.tell("plan", "list")
    assert small["allowances"] == []


def test_a_card_has_a_plan_changes_it_and_ends_it(shop: Terminal) -> None:
    begun = shop.ask("plan", "subscribe", CANADIAN, "Bridge")
    assert (begun["state"], begun["fee"]["amount"], balance(shop)) == ("active", "10.00", "5.00")
    [allowance] = shop.ask("allowance", "list", CANADIAN)["allowances"]
    assert (allowance["available"], allowance["subscription"]) == (6000, begun["subscription"])
    assert shop.ask("plan", "change", CANADIAN, "Small")["next_plan"] == "Small"
    cancelled = shop.ask("plan", "cancel", CANADIAN)
    assert (cancelled["ends"], cancelled["fee"]) == (True, None)
    assert shop.ask("plan", "cancel", CANADIAN, "--now")["state"] == "ended"
    [past] = shop.ask("plan", "list", CANADIAN)["subscriptions"]
    assert past["ended_at"] is not None
    assert "Bridge" in shop.tell("plan", "list", CANADIAN)


def test_a_plan_that_cannot_be_had_is_refused_in_words(shop: Terminal) -> None:
    assert "onecard plan list" in shop.fail("plan", "subscribe", CANADIAN, "Nothing")
    assert "has no plan" in shop.fail("plan", "cancel", CANADIAN)
    shop.tell("plan", "subscribe", CANADIAN, "Bridge")
    assert "has a plan" in shop.fail("plan", "subscribe", CANADIAN, "Bridge")
    shop.tell("plan", "cancel", CANADIAN, "--now")
    assert "cannot pay the fee" in shop.fail("plan", "subscribe", CANADIAN, "Bridge")


def test_a_gift_is_given_once(shop: Terminal) -> None:
    assert [shop.ask(*GIFT)["repeated"] for _ in range(2)] == [False, True]
    [given] = shop.ask("allowance", "list", CANADIAN)["allowances"]
    assert (given["granted"], given["expires_at"]) == (20, "2099-05-01T00:00:00-07:00")
    assert "nothing was given" in shop.tell(*GIFT)
    assert "another allowance before" in shop.fail(*GIFT[:4], "21", *GIFT[5:])
    assert shop.ask("db", "check")["violations"] == []


def test_a_gift_that_cannot_be_read_is_explained(shop: Terminal) -> None:
    assert "amount of text" in shop.misuse(*GIFT[:4], "lots", *GIFT[5:])
    assert "a time is a day" in shop.misuse(*GIFT[:6], "soon", *GIFT[7:])
    assert "--until" in shop.fail(*GIFT[:6], "2020-01-01", *GIFT[7:])


def test_records_are_listed_and_exported_also_when_there_are_none(shop: Terminal) -> None:
    assert shop.ask("usage", "list", CANADIAN)["records"] == []
    assert "has used nothing yet" in shop.tell("usage", "list", CANADIAN)
    span = ("--from", "2026-01-01", "--to", "2099-01-01")
    [head] = csv.reader(shop.tell("usage", "export", *span).splitlines())
    assert head[0] == "id"
    assert json.loads(shop.tell("usage", "export", *span, "--format", "json")) == {"records": []}
    assert shop.ask("usage", "export", *span) == {"records": []}
