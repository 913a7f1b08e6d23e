"""What is left of the story when it is over: for programs, as JSON."""

from __future__ import annotations

from typing import Any

import msgspec


class StepSummary(msgspec.Struct, frozen=True):
    """One step: `detail` says what was verified, or what was not as expected."""

    name: str
    title: str
    ok: bool
    detail: str
    seconds: float


class Failure(msgspec.Struct, frozen=True):
    """What was not as it should be."""

    what: str
    expected: str
    came: str
    logs: str
    """The directory where they are kept."""

    @property
    def detail(self) -> str:
        """All of it in one line."""
        return f"{self.what}: expected {self.expected}, came {self.came}; logs: {self.logs}"


class Summary(msgspec.Struct, frozen=True, omit_defaults=True):
    """The whole story. A story that failed ends with the step that did."""

    ok: bool
    seconds: float
    steps: list[StepSummary]
    balance: dict[str, str] | None
    """What is available on the subscriber's account at the end, as an amount and its currency."""
    check: dict[str, Any] | None
    """What `onecard db check` answered."""
    failure: Failure | None = None
