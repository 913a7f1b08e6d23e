"""Payees: which accounts can be, and what is shown of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onecard.payments.bank.model import BankAccount
from onecard.payments.payees import (
    BadPayee,
    make_payee,
    parse_canadian_account,
    parse_iban,
    parse_other_account,
    show_account,
)

IBANS = ["GB82WEST12345698765432", "DE89370400440532013000", "FR1420041010050500013M02606", "NO9386011117947"]


@pytest.mark.parametrize("iban", IBANS)
def test_an_iban_whose_check_digits_fit_is_one(iban: str) -> None:
    grouped = " ".join(iban[place : place + 4] for place in range(0, len(iban), 4)).lower()
    assert parse_iban(grouped) == BankAccount(iban, is_iban=True)


@given(iban=st.sampled_from(IBANS), place=st.integers(4, 14), other=st.integers(1, 9))
def test_an_iban_with_one_digit_mistyped_is_none(iban: str, place: int, other: int) -> None:
    if iban[place].isdigit():
        digit = str((int(iban[place]) + other) % 10)
        with pytest.raises(BadPayee, match="check digits"):
            parse_iban(iban[:place] + digit + iban[place + 1 :])


@given(text=st.text(max_size=60))
def test_whatever_is_typed_is_an_iban_or_no_payee(text: str) -> None:
    try:
        parse_iban(text)
    except BadPayee:
        return


@pytest.mark.parametrize("name", ["=cmd|'/C calc'!A0", "@SUM(1)", " +1", "-1"])
def test_no_name_of_a_payee_is_a_formula_for_who_opens_the_file(name: str) -> None:
    with pytest.raises(BadPayee, match="letter"):
        make_payee(name, parse_canadian_account("004-12345-1234567"))


def test_a_canadian_account_has_institution_transit_and_number() -> None:
    account = parse_canadian_account("004-12345-1234567")
    assert account == BankAccount("1234567", False, "CACPA", "000412345")
    for text in ("4-12345-1234567", "004-1234-1234567", "004-12345-1234", "004123451234567", ""):
        with pytest.raises(BadPayee, match="institution-transit-account"):
            parse_canadian_account(text)


def test_another_account_names_its_bank() -> None:
    account = parse_other_account("6222 0000 1234", clearing_system="CNAPS", clearing_member="102100099996")
    assert (account.number, account.clearing_member) == ("622200001234", "102100099996")
    assert parse_other_account("1-2", bic="DEUTDEFF500").bic == "DEUTDEFF500"
    for arguments in ({}, {"clearing_system": "CNAPS"}, {"bic": "nobic"}):
        with pytest.raises(BadPayee):
            parse_other_account("1234", **arguments)
    with pytest.raises(BadPayee):
        parse_other_account("<&>", bic="DEUTDEFF")


@pytest.mark.parametrize(
    ("number", "shown"), [("GB82WEST12345698765432", "…5432"), ("12345", "…45"), ("1", "…")]
)
def test_the_last_characters_of_an_account_are_shown(number: str, shown: str) -> None:
    assert show_account(BankAccount(number, is_iban=False)) == shown


@pytest.mark.parametrize("name", ["", "   ", "x" * 141, "a\0b"])
def test_a_payee_has_a_name(name: str) -> None:
    with pytest.raises(BadPayee):
        make_payee(name, parse_iban(IBANS[0]))
