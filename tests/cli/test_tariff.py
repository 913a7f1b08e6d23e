"""Price books at the terminal: what a use would cost and why, what differs, and what is wrong with a file."""

from __future__ import annotations

import json

import pytest

from cli.terminal import CANADIAN, CHINESE, Terminal

BOOK = """name = "Spring"
currency = "CAD"
effective_from = 2099-01-01T00:00:00Z

[zones]
asia = ["454", "525"]

[[rate]]
usage = "text"
line_country = "CA"
prefix = "1"
price = 0.04
per = "segment"

[[rate]]
usage = "call_out"
line_country = "CA"
prefix = "86"
price = 0.12
per = "minute"
first_block = 60
setup = 0.05

[[rate]]
usage = "call_out"
line_country = "CA"
prefix = "86"
price = 0.06
per = "minute"
hours = "daily 20:00-08:00"

[[rate]]
usage = "data"
line_country = "CA"
prefix = ""
price = 0.02
per = "MB"

[[rate]]
usage = "data"
line_country = "CA"
prefix = ""
price = 0.20
per = "MB"
zone = "asia"

[[plan]]
name = "Bridge"
monthly_fee = 15.00
"""


@pytest.fixture
def book(terminal: Terminal) -> str:
    file = terminal.write("spring.toml", BOOK)
    terminal.tell("tariff", "import", file, "--effective-from", "now")
    return file


def test_a_price_is_told_with_its_rule_and_until_when_it_holds(terminal: Terminal, book: str) -> None:
    call = ("tariff", "price", "call_out", CANADIAN, CHINESE, "--seconds", "95")
    told = terminal.ask(*call, "--at", "2099-03-09T12:00:00-07:00")
    assert told["price"] == {"amount": "0.24", "currency": "CAD"}
    assert told["explanation"].endswith(
        "call_out from CA to +86: 95 s at 0.12 per 60 s in blocks of 60/1, set-up 0.05: 0.24 CAD"
    )
    assert told["until"] == "2099-03-09T20:00:00-07:00"
    assert told["rule"]["charged_units"] == 95
    night = terminal.tell(*call, "--at", "2099-03-09T21:00:00-07:00")
    assert "call_out from CA to +86, daily 20:00-08:00: 95 s at 0.06 per 60 s: 0.095 CAD" in night


def test_where_the_card_is_sets_the_price(terminal: Terminal, book: str) -> None:
    data = ("tariff", "price", "data", CANADIAN, "--octets", "1500000")
    prices = [
        terminal.ask(*data, *where)["price"]["amount"]
        for where in ((), ("--network", "45412"), ("--zone", "asia"), ("--network", "23415"))
    ]
    assert prices == ["0.03", "0.30", "0.30", "0.03"]


def test_far_ends_are_read_as_they_are_dialled_from_the_line(terminal: Terminal, book: str) -> None:
    told = terminal.ask("tariff", "price", "text", CANADIAN, "6045550199", "--segments", "2")
    assert told["price"]["amount"] == "0.08"
    assert told["until"] is None


def test_what_has_no_price_is_refused(terminal: Terminal, book: str) -> None:
    assert "no rate covers this" in terminal.fail("tariff", "price", "text", CHINESE, CANADIAN)


def test_a_price_of_nonsense_is_misuse(terminal: Terminal, book: str) -> None:
    for words in (
        ("text", CANADIAN),
        ("data", CANADIAN, CHINESE),
        ("fax", CANADIAN, CHINESE),
        ("text", CANADIAN, CHINESE, "--seconds", "5"),
        ("text", CANADIAN, CHINESE, "--zone", "asia", "--network", "454"),
        ("text", CANADIAN, CHINESE, "--at", "noon"),
    ):
        assert terminal.misuse("tariff", "price", *words), words


def test_a_file_is_checked_without_being_imported(terminal: Terminal) -> None:
    said = terminal.tell("tariff", "check", terminal.write("spring.toml", BOOK))
    assert said == "the price book is good: 5 rates, 2 networks, 1 plan\n"
    assert [one["name"] for one in terminal.ask("tariff", "list")["books"]] == ["rates"]
    bad = terminal.write("bad.toml", BOOK.replace('"CA"', '"XX"').replace('"asia"', '"moon"'))
    result = terminal.run("tariff", "check", bad, "--json")
    assert result.exit_code == 1
    problems = json.loads(result.stdout)["problems"]
    assert [problem["place"] for problem in problems] == [f"line {n}" for n in (8, 15, 24, 32, 39)]


def test_books_and_files_are_compared_rate_by_rate(terminal: Terminal) -> None:
    file = terminal.write(
        "new.csv", "usage,line_country,prefix,price,per\ntext,CA,1,0.04,segment\ndata,CA,,0.02,MB\n"
    )
    changes = terminal.ask("tariff", "diff", file)["changes"]
    assert changes == [
        {
            "change": "added",
            "rate": "data of CA",
            "old": None,
            "new": "0.02 per 1000000 octets in blocks of 1000/1000",
        },
        {
            "change": "changed",
            "rate": "text from CA to +1",
            "old": "0.05 per segment",
            "new": "0.04 per segment",
        },
        {"change": "removed", "rate": "text from CN to anywhere", "old": "0.12 per segment", "new": None},
    ]
    first, second = (
        str(one["book"]) for one in [terminal.ask("tariff", "list")["books"][0], import_(terminal, file)]
    )
    assert terminal.ask("tariff", "diff", first, second)["changes"] == changes
    assert "no rate differs" in terminal.tell("tariff", "diff", second, file)
    assert "there is no price book 999" in terminal.fail("tariff", "diff", "999")


def import_(terminal: Terminal, file: str) -> dict[str, str]:
    book: dict[str, str] = terminal.ask("tariff", "import", file)
    return book
