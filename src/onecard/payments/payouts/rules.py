"""Pure rules of payouts: the ids banks are given, and what becomes of a payment by what the bank says of it."""

from __future__ import annotations

import re

from msgspec.structs import replace

from onecard.payments.bank.model import Booked, OrderState, OrderStatus
from onecard.payments.payouts.model import (
    Effect,
    Line,
    Move,
    Payout,
    PayoutKey,
    PayoutState,
    Said,
    Unmatched,
)
from onecard.values.money import Money

RUN_MOST = 100_000
"""Payments of one run."""
_END_TO_END_ID = re.compile(r"OC-([0-9]{1,10})-([0-9]{1,9})-([0-9]{1,10})", re.ASCII)

S = PayoutState


def make_end_to_end_id(key: PayoutKey) -> str:
    """What the bank knows a payment by: at most 35 characters, and no two payments have the same."""
    return f"OC-{key.run_id}-{key.part}-{key.refund_id}"


def read_end_to_end_id(text: str) -> PayoutKey | None:
    """Which payment an id is of; None: none of ours."""
    match = _END_TO_END_ID.fullmatch(text)
    if match is None:
        return None
    run_id, part, refund_id = map(int, match.groups())
    return PayoutKey(part, run_id, refund_id) if part < 2**31 else None


_SAID = {
    OrderState.PENDING: Said.UNDER_WAY,
    OrderState.ACCEPTED: Said.UNDER_WAY,
    OrderState.SETTLED: Said.PAID,
    OrderState.REJECTED: Said.NOT_PAID,
}


def read_status(status: OrderStatus) -> Line:
    """What a report says of one order."""
    return Line(status.end_to_end_id, _SAID[status.state], status.reason)


def read_booked(booked: Booked) -> Line:
    """What an entry of a statement says: money that went out paid an order, money that came in brought one back."""
    is_back = booked.is_credit
    id_ = booked.end_to_end_id if booked.is_credit or not booked.is_reversal else None
    return Line(id_, Said.CAME_BACK if is_back else Said.PAID, booked.reason, booked.amount, booked.reference)


def decide_line(payout: Payout, line: Line) -> Effect | Unmatched:
    """What a line does to a payment. One that says what is known does nothing: messages come twice, and late."""
    if line.amount is not None and line.amount != payout.amount:
        return Unmatched.OTHER_AMOUNT
    if payout.state in (S.MADE, S.WITHDRAWN):
        return Unmatched.CONTRADICTION  # no bank was told of it
    if line.said is Said.UNDER_WAY:
        return Effect(payout)
    return _DECIDE[line.said](payout, line)


def _pay(payout: Payout, line: Line) -> Effect | Unmatched:
    if payout.state is S.REJECTED:
        return Unmatched.CONTRADICTION
    if line.reference and payout.debit_reference not in (None, line.reference):
        return Unmatched.PAID_TWICE
    booked = replace(payout, debit_reference=line.reference or payout.debit_reference)
    if payout.state is S.SUBMITTED:
        return Effect(replace(booked, state=S.SETTLED, reason=None), (Move.PAY,))
    return Effect(booked)


def _refuse(payout: Payout, line: Line) -> Effect | Unmatched:
    if payout.state is S.SUBMITTED:
        return Effect(replace(payout, state=S.REJECTED, reason=line.reason))
    return Unmatched.CONTRADICTION if payout.state is S.SETTLED else Effect(payout)


def _bring_back(payout: Payout, line: Line) -> Effect | Unmatched:
    """The return may be told before the payment itself."""
    if payout.state is S.REJECTED:
        return Unmatched.CONTRADICTION
    if line.reference and payout.credit_reference not in (None, line.reference):
        return Unmatched.PAID_TWICE
    if payout.state is S.RETURNED:
        return Effect(payout)
    back = replace(payout, state=S.RETURNED, reason=line.reason, credit_reference=line.reference)
    return Effect(back, (Move.PAY, Move.BRING_BACK) if payout.state is S.SUBMITTED else (Move.BRING_BACK,))


_DECIDE = {Said.PAID: _pay, Said.NOT_PAID: _refuse, Said.CAME_BACK: _bring_back}


def choose_within(amounts: list[Money], limit: Money) -> int:
    """How many of these, from the first on, fit the limit together."""
    total = 0
    for count, amount in enumerate(amounts):
        total += amount.micros
        if total > limit.micros:
            return count
    return len(amounts)
