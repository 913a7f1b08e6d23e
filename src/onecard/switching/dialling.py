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
SLOT_MOST = 9


@dataclass(frozen=True, slots=True)
class Dialled:
    """What a subscriber dialled: which slot (None: not said), and the digits after it."""

    slot: int | None
    digits: str

    @property
    def is_service_code_alone(self) -> bool:
        return self.slot is None and not self.digits


def read_dialled(digits: str, service_code: str) -> Dialled:
    """Split the service code and slot from what was dialled; raises `BadNumber` when no slot follows the code."""
    if not digits:
        raise BadNumber("nothing was dialled")
    local = digits.removeprefix("+")
    if not local.startswith(service_code):
        return Dialled(None, digits)
    rest = local[len(service_code) :]
    if not rest:
        return Dialled(None, "")
    if not _are_digits(rest[0]):
        raise BadNumber(f"{rest[:20]!r} does not begin with a slot")
    return Dialled(int(rest[0]), rest[1:])


@lru_cache(maxsize=65_536)
def read_destination(digits: str, country: Country) -> E164 | str:
    """Read what follows the slot in the plan of the line's country: an E.164 number, or a short code as it is.

    National first, then with the country's international prefix, then as bare international digits.
    Raises `BadNumber`, also for letters and signs: what a phone dials has none.
    """
    if not _are_digits(digits.removeprefix("+")):
        raise BadNumber(f"{digits!r} is not a number that can be dialled")
    if is_short_code(digits, country):
        return digits
    try:
        return parse_number(digits, country)
    except BadNumber:
        return parse_msisdn(digits)


@lru_cache(maxsize=65_536)
def read_sender(digits: str, country: Country) -> E164 | str:
    """Read a sender as the network wrote it to a line of `country`: an E.164 number, or the digits as they are.

    Peers leave the plus sign away, so it is a number of the line's own plan if it is valid there, else an
    international one if it is valid as such; what is neither only its own network can read.
    """
    if digits.startswith("+"):
        return _read_possible(digits, None) or digits.removeprefix("+")
    if is_short_code(digits, country):
        return digits
    for number in (_read_possible(digits, country), _read_possible(f"+{digits}", None)):
        if number and phonenumbers.is_valid_number(phonenumbers.parse(number)):
            return number
    return digits


def _read_possible(digits: str, country: Country | None) -> E164 | None:
    try:
        return parse_number(digits, country)
    except BadNumber:
        return None


@lru_cache(maxsize=65_536)
def show_sender(sender: E164 | str, slot: int, country: Country, service_code: str) -> str | None:
    """The digits that show `sender` on a secondary line and reach it when they are dialled back.

    None when no such digits fit an address, or the slot is not one digit.
    """
    if slot > SLOT_MOST:
        return None
    forms = _forms(E164(sender), country) if sender.startswith("+") else (sender,)
    for form in forms:
        shown = f"{service_code}{slot}{form}"
        if len(shown) <= MOST_ADDRESS_DIGITS and _reads_back(form, country, sender):
            return shown
    return None


def _forms(sender: E164, country: Country) -> tuple[str, ...]:
    """National, bare international, and with an international prefix: the shortest that reads back is shown."""
    number = phonenumbers.parse(sender)
    bare = sender.removeprefix("+")
    abroad = phonenumbers.format_out_of_country_calling_number(number, country)
    return (
        phonenumbers.national_significant_number(number),
        bare,
        "".join(filter(str.isdigit, abroad)),
        f"001{bare}",  # Hong Kong has 00 and 001: what begins with 1 would be misread after 00
    )


def _reads_back(form: str, country: Country, sender: E164 | str) -> bool:
    """A sender that only its own network can read is dialled back as it stands: that network reads it again."""
    if not sender.startswith("+"):
        return True
    try:
        return read_destination(form, country) == sender
    except BadNumber:
        return False


def _are_digits(text: str) -> bool:
    return text.isascii() and text.isdigit()
