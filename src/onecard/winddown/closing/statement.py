"""The closing statement as a document that is signed: strings and whole numbers only, money in micros. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from onecard.ledger import Report
from onecard.lines.model import NumberState
from onecard.portability.model import NumberAccount
from onecard.values.money import Currency
from onecard.winddown.closing.model import (
    RefundTotal,
    ResidueState,
    ResidueTotal,
    RunTotal,
    Snapshot,
    ValueTotal,
)
from onecard.winddown.model import Plan, ValueKind, Version
from onecard.winddown.reconciliation.model import Funding, Reconciliation
from onecard.winddown.rules import DatedStage

KIND = "onecard closing statement"
FORM = 1
"""The version of the document's keys."""


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that a statement says, as it was found."""

    operator: str
    made_at: datetime
    made_by: str
    plan: Plan
    version: Version
    stages: Sequence[DatedStage]
    snapshot: Snapshot | None
    balances: Sequence[ValueTotal]
    entries: Sequence[tuple[Currency, str, int]]
    owed: Mapping[Currency, Mapping[str, int]]
    residue: Sequence[ResidueTotal]
    are_all_named: bool
    refunds: Sequence[RefundTotal]
    runs: Sequence[RunTotal]
    books: Reconciliation
    proof: Report
    numbers: NumberAccount


def make_document(facts: Facts) -> dict[str, Any]:
    """The document of facts that stand against nothing."""
    assert facts.snapshot is not None
    assert facts.snapshot.completed_at is not None
    return {
        "kind": KIND,
        "form": FORM,
        "operator": facts.operator,
        "made_at": _instant(facts.made_at),
        "made_by": facts.made_by,
        "order": _describe_order(facts.plan, facts.version),
        "stages": [_describe_stage(one, facts.made_at) for one in facts.stages],
        "gate": {
            "as_of": _instant(facts.snapshot.as_of),
            "recorded_at": _instant(facts.snapshot.completed_at),
            "policies": {str(kind): str(policy) for kind, policy in sorted(facts.snapshot.policies.items())},
            "balances": [_describe_value(one) for one in facts.balances],
        },
        "money": [_describe_money(facts, currency) for currency in _currencies(facts)],
        "refunds": [_describe_refund(one) for one in facts.refunds],
        "payouts": [_describe_run(one) for one in facts.runs],
        "reconciliation": _describe_books(facts.books),
        "ledger": {"accounts": facts.proof.accounts, "entries": facts.proof.entries, "violations": 0},
        "numbers": _describe_numbers(facts.numbers),
    }


def _currencies(facts: Facts) -> list[Currency]:
    funded = (one.currency for one in facts.books.funding)
    return sorted({*funded, *(currency for currency, _, _ in facts.entries), *facts.owed})


def _describe_order(plan: Plan, version: Version) -> dict[str, Any]:
    return {
        "issuer": plan.order.issuer,
        "legal_basis": plan.order.legal_basis,
        "received": plan.order.received.isoformat(),
        "document_sha256": plan.order.document_sha256 or "",
        "plan": plan.name,
        "plan_version": version.number,
        "plan_sha256": version.sha256,
        "approved_by": [one.actor for one in version.approvals],
        "time_zone": plan.time_zone.key,
    }


def _describe_stage(dated: DatedStage, made_at: datetime) -> dict[str, Any]:
    return {
        "name": dated.stage.name,
        "at": _instant(dated.instant) if dated.instant else "",
        "has_come": dated.has_come(made_at),
    }


def _describe_value(total: ValueTotal) -> dict[str, Any]:
    return {
        "value": str(total.value),
        "currency": total.currency,
        "count": total.count,
        "value_micros": total.value_micros,
        "owed_micros": total.owed_micros,
    }


def _describe_money(facts: Facts, currency: Currency) -> dict[str, Any]:
    """What moved and why, what is left by it, and why it is left: `remaining` is the sum of `moved`."""
    moved = {kind: micros for one, kind, micros in facts.entries if one == currency}
    left = [one for one in facts.residue if one.currency == currency]
    vouchers = facts.owed.get(currency, {}).get(ValueKind.VOUCHERS, 0)
    return {
        "currency": currency,
        "moved_micros": moved,
        "remaining_micros": sum(moved.values()),
        "owed_micros": sum(facts.owed.get(currency, {}).values()),
        "vouchers_not_used_micros": vouchers,
        "residue": [_describe_residue(one) for one in left],
        "not_owed_micros": sum(one.micros for one in left if one.state is ResidueState.NOT_OWED),
        **_describe_funding(one for one in facts.books.funding if one.currency == currency),
    }


def _describe_residue(total: ResidueTotal) -> dict[str, Any]:
    return {
        "value": str(total.value),
        "state": str(total.state),
        "count": total.count,
        "micros": total.micros,
    }


def _describe_funding(found: Iterable[Funding]) -> dict[str, Any]:
    for one in found:
        return {
            "in_hand_micros": one.in_hand.micros,
            "in_hand_on": one.on.isoformat() if one.on else "",
            "leaving_micros": one.leaving.micros,
            "left_micros": one.left.micros,
            "spare_micros": one.spare.micros,
        }
    return {}


def _describe_refund(total: RefundTotal) -> dict[str, Any]:
    return {
        "value": total.value,
        "state": total.state,
        "currency": total.currency,
        "count": total.count,
        "micros": total.micros,
    }


def _describe_run(run: RunTotal) -> dict[str, Any]:
    return {
        "run": run.id,
        "state": run.state,
        "currency": run.currency,
        "count": run.count,
        "micros": run.micros,
        "execution_on": run.execution_on.isoformat(),
    }


def _describe_books(books: Reconciliation) -> dict[str, Any]:
    return {
        "payments": books.compared,
        "statements": books.statements,
        "differences": 0,
        "days": [
            {
                "day": day.day.isoformat(),
                "currency": day.currency,
                "posted_out_micros": day.posted.out,
                "posted_back_micros": day.posted.back,
                "booked_out_micros": day.booked.out,
                "booked_back_micros": day.booked.back,
            }
            for day in books.days
        ],
    }


AT_THEIR_END = frozenset(
    {NumberState.PORTED, NumberState.TRANSFERRED, NumberState.RETURNED, NumberState.QUARANTINED}
)


def _describe_numbers(numbers: NumberAccount) -> dict[str, Any]:
    """Those that are not at their end are still to go back, which begins when the statement is there."""
    ended = sum(
        count
        for states in numbers.totals.values()
        for state, count in states.items()
        if state in AT_THEIR_END
    )
    return {
        "imported": numbers.imported,
        "at_their_end": ended,
        "to_go_back": numbers.count - ended,
        "by_country": {
            str(country): {str(state.value): count for state, count in sorted(states.items(), key=str)}
            for country, states in sorted(numbers.totals.items())
        },
    }


def _instant(at: datetime) -> str:
    return at.astimezone(UTC).isoformat()
