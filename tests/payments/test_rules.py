"""PINs, and the state of vouchers at an instant."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onecard.payments.model import NewVoucher, Payer, Voucher, VoucherRefusal, VoucherState
from onecard.payments.rules import (
    BATCH_MOST,
    PINS,
    decide_redemption,
    find_fault,
    hash_pin,
    is_pin,
    is_used_by,
    make_pin,
    state_at,
)
from onecard.values.money import Currency, Money

AT = datetime(2026, 3, 10, 12, tzinfo=UTC)
CAD, CNY = Currency("CAD"), Currency("CNY")
EXPIRES = AT + timedelta(days=30)
SECOND = timedelta(seconds=1)
PAYER = Payer(1, 7, CAD)
FRESH = Voucher(1, 1, Money(20_000_000, CAD), EXPIRES)
USED = replace(FRESH, used_at=AT, part=1, account_id=7)
VOID = replace(FRESH, voided_at=AT)


@given(number=st.integers(0, PINS - 1))
def test_a_pin_has_16_digits_and_the_last_checks_the_others(number: int) -> None:
    pin = make_pin(number)
    assert is_pin(pin)
    assert int(pin[:-1]) == number


@given(number=st.integers(0, PINS - 1), place=st.integers(0, 15), other=st.integers(1, 9))
def test_a_pin_with_one_digit_mistyped_is_none(number: int, place: int, other: int) -> None:
    pin = make_pin(number)
    digit = str((int(pin[place]) + other) % 10)
    assert not is_pin(pin[:place] + digit + pin[place + 1 :])


@pytest.mark.parametrize(
    "digits",
    ["", "0", make_pin(1)[:-1], make_pin(1) + "0", "１" * 16, "1234 5678 9012 3", "abcdefghijklmnop"],
)
def test_other_characters_are_no_pin(digits: str) -> None:
    assert not is_pin(digits)


def test_what_is_kept_of_a_pin_depends_on_the_key() -> None:
    pin = make_pin(123)
    assert hash_pin(b"a" * 32, pin) == hash_pin(b"a" * 32, pin) != hash_pin(b"b" * 32, pin)
    assert hash_pin(b"a" * 32, pin) != hash_pin(b"a" * 32, make_pin(124))


def test_a_pin_does_not_show_where_a_new_voucher_is_shown() -> None:
    assert make_pin(123) not in repr(NewVoucher(1, make_pin(123)))


@pytest.mark.parametrize(
    ("micros", "count", "expires_at", "fault"),
    [
        (1, 1, AT + SECOND, None),
        (10**15, BATCH_MOST, EXPIRES, None),
        (0, 1, EXPIRES, VoucherRefusal.BAD_FACE),
        (-1, 1, EXPIRES, VoucherRefusal.BAD_FACE),
        (10**15 + 1, 1, EXPIRES, VoucherRefusal.BAD_FACE),
        (1, 0, EXPIRES, VoucherRefusal.BAD_COUNT),
        (1, BATCH_MOST + 1, EXPIRES, VoucherRefusal.BAD_COUNT),
        (1, 1, AT, VoucherRefusal.EXPIRED_ALREADY),
    ],
)
def test_a_batch_that_makes_no_sense_has_a_fault(
    micros: int, count: int, expires_at: datetime, fault: VoucherRefusal | None
) -> None:
    assert find_fault(Money(micros, CAD), count, expires_at, AT) is fault


@pytest.mark.parametrize(
    ("voucher", "now", "state", "refusal"),
    [
        (FRESH, AT, VoucherState.UNUSED, None),
        (FRESH, EXPIRES - SECOND, VoucherState.UNUSED, None),
        (FRESH, EXPIRES, VoucherState.EXPIRED, VoucherRefusal.EXPIRED),
        (USED, AT, VoucherState.USED, VoucherRefusal.USED),
        (USED, EXPIRES, VoucherState.USED, VoucherRefusal.USED),
        (VOID, AT, VoucherState.VOID, VoucherRefusal.VOID),
        (VOID, EXPIRES, VoucherState.VOID, VoucherRefusal.VOID),
    ],
)
def test_a_voucher_is_good_once_until_it_expires(
    voucher: Voucher, now: datetime, state: VoucherState, refusal: VoucherRefusal | None
) -> None:
    assert state_at(voucher, now) is state
    assert decide_redemption(voucher, PAYER, now) is refusal


def test_a_voucher_of_another_currency_is_refused() -> None:
    assert decide_redemption(FRESH, replace(PAYER, currency=CNY), AT) is VoucherRefusal.OTHER_CURRENCY


def test_an_account_of_the_same_id_in_another_part_is_another() -> None:
    assert is_used_by(USED, PAYER)
    assert not is_used_by(USED, replace(PAYER, part=2))
    assert not is_used_by(FRESH, PAYER)
