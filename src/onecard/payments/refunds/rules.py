"""Pure rules of refunds: what may be refunded, who may change a refund to what, and how an amount is rounded."""

from __future__ import annotations

from datetime import datetime

from msgspec.structs import replace

from onecard.ledger.model import MOST_POSTING_MICROS
from onecard.payments.refunds.model import (
    Approve,
    Cancel,
    Change,
    ChangePayee,
    Refund,
    RefundRefusal,
    RefundState,
    Reject,
    Retry,
    Verify,
    Wish,
)
from onecard.values.money import Money, minor_unit_micros

REASON_CHARACTERS_MOST = 200
STAFF = "staff:"

S = RefundState
_FROM: dict[type[Change], frozenset[RefundState]] = {
    Verify: frozenset({S.REQUESTED}),
    Approve: frozenset({S.VERIFIED}),
    Reject: frozenset({S.REQUESTED, S.VERIFIED, S.APPROVED, S.RETURNED}),
    Cancel: frozenset({S.REQUESTED, S.VERIFIED}),
    Retry: frozenset({S.RETURNED}),
    ChangePayee: frozenset({S.REQUESTED, S.VERIFIED, S.APPROVED, S.RETURNED}),
}
"""In which states a refund may be changed so."""


def decide_amount(wish: Wish, available: Money) -> Money | RefundRefusal:
    """How much of what is available is refunded: all of it, unless an amount was asked for."""
    if not available:
        return RefundRefusal.NOTHING_TO_REFUND
    most = Money(min(available.micros, MOST_POSTING_MICROS), available.currency)
    if wish.amount is None:
        return most
    if wish.amount.currency != most.currency or not 0 < wish.amount.micros <= most.micros:
        return RefundRefusal.BAD_AMOUNT
    return wish.amount


def decide_change(refund: Refund, change: Change, at: datetime, actor: str) -> Refund | RefundRefusal:
    """What a refund becomes by a change, or why it may not be changed so."""
    if refund.is_frozen:
        return RefundRefusal.IN_A_RUN
    if refund.state not in _FROM[type(change)]:
        return RefundRefusal.WRONG_STATE
    changed = _change(refund, change, at, actor)
    return changed if isinstance(changed, RefundRefusal) else replace(changed, version=refund.version + 1)


def _change(refund: Refund, change: Change, at: datetime, actor: str) -> Refund | RefundRefusal:
    match change:
        case Verify(how):
            return replace(
                refund, state=S.VERIFIED, verified_at=at, verified_by=actor, verified_how=how, reason=None
            )
        case Approve():
            return _approve(refund, at, actor)
        case Reject(reason):
            return replace(_unapproved(refund), state=S.REJECTED, reason=reason, closed_at=at)
        case Cancel():
            return replace(refund, state=S.CANCELLED, closed_at=at)
        case Retry():
            return replace(_unapproved(refund), state=S.VERIFIED, reason=None)
        case ChangePayee():
            return _change_payee(refund, change, at, actor)


def _approve(refund: Refund, at: datetime, actor: str) -> Refund | RefundRefusal:
    """By staff, with other eyes than those that have seen it so far."""
    if not actor.startswith(STAFF):
        return RefundRefusal.NOT_STAFF
    if not refund.has_way_back:
        return RefundRefusal.NO_PAYEE
    if actor in (refund.requested_by, refund.verified_by, refund.payee_by):
        return RefundRefusal.SAME_PERSON
    return replace(refund, state=S.APPROVED, approved_at=at, approved_by=actor)


def _change_payee(refund: Refund, change: ChangePayee, at: datetime, actor: str) -> Refund | RefundRefusal:
    if refund.payment is not None:
        return RefundRefusal.PAID_AS_IT_WAS
    is_first = refund.sealed_payee is None
    return replace(
        _unapproved(refund),
        state=S.REQUESTED if refund.verified_by is None else S.VERIFIED,
        reason=None,
        sealed_payee=change.sealed,
        payee_shown=change.shown,
        payee_by=actor,
        cooling_until=change.first_until if is_first else at + change.cooling_off,
    )


def _unapproved(refund: Refund) -> Refund:
    return replace(refund, approved_at=None, approved_by=None)


def gives_back(before: Refund, after: Refund) -> bool:
    """Whether a change ends the refund unpaid, so that what is held for it is the subscriber's again."""
    return before.closed_at is None and after.state in (S.REJECTED, S.CANCELLED)


def settle(refund: Refund, paid: Money, at: datetime) -> Refund:
    """The bank has paid it, rounded in the payee's favour."""
    return replace(
        refund,
        state=S.SETTLED,
        amount=paid,
        reason=None,
        is_frozen=False,
        closed_at=at,
        version=refund.version + 1,
    )


def refuse(refund: Refund, reason: str | None) -> Refund:
    """The bank did not pay it: what is held for it was never gone."""
    return replace(refund, state=S.RETURNED, reason=reason, is_frozen=False, version=refund.version + 1)


def bring_back(refund: Refund, reason: str | None) -> Refund:
    """What was paid came back, and is owed again as it was paid."""
    return replace(
        refund,
        state=S.RETURNED,
        reason=reason,
        is_frozen=False,
        reopened=True,
        closed_at=None,
        version=refund.version + 1,
    )


def round_in_favour(amount: Money) -> Money:
    """What is paid of an amount: whole minor units, what is less than one being made one."""
    unit = minor_unit_micros(amount.currency)
    return Money(-(-amount.micros // unit) * unit, amount.currency)
