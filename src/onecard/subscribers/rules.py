"""What contact details and claim codes must look like. Pure."""

from __future__ import annotations

import hmac
import re
import unicodedata
from hashlib import sha256

from onecard.subscribers.model import Contact
from onecard.values.table import FORMULA

NAME_LENGTH_MOST = 200
EMAIL_LENGTH_MOST = 254  # RFC 5321 section 4.5.3.1.3, without the angle brackets
POSTAL_ADDRESS_LENGTH_MOST = 500

_OF_ADDRESS = r"[^\s\x00-\x1f\x7f@<>(),;:\\\"\[\]"
EMAIL = re.compile(rf"(?!=|.*=\?){_OF_ADDRESS}]{{1,64}}@(?:{_OF_ADDRESS}.]+\.)+{_OF_ADDRESS}.]{{2,}}")
"""What an e-mail address looks like. Not with ``=?``: headers take that for words in disguise (RFC 2047)."""
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
    if tidy.startswith(FORMULA):
        raise BadContact(f"the {what} begins with a letter or a digit")
    return tidy


def _check_email(email: str) -> str:
    if len(email) > EMAIL_LENGTH_MOST or not EMAIL.fullmatch(email):
        raise BadContact(f"{email[:80]!r} is not an e-mail address")
    return email


# Claim codes

CODE_SIGNS = 16
CODES = 32 ** (CODE_SIGNS - 2)
"""How many claim codes there are: two of the signs check the others."""
CODE_LENGTH_MOST = 40
"""With what people write between the signs."""

_SIGNS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's base 32: no I, L, O, U
_VALUES = {sign: value for value, sign in enumerate(_SIGNS)} | {"I": 1, "L": 1, "O": 0}
_MODULUS = 1021
"""The greatest prime that two signs hold: one wrong sign, and two that changed places, are always found."""


def make_claim_code(number: int) -> str:
    """The claim code of a number below `CODES`, as it is stored and hashed."""
    assert 0 <= number < CODES
    body = number * 32**2
    whole = body + (1 - body) % _MODULUS
    return "".join(_SIGNS[whole >> 5 * place & 31] for place in reversed(range(CODE_SIGNS)))


def read_claim_code(text: str) -> str | None:
    """A claim code as a person writes it, with spaces, hyphens and small letters; None: this can be none."""
    signs = [sign for sign in text[: CODE_LENGTH_MOST + 1].upper() if sign not in " -\t"]
    if len(text) > CODE_LENGTH_MOST or len(signs) != CODE_SIGNS or not _VALUES.keys() >= set(signs):
        return None
    whole = 0
    for sign in signs:
        whole = whole * 32 + _VALUES[sign]
    return "".join(_SIGNS[_VALUES[sign]] for sign in signs) if whole % _MODULUS == 1 else None


def format_claim_code(code: str) -> str:
    """A claim code as it is printed: four groups of four."""
    return "-".join(code[place : place + 4] for place in range(0, CODE_SIGNS, 4))


def hash_secret(key: bytes, secret: str) -> bytes:
    """What is kept of a secret that is found by itself (HMAC-SHA256, RFC 2104)."""
    return hmac.digest(key, secret.encode("utf-8"), sha256)


NAME_WORDS_MOST = 10
WORD_HASH_OCTETS = 8
"""Enough to tell words apart; names are few, so that more would tell no more."""


def hash_name(key: bytes, name: str) -> frozenset[bytes]:
    """What a name is looked up by: a keyed hash of each of its words, whatever their order, case and accents."""
    return frozenset(
        hmac.digest(key, word.encode(), sha256)[:WORD_HASH_OCTETS]
        for word in _words_of(name)[:NAME_WORDS_MOST]
    )


def _words_of(name: str) -> list[str]:
    plain = "".join(
        letter
        for letter in unicodedata.normalize("NFKD", name.casefold())
        if not unicodedata.combining(letter)
    )
    return re.findall(r"\w+", unicodedata.normalize("NFKC", plain))
