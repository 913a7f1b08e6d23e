"""What is told to a bank, and what it tells: the same values whichever format of file carries them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum

import msgspec

from onecard.values.money import Money


class BadBankFile(ValueError):
    """A file of a bank that cannot be read, or whose control sums do not agree, and where."""

    def __init__(self, line: int, reason: str) -> None:
        self.line = line
        self.reason = reason
        super().__init__(f"line {line}: {reason}")


@dataclass(frozen=True, slots=True)
class BankAccount:
    """Where money is paid to or from."""

    number: str = field(repr=False)
    """The IBAN without spaces, in capitals; or the number that the bank itself has for it."""
    is_iban: bool
    clearing_system: str | None = None
    """Which list `clearing_member` is from (ISO 20022 ExternalClearingSystemIdentification1Code): CACPA, CNAPS."""
    clearing_member: str | None = None
    """The bank, as that list has it; of CACPA nine digits: 0, institution (3), transit (5)."""
    bic: str | None = None
    """ISO 9362, 8 or 11 characters."""


@dataclass(frozen=True, slots=True)
class Payee:
    """Who is paid, and where. Sealed wherever it is kept."""

    name: str = field(repr=False)
    account: BankAccount


@dataclass(frozen=True, slots=True)
class Debtor:
    """The operator, who pays, and the account that it pays from."""

    name: str
    account: BankAccount


@dataclass(frozen=True, slots=True)
class PaymentOrder:
    """One payment of a file."""

    end_to_end_id: str
    """Ours, of this payment alone; comes back in every report (at most 35 of letters, digits and hyphens)."""
    amount: Money
    """More than zero, in whole minor units of the currency."""
    payee: Payee
    remittance: str
    """What the payee reads on their statement, at most 140 characters."""


@dataclass(frozen=True, slots=True)
class PaymentFile:
    """The whole of a file but its orders, which may be 100,000 and are written in pieces, in one order always.

    The bytes depend on these values and the orders alone, so that a file can be written again.
    """

    message_id: str
    """As an end-to-end id."""
    made_at: datetime
    """In UTC, whole seconds."""
    debtor: Debtor
    execution_on: date
    count: int
    total: Money
    """Of all orders; they have one currency."""


class OrderState(StrEnum):
    """What a bank says of an order."""

    PENDING = "pending"
    ACCEPTED = "accepted"
    """Checked, and to be carried out."""
    SETTLED = "settled"
    """Carried out."""
    REJECTED = "rejected"
    """Not carried out; no money left the account."""


@dataclass(frozen=True, slots=True)
class OrderStatus:
    """What is said of one order; `reason`: a code of ISO 20022 (AC04), or the bank's own words."""

    end_to_end_id: str
    state: OrderState
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class StatusReport:
    """What a bank says of a file that it was given (pain.002)."""

    message_id: str
    """The bank's, of this report."""
    original_message_id: str
    """Ours, of the file."""
    whole: OrderState | None
    """What is said of all orders that `statuses` does not name; None: nothing."""
    whole_reason: str | None
    statuses: tuple[OrderStatus, ...]


class Booked(msgspec.Struct, frozen=True, gc=False):
    """One movement on the operator's account. The orders of an entry that was booked as one sum are one each."""

    reference: str
    """The bank's, one for each movement of the account; where there is none, made of the entry's place."""
    end_to_end_id: str | None
    """Ours, of the order that was paid or came back; None: the bank does not say."""
    amount: Money
    """More than zero."""
    is_credit: bool
    """Money came in."""
    is_reversal: bool
    """It undoes an earlier movement. A payment that was returned is a credit with a `reason`, or a reversal."""
    booked_on: date
    reason: str | None = None
    """Why it was returned: a code of ISO 20022 (AC04), or the bank's own words."""
    message_id: str | None = None
    """Ours, of the file whose orders were booked as this one sum and are not told apart; else None."""


@dataclass(frozen=True, slots=True)
class BankStatement:
    """What moved on the operator's account (camt.053, camt.054)."""

    id: str
    """The bank's."""
    account: str
    """Its IBAN or number."""
    booked: tuple[Booked, ...]
    opening: Money | None
    """What was on it before and after; None: a notification of movements (camt.054) has neither. May be below zero."""
    closing: Money | None
    closing_on: date | None
    """The day of `closing`."""
