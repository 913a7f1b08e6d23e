"""What the books are to say, and a name for each way in which they do not. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta

from onecard.values.money import Currency, Money
from onecard.winddown.reconciliation.model import Compared, Difference, DifferenceKind, StatementLink

AWAITED_FOR = timedelta(days=3)
"""So long a bank may take from its report to the statement."""

K = DifferenceKind


def compare_payment(compared: Compared, statements_until: date | None) -> tuple[Difference, ...]:
    """The differences of one payment; one whose statement is awaited has none yet."""
    return tuple(
        Difference(kind, compared.subject, _say(compared))
        for kind in _find_kinds(compared)
        if kind is not K.NOT_BOOKED or not is_awaited(compared, statements_until)
    )


def is_awaited(compared: Compared, statements_until: date | None) -> bool:
    """Whether the bank has yet to put a payment on a statement that it reported as made."""
    if not compared.by_bank or compared.booked.out >= compared.filed.out or compared.changed_at is None:
        return False
    due_on = compared.changed_at.date() + AWAITED_FOR
    return statements_until is None or statements_until < due_on


def _find_kinds(compared: Compared) -> Iterator[DifferenceKind]:
    if not compared.is_filed:
        yield K.UNKNOWN_PAYMENT
        return
    filed, posted, booked = compared.filed, compared.posted, compared.booked
    yield from _compare(posted.out, filed.out, K.NOT_POSTED, K.POSTED_TOO_MUCH)
    yield from _compare(posted.back, filed.back, K.RETURN_NOT_POSTED, K.RETURN_POSTED_TOO_MUCH)
    if compared.by_bank:
        yield from _compare(booked.out, filed.out, K.NOT_BOOKED, K.BOOKED_TOO_MUCH)
        yield from _compare(booked.back, filed.back, K.RETURN_NOT_BOOKED, K.RETURN_BOOKED_TOO_MUCH)


def _compare(found: int, wanted: int, less: DifferenceKind, more: DifferenceKind) -> Iterator[DifferenceKind]:
    if found != wanted:
        yield less if found < wanted else more


def _say(compared: Compared) -> str:
    sides = [("file", compared.filed), ("ledger", compared.posted)]
    if compared.by_bank:
        sides.append(("bank", compared.booked))
    return "; ".join(
        f"{name}: {_money(side.out, compared.currency)} out, {_money(side.back, compared.currency)} back"
        for name, side in sides
        if compared.is_filed or name != "file"
    )


def _money(micros: int, currency: Currency) -> str:
    return str(Money(micros, currency))


def compare_run(
    run_id: int, written: tuple[int, int], found: tuple[int, int], currency: Currency
) -> Difference | None:
    """Count and micros of a run, as it has them and as its orders have."""
    if written == found:
        return None
    sentence = (
        f"the run has {written[0]} orders of {_money(written[1], currency)}, "
        f"its orders are {found[0]} of {_money(found[1], currency)}"
    )
    return Difference(K.RUN_TOTAL, f"run {run_id}", sentence)


def compare_sum(run_id: int, booked: int, filed: int, currency: Currency) -> Difference | None:
    """The payments of a run that the bank booked as one sum, in micros."""
    if booked == filed:
        return None
    sentence = f"file: {_money(filed, currency)} out; bank: {_money(booked, currency)} out, as one sum"
    return Difference(K.NOT_BOOKED if booked < filed else K.BOOKED_TOO_MUCH, f"run {run_id}", sentence)


def compare_statement(link: StatementLink, currency: Currency) -> Iterator[Difference]:
    """Whether a statement goes on where the one before ended, and its movements lead to its end."""
    subject = f"statement {link.id}"
    if link.closing_before is not None and link.opening not in (None, link.closing_before):
        before, opening = _money(link.closing_before, currency), _money(link.opening or 0, currency)
        yield Difference(
            K.STATEMENT_GAP, subject, f"it begins with {opening}, the one before ended with {before}"
        )
    start = link.opening if link.opening is not None else link.closing_before
    if start is not None and link.moved is not None and start + link.moved != link.closing:
        reached = _money(start + link.moved, currency)
        closing = _money(link.closing, currency)
        yield Difference(K.STATEMENT_SUM, subject, f"its movements lead to {reached}, it ends with {closing}")
