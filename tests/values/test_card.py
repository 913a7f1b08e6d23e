"""ICCIDs are checked to the last digit."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onecard.values.card import BadCardIdentifier, luhn_is_valid, parse_iccid, parse_imsi


@pytest.mark.parametrize("digits", ["0", "18", "4111111111111111", "79927398713"])
def test_known_numbers_pass_the_check_digit(digits: str) -> None:
    assert luhn_is_valid(digits)


@given(st.text("0123456789", min_size=16, max_size=17), st.data())
def test_one_wrong_digit_is_always_noticed(body: str, data: st.DataObject) -> None:
    iccid = next(f"89{body}{digit}" for digit in range(10) if luhn_is_valid(f"89{body}{digit}"))
    assert parse_iccid(iccid) == iccid
    place = data.draw(st.integers(2, len(iccid) - 1))
    digit = data.draw(st.sampled_from("0123456789").filter(lambda digit: digit != iccid[place]))
    with pytest.raises(BadCardIdentifier):
        parse_iccid(iccid[:place] + digit + iccid[place + 1 :])


@pytest.mark.parametrize(
    "digits", ["", "89", "79927398713", "8" * 21, "89x4501312345678905", "８９44501312345678905"]
)
def test_what_is_no_iccid_is_refused(digits: str) -> None:
    with pytest.raises(BadCardIdentifier):
        parse_iccid(digits)


@pytest.mark.parametrize("digits", ["", "30299", "3" * 16, "30299000000000a", "３０２９９0"])
def test_what_is_no_imsi_is_refused(digits: str) -> None:
    with pytest.raises(BadCardIdentifier):
        parse_imsi(digits)


def test_an_imsi_is_read() -> None:
    assert parse_imsi("302990000000001") == "302990000000001"
