"""Make, release and submit payout runs, and take in what the bank says.

Runs are frozen and submitted in one transaction each. What the bank says is taken in by pieces of one part, a
transaction each: what was applied before a crash is applied, and the message may be given again. Locks are taken in
one order: run, refunds, the part's turn at the ledger.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any

from onecard import audit, ledger
from onecard.database.pool import Connection
from onecard.ledger import EntryKind, Posted, Posting
from onecard.payments.bank.model import (
    BankAccount,
    BankStatement,
    Booked,
    Debtor,
    OrderState,
    OrderStatus,
    Payee,
    PaymentFile,
    PaymentOrder,
    StatusReport,
)
from onecard.payments.payees import open_payee
from onecard.payments.payouts import store
from onecard.payments.payouts.model import (
    Applied,
    Effect,
    Line,
    Move,
    Payout,
    PayoutKey,
    PayoutRefusal,
    PayoutRun,
    PayoutState,
    Route,
    RunState,
    Said,
    Unmatched,
    UnmatchedLine,
)
from onecard.payments.payouts.rules import (
    RUN_MOST,
    choose_within,
    decide_line,
    make_end_to_end_id,
    read_booked,
    read_end_to_end_id,
    read_status,
)
from onecard.payments.refunds import rules as refund_rules
from onecard.payments.refunds.model import Refund, RefundState
from onecard.payments.refunds.rules import STAFF, round_in_favour
from onecard.payments.refunds.store import answer_refunds, insert_history, move_refunds
from onecard.sealing.keys import KeyDestroyed, MasterKey, SealingKey
from onecard.sealing.subscriber_keys import get_subscriber_keys
from onecard.values.money import Currency, Money

PAGE = 1000
Told = Callable[[int], None]
"""Is told how many more payments or lines are done."""
PAYABLE = frozenset({PayoutState.SUBMITTED, PayoutState.SETTLED, PayoutState.RETURNED})
"""Payments of a file that the bank carries out, or has."""


def tell_nobody(_: int) -> None:
    """Who does not care."""


@dataclass(frozen=True, slots=True)
class _Stage:
    """What a run makes of its refunds, all of them alike."""

    what: str
    state: RefundState
    is_frozen: bool


_FREEZE = _Stage("freeze", RefundState.APPROVED, is_frozen=True)
"""Nobody else may change it."""
_UNFREEZE = _Stage("unfreeze", RefundState.APPROVED, is_frozen=False)
"""It may go into another run."""
_SUBMIT = _Stage("submit", RefundState.SUBMITTED, is_frozen=True)
"""The bank is told."""
CHANGES = ("settle", "refuse", "bring_back")
"""What a bank does to refunds, in the order in which one refund may see several: the last that is written stands."""


async def make_payout_run(
    connection: Connection,
    at: datetime,
    *,
    actor: str,
    currency: Currency,
    route: Route,
    execution_on: date,
    limit: Money,
    most: int = RUN_MOST,
    told: Told = tell_nobody,
) -> PayoutRun | PayoutRefusal:
    """Collect approved refunds, the one that waited longest first, and freeze them with what each is paid.

    At most `most`, and together at most `limit`. Those that somebody changes at this moment are left for the next run.
    """
    if not actor.startswith(STAFF):
        return PayoutRefusal.NOT_STAFF
    if not 0 < most <= RUN_MOST or limit.currency != currency or limit.micros <= 0:
        return PayoutRefusal.BAD_LIMIT
    async with connection.transaction():
        due = await store.list_due(connection, currency, route, at, most)
        chosen = due[: choose_within([round_in_favour(amount) for _, _, amount in due], limit)]
        run_id = await store.next_run_id(connection)
        frozen = await _freeze(connection, at, actor, currency, route, run_id, chosen, told)
        if not frozen:
            return PayoutRefusal.NOTHING_APPROVED
        total = Money(sum(amount.micros for amount in frozen), currency)
        run = PayoutRun(run_id, route, RunState.MADE, len(frozen), total, execution_on, at, actor)
        await store.insert_run(connection, run)
        await _record(connection, at, actor, "make_payout_run", run)
    return run


async def _freeze(
    connection: Connection,
    at: datetime,
    actor: str,
    currency: Currency,
    route: Route,
    run_id: int,
    chosen: Sequence[tuple[int, int, Money]],
    told: Told,
) -> list[Money]:
    """Freeze what is still approved of these refunds, part by part; returns what each is paid."""
    ids: defaultdict[int, list[int]] = defaultdict(list)
    for part, refund_id, _ in chosen:
        ids[part].append(refund_id)
    paid: list[Money] = []
    for part in sorted(ids):
        due = await store.lock_due(connection, currency, route, at, part, ids[part])
        amounts = await _move_refunds(connection, at, actor, part, due, run_id, _FREEZE)
        rounded = {refund_id: round_in_favour(amount) for refund_id, amount in amounts.items()}
        await store.insert_payouts(connection, part, run_id, rounded, at)
        paid += rounded.values()
        told(len(rounded))
    return paid


async def release_run(
    connection: Connection, at: datetime, *, actor: str, run_id: int, debtor: Debtor
) -> PayoutRun | PayoutRefusal:
    """A second person agrees that a run is paid, from the account that is configured now."""
    if not actor.startswith(STAFF):
        return PayoutRefusal.NOT_STAFF
    async with connection.transaction():
        run = await _lock_run(connection, run_id, RunState.MADE)
        if isinstance(run, PayoutRefusal):
            return run
        if run.made_by == actor:
            return PayoutRefusal.SAME_PERSON
        await store.release_run(connection, run_id, debtor, at, actor)
        await _record(connection, at, actor, "release_payout_run", run)
    return replace(run, state=RunState.RELEASED, debtor=debtor, released_at=at, released_by=actor)


async def withdraw_run(
    connection: Connection, at: datetime, *, actor: str, run_id: int
) -> PayoutRun | PayoutRefusal:
    """Give up a run before its file is written: its refunds are approved still, and may go into another."""
    async with connection.transaction():
        run = await _lock_run(connection, run_id, RunState.MADE, RunState.RELEASED)
        if isinstance(run, PayoutRefusal):
            return run
        await _move(connection, at, actor, run, _UNFREEZE, PayoutState.WITHDRAWN)
        await store.withdraw_run(connection, run_id)
        await _record(connection, at, actor, "withdraw_payout_run", run)
    return replace(run, state=RunState.WITHDRAWN)


async def submit_run(
    connection: Connection, at: datetime, *, actor: str, run_id: int
) -> PayoutRun | PayoutRefusal:
    """Note that the bank is being told, before the file is written: whatever happens then, it is paid once.

    A repeat changes nothing, and the file may be written again: `make_payment_file` and `list_orders` give the same.
    """
    async with connection.transaction():
        run = await _lock_run(connection, run_id, RunState.RELEASED, RunState.SUBMITTED)
        if isinstance(run, PayoutRefusal) or run.state is RunState.SUBMITTED:
            return run
        if await store.has_destroyed_key(connection, run_id):
            return PayoutRefusal.KEY_DESTROYED
        await _move(connection, at, actor, run, _SUBMIT, PayoutState.SUBMITTED)
        await store.submit_run(connection, run_id, at)
        await _record(connection, at, actor, "submit_payout_run", run)
    return replace(run, state=RunState.SUBMITTED, submitted_at=at)


async def _lock_run(connection: Connection, run_id: int, *states: RunState) -> PayoutRun | PayoutRefusal:
    run = await store.lock_run(connection, run_id)
    if run is None:
        return PayoutRefusal.UNKNOWN_RUN
    return run if run.state in states else PayoutRefusal.WRONG_STATE


async def _move(
    connection: Connection,
    at: datetime,
    actor: str,
    run: PayoutRun,
    stage: _Stage,
    state: PayoutState,
) -> None:
    """Change all refunds and payments of a run, a page at a time."""
    for part in await store.list_parts(connection):
        after = 0
        while ids := await store.list_refunds_of_run(connection, part, run.id, after, PAGE):
            await _move_refunds(connection, at, actor, part, ids, run.id, stage)
            after = ids[-1]
        await store.move_payouts(connection, part, run.id, state, at)


async def _move_refunds(
    connection: Connection,
    at: datetime,
    actor: str,
    part: int,
    refund_ids: Sequence[int],
    run_id: int,
    stage: _Stage,
) -> dict[int, Money]:
    """Change refunds of a run, with a row of history and of the audit record each; returns what each is of."""
    amounts = await move_refunds(
        connection,
        part,
        refund_ids,
        run_id,
        stage.state,
        is_frozen=stage.is_frozen,
        what=stage.what,
        at=at,
        actor=actor,
    )
    await _record_refunds(connection, at, actor, stage.what, amounts.items())
    return amounts


def make_payment_file(run: PayoutRun) -> PaymentFile:
    """The file of a run that was released, but for its orders."""
    assert run.debtor is not None
    assert run.released_at is not None
    made_at = run.released_at.replace(microsecond=0)
    return PaymentFile(run.message_id, made_at, run.debtor, run.execution_on, run.count, run.total)


async def list_orders(
    connection: Connection, run: PayoutRun, *, master: MasterKey, remittance: str
) -> AsyncIterator[list[PaymentOrder]]:
    """The orders of a run in the order of the file, a page at a time. They are as they were when it was made.

    Raises `KeyDestroyed` where a subscriber was erased since the run was submitted.
    """
    for part in await store.list_parts(connection):
        after = 0
        while rows := await store.list_payouts(connection, part, run.id, after=after, most=PAGE):
            keys = await get_subscriber_keys(
                connection, master, part, [row["subscriber_id"] for row in rows if row["sealed_payee"]]
            )
            if any(row["sealed_payee"] and row["subscriber_id"] not in keys for row in rows):
                raise KeyDestroyed(f"the key of a payee of run {run.id} was destroyed since it was submitted")
            yield [_order(row, keys, remittance) for row in rows]
            after = rows[-1]["refund_id"]


def _order(row: Any, keys: Mapping[int, SealingKey], remittance: str) -> PaymentOrder:
    payout, subscriber_id = store.read_payout(row), row["subscriber_id"]
    if row["sealed_payee"] is None:  # the provider knows the payer by the payment
        account = BankAccount(row["payment_reference"], is_iban=False)
        payee = Payee(row["payment_method"], account)
    else:
        payee = open_payee(keys[subscriber_id], row["sealed_payee"], payout.key.part, subscriber_id)
    return PaymentOrder(make_end_to_end_id(payout.key), payout.amount, payee, remittance)


async def apply_status_report(
    connection: Connection,
    at: datetime,
    *,
    actor: str,
    report: StatusReport,
    beside: Sequence[Connection] = (),
    told: Told = tell_nobody,
) -> Applied:
    """Take in what the bank says of a file. A report that comes twice, or late, does no harm.

    On the connections `beside`, other parts are worked through at the same time.
    """
    is_repeated = await store.has_report(connection, report.message_id)
    inbox = _Inbox(connection, at, actor, "report", report.message_id, beside=beside, told=told)
    await inbox.apply([read_status(status) for status in report.statuses])
    if report.whole in (OrderState.SETTLED, OrderState.REJECTED):
        await _apply_to_rest(connection, inbox, report, report.whole)
    await store.insert_report(connection, report, at, actor)
    return replace(inbox.applied, is_repeated=is_repeated)


async def _apply_to_rest(
    connection: Connection, inbox: _Inbox, report: StatusReport, whole: OrderState
) -> None:
    """What is said of the file as a whole is said of every order that is not named."""
    run = await _find_run_of(connection, report.original_message_id)
    if run is None:
        await inbox.keep([(Line(report.original_message_id, Said.UNDER_WAY), Unmatched.UNKNOWN)])
        return
    named = {status.end_to_end_id for status in report.statuses}
    async for rows in _list_pages(connection, run):
        ids = [make_end_to_end_id(store.read_payout(row).key) for row in rows]
        rest = [OrderStatus(one, whole, report.whole_reason) for one in ids if one not in named]
        await inbox.apply([read_status(status) for status in rest])


async def _find_run_of(connection: Connection, message_id: str) -> PayoutRun | None:
    run_id = message_id.removeprefix("OC-RUN-").partition("-")[0]
    if not (run_id.isascii() and run_id.isdigit() and len(run_id) < 19):
        return None
    run = await store.find_run(connection, int(run_id))
    return run if run is not None and run.message_id == message_id else None


async def apply_statement(
    connection: Connection,
    at: datetime,
    *,
    actor: str,
    statement: BankStatement,
    beside: Sequence[Connection] = (),
    told: Told = tell_nobody,
) -> Applied:
    """Take in what moved on the operator's account. Each movement counts once, whichever statements it stands in.

    On the connections `beside`, other parts are worked through at the same time.
    """
    is_repeated = await store.has_statement(connection, statement)
    entries = {booked.reference: booked for booked in statement.booked}
    inbox = _Inbox(connection, at, actor, "statement", statement.id, statement.account, beside, told, entries)
    lines = [read_booked(booked) for booked in statement.booked if booked.message_id is None]
    # A payment is told before its return, in whatever order the bank lists them.
    await inbox.apply(sorted(lines, key=lambda line: line.said is Said.CAME_BACK))
    for booked in statement.booked:
        if booked.message_id is not None:
            await _apply_sum(connection, inbox, booked, booked.message_id)
    await store.insert_statement(connection, statement, at, actor)
    return replace(inbox.applied, is_repeated=is_repeated)


async def _apply_sum(connection: Connection, inbox: _Inbox, booked: Booked, message_id: str) -> None:
    """Pay every order of a file that was booked as one sum, if that is what they sum to; else a person looks at it."""
    assert inbox.account is not None
    await store.insert_entries(connection, inbox.account, inbox.message_id, [booked], inbox.at)
    run = await _find_run_of(connection, message_id)
    why = Unmatched.UNKNOWN if run is None or booked.is_credit else None
    if run is not None and why is None and booked.amount != await _sum_payable(connection, run):
        why = Unmatched.OTHER_AMOUNT
    if run is None or why is not None:
        line = Line(message_id, Said.PAID, booked.reason, booked.amount, booked.reference)
        await inbox.keep([(line, why or Unmatched.UNKNOWN)])
        return
    orders = replace(inbox, account=None, applied=Applied())
    async for rows in _list_pages(connection, run):
        payable = (row for row in rows if PayoutState(row["state"]) in PAYABLE)
        await orders.apply(
            [Line(make_end_to_end_id(store.read_payout(row).key), Said.PAID) for row in payable]
        )
    inbox.add(orders.applied)


async def _sum_payable(connection: Connection, run: PayoutRun) -> Money:
    """What the bank pays of a run: all that it did not reject."""
    tally = await store.tally_payouts(connection, run.id)
    return Money(sum(micros for state, (_, micros) in tally.items() if state in PAYABLE), run.currency)


async def _list_pages(connection: Connection, run: PayoutRun) -> AsyncIterator[list[Any]]:
    for part in await store.list_parts(connection):
        after = 0
        while rows := await store.list_payouts(connection, part, run.id, after=after, most=PAGE):
            yield rows
            after = rows[-1]["refund_id"]


async def resolve_unmatched(
    connection: Connection, at: datetime, *, actor: str, line_id: int, resolution: str
) -> UnmatchedLine | PayoutRefusal:
    """Note what a person found out about a line of the bank's that fitted nothing."""
    async with connection.transaction():
        line = await store.lock_unmatched(connection, line_id)
        if line is None:
            return PayoutRefusal.UNKNOWN_LINE
        if line.resolved_at is not None:
            return PayoutRefusal.ALREADY_RESOLVED
        await store.resolve_unmatched(connection, line_id, at, actor, resolution)
        subject = f"bank_unmatched:{line_id}"
        await audit.record(connection, at, actor=actor, action="resolve_unmatched", subject=subject)
    return replace(line, resolved_at=at, resolved_by=actor, resolution=resolution)


@dataclass(slots=True)
class _Inbox:
    """Applies the lines of one message, and counts what became of them."""

    connection: Connection
    at: datetime
    actor: str
    source: str
    message_id: str
    account: str | None = None
    """Of a statement."""
    beside: Sequence[Connection] = ()
    """More connections, for parts at the same time."""
    told: Told = tell_nobody
    entries: Mapping[str, Booked] = field(default_factory=dict)
    applied: Applied = field(default_factory=Applied)

    async def apply(self, lines: Sequence[Line]) -> None:
        """Apply lines part by part, on each connection another, a page of them in a transaction."""
        by_part: defaultdict[int | None, list[Line]] = defaultdict(list)
        for line in lines:
            key = None if line.end_to_end_id is None else read_end_to_end_id(line.end_to_end_id)
            by_part[None if key is None else key.part].append(line)
        waiting = iter(by_part.items())
        workers = [
            replace(self, connection=one, applied=Applied()) for one in (self.connection, *self.beside)
        ]
        ends = await asyncio.gather(*(one.apply_parts(waiting) for one in workers), return_exceptions=True)
        for worker, failure in zip(workers, ends, strict=True):
            if failure is not None:  # and no worker is at work any more
                raise failure
            self.add(worker.applied)

    async def apply_parts(self, waiting: Iterator[tuple[int | None, list[Line]]]) -> None:
        """Apply the lines of one part after the other, until none waits."""
        for part, lines in waiting:
            for page in _pages(lines, PAGE):
                async with self.connection.transaction():
                    new = await self._take_new(page)
                    self._count(unchanged=len(page) - len(new))
                    await self._apply_page(part, new)
                self.told(len(page))

    async def _take_new(self, lines: Sequence[Line]) -> list[Line]:
        """Those that no statement had before; of a report, all."""
        if self.account is None:
            return list(lines)
        by_reference = {line.reference: line for line in lines if line.reference}
        booked = [self.entries[reference] for reference in by_reference]
        new = await store.insert_entries(self.connection, self.account, self.message_id, booked, self.at)
        return [line for reference, line in by_reference.items() if reference in new]

    async def _apply_page(self, part: int | None, lines: Sequence[Line]) -> None:
        if part is None:
            await self.keep([(line, Unmatched.UNKNOWN) for line in lines])
            return
        keyed = [(_key(line), line) for line in lines]
        known = await store.lock_payouts(self.connection, part, [key for key, _ in keyed])
        page = _Page(self.at, known)
        unmatched = [(line, why) for key, line in keyed if (why := page.take(key, line)) is not None]
        await self.keep(unmatched)
        await self._save(part, page)
        self._count(unchanged=page.unchanged)

    async def keep(self, lines: Sequence[tuple[Line, Unmatched]]) -> None:
        """Keep lines for a person."""
        if lines:
            await store.insert_unmatched(self.connection, self.source, self.message_id, lines, self.at)
            self._count(unmatched=len(lines))

    async def _save(self, part: int, page: _Page) -> None:
        await store.update_payouts(self.connection, part, page.payouts(), self.at)
        for what in CHANGES:
            await _save_refunds(self.connection, self.at, self.actor, part, what, page.changed[what])
        for kind in (EntryKind.ROUNDING, EntryKind.PAYOUT, EntryKind.PAYOUT_RETURNED):
            posted = await ledger.post_all(self.connection, page.postings[kind], self.at)
            assert all(one is Posted.POSTED for one in posted), posted  # it is held, and each is posted once
        self._count(
            settled=len(page.changed["settle"]),
            rejected=len(page.changed["refuse"]),
            returned=len(page.changed["bring_back"]),
        )

    def add(self, other: Applied) -> None:
        """Count what became of other lines of the same message."""
        self._count(
            settled=other.settled,
            rejected=other.rejected,
            returned=other.returned,
            unchanged=other.unchanged,
            unmatched=other.unmatched,
        )

    def _count(self, **more: int) -> None:
        counted = {name: getattr(self.applied, name) + count for name, count in more.items()}
        self.applied = replace(self.applied, **counted)


@dataclass(slots=True)
class _Page:
    """Payments and refunds of one part as the lines of a page change them, one line after the other."""

    at: datetime
    known: dict[PayoutKey, tuple[Payout, Refund]]
    unchanged: int = 0
    """Lines that said what was known."""
    touched: set[PayoutKey] = field(default_factory=set)
    changed: defaultdict[str, list[Refund]] = field(default_factory=lambda: defaultdict(list))
    postings: defaultdict[EntryKind, list[Posting]] = field(default_factory=lambda: defaultdict(list))

    def take(self, key: PayoutKey, line: Line) -> Unmatched | None:
        """Let a line change its payment; returns why it cannot."""
        if key not in self.known:
            return Unmatched.UNKNOWN
        payout, refund = self.known[key]
        effect = decide_line(payout, line)
        if isinstance(effect, Unmatched):
            return effect
        if effect.payout != payout:
            self.touched.add(key)
        changed = self._change(refund, payout, effect)
        self.unchanged += changed is refund
        self.known[key] = (effect.payout, changed)
        return None

    def _change(self, refund: Refund, before: Payout, effect: Effect) -> Refund:
        for move in effect.moves:
            refund = (
                self._pay(refund, effect.payout) if move is Move.PAY else self._bring_back(refund, effect)
            )
        if effect.payout.state is PayoutState.REJECTED and before.state is not PayoutState.REJECTED:
            refund = self._note("refuse", refund_rules.refuse(refund, effect.payout.reason))
        return refund

    def _pay(self, refund: Refund, payout: Payout) -> Refund:
        rounding = payout.amount - refund.amount
        if rounding:
            self._post(EntryKind.ROUNDING, refund, payout, rounding.micros)
        self._post(EntryKind.PAYOUT, refund, payout, -payout.amount.micros)
        return self._note("settle", refund_rules.settle(refund, payout.amount, self.at))

    def _bring_back(self, refund: Refund, effect: Effect) -> Refund:
        self._post(EntryKind.PAYOUT_RETURNED, refund, effect.payout, effect.payout.amount.micros)
        return self._note("bring_back", refund_rules.bring_back(refund, effect.payout.reason))

    def _note(self, what: str, refund: Refund) -> Refund:
        self.changed[what].append(refund)
        return refund

    def _post(self, kind: EntryKind, refund: Refund, payout: Payout, held: int) -> None:
        id_ = make_end_to_end_id(payout.key)
        posting = Posting(
            part=refund.part,
            account_id=refund.ledger_account_id,
            event_id=ledger.name_event(kind.name.lower(), id_),
            kind=kind,
            available=0,
            held=held,
            content_hash=ledger.hash_contents(held),
            memo=id_,
        )
        self.postings[kind].append(posting)

    def payouts(self) -> list[Payout]:
        """Those that were changed."""
        return [self.known[key][0] for key in sorted(self.touched)]


def _key(line: Line) -> PayoutKey:
    key = read_end_to_end_id(line.end_to_end_id or "")
    assert key is not None  # lines are sorted by it
    return key


def _pages(lines: Sequence[Line], size: int) -> Iterator[Sequence[Line]]:
    return (lines[first : first + size] for first in range(0, len(lines), size))


async def _save_refunds(
    connection: Connection,
    at: datetime,
    actor: str,
    part: int,
    what: str,
    refunds: Sequence[Refund],
) -> None:
    """Write refunds with a row of history and of the audit record each. Of one that changed twice, the last stands."""
    if not refunds:
        return
    await answer_refunds(connection, part, refunds)
    history = [(refund, what, refund.reason) for refund in refunds]
    await insert_history(connection, part, history, at, actor)
    await _record_refunds(connection, at, actor, what, [(refund.id, refund.amount) for refund in refunds])


async def _record_refunds(
    connection: Connection, at: datetime, actor: str, what: str, refunds: Collection[tuple[int, Money]]
) -> None:
    await audit.record_each(
        connection,
        at,
        actor=actor,
        action=f"{what}_refund",
        subjects=[f"refund:{refund_id}" for refund_id, _ in refunds],
        details=[{"micros": amount.micros, "currency": amount.currency} for _, amount in refunds],
    )


async def _record(connection: Connection, at: datetime, actor: str, action: str, run: PayoutRun) -> None:
    detail = {"count": run.count, "micros": run.total.micros, "currency": run.currency}
    await audit.record(
        connection, at, actor=actor, action=action, subject=f"payout_run:{run.id}", detail=detail
    )
