"""How a line is chosen by dialling, and how the line that was called is shown."""

from __future__ import annotations

import phonenumbers
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from onecard.switching.dialling import (
    MOST_ADDRESS_DIGITS,
    Dialled,
    read_destination,
    read_dialled,
    read_sender,
    show_sender,
)
from onecard.values.phone import E164, BadNumber, Country

CODE = "12583"
CA, CN, HK, GB, US = (Country(code) for code in ("CA", "CN", "HK", "GB", "US"))
COUNTRIES = (CA, CN, HK, GB, US)

countries = st.sampled_from(COUNTRIES)
example_numbers = st.sampled_from(
    [
        E164(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))
        for region in sorted(phonenumbers.SUPPORTED_REGIONS)
        for kind in (phonenumbers.PhoneNumberType.MOBILE, phonenumbers.PhoneNumberType.FIXED_LINE)
        if (number := phonenumbers.example_number_for_type(region, kind))
    ]
)
addresses = st.text(st.characters(max_codepoint=0xFF, min_codepoint=1), max_size=25) | st.text(
    "+0123456789*#", max_size=25
)


@pytest.mark.parametrize(
    ("digits", "slot", "rest"),
    [
        ("6045550100", None, "6045550100"),
        ("12583", None, ""),
        ("+12583", None, ""),
        ("1258316045550100", 1, "6045550100"),
        ("12583113800138000", 1, "13800138000"),
        ("12583011", 0, "11"),
        ("125839", 9, ""),
        ("+12583113800138000", 1, "13800138000"),
        ("1258", None, "1258"),
        ("013800138000", None, "013800138000"),
    ],
)
def test_the_service_code_and_the_slot_are_split_from_what_was_dialled(
    digits: str, slot: int | None, rest: str
) -> None:
    assert read_dialled(digits, CODE) == Dialled(slot, rest)


def test_only_the_service_code_by_itself_is_a_command() -> None:
    assert read_dialled("12583", CODE).is_service_code_alone
    assert not read_dialled("125831", CODE).is_service_code_alone
    assert read_dialled("1258", CODE) == Dialled(None, "1258")


@pytest.mark.parametrize(
    "digits", ["12583*1", "12583#", "12583+8613800138000", "12583 1", "12583²", "12583١"]
)
def test_nothing_and_what_has_no_slot_after_the_service_code_is_refused(digits: str) -> None:
    with pytest.raises(BadNumber):
        read_dialled(digits, CODE)


@pytest.mark.parametrize(
    ("digits", "country", "read"),
    [
        ("13800138000", CN, "+8613800138000"),
        ("8613800138000", CN, "+8613800138000"),
        ("008613800138000", CN, "+8613800138000"),
        ("+8613800138000", CN, "+8613800138000"),
        ("0016045550100", CN, "+16045550100"),
        ("+16045550100", CN, "+16045550100"),
        ("01069012345", CN, "+861069012345"),
        ("95588", CN, "95588"),
        ("10086", CN, "10086"),
        ("6045550100", CA, "+16045550100"),
        ("16045550100", CA, "+16045550100"),
        ("0118613800138000", CA, "+8613800138000"),
        ("8613800138000", CA, "+8613800138000"),
        ("447911123456", CA, "+447911123456"),
        ("911", CA, "911"),
        ("51234567", HK, "+85251234567"),
        ("85251234567", HK, "+85251234567"),
        ("0018613800138000", HK, "+8613800138000"),
        ("07911123456", GB, "+447911123456"),
        ("447911123456", GB, "+447911123456"),
        ("0016045550100", GB, "+16045550100"),
        ("2125550100", US, "+12125550100"),
        ("01185251234567", US, "+85251234567"),
    ],
)
def test_a_destination_is_read_in_the_plan_of_the_lines_country(
    digits: str, country: Country, read: str
) -> None:
    assert read_destination(digits, country) == read


@pytest.mark.parametrize("country", COUNTRIES)
@pytest.mark.parametrize(
    "digits",
    [
        "",
        "+",
        "++8613800138000",
        "1800FLOWERS",
        "ICBC",
        "tel:+16045550100",
        "16045550100;ext=5",
        "604-555-0100",
        "*100#",
        "²³¹",
        "١٢٣",
        "0" * 20,
        "9" * 40,
        "+999123456789",
    ],
)
def test_what_no_phone_dials_is_no_destination(digits: str, country: Country) -> None:
    with pytest.raises(BadNumber):
        read_destination(digits, country)


@given(digits=addresses, country=countries)
def test_a_destination_is_a_number_a_short_code_or_refused_whatever_was_dialled(
    digits: str, country: Country
) -> None:
    try:
        read = read_destination(digits, country)
    except BadNumber:
        return
    assert read.removeprefix("+").isascii()
    assert read.removeprefix("+").isdigit()
    assert len(read) <= 16


@pytest.mark.parametrize(
    ("sender", "country", "read"),
    [
        ("+8613800138000", CN, "+8613800138000"),
        ("13800138000", CN, "+8613800138000"),
        ("8613800138000", CN, "+8613800138000"),
        ("16042345678", CN, "+16042345678"),
        ("95588", CN, "95588"),
        ("10690123456", CN, "10690123456"),
        ("106901234567890", CN, "106901234567890"),
        ("6042345678", CA, "+16042345678"),
        ("8613800138000", CA, "+8613800138000"),
        ("+0013800138000", CN, "0013800138000"),
    ],
)
def test_a_sender_without_a_plus_sign_is_read_in_the_plan_of_the_line_that_it_called(
    sender: str, country: Country, read: str
) -> None:
    assert read_sender(sender, country) == read


@pytest.mark.parametrize(
    ("sender", "slot", "country", "shown"),
    [
        ("+8613800138000", 1, CN, "12583113800138000"),
        ("+16042345678", 1, CN, "1258310016042345678"),
        ("+16042345678", 2, CA, "1258326042345678"),
        ("+8613800138000", 2, CA, "1258328613800138000"),
        ("+85251234567", 3, HK, "12583351234567"),
        ("+16042345678", 1, HK, "12583100116042345678"),
        ("+447911123456", 1, GB, "1258317911123456"),
        ("95588", 1, CN, "12583195588"),
        ("10690123456", 1, CN, "12583110690123456"),
    ],
)
def test_the_line_that_was_called_stands_before_the_sender(
    sender: str, slot: int, country: Country, shown: str
) -> None:
    assert show_sender(sender, slot, country, CODE) == shown


def test_a_sender_that_does_not_fit_an_address_is_not_cut() -> None:
    assert show_sender("106901234567890", 1, CN, CODE) is None


def test_a_slot_of_two_digits_cannot_be_shown() -> None:
    assert show_sender("+8613800138000", 10, CN, CODE) is None


@given(sender=example_numbers, slot=st.integers(0, 9), country=countries)
@example(E164("+16042345678"), 1, CN)
def test_what_is_shown_reads_back_as_the_sender_and_the_line(
    sender: E164, slot: int, country: Country
) -> None:
    shown = show_sender(sender, slot, country, CODE)
    if shown is None:
        return
    assert len(shown) <= MOST_ADDRESS_DIGITS
    assert shown.isdigit()
    dialled = read_dialled(shown, CODE)
    assert dialled.slot == slot
    assert read_destination(dialled.digits, country) == sender


@pytest.mark.parametrize("country", COUNTRIES)
def test_senders_of_everywhere_can_be_shown(country: Country) -> None:
    """An international number of 15 digits leaves no room for the code; all that people have is shorter."""
    for sender in (
        "+8613800138000",
        "+16042345678",
        "+447911123456",
        "+85251234567",
        "+33612345678",
        "+919876543210",
    ):
        assert show_sender(sender, 1, country, CODE)


@given(sender=addresses, slot=st.integers(0, 9), country=countries)
def test_no_sender_makes_showing_fail(sender: str, slot: int, country: Country) -> None:
    if not sender.removeprefix("+").isdigit() or not sender.isascii():
        return
    shown = show_sender(read_sender(sender, country), slot, country, CODE)
    assert shown is None or (len(shown) <= MOST_ADDRESS_DIGITS and read_dialled(shown, CODE).slot == slot)
