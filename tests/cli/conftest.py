"""A terminal before a database that is ready for use."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import pytest

from cli.terminal import Terminal
from onecard.database.pool import Database


@pytest.fixture
def bare_terminal(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """A terminal in a directory with the example configuration, and a database that has only its tables."""
    for name in ("ONECARD_CONFIG", "ONECARD_MASTER_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ONECARD_DATABASE_URL", database.dsn)
    monkeypatch.setenv("ONECARD_DATA", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    example = (files("onecard.cli") / "example.toml").read_text(encoding="utf-8")
    (tmp_path / "onecard.toml").write_text(example, encoding="utf-8")
    return Terminal(tmp_path)


@pytest.fixture
def terminal(bare_terminal: Terminal) -> Terminal:
    """The same, after `db init` and with a shop that can sell."""
    bare_terminal.tell("db", "init")
    bare_terminal.open_shop()
    return bare_terminal
