"""Balances at the gate, what is left of them, and what a closing statement needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from onecard.sealing.signing import SignedDocument
from onecard.values.money import Currency
from onecard.winddown.model import RefundPolicy, ValueKind


class SnapshotRefusal(StrEnum):
    """Why balances were not recorded."""

    TOO_SOON = "too_soon"
    """What was charged in the last seconds before the gate may not be written yet."""


class ResidueState(StrEnum):
    """Why money is still on an account. None of these makes it the operator's."""

    HELD = "held"
    """A refund of it is on its way, or something that is not over holds it."""
    DISPUTED = "disputed"
    UNREACHABLE = "unreachable"
    """There are no contact details any more, or nothing that was sent has arrived."""
    INACTIVE = "inactive"
    """Nothing was used or paid in for long before the gate."""
    UNCLAIMED = "unclaimed"
    """The subscriber was told, and has not asked for it."""
    NOT_OWED = "not_owed"
    """The plan pays nothing back of this kind of value."""


class ClosingFault(StrEnum):
    """Why no closing statement is issued."""

    NO_ORDER = "no_order"
    STAGES_TO_COME = "stages_to_come"
    NO_SNAPSHOT = "no_snapshot"
    NOT_NAMED = "not_named"
    """Something is owed that `name_residue` has given no state, or whose amount has changed since."""
    PAYOUTS_UNDER_WAY = "payouts_under_way"
    BOOKS_DIFFER = "books_differ"
    NOT_COVERED = "not_covered"
    LEDGER_BROKEN = "ledger_broken"
    NUMBERS_UNACCOUNTED = "numbers_unaccounted"


@dataclass(frozen=True, slots=True)
class Fault:
    """One reason, in words."""

    fault: ClosingFault
    sentence: str


@dataclass(frozen=True, slots=True)
class NotClosable:
    """Every reason why no statement is issued."""

    faults: tuple[Fault, ...]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The record of all balances as they were when refunds opened."""

    as_of: datetime
    policies: Mapping[ValueKind, RefundPolicy]
    begun_at: datetime
    begun_by: str
    completed_at: datetime | None


@dataclass(frozen=True, slots=True)
class ValueTotal:
    """What the snapshot has of one kind of value and currency."""

    value: ValueKind
    currency: Currency
    count: int
    value_micros: int
    owed_micros: int


@dataclass(frozen=True, slots=True)
class ResidueTotal:
    """What is left of one kind of value, state and currency."""

    value: ValueKind
    state: ResidueState
    currency: Currency
    count: int
    micros: int


@dataclass(frozen=True, slots=True)
class ProvinceTotal:
    """What is left in one state and currency, of subscribers of one province."""

    province: str
    state: ResidueState
    currency: Currency
    count: int
    micros: int


@dataclass(frozen=True, slots=True)
class PaidFee:
    """A fee that was paid for a period of a plan: the event that took it, and when the period ends."""

    subscription_id: int
    account_id: int
    currency: Currency
    period: int
    until: datetime
    paid_at: datetime
    micros: int


@dataclass(frozen=True, slots=True)
class RefundTotal:
    """The refunds of one kind of value, state and currency."""

    value: str
    state: str
    currency: Currency
    count: int
    micros: int


@dataclass(frozen=True, slots=True)
class RunTotal:
    """A payout run, as the statement names it."""

    id: int
    state: str
    currency: Currency
    count: int
    micros: int
    execution_on: date


@dataclass(frozen=True, slots=True)
class Statement:
    """A closing statement that was issued, in a list."""

    id: int
    made_at: datetime
    made_by: str
    sha256: str
    """Of the file, in hexadecimal."""


@dataclass(frozen=True, slots=True)
class Issued:
    """A closing statement that was signed: the file byte for byte, and what it says."""

    id: int
    made_at: datetime
    signed: bytes
    document: SignedDocument
