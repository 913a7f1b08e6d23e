"""Who is in the story, their numbers, and how these are dialled and shown."""

from __future__ import annotations

from onecard.values.address import TON_ALPHANUMERIC, Address

NAME, EMAIL = "Lin Xiaoyu", "lin.xiaoyu@example.com"
CODE = "12583"
BANK_NAME = "GreatRiver"
BANK_SENDER = Address(TON_ALPHANUMERIC, 0, BANK_NAME)
CHINESE_FRIEND, CANADIAN_FRIEND = "+8613900139000", "+16045550142"
SATELLITE_PHONE, BRITISH_FRIEND = "+881612345678", "+447700900123"


def dial_from_line_1(number: str) -> str:
    """What reaches a Chinese number from line 1, and is shown before it: national digits after code and slot."""
    return f"{CODE}1{number.removeprefix('+86')}"


def write_spaced(digits: str) -> str:
    """`12583 1 13900139000`, as people write it."""
    rest = digits.removeprefix(CODE)
    return f"{CODE} {rest[0]} {rest[1:]}" if rest and rest != digits else digits
