"""What contact details must look like. Pure."""

from __future__ import annotations

import re

from onecard.subscribers.model import Contact

NAME_LENGTH_MOST = 200
EMAIL_LENGTH_MOST = 254  # RFC 5321 section 4.5.3.1.3, without the angle brackets
POSTAL_ADDRESS_LENGTH_MOST = 500

_EMAIL = re.compile(r"[^\s@<>(),;:\\\"\[\]]{1,64}@(?:[^\s@.<>(),;:\\\"\[\]]+\.)+[^\s@.<>(),;:\\\"\[\]]{2,}")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


class BadContact(ValueError):
    """Contact details that cannot be right."""


def parse_contact(name: str, email: str, postal_address: str | None = None) -> Contact:
    """Check and tidy contact details; raises `BadContact` with one sentence."""
    return Contact(
        _check("name", name, NAME_LENGTH_MOST),
        _check_email(email.strip()),
        _check("postal address", postal_address, POSTAL_ADDRESS_LENGTH_MOST) if postal_address else None,
    )


def _check(what: str, text: str, length_most: int) -> str:
    tidy = text.strip()
    if not tidy:
        raise BadContact(f"the {what} is empty")
    if len(tidy) > length_most:
        raise BadContact(f"the {what} is longer than {length_most} characters")
    if _CONTROL.search(tidy):
        raise BadContact(f"the {what} has control characters in it")
    return tidy


def _check_email(email: str) -> str:
    if len(email) > EMAIL_LENGTH_MOST or not _EMAIL.fullmatch(email):
        raise BadContact(f"{email[:80]!r} is not an e-mail address")
    return email
