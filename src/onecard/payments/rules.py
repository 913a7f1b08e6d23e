"""Pure rules of vouchers: what a PIN is, how it is hidden, and whether it may be used."""

from __future__ import annotations

import hmac
from datetime import datetime
from hashlib import sha256

from onecard.ledger.model import MOST_POSTING_MICROS
from onecard.payments.model import Payer, Voucher, VoucherRefusal, VoucherState
from onecard.values.card import luhn_is_valid
from onecard.values.money import Money

PIN_DIGITS = 16
PINS = 10 ** (PIN_DIGITS - 1)
"""How many PINs there are: the last digit checks the others."""
BATCH_MOST = 100_000


def make_pin(number: int) -> str:
    """The PIN of a number below `PINS`: 15 digits and the check digit of ISO/IEC 7812-1 annex B."""
    assert 0 <= number < PINS
    body = f"{number:0{PIN_DIGITS - 1}d}"
    return next(body + str(digit) for digit in range(10) if luhn_is_valid(body + str(digit)))


def is_pin(digits: str) -> bool:
    """Whether these can be the digits of a PIN. What is not one is a slip of the finger, and worth no look-up."""
    return len(digits) == PIN_DIGITS and digits.isascii() and digits.isdigit() and luhn_is_valid(digits)


def hash_pin(key: bytes, pin: str) -> bytes:
    """What is kept of a PIN (HMAC-SHA256, RFC 2104). There are too few PINs for a hash without a key to hide one."""
    return hmac.digest(key, pin.encode("ascii"), sha256)


def find_fault(face: Money, count: int, expires_at: datetime, now: datetime) -> VoucherRefusal | None:
    """Why no such batch can be made; None: it can."""
    if not 0 < face.micros <= MOST_POSTING_MICROS:
        return VoucherRefusal.BAD_FACE
    if not 0 < count <= BATCH_MOST:
        return VoucherRefusal.BAD_COUNT
    return VoucherRefusal.EXPIRED_ALREADY if expires_at <= now else None


def state_at(voucher: Voucher, now: datetime) -> VoucherState:
    """What a voucher is at an instant. One that was used or voided does not expire."""
    if voucher.used_at is not None:
        return VoucherState.USED
    if voucher.voided_at is not None:
        return VoucherState.VOID
    return VoucherState.EXPIRED if voucher.expires_at <= now else VoucherState.UNUSED


_REFUSALS = {
    VoucherState.USED: VoucherRefusal.USED,
    VoucherState.EXPIRED: VoucherRefusal.EXPIRED,
    VoucherState.VOID: VoucherRefusal.VOID,
}


def is_used_by(voucher: Voucher, payer: Payer) -> bool:
    """Whether the voucher topped up this very account."""
    return (voucher.part, voucher.account_id) == (payer.part, payer.account_id)


def decide_redemption(voucher: Voucher, payer: Payer, now: datetime) -> VoucherRefusal | None:
    """Why a voucher cannot top up an account now; None: it can."""
    state = state_at(voucher, now)
    if state is not VoucherState.UNUSED:
        return _REFUSALS[state]
    return None if voucher.face.currency == payer.currency else VoucherRefusal.OTHER_CURRENCY
