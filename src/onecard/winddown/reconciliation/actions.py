"""Reconcile: one look at all books, as of one moment."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import date, datetime
from zoneinfo import ZoneInfo

from onecard import audit
from onecard.database.parts import list_parts
from onecard.database.pool import Connection
from onecard.values.money import Currency, Money
from onecard.winddown.model import RefundPolicy, ValueKind
from onecard.winddown.reconciliation import store
from onecard.winddown.reconciliation.model import (
    Difference,
    DifferenceKind,
    Funding,
    Reconciliation,
    StatementLink,
)
from onecard.winddown.reconciliation.rules import (
    compare_payment,
    compare_run,
    compare_statement,
    compare_sum,
    is_awaited,
)

EXAMPLES_MOST = 100
"""Differences of each kind that are named; all are counted."""
NO_ORDER_POLICIES: Mapping[ValueKind, RefundPolicy] = {ValueKind.PROMOTIONAL: RefundPolicy.NOTHING}
"""What is not given here is owed in full."""
Told = Callable[[int], None]
"""Is told how many more payments are compared."""


def tell_nobody(_: int) -> None:
    """Who does not care."""


async def reconcile(
    connection: Connection,
    at: datetime,
    *,
    actor: str,
    zone: ZoneInfo,
    policies: Mapping[ValueKind, RefundPolicy] = NO_ORDER_POLICIES,
    told: Told = tell_nobody,
) -> Reconciliation:
    """Hold ledger, payout files and bank statements against each other, and money in hand against what is owed.

    Changes nothing, and is written down. Not to be called in a transaction: it takes one snapshot of its own.
    """
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        found = await _look(connection, at, zone, policies, told)
    detail = {
        "compared": found.compared,
        "awaited": found.awaited,
        "differences": {kind.value: count for kind, count in found.counts.items()},
        "spare_micros": {one.currency: one.spare.micros for one in found.funding},
    }
    await audit.record(connection, at, actor=actor, action="reconcile", subject="payouts", detail=detail)
    return found


async def _look(
    connection: Connection,
    at: datetime,
    zone: ZoneInfo,
    policies: Mapping[ValueKind, RefundPolicy],
    told: Told,
) -> Reconciliation:
    parts = await list_parts(connection)
    balances = await store.list_latest_balances(connection)
    links = await store.list_statements(connection)
    findings = _Findings()
    statements_until = min((day for _, day in balances), default=None)
    for part in parts:
        told(await findings.compare_part(connection, part, statements_until))
    await findings.compare_runs(connection)
    findings.compare_statements(links)
    await findings.count_unmatched(connection)
    return Reconciliation(
        compared=findings.compared,
        awaited=findings.awaited,
        counts=dict(findings.counts),
        differences=tuple(findings.differences),
        days=await store.list_days(connection, zone.key),
        funding=await _fund(connection, at, parts, balances, policies),
        statements=len(links),
    )


class _Findings:
    """What was compared so far; only so many examples of each kind are kept."""

    def __init__(self) -> None:
        self.compared = 0
        self.awaited = 0
        self.counts: Counter[DifferenceKind] = Counter()
        self.differences: list[Difference] = []

    def add(self, differences: Iterable[Difference]) -> None:
        for one in differences:
            self.counts[one.kind] += 1
            if self.counts[one.kind] <= EXAMPLES_MOST:
                self.differences.append(one)

    async def compare_part(self, connection: Connection, part: int, statements_until: date | None) -> int:
        """Compare the payments of a part; returns how many there are."""
        count = await store.count_payments(connection, part)
        self.compared += count
        async for compared in store.list_unequal(connection, part):
            self.awaited += is_awaited(compared, statements_until)
            self.add(compare_payment(compared, statements_until))
        return count

    async def compare_runs(self, connection: Connection) -> None:
        for row in await store.list_unequal_runs(connection, EXAMPLES_MOST):
            written, found = (row["count"], row["total_micros"]), (row["found"], row["found_micros"])
            difference = compare_run(row["id"], written, found, Currency(row["currency"]))
            assert difference is not None  # that is how it was chosen
            self.add([difference])
        for row in await store.list_sums(connection):
            summed = compare_sum(row["id"], row["booked"], row["filed"], Currency(row["currency"]))
            self.add([summed] if summed else [])

    def compare_statements(self, links: Iterable[tuple[StatementLink, Currency]]) -> None:
        for link, currency in links:
            self.add(compare_statement(link, currency))

    async def count_unmatched(self, connection: Connection) -> None:
        count = await store.count_unmatched(connection)
        if count:
            sentence = f"{count} lines of the bank's fit no payment: see `onecard payout unmatched`"
            self.add([Difference(DifferenceKind.UNMATCHED, "bank", sentence)])


async def check_funding(
    connection: Connection,
    at: datetime,
    *,
    policies: Mapping[ValueKind, RefundPolicy] = NO_ORDER_POLICIES,
) -> tuple[Funding, ...]:
    """Money in hand against what is owed, of one moment. Not to be called in a transaction."""
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        parts = await list_parts(connection)
        return await _fund(connection, at, parts, await store.list_latest_balances(connection), policies)


async def _fund(
    connection: Connection,
    at: datetime,
    parts: Collection[int],
    balances: Collection[tuple[Money, date]],
    policies: Mapping[ValueKind, RefundPolicy],
) -> tuple[Funding, ...]:
    owed = await sum_owed(connection, at, parts, policies)
    leaving: Counter[Currency] = Counter()
    left: Counter[Currency] = Counter()
    for part in parts:
        for currency, going, gone in await store.sum_under_way(connection, part):
            leaving[currency] += going
            left[currency] += gone
    currencies = sorted({*owed, *(money.currency for money, _ in balances)})
    return tuple(
        Funding(
            currency,
            in_hand=Money(sum(m.micros for m, _ in balances if m.currency == currency), currency),
            on=min((day for m, day in balances if m.currency == currency), default=None),
            leaving=Money(leaving[currency], currency),
            left=Money(left[currency], currency),
            owed=dict(owed.get(currency, {})),
        )
        for currency in currencies
    )


async def sum_owed(
    connection: Connection,
    at: datetime,
    parts: Collection[int],
    policies: Mapping[ValueKind, RefundPolicy],
) -> dict[Currency, dict[str, int]]:
    """What is owed now, in micros by currency and kind of value. What the policies pay nothing of is not owed."""
    owed: defaultdict[Currency, Counter[str]] = defaultdict(Counter)
    for part in parts:
        for value, currency, micros in await store.list_owed_on_accounts(connection, part):
            owed[currency][value] += micros
        for currency, micros in await store.list_owed_for_cards(connection, part):
            owed[currency][ValueKind.UNACTIVATED_CARDS] += micros
    for currency, micros in await store.list_owed_for_vouchers(connection, at):
        owed[currency][ValueKind.VOUCHERS] += micros
    unpaid = {kind for kind, policy in policies.items() if policy is RefundPolicy.NOTHING}
    return {
        currency: {str(value): micros for value, micros in sorted(values.items()) if value not in unpaid}
        for currency, values in owed.items()
    }
