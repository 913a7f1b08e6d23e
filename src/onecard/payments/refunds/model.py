"""Refunds: what is owed to a subscriber, on its way back, seen by two people before it is paid."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, StrEnum
from uuid import UUID

import msgspec

from onecard.payments.bank.model import Payee
from onecard.values.money import Money


class RefundedValue(StrEnum):
    """What kind of value is paid back; each is a refund of its own."""

    CASH = "cash"
    DEPOSITS = "deposits"
    UNACTIVATED_CARDS = "unactivated_cards"
    LATE_PAYMENTS = "late_payments"
    """Money that came in when top-ups were closed already."""


class RefundState(StrEnum):
    """How far a refund has come."""

    REQUESTED = "requested"
    VERIFIED = "verified"
    """Whoever asked has shown who they are."""
    APPROVED = "approved"
    SUBMITTED = "submitted"
    """Told to the bank, or being told."""
    SETTLED = "settled"
    RETURNED = "returned"
    """The bank did not pay it, or it came back: it needs another payee, or another try."""
    REJECTED = "rejected"
    CANCELLED = "cancelled"


class RefundRefusal(Enum):
    """Why a refund was not requested or changed."""

    UNKNOWN_ACCOUNT = "unknown_account"
    UNKNOWN_CARD = "unknown_card"
    UNKNOWN_REFUND = "unknown_refund"
    NOTHING_TO_REFUND = "nothing_to_refund"
    BAD_AMOUNT = "bad_amount"
    """Not more than zero, more than is available, or in another currency."""
    ALREADY_OPEN = "already_open"
    CONFLICTING_EVENT = "conflicting_event"
    ERASED = "erased"
    """The subscriber's key was destroyed: no payee can be kept for them."""
    CARD_IN_USE = "card_in_use"
    """The card was activated, or still can be."""
    NOT_PAID = "not_paid"
    """Nobody wrote down what was paid for the card."""
    WRONG_STATE = "wrong_state"
    IN_A_RUN = "in_a_run"
    NO_PAYEE = "no_payee"
    PAID_AS_IT_WAS = "paid_as_it_was"
    """It goes back the way it was paid, and can have no payee."""
    NOT_STAFF = "not_staff"
    SAME_PERSON = "same_person"
    """Who approves is none of those who requested it, verified it, or gave the payee."""


@dataclass(frozen=True, slots=True)
class OriginalPayment:
    """A payment that is paid back the way it came: how it was paid, and the payer's own reference."""

    method: str
    reference: str


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody wants refunded: all that is available, or an amount of it."""

    account_id: int
    event_id: UUID
    value: RefundedValue = RefundedValue.CASH
    amount: Money | None = None
    payee: Payee | None = None
    """None: to be given later."""


class NewRefund(msgspec.Struct, frozen=True, gc=False):
    """A refund about to be written."""

    account_id: int
    ledger_account_id: int
    subscriber_id: int
    value: RefundedValue
    amount: Money
    event_id: UUID
    content_hash: int
    payment: OriginalPayment | None = None
    sealed_payee: bytes | None = None
    payee_shown: str | None = None
    cooling_until: datetime | None = None


class Refund(msgspec.Struct, frozen=True, gc=False):
    """A refund as it is now. Its `amount` is held on the ledger account until the bank has paid it."""

    part: int
    id: int
    account_id: int
    ledger_account_id: int
    subscriber_id: int
    value: RefundedValue
    amount: Money
    state: RefundState
    version: int
    requested_at: datetime
    requested_by: str
    reason: str | None = None
    payment: OriginalPayment | None = None
    sealed_payee: bytes | None = None
    payee_shown: str | None = None
    payee_by: str | None = None
    cooling_until: datetime | None = None
    verified_at: datetime | None = None
    verified_by: str | None = None
    verified_how: str | None = None
    approved_at: datetime | None = None
    approved_by: str | None = None
    run_id: int | None = None
    is_frozen: bool = False
    """A payout run has it, and nobody else may change it."""
    reopened: bool = False
    closed_at: datetime | None = None

    @property
    def has_way_back(self) -> bool:
        return self.payment is not None or self.sealed_payee is not None


@dataclass(frozen=True, slots=True)
class Verify:
    """Whoever asked has shown who they are; `how`: claim code, sign-in, or in the words of staff."""

    how: str


@dataclass(frozen=True, slots=True)
class Approve:
    """A member of staff agrees that it is paid."""


@dataclass(frozen=True, slots=True)
class Reject:
    """It is not paid; the money is the subscriber's to spend again."""

    reason: str


@dataclass(frozen=True, slots=True)
class Cancel:
    """The subscriber does not want it any more."""


@dataclass(frozen=True, slots=True)
class Retry:
    """One that came back is tried again as it is."""


@dataclass(frozen=True, slots=True)
class ChangePayee:
    """Another payee, sealed; the first one of a refund is no change, unless the refund before named another."""

    sealed: bytes
    shown: str
    cooling_off: timedelta
    first_until: datetime | None = None
    """Until when the first one cools off."""


Change = Verify | Approve | Reject | Cancel | Retry | ChangePayee


@dataclass(frozen=True, slots=True)
class HistoryRow:
    """One version of a refund: who made it, by what, and why."""

    version: int
    state: RefundState
    at: datetime
    actor: str
    what: str
    reason: str | None


@dataclass(frozen=True, slots=True)
class Tally:
    """The refunds of one currency, kind of value and state."""

    currency: str
    value: RefundedValue
    state: RefundState
    count: int
    micros: int
