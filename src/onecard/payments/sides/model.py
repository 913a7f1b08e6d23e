"""Values that are kept apart from cash, each on a ledger account of its own."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, StrEnum

from onecard.values.money import Money


class SideValue(StrEnum):
    """What kind of value a side account holds."""

    DEPOSITS = "deposits"
    """Paid in as a security: not to be spent, and the subscriber's again at the end."""
    DISPUTED = "disputed"
    """Money of which it is not decided whose it is."""
    PROMOTIONAL = "promotional"
    """Given by the operator: no money came in for it, so none is refunded."""
    UNACTIVATED_CARDS = "unactivated_cards"
    """What was paid for cards that became void before they were used."""


class DisputeOutcome(StrEnum):
    """How a dispute over money ended."""

    KEPT = "kept"
    """It is the subscriber's: it is cash again."""
    CHARGED_BACK = "charged_back"
    """Whoever had paid it in got it back from their bank: it is on the account no more."""


class SideRefusal(Enum):
    """Why value was not moved."""

    UNKNOWN_ACCOUNT = "unknown_account"
    BAD_AMOUNT = "bad_amount"
    OTHER_CURRENCY = "other_currency"
    INSUFFICIENT = "insufficient"
    CONFLICTING_EVENT = "conflicting_event"


@dataclass(frozen=True, slots=True)
class SideAccount:
    """A side account and what is on it."""

    part: int
    account_id: int
    value: SideValue
    side_account_id: int
    available: Money
    held: Money
