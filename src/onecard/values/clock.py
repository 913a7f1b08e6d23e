"""Time enters here and nowhere else: every rule takes *now* as an argument."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Tells the time; a moved clock replays a whole life."""

    def now(self) -> datetime:
        """The present instant, aware, in UTC."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)


class ClockAhead:
    """The machine's clock, put forward: what days bring need not be waited for."""

    def __init__(self, ahead: timedelta) -> None:
        assert ahead >= timedelta(0)
        self._ahead = ahead

    def now(self) -> datetime:
        return SystemClock().now() + self._ahead


class MovedClock:
    """A clock that stands still until it is moved."""

    def __init__(self, now: datetime) -> None:
        assert now.tzinfo is not None
        self._now = now

    def now(self) -> datetime:
        return self._now

    def move(self, by: timedelta) -> None:
        """Go forward by a span; a clock never goes back."""
        assert by >= timedelta(0)
        self._now += by

    def move_to(self, instant: datetime) -> None:
        """Go forward to an instant."""
        self.move(instant - self._now)
