"""Make, redeem and void vouchers. Every action is one transaction, or a part of its caller's.

Locks are taken in one order: subscriber, card, voucher, ledger. A PIN leaves here once, as it is made; no statement,
record or log has it.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from onecard import audit, ledger
from onecard.cards.actions import lock_live_card
from onecard.cards.model import CardRefusal
from onecard.cards.store import find_card
from onecard.database.pool import Connection
from onecard.ledger import Account, EntryKind, TopUpRefusal
from onecard.payments import store
from onecard.payments.model import (
    NewVoucher,
    Payer,
    Redeemed,
    Voucher,
    VoucherBatch,
    VoucherRefusal,
    VoucherState,
)
from onecard.payments.rules import (
    PINS,
    decide_redemption,
    find_fault,
    hash_pin,
    is_pin,
    is_used_by,
    make_pin,
    state_at,
)
from onecard.sealing.keys import MasterKey
from onecard.subscribers.store import lock_subscriber
from onecard.values.gate import Capability, Closed, Gates
from onecard.values.guard import count_wrong, is_locked
from onecard.values.money import Money

PURPOSE = b"vouchers"
"""What the key of the hashes is derived for."""
CHUNK_MOST = 10_000


async def make_vouchers(
    connection: Connection,
    at: datetime,
    *,
    actor: str,
    gates: Gates,
    master: MasterKey,
    face: Money,
    count: int,
    expires_at: datetime,
) -> tuple[VoucherBatch, list[NewVoucher]] | VoucherRefusal | Closed:
    """Make a batch of vouchers; the PINs are known now and never again. They come in the order of their serials."""
    if closed := gates.find_closed(Capability.TOP_UP):
        return closed
    fault = find_fault(face, count, expires_at, at)
    if fault is not None:
        return fault
    async with connection.transaction():
        batch = await store.insert_batch(connection, face, count, expires_at, at, actor)
        made: list[NewVoucher] = []
        while len(made) < count:
            made += await _make_some(connection, master, batch, min(count - len(made), CHUNK_MOST))
        detail = {"micros": face.micros, "currency": face.currency, "count": count}
        await _record(connection, at, actor, "make_vouchers", f"voucher_batch:{batch.id}", detail)
    return batch, made


async def _make_some(
    connection: Connection, master: MasterKey, batch: VoucherBatch, count: int
) -> list[NewVoucher]:
    """As many as asked for, less those whose PIN another voucher has."""
    key = master.derive(PURPOSE)
    pins = (make_pin(secrets.randbelow(PINS)) for _ in range(count))
    pin_of_hash = {hash_pin(key, pin): pin for pin in pins}
    serials = await store.insert_vouchers(connection, batch.id, list(pin_of_hash))
    made = [NewVoucher(serial, pin_of_hash[pin_hash]) for pin_hash, serial in serials.items()]
    return sorted(made, key=lambda voucher: voucher.serial)


async def redeem(
    connection: Connection,
    at: datetime,
    *,
    actor: str,
    gates: Gates,
    master: MasterKey,
    part: int,
    card_id: int,
    pin: str,
    for_refund: bool = False,
) -> Redeemed | VoucherRefusal | Closed:
    """Top up the account of a card by a voucher, once and for all. A repeat for the same account adds nothing.

    `for_refund`: where top-ups are closed, so that a voucher that was bought is paid back with the balance.

    A repeat is told what the first was told, also where the gate has closed in between. A PIN that no voucher has
    is counted: `guard.WRONG_MOST` of them lock the account for a while. Commit refusals, too.
    """
    if not is_pin(pin):
        return VoucherRefusal.BAD_PIN
    async with connection.transaction():
        payer = await _lock_payer(connection, part, card_id)
        if isinstance(payer, VoucherRefusal):
            return payer
        if is_locked(await store.get_guard(connection, payer), at):
            return VoucherRefusal.LOCKED
        voucher = await store.lock_voucher_of_pin(connection, hash_pin(master.derive(PURPOSE), pin))
        if voucher is None:
            return await _count_wrong(connection, at, actor, payer)
        if is_used_by(voucher, payer):
            account = await _get_account(connection, payer)
            return Redeemed(voucher.serial, voucher.face, account, is_repeated=True)
        gate = Capability.REFUND if for_refund else Capability.TOP_UP
        refusal = gates.find_closed(gate) or decide_redemption(voucher, payer, at)
        return refusal or await _redeem(connection, at, actor, payer, voucher)


async def _lock_payer(connection: Connection, part: int, card_id: int) -> Payer | VoucherRefusal:
    """Take hold of the subscriber, so that guesses on all their cards take turns, and of the card."""
    found = await find_card(connection, part, card_id)
    if found is None:
        return VoucherRefusal.UNKNOWN_CARD
    await lock_subscriber(connection, part, found.subscriber_id)
    card = await lock_live_card(connection, part, card_id)
    if isinstance(card, CardRefusal):
        assert card is CardRefusal.CARD_ENDED  # nothing deletes cards
        return VoucherRefusal.CARD_ENDED
    account = await ledger.find_account(connection, part, card.account_id)
    assert account is not None  # a card is sold with its account
    return Payer(part, account.id, account.currency)


async def _count_wrong(connection: Connection, at: datetime, actor: str, payer: Payer) -> VoucherRefusal:
    guard = count_wrong(await store.get_guard(connection, payer), at)
    await store.save_guard(connection, payer, guard)
    if is_locked(guard, at):
        await _record(connection, at, actor, "lock_vouchers", f"account:{payer.account_id}", {})
    return VoucherRefusal.UNKNOWN_PIN


async def _redeem(
    connection: Connection, at: datetime, actor: str, payer: Payer, voucher: Voucher
) -> Redeemed | VoucherRefusal:
    account = await ledger.top_up(
        connection,
        at,
        actor=actor,
        part=payer.part,
        account_id=payer.account_id,
        amount=voucher.face,
        event=str(voucher.serial),
        memo=f"voucher {voucher.serial}",
        kind=EntryKind.VOUCHER,
    )
    if isinstance(account, TopUpRefusal):
        assert account is TopUpRefusal.UNKNOWN_ACCOUNT, account  # it was closed
        return VoucherRefusal.ACCOUNT_CLOSED
    await store.mark_used(connection, voucher.serial, at, payer)
    detail = {"account": payer.account_id}
    await _record(connection, at, actor, "redeem_voucher", f"voucher:{voucher.serial}", detail)
    return Redeemed(voucher.serial, voucher.face, account, is_repeated=False)


async def _get_account(connection: Connection, payer: Payer) -> Account:
    account = await ledger.find_account(connection, payer.part, payer.account_id)
    assert account is not None
    return account


async def top_up_account(
    connection: Connection,
    at: datetime,
    *,
    actor: str,
    gates: Gates,
    part: int,
    account_id: int,
    amount: Money,
    event: str,
    memo: str | None = None,
) -> Account | TopUpRefusal | Closed:
    """Add money that somebody has paid to an account, once for each `event`, the payer's own reference.

    A repeat adds nothing and is given the account as it is, also where the gate has closed in between.
    """
    async with connection.transaction():
        closed = gates.find_closed(Capability.TOP_UP)
        if closed and not await ledger.is_topped_up(connection, part, account_id, event):
            return closed
        return await ledger.top_up(
            connection,
            at,
            actor=actor,
            part=part,
            account_id=account_id,
            amount=amount,
            event=event,
            memo=memo,
        )


async def void_voucher(
    connection: Connection, at: datetime, *, actor: str, serial: int
) -> Voucher | VoucherRefusal:
    """Make a voucher worthless that nobody has used, one that was stolen say; one that expired stays so."""
    async with connection.transaction():
        voucher = await store.lock_voucher(connection, serial)
        if voucher is None:
            return VoucherRefusal.UNKNOWN_SERIAL
        state = state_at(voucher, at)
        if state in (VoucherState.USED, VoucherState.VOID):
            return VoucherRefusal(state.value)
        await store.void_voucher(connection, serial, at)
        await _record(connection, at, actor, "void_voucher", f"voucher:{serial}", {})
    return replace(voucher, voided_at=at)


async def void_batch(
    connection: Connection, at: datetime, *, actor: str, batch_id: int
) -> int | VoucherRefusal:
    """Make all of a batch worthless that was not used; returns how many vouchers that were."""
    async with connection.transaction():
        if await store.find_batch(connection, batch_id) is None:
            return VoucherRefusal.UNKNOWN_BATCH
        count = await store.void_batch(connection, batch_id, at)
        await _record(connection, at, actor, "void_vouchers", f"voucher_batch:{batch_id}", {"count": count})
    return count


async def _record(
    connection: Connection, at: datetime, actor: str, action: str, subject: str, detail: Mapping[str, Any]
) -> None:
    await audit.record(connection, at, actor=actor, action=action, subject=subject, detail=detail)
