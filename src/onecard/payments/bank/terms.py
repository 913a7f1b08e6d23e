"""The words that all files of banks have alike: amounts, days, identifiers, accounts. Pure."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime

from onecard.payments.bank.markup import Element
from onecard.payments.bank.model import BadBankFile, BankAccount
from onecard.values.money import BadMoney, Currency, Money, parse_currency, parse_micros

ID_MOST = 35
"""Characters of an identifier (ISO 20022 Max35Text)."""
WORDS_MOST = 140
NOT_PROVIDED = "NOTPROVIDED"
"""What stands where an identifier must be and there is none."""

_DECIMAL = re.compile(r"\+?[0-9]{1,18}(\.[0-9]{0,6})?", re.ASCII)
_COUNT = re.compile(r"[0-9]{1,15}", re.ASCII)
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)


def parse_amount(text: str, currency: Currency, line: int) -> Money:
    """Read an amount that is not below zero; raises `BadBankFile`."""
    if _DECIMAL.fullmatch(text) is None:
        raise BadBankFile(line, f"{text[:ID_MOST]!r} is not an amount")
    try:
        return Money(parse_micros(text), currency)
    except BadMoney as bad:
        raise BadBankFile(line, str(bad)) from None


def parse_code(text: str, line: int) -> Currency:
    """Read the code of a currency; raises `BadBankFile`."""
    try:
        return parse_currency(text)
    except BadMoney as bad:
        raise BadBankFile(line, str(bad)) from None


def parse_day(text: str, line: int) -> date:
    """Read the day of an ISODate or ISODateTime, as the calendar of who wrote it has it; raises `BadBankFile`."""
    found = _DAY.match(text)
    try:
        if found:
            return date.fromisoformat(found.group())
    except ValueError:
        pass
    raise BadBankFile(line, f"{text[:ID_MOST]!r} is not a day such as 2022-01-05")


def parse_instant(text: str, line: int) -> datetime:
    """Read an instant with its offset from UTC; raises `BadBankFile`."""
    try:
        instant = datetime.fromisoformat(text)
        if instant.tzinfo is not None:
            return instant.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise BadBankFile(line, f"{text[:ID_MOST]!r} is not a date and time with its offset")


def parse_count(text: str, line: int) -> int:
    """Read how many orders there are; raises `BadBankFile`."""
    if _COUNT.fullmatch(text) is None:
        raise BadBankFile(line, f"{text[:ID_MOST]!r} is not a count")
    return int(text)


def parse_id(text: str, line: int, *, most: int = ID_MOST) -> str:
    """Read an identifier; raises `BadBankFile` for one that is too long."""
    if not 0 < len(text) <= most:
        raise BadBankFile(line, f"an identifier has 1 to {most} characters, not {len(text)}")
    return text


def read_amount(element: Element) -> Money:
    """Read an amount with its currency (ActiveOrHistoricCurrencyAndAmount)."""
    currency = parse_code(element.attributes.get("Ccy", ""), element.line)
    return parse_amount(element.text.strip(), currency, element.line)


def read_day(element: Element) -> date:
    """Read a day, whichever of the two ways it is written (DateAndDateTimeChoice)."""
    found = element.find("Dt") or element.get("DtTm")
    return parse_day(found.text.strip(), found.line)


def read_id(element: Element, path: str, *, most: int = ID_MOST) -> str:
    """Read the identifier at a path; raises `BadBankFile`."""
    return parse_id(element.get_text(path), element.line, most=most)


def find_id(element: Element, path: str) -> str | None:
    """As `read_id`; None: there is none, or it says that there is none."""
    text = element.find_text(path)
    return None if text is None or text == NOT_PROVIDED else parse_id(text, element.line)


def find_reason(element: Element) -> str | None:
    """Why, where it is said (StatusReasonInformation, PaymentReturn): the code, else the bank's words."""
    paths = ("Rsn/Cd", "Rsn/Prtry", "AddtlInf")
    reason = next((text for path in paths if (text := element.find_text(path))), None)
    return reason and reason[:WORDS_MOST]


def read_account(account: Element, agent: Element | None) -> BankAccount:
    """Read an account and, where it is said, whose it is (CashAccount, FinancialInstitutionIdentification)."""
    number = find_id(account, "Id/IBAN")
    bank = agent.find("FinInstnId") if agent else None
    system = bank and (
        find_id(bank, "ClrSysMmbId/ClrSysId/Cd") or find_id(bank, "ClrSysMmbId/ClrSysId/Prtry")
    )
    return BankAccount(
        number=number or read_id(account, "Id/Othr/Id"),
        is_iban=number is not None,
        clearing_system=system or None,
        clearing_member=find_id(bank, "ClrSysMmbId/MmbId") if bank else None,
        bic=(find_id(bank, "BICFI") or find_id(bank, "BIC")) if bank else None,
    )
