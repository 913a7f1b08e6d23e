"""The story as it is read in a terminal, or in a file: who said what to whom, what it cost, what was verified."""

from __future__ import annotations

from typing import TextIO

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from onecard.story.act import Act, Event
from onecard.story.summary import Failure

PLAIN_WIDTH = 100
"""Where there is no terminal to ask."""
WAY_WIDTH = 31
"""``+8613900139000 → +8613800138000``"""
COST_STYLES = {"free": "green", "refused": "yellow"}


class Timeline:
    """Writes each step when it is over. With no stream it is silent."""

    def __init__(self, stream: TextIO | None) -> None:
        width = None if stream is not None and stream.isatty() else PLAIN_WIDTH
        self._console = Console(
            file=stream, width=width, highlight=False, quiet=stream is None, soft_wrap=False
        )

    def begin(self) -> None:
        """Say what is about to be told."""
        self._console.print(Text("One card, two numbers", style="bold"))
        self._console.print(
            Text(
                "A made-up operator on this machine: onecard with its own PostgreSQL, and a host operator, a Chinese "
                "home operator and a bank that speak SMPP with it over TCP. Time is in seconds from the start.",
                style="dim",
            )
        )

    def show(self, number: int, title: str, act: Act) -> None:
        """A step that was verified."""
        self._head(number, title, "green", "✓")
        self._events(act)
        self._facts(act)

    def show_failure(self, number: int, title: str, act: Act, failure: Failure) -> None:
        """A step that was not as it should be."""
        self._head(number, title, "red", "✗")
        self._events(act)
        self._facts(act)
        rows = Table.grid(padding=(0, 1))
        for name, words in (
            ("failed", failure.what),
            ("expected", failure.expected),
            ("came", failure.came),
            ("logs", str(failure.logs)),
        ):
            rows.add_row(Text(name, style="bold red"), Text(words, overflow="fold"))
        self._console.print(Padding(rows, (0, 0, 0, 4)))

    def end(self, steps: int, seconds: float, balance: str) -> None:
        """All was verified."""
        self._console.print()
        said = f"All {steps} steps verified in {seconds:.1f} seconds; the balance is {balance}."
        self._console.print(Text(said, style="bold green"))

    def say(self, words: str) -> None:
        """A sentence beside the story."""
        self._console.print(Text(words, style="dim"))

    def _head(self, number: int, title: str, style: str, mark: str) -> None:
        self._console.print()
        head = Table.grid(padding=(0, 1))
        head.add_row(
            Text(f"{number:2}", style="bold"), Text(title, style="bold"), Text(mark, style=f"bold {style}")
        )
        self._console.print(head)

    def _events(self, act: Act) -> None:
        if not act.events:
            return
        table = Table.grid(padding=(0, 2, 0, 0), expand=False)
        table.add_column(justify="right", style="dim", no_wrap=True)
        table.add_column(max_width=WAY_WIDTH)
        table.add_column(overflow="fold")
        table.add_column(justify="right")
        for event in act.events:
            table.add_row(f"{event.at_seconds:.2f}", _way(event), Text(event.words), _cost(event))
        self._console.print(Padding(table, (0, 0, 0, 2)))

    def _facts(self, act: Act) -> None:
        if act.facts:
            facts = Text(act.detail, style="green")
            self._console.print(Padding(facts, (0, 0, 0, 8)))


def _way(event: Event) -> Text:
    return Text.assemble(event.sender, (" → ", "dim"), event.receiver)


def _cost(event: Event) -> Text:
    style = next((style for word, style in COST_STYLES.items() if word in event.cost), "cyan")
    return Text(event.cost, style=style)
