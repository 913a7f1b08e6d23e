"""`onecard payout reconcile`: ledger, payout files and bank statements side by side."""

from __future__ import annotations

from typing import Any

from onecard.cli.desk import Desk
from onecard.cli.progress import Progress
from onecard.cli.show import Answer, Table
from onecard.values.money import Currency, Money
from onecard.winddown.reconciliation.actions import NO_ORDER_POLICIES, reconcile
from onecard.winddown.reconciliation.model import DayTotals, Funding, Reconciliation, Sides
from onecard.winddown.store import load_in_force


async def reconcile_books(desk: Desk) -> Answer:
    """Hold ledger, payout files and bank statements against each other, and money in hand against what is owed."""
    file = await load_in_force(desk.connection)
    policies = NO_ORDER_POLICIES if file is None else file.plan.refunds
    with Progress("payments") as progress:
        found = await reconcile(
            desk.connection,
            desk.at,
            actor=desk.actor,
            zone=desk.zone,
            policies=policies,
            told=progress.add,
        )
    parts: list[str | Table] = [
        f"{found.compared} payments compared with {found.statements} statements; {found.awaited} are awaited\n",
        Table(("kind", "subject", "sentence"), _describe_differences(found), empty="all books agree"),
        "",
        Table(
            ("currency", "in_hand", "on", "leaving", "left", "owed", "spare"),
            [_describe_funding(one) for one in found.funding],
            empty="no money is in hand, and none is owed",
        ),
        *_say_what_is_short(found),
        "",
        Table(
            ("day", "posted_out", "posted_back", "booked_out", "booked_back"),
            [_describe_day(one) for one in found.days],
            empty="no payout has moved yet",
        ),
    ]
    return Answer(_describe_books(found), parts, desk.zone, is_good=found.agrees and found.is_covered)


def _say_what_is_short(found: Reconciliation) -> list[str]:
    """Why the exit code is 1 although the books agree, and what to do."""
    return [
        f"{-one.spare} short of what is owed: bring the money in, then apply the bank's statement that shows it"
        for one in found.funding
        if not one.is_covered
    ]


def _describe_books(found: Reconciliation) -> dict[str, Any]:
    return {
        "compared": found.compared,
        "statements": found.statements,
        "awaited": found.awaited,
        "agrees": found.agrees,
        "covered": found.is_covered,
        "counts": {str(kind): count for kind, count in found.counts.items()},
        "differences": _describe_differences(found),
        "funding": [_describe_funding(one) for one in found.funding],
        "days": [_describe_day(one) for one in found.days],
    }


def _describe_differences(found: Reconciliation) -> list[dict[str, Any]]:
    return [{"kind": one.kind, "subject": one.subject, "sentence": one.sentence} for one in found.differences]


def _describe_funding(funding: Funding) -> dict[str, Any]:
    return {
        "currency": funding.currency,
        "in_hand": funding.in_hand,
        "on": funding.on.isoformat() if funding.on else None,
        "leaving": funding.leaving,
        "left": funding.left,
        "owed": funding.total_owed,
        "spare": funding.spare,
    }


def _describe_day(day: DayTotals) -> dict[str, Any]:
    return {
        "day": day.day.isoformat(),
        **_describe_sides("posted", day.posted, day.currency),
        **_describe_sides("booked", day.booked, day.currency),
    }


def _describe_sides(name: str, sides: Sides, currency: Currency) -> dict[str, Money]:
    return {f"{name}_out": Money(sides.out, currency), f"{name}_back": Money(sides.back, currency)}
