"""A moved clock stands still until it is moved, and never goes back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from onecard.values.clock import MovedClock, SystemClock

NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)


def test_a_moved_clock_goes_where_it_is_moved() -> None:
    clock = MovedClock(NEW_YEAR)
    assert clock.now() == clock.now() == NEW_YEAR
    clock.move(timedelta(days=1))
    clock.move_to(NEW_YEAR + timedelta(days=2))
    assert clock.now() == NEW_YEAR + timedelta(days=2)


def test_a_clock_never_goes_back() -> None:
    with pytest.raises(AssertionError):
        MovedClock(NEW_YEAR).move_to(NEW_YEAR - timedelta(seconds=1))


def test_the_systems_clock_knows_its_zone() -> None:
    assert SystemClock().now().tzinfo is UTC
