"""Vouchers: batches of PINs, each of which tops up one account once."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum

from onecard.ledger.model import Account
from onecard.values.money import Currency, Money


class VoucherState(Enum):
    """What a voucher is good for now."""

    UNUSED = "unused"
    USED = "used"
    EXPIRED = "expired"
    VOID = "void"


class VoucherRefusal(Enum):
    """Why vouchers were not made, redeemed or voided."""

    BAD_PIN = "bad_pin"
    """Not 16 digits, or the last does not fit the others: a slip of the finger."""
    UNKNOWN_PIN = "unknown_pin"
    USED = "used"
    EXPIRED = "expired"
    VOID = "void"
    OTHER_CURRENCY = "other_currency"
    LOCKED = "locked"
    """Too many wrong PINs were tried on the account."""
    UNKNOWN_CARD = "unknown_card"
    CARD_ENDED = "card_ended"
    ACCOUNT_CLOSED = "account_closed"
    BAD_FACE = "bad_face"
    BAD_COUNT = "bad_count"
    EXPIRED_ALREADY = "expired_already"
    UNKNOWN_BATCH = "unknown_batch"
    UNKNOWN_SERIAL = "unknown_serial"


@dataclass(frozen=True, slots=True)
class VoucherBatch:
    """Vouchers that were made together."""

    id: int
    face: Money
    count: int
    expires_at: datetime
    made_at: datetime
    made_by: str


@dataclass(frozen=True, slots=True)
class NewVoucher:
    """A voucher as it is made, which is the only time that its PIN is known here."""

    serial: int
    pin: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Voucher:
    """A voucher without its PIN. `serial` names it to staff, and tells nothing of the PIN."""

    serial: int
    batch_id: int
    face: Money
    expires_at: datetime
    used_at: datetime | None = None
    part: int | None = None
    account_id: int | None = None
    voided_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class BatchTally:
    """A batch, and how many of its vouchers were used or voided."""

    batch: VoucherBatch
    used: int
    void: int


@dataclass(frozen=True, slots=True)
class Redeemed:
    """A voucher that topped up the account; `is_repeated`: by an earlier request, and nothing was added now."""

    serial: int
    amount: Money
    account: Account
    is_repeated: bool


@dataclass(frozen=True, slots=True)
class Payer:
    """The account that a card's voucher tops up."""

    part: int
    account_id: int
    currency: Currency
