"""Payout runs: refunds that are paid by one file, and what the bank says of each."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from enum import Enum, StrEnum

import msgspec

from onecard.payments.bank.model import Debtor
from onecard.values.money import Currency, Money


class Route(StrEnum):
    """By what way money goes back."""

    BANK = "bank"
    """To the payee, by a payment order to the operator's bank."""
    AS_PAID = "as_paid"
    """To the original payment's reference, by the provider that took it."""


class RunState(StrEnum):
    """How far a run has come."""

    MADE = "made"
    """Its refunds are frozen; a second person looks at it."""
    RELEASED = "released"
    SUBMITTED = "submitted"
    """Its file is being written, or was."""
    WITHDRAWN = "withdrawn"


class PayoutState(StrEnum):
    """What became of one payment of a run."""

    MADE = "made"
    SUBMITTED = "submitted"
    SETTLED = "settled"
    REJECTED = "rejected"
    """The bank did not carry it out."""
    RETURNED = "returned"
    """It was carried out, and the money came back."""
    WITHDRAWN = "withdrawn"


class PayoutRefusal(Enum):
    """Why a run was not made, released, withdrawn or written."""

    NOTHING_APPROVED = "nothing_approved"
    """No refund is approved, past its cooling off, and within the limits."""
    BAD_LIMIT = "bad_limit"
    UNKNOWN_RUN = "unknown_run"
    WRONG_STATE = "wrong_state"
    SAME_PERSON = "same_person"
    NOT_STAFF = "not_staff"
    KEY_DESTROYED = "key_destroyed"
    """A subscriber of the run was erased: withdraw it and make another."""
    UNKNOWN_LINE = "unknown_line"
    ALREADY_RESOLVED = "already_resolved"


class Unmatched(StrEnum):
    """Why a line of the bank's needs a person."""

    UNKNOWN = "unknown"
    """It names no payment of ours."""
    OTHER_AMOUNT = "other_amount"
    CONTRADICTION = "contradiction"
    """It cannot be so after what was said before: paid after it was rejected, say."""
    PAID_TWICE = "paid_twice"
    """The bank booked a second payment, or a second return, of one order."""


@dataclass(frozen=True, slots=True)
class PayoutRun:
    """Refunds that are paid by one file. `total`: of all payments, rounded."""

    id: int
    route: Route
    state: RunState
    count: int
    total: Money
    execution_on: date
    made_at: datetime
    made_by: str
    debtor: Debtor | None = None
    released_at: datetime | None = None
    released_by: str | None = None
    submitted_at: datetime | None = None

    @property
    def currency(self) -> Currency:
        return self.total.currency

    @property
    def message_id(self) -> str:
        """Of the file, the same however often it is written."""
        return f"OC-RUN-{self.id}-{self.made_at:%Y%m%d}"


class PayoutKey(msgspec.Struct, frozen=True, gc=False, order=True):
    """Which payment: of a refund, in a run."""

    part: int
    run_id: int
    refund_id: int


class Payout(msgspec.Struct, frozen=True, gc=False):
    """One payment of a run, as it is now."""

    key: PayoutKey
    amount: Money
    """In whole minor units."""
    state: PayoutState
    reason: str | None = None
    debit_reference: str | None = None
    """The bank's, of the entry that paid it."""
    credit_reference: str | None = None
    """The bank's, of the entry that brought it back."""


class Said(Enum):
    """What a line of the bank's says of a payment."""

    UNDER_WAY = "under_way"
    PAID = "paid"
    NOT_PAID = "not_paid"
    CAME_BACK = "came_back"


class Line(msgspec.Struct, frozen=True, gc=False):
    """One line of a report or statement, as far as it concerns a payment."""

    end_to_end_id: str | None
    said: Said
    reason: str | None = None
    amount: Money | None = None
    """None: a report, which names none."""
    reference: str | None = None
    """The bank's, of an entry of a statement; None: a report."""


class Move(Enum):
    """How money moves by what a bank says."""

    PAY = "pay"
    BRING_BACK = "bring_back"


class Effect(msgspec.Struct, frozen=True, gc=False):
    """What a line does to a payment."""

    payout: Payout
    moves: tuple[Move, ...] = ()


@dataclass(frozen=True, slots=True)
class Applied:
    """What became of the lines of a message."""

    settled: int = 0
    rejected: int = 0
    returned: int = 0
    unchanged: int = 0
    """Of those that said what was known."""
    unmatched: int = 0
    is_repeated: bool = False
    """A message of this id came before; lines that it brought anew were applied all the same."""


@dataclass(frozen=True, slots=True)
class UnmatchedLine:
    """A line that waits for a person."""

    id: int
    source: str
    message_id: str
    reference: str
    end_to_end_id: str | None
    why: Unmatched
    at: datetime
    resolved_at: datetime | None
    resolved_by: str | None
    resolution: str | None
