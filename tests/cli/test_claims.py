"""Claim codes at the command line."""

from __future__ import annotations

import csv
import stat
from pathlib import Path

from cli.terminal import CANADIAN, Terminal
from onecard.subscribers.rules import make_claim_code


def read_letters(terminal: Terminal, name: str) -> list[dict[str, str]]:
    with Path(terminal.directory / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_a_code_is_shown_once_and_proves_its_subscriber(terminal: Terminal) -> None:
    sold = terminal.sell()
    issued = terminal.ask("claim", "issue", CANADIAN)
    assert issued["subscriber"] == sold["subscriber"]
    proved = terminal.ask("claim", "check", "-", typed=f"{issued['claim_code'].lower()}\n")
    assert (proved["subscriber"], proved["account"], proved["is_erased"]) == (
        sold["subscriber"],
        sold["account"],
        False,
    )
    again = terminal.tell("claim", "issue", f"card:{sold['card']}").strip()
    assert "nobody has this claim code" in terminal.fail("claim", "check", issued["claim_code"])
    assert str(sold["subscriber"]) in terminal.tell("claim", "check", again)
    assert "16 signs" in terminal.fail("claim", "check", "0000")


def test_letters_are_written_for_the_printer_and_a_broken_run_is_resumed(terminal: Terminal) -> None:
    sold = [terminal.sell() for _ in range(2)]
    first = terminal.ask("claim", "batch", "--file", "letters.csv")
    assert (first["written"], first["taken_over"]) == (2, 0)
    assert stat.S_IMODE((terminal.directory / "letters.csv").stat().st_mode) == 0o600
    letters = read_letters(terminal, "letters.csv")
    assert [int(row["subscriber"]) for row in letters] == sorted(one["subscriber"] for one in sold)
    assert {row["name"] for row in letters} == {"Wang Fang"}
    assert "is there already" in terminal.fail("claim", "batch", "--file", "letters.csv")

    never_good = f'9,en,A,a@example.org,,{make_claim_code(5)}\n10,en,B,b@example.org,"broken o'
    with (terminal.directory / "letters.csv").open("a", encoding="utf-8") as file:
        file.write(never_good)
    third = terminal.sell()
    resumed = terminal.ask("claim", "batch", "--file", "all.csv", "--resume", "letters.csv")
    assert (resumed["written"], resumed["taken_over"]) == (1, 2)
    rows = read_letters(terminal, "all.csv")
    assert rows[:2] == letters
    assert int(rows[2]["subscriber"]) == third["subscriber"]
    for row in rows:
        assert terminal.ask("claim", "check", row["claim_code"])["subscriber"] == int(row["subscriber"])
    terminal.write("other.csv", "a,b\n")
    rest = ("--file", "more.csv", "--resume", "other.csv")
    assert "was not written by" in terminal.fail("claim", "batch", *rest)
