"""A bound on texts a second: what passes, and how long the rest waits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onecard.gateways.smpp.throttle import Throttle

rates = st.floats(0.1, 1000.0)
steps = st.lists(st.floats(0.0, 3.0), min_size=1, max_size=60)


def test_without_a_bound_everything_passes_at_once() -> None:
    throttle = Throttle(None)
    assert all(throttle.take(0.0) for _ in range(10_000))
    assert throttle.seconds_to_wait(0.0) == 0.0


def test_one_second_is_saved_up_and_then_the_rate_holds() -> None:
    throttle = Throttle(5)
    assert [throttle.take(100.0) for _ in range(7)] == [True] * 5 + [False] * 2
    assert throttle.seconds_to_wait(100.0) == pytest.approx(0.2)
    assert not throttle.take(100.1)
    assert throttle.take(100.3)
    assert not throttle.take(100.3)


def test_a_long_pause_saves_up_one_second_and_no_more() -> None:
    throttle = Throttle(3)
    assert sum(throttle.take(1_000_000.0) for _ in range(20)) == 3


def test_a_rate_below_one_a_second_lets_single_texts_through() -> None:
    throttle = Throttle(0.5)
    assert throttle.take(100.0)
    assert not throttle.take(101.0)
    assert throttle.seconds_to_wait(101.0) == pytest.approx(1.0)
    assert throttle.take(102.0)


@given(rates, steps)
def test_over_any_span_no_more_passes_than_the_rate_and_one_second_of_it(
    rate: float, pauses: list[float]
) -> None:
    throttle = Throttle(rate)
    start = now = 1000.0
    passed = 0
    for pause in pauses:
        now += pause
        while passed < 100_000 and throttle.take(now):
            passed += 1
    assert passed <= max(rate, 1.0) + (now - start) * rate + 1e-6


@given(rates, steps)
def test_after_the_wait_that_it_names_a_text_passes(rate: float, pauses: list[float]) -> None:
    throttle = Throttle(rate)
    now = 1000.0
    for pause in pauses:
        now += pause
        throttle.take(now)
    now += throttle.seconds_to_wait(now) * (1 + 1e-9) + 1e-6
    assert throttle.take(now)
