"""A line is a number on a card; slot 0 is the primary line."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from onecard.values.hours import Hours
from onecard.values.phone import E164, Country


class Usage(Enum):
    """What a window of a schedule is about."""

    TEXTS = "texts"
    CALLS = "calls"


@dataclass(frozen=True, slots=True)
class Window:
    """Hours, in the line's own time zone, in which it takes calls or texts."""

    usage: Usage
    hours: Hours


@dataclass(frozen=True, slots=True)
class Line:
    """A number on a card, with what its subscriber set for it."""

    part: int
    id: int
    card_id: int
    slot: int
    msisdn: E164
    country: Country
    time_zone: str
    switched_on: bool = True
    bar_texts_in: bool = False
    bar_calls_in: bool = False
    blocked: tuple[str, ...] = ()
    allowed: tuple[str, ...] = ()
    schedule: tuple[Window, ...] = ()
    ending_until: datetime | None = None
    porting_since: datetime | None = None
    """It is being taken to another operator: until that is over, neither it nor its card can end."""

    @property
    def is_primary(self) -> bool:
        return self.slot == 0


class NumberState(Enum):
    """Where a number of a pool is: every number is in exactly one of these."""

    FREE = "free"
    RESERVED = "reserved"
    ASSIGNED = "assigned"
    QUARANTINED = "quarantined"
    RETURNING = "returning"
    """Offered back to the operator of whose range it is, who has not confirmed it yet."""
    PORTED = "ported"
    """Taken to another operator by its subscriber."""
    TRANSFERRED = "transferred"
    """Given to another operator, with the customers."""
    RETURNED = "returned"
    """Gone back to the operator of whose range it is."""


@dataclass(frozen=True, slots=True)
class Number:
    """One number of a pool."""

    msisdn: E164
    country: Country
    state: NumberState
    until: datetime | None
    part: int | None
    card_id: int | None
    gone_to: str | None = None
    """The operator that has it now."""


class ApplicationState(Enum):
    APPLIED = "applied"
    APPROVED = "approved"
    REFUSED = "refused"


class Verification(Enum):
    """What the home operator, or staff, answered about an applicant. Only this outcome is ever kept."""

    MATCH = "match"
    MISMATCH = "mismatch"
    FIVE_NUMBER_LIMIT = "five_number_limit"
    TIME_OUT = "time_out"


@dataclass(frozen=True, slots=True)
class Application:
    """A wish for a secondary number, and what became of it."""

    part: int
    id: int
    card_id: int
    country: Country
    msisdn: E164
    state: ApplicationState
    reason: str | None
    applied_at: datetime
    expires_at: datetime
    decided_at: datetime | None
    decided_by: str | None


@dataclass(frozen=True, slots=True)
class LineLimits:
    """What the operator allows a card."""

    secondaries_most: int = 3
    applications_a_month_most: int = 3
    list_entries_most: int = 200
    verification_days: int = 7
    quarantine_days: int = 90
    ending_minutes: int = 30


class LineRefusal(Enum):
    """Why an action on a line was refused."""

    UNKNOWN_CARD = "unknown_card"
    CARD_ENDED = "card_ended"
    UNKNOWN_LINE = "unknown_line"
    UNKNOWN_APPLICATION = "unknown_application"
    ALREADY_DECIDED = "already_decided"
    TOO_MANY_SECONDARIES = "too_many_secondaries"
    TOO_MANY_APPLICATIONS = "too_many_applications"
    NO_NUMBER_FREE = "no_number_free"
    NUMBER_NOT_FREE = "number_not_free"
    PRIMARY_LINE = "primary_line"
    LIST_FULL = "list_full"
    NOT_ENDING = "not_ending"
    PORTING = "porting"
    """It is being taken to another operator."""
    CONFIRMATION_TOO_LATE = "confirmation_too_late"
