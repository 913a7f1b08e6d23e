"""Port-outs, and lists of numbers that go back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum

from onecard.lines.model import NumberState
from onecard.values.business import BusinessCalendar
from onecard.values.phone import E164, Country


class PortState(Enum):
    """Where a port-out is; the number keeps its service until it is complete."""

    REQUESTED = "requested"
    """Proved and taken; not yet confirmed to the gaining operator."""
    PENDING = "pending"
    COMPLETE = "complete"
    FAILED = "failed"
    CANCELLED = "cancelled"


OPEN_STATES = frozenset({PortState.REQUESTED, PortState.PENDING})


class Proof(Enum):
    """How the subscriber showed that they want it. No biographical fact is one: others know those, too."""

    PIN = "pin"
    CLAIM_CODE = "claim_code"
    SIGN_IN = "sign_in"


class PortFailure(Enum):
    """Why a port-out failed."""

    GAINING_OPERATOR = "gaining_operator"
    """It gave up, or did not take the number over."""
    ROUTING = "routing"
    """The number could not be routed to the gaining operator."""
    DISPUTED = "disputed"
    """The subscriber says that they never asked for it."""


class PortRefusal(Enum):
    """Why a port-out was not taken, or not moved on."""

    UNKNOWN_CARD = "unknown_card"
    CARD_ENDED = "card_ended"
    UNKNOWN_NUMBER = "unknown_number"
    """No line has it."""
    WRONG_PIN = "wrong_pin"
    """It is another, or over, or none was issued."""
    LOCKED = "locked"
    """Too many wrong PINs were tried on the card."""
    ALREADY_PORTING = "already_porting"
    CONFLICTING_REFERENCE = "conflicting_reference"
    """The gaining operator asked for another number under this reference."""
    BAD_OPERATOR = "bad_operator"
    BAD_REFERENCE = "bad_reference"
    UNKNOWN_PORT = "unknown_port"
    NOT_REQUESTED = "not_requested"
    """It was started, or is over."""
    NOT_PENDING = "not_pending"
    """It was not started, or is over."""
    OVER = "over"


@dataclass(frozen=True, slots=True)
class PortTerms:
    """How long a port-out may take, and a PIN is good."""

    calendar: BusinessCalendar
    involves_reseller: bool = True
    pin_life: timedelta = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class PortPin:
    """A PIN as it is issued, which is the only time that it is known here."""

    pin: str = field(repr=False)
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class PortOut:
    """A number on its way to another operator."""

    part: int
    id: int
    account_id: int
    card_id: int
    line_id: int
    msisdn: E164
    gaining: str
    reference: str
    proof: Proof
    state: PortState
    failure: PortFailure | None
    requested_at: datetime
    requested_by: str
    due_at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None

    @property
    def is_open(self) -> bool:
        return self.state in OPEN_STATES


class ReturnRefusal(Enum):
    """Why numbers were not offered back, or a list not confirmed."""

    NOTHING_TO_RETURN = "nothing_to_return"
    UNKNOWN_HOLDER = "unknown_holder"
    UNKNOWN_RETURN = "unknown_return"
    CONFIRMED_ALREADY = "confirmed_already"
    LEGAL_HOLD = "legal_hold"
    """What cannot be undone waits until no legal hold is in force."""


@dataclass(frozen=True, slots=True)
class NumberReturn:
    """A list of numbers that were offered back."""

    id: int
    holder: str
    count: int
    made_at: datetime
    made_by: str
    confirmed_at: datetime | None = None
    confirmed_by: str | None = None


@dataclass(frozen=True, slots=True)
class Difference:
    """Numbers that two records do not agree on: how many, and the first few."""

    what: str
    count: int
    examples: tuple[E164, ...]


@dataclass(frozen=True, slots=True)
class NumberAccount:
    """Every number that ever came in, by country and state, against what was imported."""

    totals: Mapping[Country, Mapping[NumberState, int]]
    imported: int
    """As the audit record counted the imports."""
    differences: tuple[Difference, ...]

    @property
    def count(self) -> int:
        return sum(sum(states.values()) for states in self.totals.values())

    @property
    def is_balanced(self) -> bool:
        return self.count == self.imported and not self.differences
