"""What is refused, what fails, what makes no sense: one sentence each, and the exit code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import get_args

import pytest

from cli.terminal import CANADIAN, CHINESE, SUBSCRIBER, Terminal
from onecard.cli.failures import SENTENCES, Refusal
from shop import make_iccid


def test_every_refusal_has_a_sentence() -> None:
    refusals = {refusal for kind in get_args(Refusal) for refusal in kind}
    assert set(SENTENCES) == refusals
    assert all(sentence[0] != sentence[0].upper() or sentence[0] == "S" for sentence in SENTENCES.values())


SENTENCES_SAID: list[tuple[tuple[str, ...], str]] = [
    (("card", "sell", *SUBSCRIBER, "--iccid", make_iccid(77)), "this SIM is not in the stock"),
    (("card", "sell", *SUBSCRIBER, "--country", "FR"), "no number of this country is free"),
    (("card", "sell", *SUBSCRIBER, "--number", CANADIAN), "this number is not free"),
    (("card", "sell", "--subscriber", "999"), "there is no subscriber 999"),
    (("card", "sell", *SUBSCRIBER, "--country", "XX"), "'XX' is not a country code"),
    (
        ("card", "sell", "--name", "Wang", "--email", "wang-at-home"),
        "what --email gives is not an e-mail address",
    ),
    (("card", "activate", "999"), "there is no card 999"),
    (("card", "activate", "wang"), "'wang' names no card: a card is named by"),
    (("card", "activate", "89302610000000000011"), "its check digit is wrong"),
    (("card", "replace", CANADIAN, "--iccid", "12"), "'12' is not an ICCID"),
    (("card", "list", "--after", "999"), "there is no card"),
    (("line", "on", CHINESE), "no card has the number +8613800138000"),
    (("line", "on", "12583"), "is not a possible phone number"),
    (("line", "approve", "999"), "there is no application 999"),
    (
        ("line", "apply", CANADIAN, "--country", "CN", "--number", "+8613800138099"),
        "this number is not free",
    ),
    (("line", "end", CANADIAN), "the primary line ends with its card only"),
    (("line", "schedule", CANADIAN, "mon-fry 08:00-22:00"), "is not a day"),
    (("line", "block", CANADIAN, "*"), "is not a number, a sender's name"),
    (("account", "show", "999"), "there is no account 999"),
    (("account", "show", "+16045550199"), "there is no card +16045550199"),
    (("account", "topup", CANADIAN, "much", "--reference", "R1"), "'much' is not an amount"),
    (("account", "topup", CANADIAN, "0", "--reference", "R1"), "a top-up is more than zero"),
    (("account", "topup", CANADIAN, "1.0000001", "--reference", "R1"), "is finer than a millionth"),
    (
        ("account", "entries", CANADIAN, "--before", "6b1f3f0e-3a64-4f0c-9a52-0d6f0c5b6e11"),
        "has no entry",
    ),
    (("text", "trace", "999"), "there is no trace of a text 999"),
    (("tariff", "import", "rates.csv", "--effective-from", "2020-01-01T00:00:00Z"), "in the past"),
]


def test_what_cannot_be_done_is_said_in_one_sentence(terminal: Terminal) -> None:
    terminal.sell()
    for words, sentence in SENTENCES_SAID:
        said = terminal.fail(*words)
        assert sentence in said, words
        assert said.count("\n") == 1, words


def test_a_program_reads_the_code_of_a_refusal(terminal: Terminal) -> None:
    result = terminal.run("card", "sell", *SUBSCRIBER, "--iccid", make_iccid(77), "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["error"] == "unknown_sim"


NONSENSE: list[tuple[str, ...]] = [
    ("nonsense",),
    ("card", "nonsense"),
    ("card", "list", "--nonsense"),
    ("card", "import", "missing.csv"),
    ("card", "sell", "--name", "Wang Fang"),
    ("card", "sell", *SUBSCRIBER, "--subscriber", "1"),
    ("card", "sell", *SUBSCRIBER, "--actor", "Alice"),
    ("card", "end", CANADIAN),
    ("card", "list", "--after", "x"),
    ("card", "sell", "--subscriber", "9" * 19),
    ("line", "approve", "9" * 19),
    ("line", "bar", CANADIAN),
    ("line", "bar", CANADIAN, "--texts", "maybe"),
    ("line", "apply", CANADIAN),
    ("account", "topup", CANADIAN, "20"),
    ("account", "topup", CANADIAN, "20", "--reference", " "),
    ("account", "entries", CANADIAN, "--before", "x"),
    ("text", "trace"),
    ("text", "trace", "1", "--number", CANADIAN),
    ("tariff", "import", "rates.csv", "--effective-from", "2026-01-01"),
    ("db", "init", "--parts", "0"),
    ("db", "init", "--parts", "1,1"),
    ("db", "init", "--parts", "four"),
    ("db", "init", "--parts", "2000"),
]


def test_what_makes_no_sense_is_misuse(terminal: Terminal) -> None:
    terminal.sell()
    for words in NONSENSE:
        assert terminal.misuse(*words).strip(), words


def test_a_file_with_faults_is_not_imported_and_every_fault_is_named(terminal: Terminal) -> None:
    file = terminal.write(
        "bad.csv", f"iccid,imsi\n{make_iccid(90)},302990000000090\n123,1\n{make_iccid(0)},2\n"
    )
    said = terminal.fail("card", "import", file)
    assert said.startswith("onecard: nothing was imported:\n  line 3: '123' is not an ICCID")
    assert "line 4" in said
    assert terminal.ask("card", "list", "--stock")["stock"][-1]["iccid"] == make_iccid(4)
    assert "nothing was imported" in terminal.fail(
        "number", "import", terminal.write("bad2.csv", "msisdn\n12\n")
    )
    (terminal.directory / "bad.toml").write_bytes(b"\xff\xfe")
    assert "is not text in UTF-8" in terminal.fail("tariff", "import", "bad.toml")
    assert "nothing was imported" in terminal.fail("tariff", "import", terminal.write("bad3.csv", "a,b\n"))


def test_without_a_configuration_a_command_that_needs_it_says_how_to_make_one(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = terminal.directory / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    assert "onecard config example > onecard.toml" in terminal.fail("card", "sell", *SUBSCRIBER)
    assert terminal.ask("card", "list") == {"cards": [], "next": None}
    assert "onecard config example" not in terminal.tell("--config", "../onecard.toml", "config", "check")


def test_a_configuration_with_faults_is_not_used(terminal: Terminal) -> None:
    terminal.write(
        "bad.toml", '[operator]\nname = "X"\nhome_country = "XX"\ncurrency = "cad"\ntime_zone = "Here"\n'
    )
    said = terminal.fail("config", "check", "--config", "bad.toml")
    assert all(
        place in said for place in ("operator.home_country", "operator.currency", "operator.time_zone")
    )
    assert "cannot be read" in terminal.fail("config", "check", "--config", "absent.toml")


def test_a_database_that_is_away_is_said(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONECARD_DATABASE_URL", "postgresql://onecard@127.0.0.1:1/onecard")
    assert "the database cannot be reached" in terminal.fail("card", "list")


def test_no_server_is_started_where_there_is_no_database(
    bare_terminal: Terminal, data_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ONECARD_DATABASE_URL")
    monkeypatch.setenv("ONECARD_DATA", str(data_directory))
    for words in (("card", "list"), ("db", "migrate"), ("db", "check"), ("serve",)):
        assert "onecard db init" in bare_terminal.fail(*words)
    assert "start `onecard serve`" in bare_terminal.fail("db", "url")
    assert not data_directory.exists()
