"""Take in what payment providers tell of: money that came in for an account. It is never lost.

While top-ups are open it tops up the account. Once an order has closed them it is held, and goes back the way it came.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from onecard import audit, ledger
from onecard.database.pool import Connection
from onecard.ledger import Account, EntryKind, Posted, Posting, TopUpRefusal
from onecard.ledger.model import MOST_POSTING_MICROS
from onecard.payments.refunds import store
from onecard.payments.refunds.actions import insert_held
from onecard.payments.refunds.model import NewRefund, OriginalPayment, Refund, RefundedValue
from onecard.values.gate import Capability, Gates
from onecard.values.money import Money


@dataclass(frozen=True, slots=True)
class ProviderPayment:
    """Money that a payment provider took for an account."""

    provider: str
    event: str
    """The provider's, of this message: its repeats have the same."""
    reference: str
    """The provider's, of the payment: what it is paid back to."""
    part: int
    account_id: int
    amount: Money


@dataclass(frozen=True, slots=True)
class TakenIn:
    """A payment that is on the account, or is held to go back."""

    account: Account
    refund: Refund | None
    is_repeated: bool


async def take_payment(
    connection: Connection, at: datetime, *, gates: Gates, payment: ProviderPayment
) -> TakenIn | TopUpRefusal:
    """Take in a payment once, whatever the gates said at its repeats."""
    if not 0 < payment.amount.micros <= MOST_POSTING_MICROS:
        return TopUpRefusal.BAD_AMOUNT
    async with connection.transaction():
        owners = await store.find_subscribers(connection, payment.part, [payment.account_id])
        account = await ledger.find_account(connection, payment.part, payment.account_id)
        if account is None or account.closed_at is not None or account.id not in owners:
            return TopUpRefusal.UNKNOWN_ACCOUNT
        if account.currency != payment.amount.currency:
            return TopUpRefusal.OTHER_CURRENCY
        await ledger.take_turn(connection, payment.part)
        is_late = not gates.is_open(Capability.TOP_UP)
        posted = await ledger.post_one(connection, _make_posting(payment, is_late=is_late), at)
        if not posted.is_accepted:
            assert posted is Posted.CONFLICTING, posted
            return TopUpRefusal.CONFLICTING_EVENT
        is_new = posted is Posted.POSTED
        refund = await _give_back(connection, at, payment, owners[account.id][0], is_new=is_new and is_late)
        if is_new:
            await _record(connection, at, payment)
        account = await ledger.find_account(connection, payment.part, payment.account_id)
        assert account is not None
        return TakenIn(account, refund, is_repeated=not is_new)


def _make_posting(payment: ProviderPayment, *, is_late: bool) -> Posting:
    micros = payment.amount.micros
    return Posting(
        part=payment.part,
        account_id=payment.account_id,
        event_id=_event_id(payment),
        kind=EntryKind.TOP_UP,
        available=0 if is_late else micros,
        held=micros if is_late else 0,
        content_hash=ledger.hash_contents(payment.account_id, micros, payment.amount.currency),
        memo=f"{payment.provider} {payment.reference}",
    )


def _event_id(payment: ProviderPayment) -> UUID:
    return ledger.name_event(f"provider:{payment.provider}", payment.event)


async def _give_back(
    connection: Connection, at: datetime, payment: ProviderPayment, subscriber_id: int, *, is_new: bool
) -> Refund | None:
    """The refund of a payment that came too late, made now where it `is_new`."""
    event_id = _event_id(payment)
    if not is_new:
        known = await store.find_events(connection, payment.part, [event_id])
        if event_id not in known:
            return None
        refund_id = known[event_id][1]
        return (await store.lock_refunds(connection, payment.part, [refund_id]))[refund_id]
    new = NewRefund(
        payment.account_id,
        payment.account_id,
        subscriber_id,
        RefundedValue.LATE_PAYMENTS,
        payment.amount,
        event_id,
        ledger.hash_contents(payment.account_id),
        OriginalPayment(payment.provider, payment.reference),
    )
    actor = f"provider:{payment.provider}"
    return (await insert_held(connection, at, actor=actor, part=payment.part, new=[new]))[event_id]


async def _record(connection: Connection, at: datetime, payment: ProviderPayment) -> None:
    detail = {"micros": payment.amount.micros, "event_id": str(_event_id(payment))}
    await audit.record(
        connection,
        at,
        actor=f"provider:{payment.provider}",
        action="top_up",
        subject=f"account:{payment.account_id}",
        detail=detail,
    )
    await ledger.record_change(connection, payment.account_id, at)
