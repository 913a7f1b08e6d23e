"""Identifiers printed on, or stored in, a SIM card."""

from __future__ import annotations

from typing import NewType

Iccid = NewType("Iccid", str)
"""The card's own number (ITU-T E.118): 18 to 20 digits beginning 89, the last a Luhn check digit."""

Imsi = NewType("Imsi", str)
"""The subscription's identity (3GPP TS 23.003 section 2.2): at most 15 digits, the MCC and MNC first."""


class BadCardIdentifier(ValueError):
    """Digits that are not an ICCID or IMSI."""


def luhn_is_valid(digits: str) -> bool:
    """Check the digit of ISO/IEC 7812-1 annex B."""
    total = 0
    for position, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + position % 2)
        total += value - 9 * (value > 9)
    return total % 10 == 0


def parse_iccid(digits: str) -> Iccid:
    """Read an ICCID; raises `BadCardIdentifier` when its form or its check digit is wrong."""
    if not (digits.isascii() and digits.isdigit() and 18 <= len(digits) <= 20 and digits.startswith("89")):
        raise BadCardIdentifier(f"{digits!r} is not an ICCID: 18 to 20 digits that begin with 89")
    if not luhn_is_valid(digits):
        raise BadCardIdentifier(f"{digits!r} is not an ICCID: its check digit is wrong")
    return Iccid(digits)


def parse_imsi(digits: str) -> Imsi:
    """Read an IMSI; raises `BadCardIdentifier` when its form is wrong."""
    if not (digits.isascii() and digits.isdigit() and 6 <= len(digits) <= 15):
        raise BadCardIdentifier(f"{digits!r} is not an IMSI: 6 to 15 digits")
    return Imsi(digits)
