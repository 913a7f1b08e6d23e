"""Vouchers at the command line."""

from __future__ import annotations

import csv
import stat
from pathlib import Path

from cli.terminal import CANADIAN, Terminal

MAKE = ("voucher", "make", "20", "3", "--expires", "2099-01-01", "--file", "pins.csv")


def read_pins(terminal: Terminal, name: str = "pins.csv") -> list[dict[str, str]]:
    with Path(terminal.directory / name).open(encoding="ascii", newline="") as file:
        return list(csv.DictReader(file))


def test_vouchers_are_made_redeemed_listed_and_voided(terminal: Terminal) -> None:
    sold = terminal.sell()
    made = terminal.ask(*MAKE, "--actor", "staff:alice")
    assert (made["count"], made["face"], made["made_by"]) == (
        3,
        {"amount": "20.00", "currency": "CAD"},
        "staff:alice",
    )
    rows = read_pins(terminal)
    assert stat.S_IMODE((terminal.directory / "pins.csv").stat().st_mode) == 0o600
    assert [(row["face"], row["currency"]) for row in rows] == [("20.00", "CAD")] * 3
    assert rows[0]["expires_at"] == "2099-01-01T00:00:00-08:00"

    pin = rows[0]["pin"]
    first = terminal.ask("account", "topup", CANADIAN, "--voucher", pin)
    assert (first["available"]["amount"], first["voucher"], first["repeated"]) == (
        "20.00",
        int(rows[0]["serial"]),
        False,
    )
    typed = f"{pin[:4]} {pin[4:8]}-{pin[8:]}\n"
    assert terminal.ask("account", "topup", f"card:{sold['card']}", "--voucher", "-", typed=typed)["repeated"]
    assert "nothing was added" in terminal.tell("account", "topup", CANADIAN, "--voucher", pin)

    serial = rows[1]["serial"]
    assert terminal.ask("voucher", "void", "--serial", serial)["state"] == "void"
    assert "is void" in terminal.fail("account", "topup", CANADIAN, "--voucher", rows[1]["pin"])
    batch = str(made["batch"])
    listed = terminal.ask("voucher", "list", batch)["vouchers"]
    assert [row["state"] for row in listed] == ["used", "void", "unused"]
    assert terminal.ask("voucher", "list", "--serial", rows[0]["serial"])["account"] == sold["account"]
    assert terminal.ask("voucher", "void", batch) == {"batch": made["batch"], "voided": 1}
    [tally] = terminal.ask("voucher", "list")["batches"]
    assert (tally["used"], tally["void"]) == (1, 2)
    said = terminal.tell("voucher", "list") + terminal.tell("voucher", "list", batch)
    assert not any(row["pin"] in said for row in rows)
    [entry] = terminal.ask("account", "entries", CANADIAN)["entries"]
    assert entry["kind"] == "voucher"
    assert terminal.ask("db", "check")["violations"] == []


def test_pins_are_never_written_over_a_file_and_a_refusal_leaves_none(terminal: Terminal) -> None:
    terminal.tell(*MAKE)
    before = read_pins(terminal)
    assert "is there already" in terminal.fail(*MAKE)
    assert read_pins(terminal) == before
    rest = ("--expires", "2020-01-01", "--file", "late.csv")
    assert "--expires" in terminal.fail("voucher", "make", "20", "3", *rest)
    assert not (terminal.directory / "late.csv").exists()
    assert len(terminal.ask("voucher", "list")["batches"]) == 1


def test_what_makes_no_sense_is_misuse(terminal: Terminal) -> None:
    terminal.sell()
    pin = "1234567890123452"
    assert "name it by any of its numbers" in terminal.misuse("account", "topup", "1", "--voucher", pin)
    assert "AMOUNT" in terminal.misuse("account", "topup", CANADIAN, "20", "--voucher", pin)
    assert "AMOUNT" in terminal.misuse("account", "topup", CANADIAN)
    assert "give a batch" in terminal.misuse("voucher", "void")
    assert "is not one of" in terminal.misuse(*MAKE, "--currency", "XXX")
    assert "it has 16 digits" in terminal.fail("account", "topup", CANADIAN, "--voucher", "123")
    assert "no voucher has this PIN" in terminal.fail("account", "topup", CANADIAN, "--voucher", pin)
    assert "no such batch" in terminal.fail("voucher", "void", "999")
    assert "serial number" in terminal.fail("voucher", "list", "--serial", "999")
