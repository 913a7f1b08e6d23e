"""Move value that is kept apart from cash. Every action is one transaction, or a part of its caller's, and moves
value once for each `event` (the giver's own reference), all of it or none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from onecard import audit, ledger
from onecard.database.pool import Connection
from onecard.ledger import Account, EntryKind, Posted, Posting
from onecard.ledger.model import MOST_POSTING_MICROS
from onecard.payments.sides import store
from onecard.payments.sides.model import DisputeOutcome, SideAccount, SideRefusal, SideValue
from onecard.values.money import Money


@dataclass(frozen=True, slots=True)
class _Move:
    """What is done to a side account, and to the cash account along with it."""

    name: str
    value: SideValue
    kind: EntryKind
    side_sign: int
    cash_sign: int = 0


async def pay_in_deposit(
    connection: Connection,
    at: datetime,
    *,
    actor: str,
    part: int,
    account_id: int,
    amount: Money,
    event: str,
) -> SideAccount | SideRefusal:
    """Money came in as a security: it is the subscriber's, and cannot be spent."""
    move = _Move("pay_in_deposit", SideValue.DEPOSITS, EntryKind.DEPOSIT, 1)
    return await _move(connection, at, actor, part, account_id, amount, event, move)


async def release_deposit(
    connection: Connection,
    at: datetime,
    *,
    actor: str,
    part: int,
    account_id: int,
    amount: Money,
    event: str,
) -> SideAccount | SideRefusal:
    """A security is needed no more, and becomes cash."""
    move = _Move("release_deposit", SideValue.DEPOSITS, EntryKind.TRANSFER, -1, 1)
    return await _move(connection, at, actor, part, account_id, amount, event, move)


async def dispute(
    connection: Connection,
    at: datetime,
    *,
    actor: str,
    part: int,
    account_id: int,
    amount: Money,
    event: str,
) -> SideAccount | SideRefusal:
    """Set cash apart of which somebody says that it is theirs."""
    move = _Move("dispute", SideValue.DISPUTED, EntryKind.TRANSFER, 1, -1)
    return await _move(connection, at, actor, part, account_id, amount, event, move)


async def decide_dispute(
    connection: Connection,
    at: datetime,
    *,
    actor: str,
    part: int,
    account_id: int,
    amount: Money,
    outcome: DisputeOutcome,
    event: str,
) -> SideAccount | SideRefusal:
    """End a dispute, or a part of it: the money is cash again, or went back to whoever had paid it in."""
    if outcome is DisputeOutcome.KEPT:
        move = _Move("decide_dispute_kept", SideValue.DISPUTED, EntryKind.TRANSFER, -1, 1)
    else:
        move = _Move("decide_dispute_charged_back", SideValue.DISPUTED, EntryKind.CORRECTION, -1)
    return await _move(connection, at, actor, part, account_id, amount, event, move)


async def give_promotional_credit(
    connection: Connection,
    at: datetime,
    *,
    actor: str,
    part: int,
    account_id: int,
    amount: Money,
    event: str,
) -> SideAccount | SideRefusal:
    """Give credit for which no money came in. It is told apart from cash, since it is not refunded."""
    move = _Move("give_promotional_credit", SideValue.PROMOTIONAL, EntryKind.PROMOTION_GIVEN, 1)
    return await _move(connection, at, actor, part, account_id, amount, event, move)


async def end_promotional_credit(
    connection: Connection,
    at: datetime,
    *,
    actor: str,
    part: int,
    account_id: int,
    amount: Money,
    event: str,
) -> SideAccount | SideRefusal:
    """Take promotional credit back."""
    move = _Move("end_promotional_credit", SideValue.PROMOTIONAL, EntryKind.PROMOTION_ENDED, -1)
    return await _move(connection, at, actor, part, account_id, amount, event, move)


async def _move(
    connection: Connection,
    at: datetime,
    actor: str,
    part: int,
    account_id: int,
    amount: Money,
    event: str,
    move: _Move,
) -> SideAccount | SideRefusal:
    if not 0 < amount.micros <= MOST_POSTING_MICROS:
        return SideRefusal.BAD_AMOUNT
    async with connection.transaction():
        account = await ledger.find_account(connection, part, account_id)
        if account is None or account.closed_at is not None:
            return SideRefusal.UNKNOWN_ACCOUNT
        if account.currency != amount.currency:
            return SideRefusal.OTHER_CURRENCY
        await ledger.take_turn(connection, part)
        side = (await open_side_accounts(connection, at, part, move.value, [account]))[account_id]
        posted = await ledger.post_group(connection, _make_group(account, side, amount, event, move), at)
        if not posted.is_accepted:
            return _REFUSALS[posted]
        if posted is Posted.POSTED:
            detail = {"micros": amount.micros, "currency": amount.currency}
            subject = f"account:{account_id}"
            await audit.record(connection, at, actor=actor, action=move.name, subject=subject, detail=detail)
        return await _get(connection, part, account_id, move.value)


_REFUSALS = {
    Posted.INSUFFICIENT: SideRefusal.INSUFFICIENT,
    Posted.CONFLICTING: SideRefusal.CONFLICTING_EVENT,
    Posted.NO_ACCOUNT: SideRefusal.UNKNOWN_ACCOUNT,
}


def _make_group(account: Account, side: int, amount: Money, event: str, move: _Move) -> list[Posting]:
    event_id = ledger.name_event(move.name, event)
    content_hash = ledger.hash_contents(account.id, amount.micros, amount.currency)
    moved = [(side, move.side_sign), (account.id, move.cash_sign)]
    return [
        Posting(account.part, id_, event_id, move.kind, sign * amount.micros, content_hash, memo=event)
        for id_, sign in moved
        if sign
    ]


async def open_side_accounts(
    connection: Connection, at: datetime, part: int, value: SideValue, accounts: Sequence[Account]
) -> dict[int, int]:
    """The ledger account of a kind of value of each account, opened where there is none.

    To be called in the part's turn at the ledger: of two that open one at once, the second finds it.
    """
    found = await store.find_side_accounts(connection, part, value, [account.id for account in accounts])
    for account in accounts:
        if account.id not in found:
            found[account.id] = await ledger.open_account(connection, part, account.currency, at)
            await store.insert_side_account(connection, part, account.id, value, found[account.id], at)
    return found


async def _get(connection: Connection, part: int, account_id: int, value: SideValue) -> SideAccount:
    sides = await store.list_side_accounts(connection, part, account_id)
    return next(side for side in sides if side.value is value)
