"""Find what a person names: a card, a line, an account, a notice."""

from __future__ import annotations

from onecard import ledger
from onecard.cards.store import find_part_of_card
from onecard.cli import store
from onecard.cli.failures import Failure, Misuse, accept
from onecard.cli.options import ID_HIGHEST
from onecard.database.pool import Connection
from onecard.ledger import Account
from onecard.lines.model import Line
from onecard.lines.store import (
    CardWithLines,
    find_card_with_lines,
    find_card_with_lines_by_id,
    find_card_with_lines_by_sim,
    find_line_of_number,
)
from onecard.values.card import parse_iccid
from onecard.values.phone import E164, BadNumber, parse_msisdn
from onecard.winddown.notices import store as notice_store
from onecard.winddown.notices.model import MadeNotice, NoticeRefusal

ID_LENGTH_MOST = 9
"""Longer digits are a number in international form, or an ICCID."""
ICCID_LENGTH_LEAST = 18

CARD_NAMES = "a card is named by any of its numbers (+16045550100), its ICCID or its id"


async def find_card(connection: Connection, name: str) -> CardWithLines:
    """A card by its id (``12`` or ``card:12``), its ICCID or any of its numbers; raises Failure."""
    card_id = _read_id(name, "card")
    if card_id is not None:
        found = await _find_card_by_id(connection, card_id)
    elif name.isdigit() and len(name) >= ICCID_LENGTH_LEAST:
        found = await find_card_with_lines_by_sim(connection, iccid=parse_iccid(name))
    else:
        found = await find_card_with_lines(connection, _read_number(name))
    if found is None:
        raise Failure("unknown_card", f"there is no card {name}: {CARD_NAMES}")
    return found


async def find_line(connection: Connection, number: str) -> Line:
    """An active line by its number, in international form; raises Failure, BadNumber."""
    line = await find_line_of_number(connection, parse_msisdn(number))
    if line is None:
        raise Failure("unknown_line", f"no card has the number {number}: see `onecard line list`")
    return line


async def find_account(connection: Connection, name: str) -> Account:
    """An account by its id (``7`` or ``account:7``), or as that of a card (where an id is ``card:12``)."""
    account_id = _read_id(name, "account")
    if account_id is None:
        card = (await find_card(connection, name)).card
        account = await ledger.find_account(connection, card.part, card.account_id)
        assert account is not None  # a card is sold with its account
        return account
    part = await store.find_part_of_account(connection, account_id)
    account = None if part is None else await ledger.find_account(connection, part, account_id)
    if account is None:
        raise Failure(
            "unknown_account", f"there is no account {account_id}; a card's id is written card:{account_id}"
        )
    return account


async def find_card_to_top_up(connection: Connection, name: str) -> CardWithLines:
    """A card where an account may be named, too: bare short digits would be an account's id. Raises Misuse, Failure."""
    if _read_id(name, "account") is not None:
        raise Misuse("a voucher is for a card: name it by any of its numbers, its ICCID, or card:ID")
    return await find_card(connection, name)


def _read_id(name: str, kind: str) -> int | None:
    """``12`` or ``card:12``; None where it is something else."""
    digits = name.removeprefix(f"{kind}:")
    if digits.isascii() and digits.isdigit() and (digits != name or len(digits) <= ID_LENGTH_MOST):
        return min(int(digits), ID_HIGHEST)
    return None


def _read_number(name: str) -> E164:
    try:
        return parse_msisdn(name)
    except BadNumber:
        raise Failure("bad_input", f"{name!r} names no card: {CARD_NAMES}") from None


async def _find_card_by_id(connection: Connection, card_id: int) -> CardWithLines | None:
    part = await find_part_of_card(connection, card_id)
    return None if part is None else await find_card_with_lines_by_id(connection, part, card_id)


async def find_notice(connection: Connection, notice: int) -> MadeNotice:
    """The notice of this number; raises Failure."""
    return accept(await notice_store.find_notice(connection, notice) or NoticeRefusal.UNKNOWN_NOTICE)
