"""A terminal to run commands at, as staff do."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog
from typer.testing import CliRunner, Result

from onecard.cli.app import app
from onecard.cli.options import Options
from onecard.values.clock import Clock, SystemClock
from shop import numbers, stock

CANADIAN = "+16045550100"
CHINESE = "+8613800138000"
SUBSCRIBER = ("--name", "Wang Fang", "--email", "wang.fang@example.com", "--language", "zh-Hans")
RATES = "usage,line_country,prefix,price,per\ntext,CA,+1,0.05,segment\ntext,CN,*,0.12,segment\n"


@dataclass(frozen=True, slots=True)
class Terminal:
    """Runs commands in this process, in a working directory with a configuration."""

    directory: Path
    clock: Clock = field(default_factory=SystemClock)

    def run(self, *words: str, typed: str | None = None) -> Result:
        try:
            return CliRunner().invoke(app, list(words), input=typed, obj=Options(clock=self.clock))
        finally:
            structlog.reset_defaults()  # the command line logged to a stderr that is gone

    def tell(self, *words: str, typed: str | None = None) -> str:
        """What a command says when it succeeds."""
        result = self.run(*words, typed=typed)
        assert result.exit_code == 0, (words, result.output, result.exception)
        return result.stdout

    def ask(self, *words: str, typed: str | None = None) -> Any:
        """The JSON document a command prints when it succeeds, and that it prints nothing else."""
        return json.loads(self.tell(*words, "--json", typed=typed))

    def fail(self, *words: str, typed: str | None = None) -> str:
        """The sentence on stderr when a command is refused or fails."""
        result = self.run(*words, typed=typed)
        assert result.exit_code == 1, (words, result.output, result.exception)
        assert result.stdout == ""
        return result.stderr

    def misuse(self, *words: str, typed: str | None = None) -> str:
        """What stderr says when a command makes no sense."""
        result = self.run(*words, typed=typed)
        assert result.exit_code == 2, (words, result.output, result.exception)
        return result.stderr

    def write(self, name: str, text: str) -> str:
        """Write a file into the working directory."""
        (self.directory / name).write_text(text, encoding="utf-8")
        return name

    def open_shop(self) -> None:
        """Fill stock, pools and tariff."""
        self.tell("card", "import", self.write("stock.csv", "".join(stock(5))))
        self.tell("number", "import", self.write("numbers.csv", "".join(numbers(canadian=5, chinese=5))))
        self.tell("tariff", "import", self.write("rates.csv", RATES))

    def sell(self) -> Any:
        """Sell the next card."""
        return self.ask("card", "sell", *SUBSCRIBER)

    def add_line(self) -> None:
        """Give the Canadian card its Chinese number."""
        applied = self.ask("line", "apply", CANADIAN, "--country", "CN")
        self.tell("line", "approve", str(applied["application"]))
