"""The story as it is read in a terminal, or in a file: who said what to whom, what it cost, what was verified."""

from __future__ import annotations

import os
from typing import TextIO

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from onecard.story.act import Act, Event
from onecard.story.summary import Failure

PLAIN_COLUMNS = 100
"""Where there is no terminal to ask."""
COLUMNS_MOST = 120
"""On a wider terminal the price would stand too far from its text."""
WAY_COLUMNS = 31
"""``+8613900139000 → +8613800138000``"""
COST_COLUMNS = 12
"""``0.580645 CAD``"""
MARGIN = (0, 0, 0, 9)
"""Facts stand below the ways."""
COST_STYLES = {"free": "green", "refused": "yellow"}


class Timeline:
    """Writes while the story goes on. With no stream it is silent."""

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream
        self._console = Console(file=stream, highlight=False, quiet=stream is None)
        if not self._console.is_terminal and "COLUMNS" not in os.environ:
            self._console.width = PLAIN_COLUMNS
        self._console.width = min(self._console.width, COLUMNS_MOST)

    def begin(self) -> None:
        """Say what is about to be told."""
        self._print(Text("One card, two numbers", style="bold"))
        self._print(
            Text(
                "A made-up operator on this machine: onecard with its own PostgreSQL; a host operator, a Chinese home "
                "operator and a bank that speak SMPP with it over TCP, and a network that speaks Diameter. Time is "
                "in seconds from the start. What is talked and loaded is reported at once, not waited for.",
                style="dim",
            )
        )

    def begin_step(self, number: int, title: str) -> None:
        """A step begins."""
        self._print()
        self._print(Text(f"{number:2} {title}", style="bold"))

    def show_event(self, event: Event) -> None:
        """Something was said in the step."""
        table = Table.grid(padding=(0, 2, 0, 0), expand=True)
        table.add_column(justify="right", style="dim", no_wrap=True, width=5)
        table.add_column(width=WAY_COLUMNS)
        table.add_column(ratio=1, overflow="fold")
        table.add_column(justify="right", no_wrap=True, width=COST_COLUMNS)
        table.add_row(f"{event.at_seconds:.2f}", _way(event), _words(event), _cost(event))
        self._print(Padding(table, (0, 0, 0, 2)))

    def end_step(self, act: Act) -> None:
        """The step was verified."""
        self._print(Padding(Text(f"✓ {act.detail}", style="green"), MARGIN))

    def fail_step(self, act: Act, failure: Failure) -> None:
        """The step was not as it should be."""
        if act.facts:
            self.end_step(act)
        rows = Table.grid(padding=(0, 1))
        for name, words in (
            ("✗ failed", failure.what),
            ("  expected", failure.expected),
            ("  came", failure.came),
            ("  logs", failure.logs),
        ):
            rows.add_row(Text(name, style="bold red"), Text(words, overflow="fold"))
        self._print(Padding(rows, MARGIN))

    def end(self, steps: int, seconds: float, balance: str) -> None:
        """All was verified."""
        self._print()
        said = f"All {steps} steps verified in {seconds:.1f} seconds; the balance is {balance}."
        self._print(Text(said, style="bold green"))

    def say(self, words: str) -> None:
        """A sentence beside the story."""
        self._print(Text(words, style="dim"))

    def _print(self, *lines: RenderableType) -> None:
        """A file is spared the blanks that fill the lines of a terminal."""
        if self._console.is_terminal or self._stream is None:
            self._console.print(*lines)
            return
        with self._console.capture() as capture:
            self._console.print(*lines)
        self._stream.write("".join(f"{line.rstrip()}\n" for line in capture.get().splitlines()))
        self._stream.flush()


def _way(event: Event) -> Text:
    return Text.assemble(event.sender, (" → ", "dim"), event.receiver)


def _words(event: Event) -> Text:
    gloss = f"  ({event.gloss})" if event.gloss else ""
    return Text.assemble(event.words, (gloss, "dim italic"))


def _cost(event: Event) -> Text:
    style = next((style for word, style in COST_STYLES.items() if word in event.cost), "cyan")
    return Text(event.cost, style=style)
