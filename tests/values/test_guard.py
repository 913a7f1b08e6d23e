"""How often one may guess."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from onecard.values.guard import WRONG_MOST, Guard, count_wrong, is_locked

AT = datetime(2026, 3, 10, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def test_wrong_guesses_within_an_hour_lock_for_an_hour() -> None:
    guard = Guard()
    for minute in range(WRONG_MOST):
        assert not is_locked(guard, AT + timedelta(minutes=minute))
        guard = count_wrong(guard, AT + timedelta(minutes=minute))
    locked_at = AT + timedelta(minutes=WRONG_MOST - 1)
    assert is_locked(guard, locked_at)
    assert is_locked(guard, locked_at + timedelta(hours=1) - SECOND)
    assert not is_locked(guard, locked_at + timedelta(hours=1))


def test_wrong_guesses_far_apart_lock_nothing() -> None:
    guard = Guard()
    for place in range(50):
        guard = count_wrong(guard, AT + timedelta(minutes=15) * place)
        assert guard.locked_until is None
        assert len(guard.wrong_at) < WRONG_MOST
