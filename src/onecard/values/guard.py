"""How often a secret may be guessed: so many wrong ones within a span lock it for a while. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

WRONG_MOST = 5
WRONG_SPAN = timedelta(hours=1)
LOCK = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Guard:
    """The wrong ones that were tried of late, and until when nothing is taken for it."""

    wrong_at: tuple[datetime, ...] = ()
    locked_until: datetime | None = None


def is_locked(guard: Guard, now: datetime) -> bool:
    """Whether nothing is taken, not even what is right: else one could go on guessing."""
    return guard.locked_until is not None and now < guard.locked_until


def count_wrong(guard: Guard, now: datetime) -> Guard:
    """The guard after one more wrong one: so many within the span lock, and then the count begins anew."""
    wrong_at = (*(at for at in guard.wrong_at if now - at < WRONG_SPAN), now)
    if len(wrong_at) < WRONG_MOST:
        return Guard(wrong_at)
    return Guard(locked_until=now + LOCK)
