"""How a line is chosen by dialling, and how the line that was called is shown.

The service code, a slot digit, then the number, read in the numbering plan of that slot's line:
``12583 1 13800138000``. What is shown before a sender can be dialled back as it stands.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import phonenumbers

from onecard.values.phone import E164, BadNumber, Country, is_short_code, parse_msisdn, parse_number

MOST_ADDRESS_DIGITS = 20
"""SMPP 3.4 section 4.4.1: an address is at most 20 characters."""


@dataclass(frozen=True, slots=True)
class Dialled:
    """What a subscriber dialled: which slot (None: not said), and the digits after it."""

    slot: int | None
    digits: str

    @property
    def is_service_code_alone(self) -> bool:
        return self.slot is None and not self.digits


def read_dialled(digits: str, service_code: str) -> Dialled:
    """Split the service code and slot from what was dialled."""
    local = digits.removeprefix("+")
    if not local.startswith(service_code):
        return Dialled(None, digits)
    rest = local[len(service_code) :]
    return Dialled(int(rest[0]), rest[1:]) if rest else Dialled(None, "")


@lru_cache(maxsize=65_536)
def read_destination(digits: str, country: Country) -> E164 | str:
    """Read what follows the slot in the plan of the line's country: an E.164 number, or a short code as it is.

    National first, then with the country's international prefix, then as bare international digits.
    Raises `BadNumber`.
    """
    if is_short_code(digits, country):
        return digits
    try:
        return parse_number(digits, country)
    except BadNumber:
        if not digits.isdigit():
            raise
        return parse_msisdn(digits)


@lru_cache(maxsize=65_536)
def show_sender(sender: E164, slot: int, country: Country, service_code: str) -> str | None:
    """The digits that show `sender` on a secondary line and reach it when they are dialled back.

    None when no such digits fit an address.
    """
    for form in _forms(sender, country):
        shown = f"{service_code}{slot}{form}"
        if len(shown) <= MOST_ADDRESS_DIGITS and _reads_back(form, country, sender):
            return shown
    return None


def _forms(sender: E164, country: Country) -> tuple[str, str, str]:
    """National, bare international, and with the international prefix: the shortest that reads back is shown."""
    number = phonenumbers.parse(sender)
    national = phonenumbers.national_significant_number(number)
    abroad = phonenumbers.format_out_of_country_calling_number(number, country)
    return national, sender.removeprefix("+"), "".join(filter(str.isdigit, abroad))


def _reads_back(form: str, country: Country, sender: E164) -> bool:
    try:
        return read_destination(form, country) == sender
    except BadNumber:
        return False
