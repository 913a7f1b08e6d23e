"""Phone numbers (ITU-T E.164), read in the numbering plan of a country."""

from __future__ import annotations

from typing import NewType

import phonenumbers

E164 = NewType("E164", str)
"""An international number as digits with a leading plus sign, at most 15 digits: ``+16045550100``."""

Country = NewType("Country", str)
"""An ISO 3166-1 alpha-2 code: ``CA``."""


EMERGENCY_ANYWHERE = frozenset({"112", "911"})
"""Numbers that every phone takes for an emergency call."""


class BadNumber(ValueError):
    """Digits that are not a number of the numbering plan they were read in."""


def parse_country(code: str) -> Country:
    """Read a country code; raises `BadNumber` when no numbering plan is known for it."""
    if code.upper() not in phonenumbers.SUPPORTED_REGIONS:
        raise BadNumber(f"{code!r} is not a country code of ISO 3166-1 with a numbering plan, such as CA")
    return Country(code.upper())


def parse_number(digits: str, country: Country | None = None) -> E164:
    """Read a national number of `country`, or an international one (``+`` or the country's own prefix).

    Raises `BadNumber` when it is not a possible number of that plan.
    """
    if len(digits) > 40:
        raise BadNumber("a phone number has at most 15 digits")
    try:
        number = phonenumbers.parse(digits, country)
    except phonenumbers.NumberParseException:
        raise BadNumber(f"{digits!r} is not a phone number{f' of {country}' if country else ''}") from None
    if phonenumbers.is_possible_number_with_reason(number) != phonenumbers.ValidationResult.IS_POSSIBLE:
        raise BadNumber(f"{digits!r} is not a possible phone number{f' of {country}' if country else ''}")
    return E164(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))


def is_short_code(digits: str, country: Country) -> bool:
    """Whether the digits are a short code of the country's plan (a bank's, say), which has no E.164 form."""
    if not digits.isdigit() or len(digits) > 8:
        return False
    try:
        number = phonenumbers.parse(digits, country)
    except phonenumbers.NumberParseException:
        return False
    return phonenumbers.is_possible_short_number_for_region(
        number, country
    ) and not phonenumbers.is_valid_number(number)


def is_emergency(digits: str, country: Country | None = None) -> bool:
    """Whether the digits call for help: anywhere (TS 22.101 section 10.1.1), or by the plan of a country."""
    if digits in EMERGENCY_ANYWHERE:
        return True
    return country is not None and phonenumbers.is_emergency_number(digits, country)


def parse_msisdn(digits: str) -> E164:
    """Read an international number that may lack its plus sign, as SIM stock and SMPP write MSISDNs."""
    return parse_number(digits if digits.startswith("+") else f"+{digits}")


def country_of(number: E164) -> Country | None:
    """The country whose plan the number belongs to, if one is known."""
    region = phonenumbers.region_code_for_number(phonenumbers.parse(number))
    return Country(region) if region and region != "001" else None


def mask(number: str) -> str:
    """Hide a far number: what is kept shows the country and operator, not the person."""
    keep = min(6, max(0, len(number) - 4))
    return number[:keep] + "*" * (len(number) - keep)
