"""What three books say of every payout, and how they can differ."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum

from onecard.values.money import Currency, Money


class DifferenceKind(StrEnum):
    """How two books disagree."""

    UNKNOWN_PAYMENT = "unknown_payment"
    """It is in no payout file."""
    NOT_POSTED = "not_posted"
    """The ledger paid less than the file has as settled."""
    POSTED_TOO_MUCH = "posted_too_much"
    RETURN_NOT_POSTED = "return_not_posted"
    RETURN_POSTED_TOO_MUCH = "return_posted_too_much"
    NOT_BOOKED = "not_booked"
    """The bank booked less than the file has as settled, and statements of that day have come."""
    BOOKED_TOO_MUCH = "booked_too_much"
    """The bank paid more than once, more than was ordered, or what it had rejected."""
    RETURN_NOT_BOOKED = "return_not_booked"
    RETURN_BOOKED_TOO_MUCH = "return_booked_too_much"
    RUN_TOTAL = "run_total"
    """The orders of a run are not as many, or sum to another amount, than the run has."""
    STATEMENT_GAP = "statement_gap"
    """A statement does not begin with what the one before it ended with: one is missing."""
    STATEMENT_SUM = "statement_sum"
    """The movements do not lead from one balance to the next."""
    UNMATCHED = "unmatched"
    """Lines of the bank's that wait for a person."""


@dataclass(frozen=True, slots=True)
class Sides:
    """Money that went out, and that came back, in micros."""

    out: int = 0
    back: int = 0


@dataclass(frozen=True, slots=True)
class Compared:
    """One payment in the three books."""

    subject: str
    """Its end-to-end id."""
    run_id: int | None
    currency: Currency
    is_filed: bool
    """There is an order of it."""
    by_bank: bool
    """It goes by the bank, and stands in its statements; not: by the provider that took the payment."""
    changed_at: datetime | None
    filed: Sides
    """By the state of its order."""
    posted: Sides
    booked: Sides


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that two books do not agree on, in words."""

    kind: DifferenceKind
    subject: str
    """A payment's end-to-end id, ``run 7``, or the statement of an account."""
    sentence: str


@dataclass(frozen=True, slots=True)
class DayTotals:
    """What moved on one day, by the ledger and by the bank. Banks may book a day later: see `Difference` for what
    never met.
    """

    day: date
    currency: Currency
    posted: Sides
    booked: Sides


@dataclass(frozen=True, slots=True)
class StatementLink:
    """A statement and the one before it; the balances in micros."""

    account: str
    id: str
    closing_on: date
    opening: int | None
    closing: int
    closing_before: int | None
    """None: it is the first."""
    moved: int | None
    """The movements since the one before; None: it is the first, and its own opening is all there is."""


@dataclass(frozen=True, slots=True)
class Funding:
    """Money in hand against what is owed, in one currency."""

    currency: Currency
    in_hand: Money
    """Closing balance of the latest statement of each account that was paid from."""
    on: date | None
    """The day of the oldest of those; None: no statement has come."""
    leaving: Money
    """Posted as paid, and not on a statement yet: it will leave the account."""
    left: Money
    """On a statement, and not posted yet: it is owed no more."""
    owed: dict[str, int]
    """Micros by kind of value."""

    @property
    def total_owed(self) -> Money:
        return Money(sum(self.owed.values()), self.currency)

    @property
    def spare(self) -> Money:
        """What is left when all is paid; below zero: it is not covered."""
        return self.in_hand - self.leaving + self.left - self.total_owed

    @property
    def is_covered(self) -> bool:
        return self.spare.micros >= 0


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """What came of holding all books against each other."""

    compared: int
    awaited: int
    """Payments that are settled by report, and whose statement has not come yet."""
    counts: dict[DifferenceKind, int]
    differences: tuple[Difference, ...]
    """The first of each kind."""
    days: tuple[DayTotals, ...]
    funding: tuple[Funding, ...]
    statements: int = field(default=0)

    @property
    def agrees(self) -> bool:
        return not self.counts

    @property
    def is_covered(self) -> bool:
        return all(one.is_covered for one in self.funding)
