"""`onecard db`: what it makes once, what it refuses to change, what it proves."""

from __future__ import annotations

import stat
from typing import Any

import pytest

from cli.terminal import CANADIAN, SUBSCRIBER, Terminal
from cli.test_life import execute
from onecard.database.pool import Database


def test_init_makes_the_parts_and_the_key_once(bare_terminal: Terminal) -> None:
    made = bare_terminal.ask("db", "init", "--parts", "1,4,9")
    key = bare_terminal.directory / "data.master.key"
    assert (made["parts"], made["master_key"]) == ([1, 4, 9], str(key))
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    content = key.read_bytes()
    assert bare_terminal.ask("db", "init") == {**made, "migrations_applied": 0}
    assert key.read_bytes() == content


@pytest.mark.parametrize(("given", "parts"), [("2", [1, 2]), ("9,4", [4, 9]), (None, [1, 2, 3, 4])])
def test_parts_are_a_count_or_a_list(bare_terminal: Terminal, given: str | None, parts: list[int]) -> None:
    words = ("--parts", given) if given else ()
    assert bare_terminal.ask("db", "init", *words)["parts"] == parts


def test_parts_are_never_changed(terminal: Terminal) -> None:
    assert "parts can never be changed" in terminal.fail("db", "init", "--parts", "5")
    assert terminal.ask("db", "init", "--parts", "4")["parts"] == [1, 2, 3, 4]


def test_the_master_key_may_stand_in_the_environment(
    bare_terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ONECARD_MASTER_KEY", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=")
    assert bare_terminal.ask("db", "init")["master_key"] == "ONECARD_MASTER_KEY"
    assert not (bare_terminal.directory / "data.master.key").exists()


def test_no_second_key_is_made_for_what_a_lost_one_sealed(terminal: Terminal) -> None:
    terminal.sell()
    key = terminal.directory / "data.master.key"
    key.unlink()
    assert "there is no master key" in terminal.fail("db", "init")
    assert not key.exists()


def test_a_wrong_master_key_sells_nothing(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal.sell()
    monkeypatch.setenv("ONECARD_MASTER_KEY", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=")
    assert "the master key is not the one" in terminal.fail("card", "sell", *SUBSCRIBER)


def test_a_database_that_is_not_ready_says_what_to_run(
    empty_database: Database, bare_terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "run `onecard db init`" in bare_terminal.fail("card", "list")
    monkeypatch.setenv("ONECARD_DATABASE_URL", empty_database.dsn)
    assert "run `onecard db migrate`" in bare_terminal.fail("card", "list")
    assert bare_terminal.ask("db", "migrate")["applied"][0] == "0001_foundation"
    assert bare_terminal.tell("db", "migrate") == "the database is up to date\n"


def test_the_address_of_the_database_is_told(bare_terminal: Terminal, database: Database) -> None:
    assert bare_terminal.ask("db", "url") == {"url": database.dsn}


def test_a_sound_database_is_proven(terminal: Terminal) -> None:
    terminal.sell()
    terminal.add_line()
    terminal.tell("account", "topup", CANADIAN, "20", "--reference", "R1")
    report = terminal.ask("db", "check")
    assert (report["good"], report["violations"], report["entries"]) == (True, [], 2)


BROKEN: list[tuple[str, Any]] = [
    ("UPDATE line SET state = 'ended' WHERE slot = 1", "is assigned to card"),
    (
        "UPDATE number SET state = 'free', part = NULL, card_id = NULL WHERE msisdn LIKE '+86%138000'",
        "which is not assigned to that card",
    ),
    (
        """UPDATE number SET state = 'reserved', until = '2099-01-01Z', part = 1, card_id = 1
        WHERE msisdn LIKE '%138004'""",
        "is reserved without an open application",
    ),
    ("UPDATE card SET state = 'ended'", "is ended and has 2 active lines"),
    ("UPDATE sim SET state = 'replaced' WHERE state = 'sold'", "is sold and in no live card"),
    ("UPDATE account SET available = available + 1 WHERE role = 'subscriber'", "but its entries sum to"),
]


@pytest.mark.parametrize(("sql", "sentence"), BROKEN)
def test_what_does_not_fit_is_said_and_the_check_fails(
    terminal: Terminal, database: Database, sql: str, sentence: str
) -> None:
    terminal.sell()
    terminal.add_line()
    execute(database, sql)
    result = terminal.run("db", "check")
    assert result.exit_code == 1
    assert sentence in result.stdout
