"""Accounts, the entries that explain their balances, and what a posting may be answered."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum, IntEnum
from uuid import UUID

import msgspec

from onecard.values.money import Currency, Money

MOST_POSTING_MICROS = 10**15
"""The largest change of one posting: a billion units. A batch of the largest still fits a bigint."""


class EntryKind(IntEnum):
    """Why money moved. The numbers are those of the table entry_kind."""

    COUNTERPART = 0
    """The system's side of a batch; never posted from outside."""
    TOP_UP = 1
    CORRECTION = 2
    PAYOUT = 3
    ROUNDING = 4
    TEXT_CHARGE = 5
    TEXT_REFUND = 6
    HOLD = 7
    """(-x, +x): money set aside."""
    SETTLE = 8
    """(+unused, -held): what was used of a hold is paid, the rest is available again."""
    RELEASE = 9
    """(+x, -x): money no longer set aside."""
    USAGE_CHARGE = 10
    USAGE_REFUND = 11
    ALLOWANCE_GIVEN = 12
    ALLOWANCE_ENDED = 13
    PLAN_FEE = 14
    VOUCHER = 15
    """A top-up that a voucher paid."""
    DEPOSIT = 16
    TRANSFER = 17
    """Between the accounts of one subscriber: its entries form a group that sums to zero."""
    PROMOTION_GIVEN = 18
    PROMOTION_ENDED = 19
    PAYOUT_RETURNED = 20
    """A payout that came back."""
    CARD_PRICE = 21
    """What was paid for a card that became void is owed again."""
    PLAN_VALUE = 22
    """The part of a plan's fee that was not used is given back."""


class Posting(msgspec.Struct, frozen=True, gc=False):
    """A wish to change one subscriber's account, by micros of the account's currency.

    `event_id` names the command from outside that caused it: a repeat with the same `content_hash`
    (`rules.hash_contents`) is not posted again, one with another hash is refused.
    """

    part: int
    account_id: int
    event_id: UUID
    kind: EntryKind
    available: int
    content_hash: int
    held: int = 0
    memo: str | None = None


class Posted(IntEnum):
    """The answer to a posting. The numbers are those that ledger_post answers."""

    POSTED = 0
    REPEATED = 1
    """It was posted before, by an earlier request with the same event."""
    CONFLICTING = 2
    """The event was posted before, with other contents."""
    INSUFFICIENT = 3
    """Available or held would fall below zero."""
    NO_ACCOUNT = 4
    """There is no such account, or it is closed."""

    @property
    def is_accepted(self) -> bool:
        """Whether the money moved, now or at the first request."""
        return self <= Posted.REPEATED


class TopUpRefusal(Enum):
    """Why a top-up was refused."""

    BAD_AMOUNT = "bad_amount"
    """Not more than zero, or more than one posting may carry."""
    OTHER_CURRENCY = "other_currency"
    UNKNOWN_ACCOUNT = "unknown_account"
    CONFLICTING_EVENT = "conflicting_event"


@dataclass(frozen=True, slots=True)
class Account:
    """A subscriber's account: what may be spent, and what holds have set aside."""

    part: int
    id: int
    currency: Currency
    available_micros: int
    held_micros: int
    opened_at: datetime
    closed_at: datetime | None = None

    @property
    def available(self) -> Money:
        return Money(self.available_micros, self.currency)

    @property
    def held(self) -> Money:
        return Money(self.held_micros, self.currency)


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the journal: signed changes of one account."""

    part: int
    account_id: int
    event_id: UUID
    batch_id: int
    kind: EntryKind
    available_micros: int
    held_micros: int
    at: datetime
    memo: str | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """What the check of the ledger found."""

    accounts: int
    entries: int
    violations: tuple[str, ...]
    """One sentence each; none: the ledger is proven."""
