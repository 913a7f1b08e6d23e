"""One step of the story while it is told: what was said, and what was verified."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

T = TypeVar("T")


class NotAsExpected(Exception):
    """Something was not as the story says it must be."""

    def __init__(self, what: str, expected: object, came: object) -> None:
        super().__init__(f"{what}: expected {expected!r}, came {came!r}")
        self.what = what
        self.expected = expected
        self.came = came


@dataclass(frozen=True, slots=True)
class Event:
    """Somebody said something to somebody."""

    at_seconds: float
    """Since the story began."""
    sender: str
    receiver: str
    words: str
    cost: str
    gloss: str
    """What Chinese words say, in short."""


def _show_nothing(_: Event) -> None:
    """For what is verified aside."""


@dataclass(slots=True)
class Act:
    """Shows events and collects facts. A fact is what was verified, in a few words; one that is not so raises."""

    began_at_seconds: float
    """On the clock of `time.monotonic`: when the whole story began."""
    show: Callable[[Event], None] = _show_nothing
    facts: list[str] = field(default_factory=list)

    @property
    def detail(self) -> str:
        """The facts, each once."""
        return " · ".join(dict.fromkeys(self.facts))

    def say(self, sender: str, receiver: str, words: str, cost: str = "", gloss: str = "") -> None:
        """Show an event that happened just now."""
        at_seconds = time.monotonic() - self.began_at_seconds
        self.show(Event(at_seconds, sender, receiver, words, cost, gloss))

    def verify(self, fact: str, came: T, expected: T) -> None:
        """Note a fact, or raise NotAsExpected."""
        if came != expected:
            raise NotAsExpected(fact, expected, came)
        self.facts.append(fact)
