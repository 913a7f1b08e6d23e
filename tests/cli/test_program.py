"""The program itself, as a process of its own; its reference; its example configuration."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path

import argon2
import pytest

from cli.terminal import CANADIAN, SUBSCRIBER, Terminal
from onecard.cli.app import GROUPS
from onecard.cli.options import Options
from onecard.cli.reference import write_reference
from onecard.node.config_reading import load_config
from onecard.node.serve import master_key_file

PROGRAM = str(Path(sys.executable).with_name("onecard"))


def run(directory: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ONECARD_")}
    return subprocess.run(
        [PROGRAM, *words],
        cwd=directory,
        env=environment | variables,
        capture_output=True,
        text=True,
        timeout=120,
        stdin=subprocess.DEVNULL,
        check=False,
    )


def test_the_exit_code_tells_done_from_refused_from_misuse(bare_terminal: Terminal) -> None:
    place = {
        "ONECARD_DATABASE_URL": os.environ["ONECARD_DATABASE_URL"],
        "ONECARD_DATA": os.environ["ONECARD_DATA"],
    }
    done = run(bare_terminal.directory, "db", "init", "--json", **place)
    assert (done.returncode, json.loads(done.stdout)["parts"], done.stderr) == (0, [1, 2, 3, 4], "")
    refused = run(bare_terminal.directory, "card", "sell", *SUBSCRIBER, **place)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert (
        refused.stderr == "onecard: there is no SIM in stock: import some with `onecard card import FILE`\n"
    )
    misuse = run(bare_terminal.directory, "card", "sell", "--name", "Wang", **place)
    assert (misuse.returncode, misuse.stdout) == (2, "")


def test_a_node_serves_and_others_use_its_database_meanwhile(made_directory: Path) -> None:
    directory = made_directory.parent
    example = (files("onecard.cli") / "example.toml").read_text(encoding="utf-8")
    (directory / "onecard.toml").write_text(
        example.replace(":2775", ":0").replace(":8080", ":0"), encoding="utf-8"
    )
    place = {"ONECARD_DATA": "data", "ONECARD_CONFIG": "onecard.toml"}
    assert run(directory, "db", "init", **place).returncode == 0
    environment = os.environ | place
    environment.pop("ONECARD_DATABASE_URL", None)
    with subprocess.Popen(
        [PROGRAM, "serve"], cwd=directory, env=environment, stderr=subprocess.PIPE, text=True
    ) as node:
        try:
            assert node.stderr is not None
            assert any("is up" in line for line in node.stderr)
            assert run(directory, "db", "url", **place).stdout.startswith("postgresql://")
            assert run(directory, "db", "check", **place).stdout.startswith("all is well")
            second = run(directory, "serve", **place)
            assert second.returncode == 1
            assert "is in use by process" in second.stderr
        finally:
            node.send_signal(signal.SIGTERM)
            node.communicate(timeout=60)
    assert node.returncode == 0


def test_help_imports_nothing_that_is_slow() -> None:
    script = (
        "import sys; from typer.testing import CliRunner; from onecard.cli.app import app;"
        "result = CliRunner().invoke(app, ['--help']); assert 'tariff' in result.output;"
        "print([name for name in ('asyncpg', 'phonenumbers', 'structlog', 'rich') if name in sys.modules])"
    )
    assert subprocess.check_output([sys.executable, "-c", script], text=True) == "[]\n"


def test_every_group_explains_itself(bare_terminal: Terminal) -> None:
    for group in GROUPS:
        assert "Usage:" in bare_terminal.tell(group, "--help")


def test_the_reference_says_what_the_commands_say() -> None:
    page = Path(__file__).parents[2] / "docs" / "reference" / "cli.md"
    assert page.read_text(encoding="utf-8") == write_reference(), (
        "python -m onecard.cli.reference > docs/reference/cli.md"
    )


def test_the_example_configuration_is_good(bare_terminal: Terminal) -> None:
    text = bare_terminal.tell("config", "example")
    bare_terminal.write("onecard.toml", text)
    assert bare_terminal.ask("config", "check") == {
        "good": True,
        "operator": "Example Mobile",
        "links": ["host"],
    }
    assert bare_terminal.ask("config", "example")["toml"].rstrip() == text.rstrip()


def test_the_master_key_is_where_a_node_looks_for_it(bare_terminal: Terminal) -> None:
    config = load_config(bare_terminal.directory / "onecard.toml")
    for data in (bare_terminal.directory / "data", None):
        assert Options(data=data).master_key_file(config) == master_key_file(config, data)
        assert Options(data=data).master_key_file(None) == master_key_file(config, data)


def test_a_password_is_hashed_from_stdin_and_never_from_the_arguments(bare_terminal: Terminal) -> None:
    hashed = bare_terminal.ask("link", "hash-password", typed="secret\n")["password_hash"]
    assert argon2.PasswordHasher().verify(hashed, "secret")
    bare_terminal.misuse("link", "hash-password", "secret")
    bare_terminal.misuse("link", "hash-password", typed="")


def test_a_reader_that_goes_away_makes_no_traceback(terminal: Terminal) -> None:
    for _ in range(3):
        terminal.sell()
    place = f"ONECARD_DATABASE_URL='{os.environ['ONECARD_DATABASE_URL']}'"
    done = subprocess.run(
        ["sh", "-c", f"{place} {PROGRAM} number list | true"], capture_output=True, text=True, check=False
    )
    assert "Traceback" not in done.stderr


def test_a_table_on_a_screen_shows_what_a_pipe_would_carry(terminal: Terminal) -> None:
    terminal.sell()
    terminal.add_line()
    piped = terminal.tell("line", "list")
    for columns in ("200", "40"):
        shown = run_on_screen("line", "list", columns=columns)
        assert [line.split() for line in shown.splitlines()] == [line.split() for line in piped.splitlines()]


def run_on_screen(*words: str, columns: str) -> str:
    """What a command writes to a terminal, without the bold."""
    ours, theirs = pty.openpty()
    environment = os.environ | {"COLUMNS": columns, "TERM": "xterm"}
    subprocess.run([PROGRAM, *words], env=environment, stdout=theirs, stdin=subprocess.DEVNULL, check=True)
    os.close(theirs)
    with os.fdopen(ours, "rb", buffering=0) as screen:
        return re.sub(r"\x1b\[\d*m", "", screen.read(65_536).decode())


def test_the_version_is_told(bare_terminal: Terminal) -> None:
    assert bare_terminal.tell("--version") == f"onecard {version('onecard')}\n"


def test_the_sale_is_told_to_people_too(terminal: Terminal) -> None:
    assert f"number {CANADIAN}, ICCID" in terminal.tell("card", "sell", *SUBSCRIBER)


def test_the_data_directory_may_be_the_working_directory(
    bare_terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = bare_terminal.directory / "here"
    place.mkdir()
    monkeypatch.chdir(place)
    made = bare_terminal.ask("--data", ".", "db", "init")
    assert made["master_key"] == str(bare_terminal.directory / "here.master.key")
