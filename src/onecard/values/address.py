"""Addresses of short texts, as the networks write them."""

from __future__ import annotations

import msgspec

TON_INTERNATIONAL = 1
TON_ALPHANUMERIC = 5
NPI_ISDN = 1


class Address(msgspec.Struct, frozen=True, gc=False):
    """Type of number, numbering plan (SMPP 3.4 sections 5.2.5 and 5.2.6) and the digits, or letters, themselves."""

    ton: int = 0
    npi: int = 0
    digits: str = ""

    @property
    def is_numeric(self) -> bool:
        """Whether the address can be dialled: an alphanumeric sender cannot."""
        digits = self.digits.removeprefix("+")
        return self.ton != TON_ALPHANUMERIC and digits.isascii() and digits.isdigit()

    @property
    def dialled(self) -> str:
        """The digits with a plus sign where the type of number says that they are international."""
        if self.ton == TON_INTERNATIONAL and not self.digits.startswith("+"):
            return f"+{self.digits}"
        return self.digits


def international(number: str) -> Address:
    """The address of an E.164 number."""
    return Address(TON_INTERNATIONAL, NPI_ISDN, number.removeprefix("+"))


def unknown(digits: str) -> Address:
    """The address of digits that only the network they go to can read: a service code, a short code."""
    return Address(0, NPI_ISDN, digits)
