"""Pure rules of payees: what their names and accounts must look like, how they are sealed, what is shown of them."""

from __future__ import annotations

import re

import msgspec

from onecard.payments.bank.model import BankAccount, Payee
from onecard.sealing.keys import SealingKey
from onecard.values.table import FORMULA

NAME_CHARACTERS_MOST = 140  # ISO 20022 Max140Text
NUMBER_CHARACTERS_MOST = 34  # ISO 20022 Max34Text
MEMBER_CHARACTERS_MOST = 35  # ISO 20022 Max35Text
SHOWN_CHARACTERS = 4
CANADIAN_CLEARING = "CACPA"

_IBAN = re.compile(r"[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}")
_BIC = re.compile(r"[A-Z]{4}[A-Z]{2}[A-Z0-9]{2}(?:[A-Z0-9]{3})?")
_NUMBER = re.compile(f"[A-Za-z0-9-]{{1,{NUMBER_CHARACTERS_MOST}}}")
_MEMBER = re.compile(f"[A-Za-z0-9]{{1,{MEMBER_CHARACTERS_MOST}}}")
_CLEARING_SYSTEM = re.compile(r"[A-Z]{2,5}")


class BadPayee(ValueError):
    """A payee that cannot be right; says why in one sentence, without the account."""


def make_payee(name: str, account: BankAccount) -> Payee:
    """Check and tidy the name of who is paid; raises `BadPayee`."""
    tidy = " ".join(name.split())
    if not 0 < len(tidy) <= NAME_CHARACTERS_MOST or not tidy.isprintable():
        raise BadPayee(f"the name of a payee has 1 to {NAME_CHARACTERS_MOST} characters, none of control")
    if tidy.startswith(FORMULA):
        raise BadPayee("the name of a payee begins with a letter or a digit")
    return Payee(tidy, account)


def parse_iban(text: str, bic: str | None = None) -> BankAccount:
    """Read an IBAN, whose check digits must fit (ISO 13616, mod 97 of ISO/IEC 7064); raises `BadPayee`."""
    iban = "".join(text.split()).upper()
    if not _IBAN.fullmatch(iban):
        raise BadPayee("an IBAN is two letters, two digits, and 11 to 30 letters or digits")
    rearranged = iban[4:] + iban[:4]
    if int("".join(str(int(character, 36)) for character in rearranged)) % 97 != 1:
        raise BadPayee("the check digits of the IBAN do not fit the others: look at it again")
    return BankAccount(iban, is_iban=True, bic=_parse_bic(bic))


def parse_canadian_account(text: str) -> BankAccount:
    """Read institution, transit and account number, as ``004-12345-1234567``; raises `BadPayee`."""
    match = re.fullmatch(r"([0-9]{3})[- ]([0-9]{5})[- ]([0-9]{5,12})", text.strip())
    if not match:
        raise BadPayee("a Canadian account is institution-transit-account: 3, 5, and 5 to 12 digits")
    institution, transit, number = match.groups()
    return BankAccount(
        number, is_iban=False, clearing_system=CANADIAN_CLEARING, clearing_member=f"0{institution}{transit}"
    )


def parse_other_account(
    text: str,
    *,
    clearing_system: str | None = None,
    clearing_member: str | None = None,
    bic: str | None = None,
) -> BankAccount:
    """Read an account number, with the bank named by a clearing code, a BIC, or both; raises `BadPayee`."""
    number = "".join(text.split())
    if not _NUMBER.fullmatch(number):
        raise BadPayee(f"an account has 1 to {NUMBER_CHARACTERS_MOST} letters, digits and hyphens")
    if (clearing_system is None) != (clearing_member is None):
        raise BadPayee("a clearing code is a system and a member of it: CNAPS 102100099996")
    if clearing_system is not None and not _CLEARING_SYSTEM.fullmatch(clearing_system):
        raise BadPayee("a clearing system is 2 to 5 capital letters: CACPA, CNAPS, HKNCC")
    if clearing_member is not None and not _MEMBER.fullmatch(clearing_member):
        raise BadPayee(f"a member of a clearing system has 1 to {MEMBER_CHARACTERS_MOST} letters and digits")
    if clearing_system is None and bic is None:
        raise BadPayee("an account that is no IBAN needs the bank: a clearing code or a BIC")
    return BankAccount(
        number,
        is_iban=False,
        clearing_system=clearing_system,
        clearing_member=clearing_member,
        bic=_parse_bic(bic),
    )


def parse_account(
    *,
    iban: str | None = None,
    canadian: str | None = None,
    account: str | None = None,
    clearing: str | None = None,
    bic: str | None = None,
) -> BankAccount:
    """Read an account that is given in one of three ways; `clearing`: ``CNAPS:102100099996``. Raises `BadPayee`."""
    if (iban is not None) + (canadian is not None) + (account is not None) != 1:
        raise BadPayee(
            "an account is given as an IBAN, as a Canadian account, or as another account: one of them"
        )
    if iban is not None and clearing is None:
        return parse_iban(iban, bic)
    if canadian is not None and clearing is None and bic is None:
        return parse_canadian_account(canadian)
    if account is None:
        raise BadPayee("a clearing code goes with another account only, and a BIC not with a Canadian one")
    system, _, member = (clearing or "").partition(":")
    return parse_other_account(
        account,
        clearing_system=system if clearing else None,
        clearing_member=member if clearing else None,
        bic=bic,
    )


def _parse_bic(bic: str | None) -> str | None:
    if bic is not None and not _BIC.fullmatch(bic):
        raise BadPayee("a BIC has 8 or 11 capital letters and digits (ISO 9362)")
    return bic


def show_account(account: BankAccount) -> str:
    """What may be seen of an account; of a short number less."""
    shown = min(SHOWN_CHARACTERS, len(account.number) // 2)
    return f"…{account.number[len(account.number) - shown :]}"


def encode_payee(payee: Payee) -> bytes:
    """The bytes that are sealed, the same for the same payee."""
    return msgspec.json.encode(payee)


def seal_payee(key: SealingKey, payee: Payee, part: int, subscriber_id: int) -> bytes:
    """Seal a payee with the key of the subscriber who is owed the money."""
    return key.seal(encode_payee(payee), _bound_to(part, subscriber_id))


def open_payee(key: SealingKey, sealed: bytes, part: int, subscriber_id: int) -> Payee:
    """Open what `seal_payee` made; raises `SealBroken`."""
    return msgspec.json.decode(key.open(sealed, _bound_to(part, subscriber_id)), type=Payee)


def _bound_to(part: int, subscriber_id: int) -> bytes:
    return b"payee:%d:%d" % (part, subscriber_id)
