"""One legal hold."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum


@dataclass(frozen=True, slots=True)
class LegalHold:
    """What a court, a regulator or our own counsel forbids to destroy."""

    id: int
    reason: str
    """Which case: a file number, no names."""
    added_at: datetime
    added_by: str
    lift_asked_at: datetime | None = None
    lift_asked_by: str | None = None
    lifted_at: datetime | None = None
    lifted_by: str | None = None


class LegalHoldRefusal(Enum):
    """Why a legal hold was not added or lifted."""

    BAD_REASON = "bad_reason"
    UNKNOWN_HOLD = "unknown_hold"
    LIFTED_ALREADY = "lifted_already"
    SAME_PERSON = "same_person"
    """Whoever asked for it cannot be the second person, too."""
