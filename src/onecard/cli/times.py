"""Read times that a person gives."""

from __future__ import annotations

from datetime import date, datetime

from onecard.charging.periods import midnight
from onecard.cli.desk import Desk
from onecard.cli.failures import Misuse


def read_time(desk: Desk, text: str) -> datetime:
    """A day, which is its first instant by the operator's clock, or an instant with its offset; raises Misuse."""
    try:
        return midnight(date.fromisoformat(text), desk.zone)
    except ValueError:
        pass
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        instant = None
    if instant is None or instant.tzinfo is None:
        raise Misuse(
            "a time is a day, as 2026-05-01, or an instant with its offset: 2026-05-01T12:00:00-07:00"
        )
    return instant
