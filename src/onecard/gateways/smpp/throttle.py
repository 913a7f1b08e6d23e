"""A bound on texts a second. Pure: the time is an argument (seconds of a clock that does not go back)."""

from __future__ import annotations


class Throttle:
    """Lets `a_second` texts through each second, saving up at most one second's worth. None: no bound."""

    def __init__(self, a_second: float | None) -> None:
        self._a_second = a_second
        self._saved = a_second or 0.0
        self._counted_at = 0.0

    def take(self, now: float) -> bool:
        """Count one text if it may pass now."""
        if self._a_second is None:
            return True
        self._save(now)
        if self._saved < 1.0:
            return False
        self._saved -= 1.0
        return True

    def seconds_to_wait(self, now: float) -> float:
        """How long until the next text may pass."""
        if self._a_second is None:
            return 0.0
        self._save(now)
        return max(0.0, (1.0 - self._saved) / self._a_second)

    def _save(self, now: float) -> None:
        assert self._a_second is not None
        most = max(self._a_second, 1.0)
        self._saved = min(most, self._saved + (now - self._counted_at) * self._a_second)
        self._counted_at = now
