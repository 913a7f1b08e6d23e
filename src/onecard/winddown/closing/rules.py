"""What an unused month is worth, which province an address is in, and what a statement must not hide. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from onecard.charging.periods import Subscription, last_renewal, midnight
from onecard.values.money import Currency, Money
from onecard.winddown.closing.model import (
    ClosingFault,
    Fault,
    PaidFee,
    ResidueState,
    ResidueTotal,
    RunTotal,
    Snapshot,
)
from onecard.winddown.model import RefundPolicy, ValueKind
from onecard.winddown.reconciliation.model import Reconciliation
from onecard.winddown.rules import DatedStage

SETTLES_WITHIN = timedelta(minutes=1)
"""By then whatever was charged before the gate is written."""
_MICROSECOND = timedelta(microseconds=1)


def period_at(subscription: Subscription, at: datetime, zone: ZoneInfo) -> tuple[int, datetime]:
    """The period of a subscription that an instant is in, or its first: its number, and when it ends."""
    number, until = subscription.period, subscription.renews_on
    while number > 1:
        begin = last_renewal(until, subscription.renewal_day)
        if midnight(begin, zone) <= at:
            break
        number, until = number - 1, begin
    return number, midnight(until, zone)


def price_unused(fee: PaidFee, at: datetime, policy: RefundPolicy) -> int:
    """What of a fee was not used at an instant: its share of time, a fraction of a micro counted whole."""
    whole = (fee.until - fee.paid_at) // _MICROSECOND
    left = (fee.until - at) // _MICROSECOND
    if left <= 0 or whole <= 0:
        return 0
    if policy is RefundPolicy.FULL or left >= whole:
        return fee.micros
    return -(-fee.micros * left // whole)


def decide_owed(value_micros: int, policy: RefundPolicy) -> int:
    """How much of a value is paid back."""
    return 0 if policy is RefundPolicy.NOTHING else value_micros


_POSTAL_CODE = re.compile(
    r"\b([ABCEGHJ-NPRSTVXY])([0-9])([ABCEGHJ-NPRSTV-Z]) ?[0-9][ABCEGHJ-NPRSTV-Z][0-9]\b"
)
_NUNAVUT = frozenset({"X0A", "X0B", "X0C"})
PROVINCE_OF_LETTER = {
    **dict.fromkeys("A", "NL"),
    **dict.fromkeys("B", "NS"),
    **dict.fromkeys("C", "PE"),
    **dict.fromkeys("E", "NB"),
    **dict.fromkeys("GHJ", "QC"),
    **dict.fromkeys("KLMNP", "ON"),
    **dict.fromkeys("R", "MB"),
    **dict.fromkeys("S", "SK"),
    **dict.fromkeys("T", "AB"),
    **dict.fromkeys("V", "BC"),
    **dict.fromkeys("X", "NT"),
    **dict.fromkeys("Y", "YT"),
}
"""Canada Post: what a postal code begins with says in which province or territory it is."""
UNKNOWN_PROVINCE = "unknown"


def find_province(postal_address: str | None) -> str:
    """The province of an address by its postal code, as CAN/CSA-Z234.4 has it; ``unknown`` without one."""
    found = _POSTAL_CODE.findall((postal_address or "").upper())
    if not found:
        return UNKNOWN_PROVINCE
    area = "".join(found[-1])  # a postal code stands at the end
    return "NU" if area in _NUNAVUT else PROVINCE_OF_LETTER[area[0]]


def find_faults(
    *,
    stages: Sequence[DatedStage],
    snapshot: Snapshot | None,
    owed: Mapping[Currency, Mapping[str, int]],
    residue: Sequence[ResidueTotal],
    all_named: bool,
    runs: Sequence[RunTotal],
    books: Reconciliation,
    violations: Sequence[str],
    numbers: Sequence[str],
    at: datetime,
) -> tuple[Fault, ...]:
    """Every reason why no closing statement can be issued at an instant; none: it can."""
    return (
        *_find_stages(stages, at),
        *_find_snapshot(snapshot),
        *_find_unnamed(owed, residue, all_named=all_named),
        *_find_runs(runs),
        *_find_books(books),
        *(Fault(ClosingFault.LEDGER_BROKEN, violation) for violation in violations),
        *(Fault(ClosingFault.NUMBERS_UNACCOUNTED, sentence) for sentence in numbers),
    )


def _find_stages(stages: Sequence[DatedStage], at: datetime) -> Iterator[Fault]:
    """Numbers go back and data are destroyed after the statement; all else has to be over."""
    for one in stages:
        if not one.stage.is_irreversible and not one.has_come(at):
            yield Fault(ClosingFault.STAGES_TO_COME, f"the stage {one.stage.name} is still to come")


def _find_snapshot(snapshot: Snapshot | None) -> Iterator[Fault]:
    if snapshot is None or snapshot.completed_at is None:
        sentence = "the balances at the gate are not recorded, or not all: run `onecard winddown snapshot`"
        yield Fault(ClosingFault.NO_SNAPSHOT, sentence)


def _find_unnamed(
    owed: Mapping[Currency, Mapping[str, int]], residue: Sequence[ResidueTotal], *, all_named: bool
) -> Iterator[Fault]:
    hint = "run `onecard winddown residue`"
    if not all_named:
        yield Fault(ClosingFault.NOT_NAMED, f"what is left has no names yet: {hint}")
        return
    for currency in sorted({*owed, *(one.currency for one in residue)}):
        vouchers = owed.get(currency, {}).get(ValueKind.VOUCHERS, 0)
        wanted = sum(owed.get(currency, {}).values()) - vouchers  # vouchers are nobody's, and named as such
        named = sum(
            one.micros
            for one in residue
            if one.currency == currency and one.state is not ResidueState.NOT_OWED
        )
        if wanted != named:
            sentence = (
                f"{Money(wanted, currency)} is owed on accounts, {Money(named, currency)} has a name: {hint}"
            )
            yield Fault(ClosingFault.NOT_NAMED, sentence)


def _find_runs(runs: Sequence[RunTotal]) -> Iterator[Fault]:
    for run in runs:
        if run.state in ("made", "released"):
            sentence = f"payout run {run.id} is {run.state}: write it, or withdraw it"
            yield Fault(ClosingFault.PAYOUTS_UNDER_WAY, sentence)


def _find_books(books: Reconciliation) -> Iterator[Fault]:
    for one in books.differences:
        yield Fault(ClosingFault.BOOKS_DIFFER, f"{one.subject}: {one.kind}: {one.sentence}")
    if books.awaited:
        yield Fault(
            ClosingFault.PAYOUTS_UNDER_WAY, f"{books.awaited} payments are on no statement of the bank's yet"
        )
    for funding in books.funding:
        if not funding.is_covered:
            sentence = (
                f"{-funding.spare} is missing: {funding.total_owed} is owed, {funding.in_hand} is in hand"
            )
            yield Fault(ClosingFault.NOT_COVERED, sentence)
