"""Refunds: asked for by one person, seen and approved by another; and the runs that pay them."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial
from typing import Any, TypeAlias
from uuid import uuid4

from litestar import get, post
from litestar.di import NamedDependency
from litestar.exceptions import NotFoundException
from litestar.params import FromPath, SkipValidation

from onecard.database.pool import Connection, Pool, connection
from onecard.payments.bank.model import Payee
from onecard.payments.payees import BadPayee, make_payee, parse_canadian_account, parse_iban
from onecard.payments.payouts import actions as payouts
from onecard.payments.payouts.model import PayoutRefusal, PayoutRun, Route
from onecard.payments.payouts.store import (
    find_run,
    list_payouts_of_refund,
    list_runs,
    list_unmatched,
    tally_payouts,
)
from onecard.payments.refunds import actions
from onecard.payments.refunds.model import (
    Approve,
    Cancel,
    Change,
    Refund,
    RefundRefusal,
    RefundState,
    Reject,
    Retry,
    Tally,
    Verify,
)
from onecard.payments.refunds.model import (
    Wish as RefundWish,
)
from onecard.payments.refunds.store import (
    find_part_of_refund,
    find_refund,
    list_history,
    tally_refunds,
)
from onecard.staff.model import Permission
from onecard.subscribers.store import find_subscriber
from onecard.values.money import BadMoney, Currency, Money, parse_currency, parse_micros
from onecard.web.console import store
from onecard.web.console.desk import Desk, GivenDesk, needs
from onecard.web.console.lately import Lately
from onecard.web.console.tables import (
    ID_HIGHEST,
    ROWS_A_PAGE,
    Rows,
    Wish,
    cut,
    join_key,
    read_number,
    read_wish,
)
from onecard.web.forms import Form
from onecard.web.given import GivenForm
from onecard.web.layout import Page
from onecard.web.visit import AnyRequest

REFUNDS = "/console/refunds"
PAYOUTS = "/console/payouts"
KEEP = timedelta(seconds=10)
REASON_LENGTH_MOST = 200
RUNS_SHOWN_MOST = 50
BAD_RUN = "Give a currency such as CAD, a day that has not passed, and an amount within the limit of a run."

GivenTally: TypeAlias = NamedDependency[SkipValidation[Lately[tuple[Tally, ...]]]]


def keep_tally(pool: Pool) -> Lately[tuple[Tally, ...]]:
    """How many refunds are in which state, as one node's console knows it."""

    async def read(pool: Pool, _: datetime) -> tuple[Tally, ...]:
        async with connection(pool) as borrowed:
            return await tally_refunds(borrowed)

    return Lately(partial(read, pool), KEEP)


@get(REFUNDS, opt=needs(Permission.SEE_REFUNDS))
async def show_refunds(request: AnyRequest, desk: GivenDesk, tally: GivenTally) -> Page:
    """All refunds, or those of a state; the latest first."""
    wish = read_wish(request, "state", sorts=store.SORTS_OF_REFUNDS)
    states = {state.value: state for state in RefundState}
    async with desk.connection() as borrowed:
        table = await _list(borrowed, wish, states.get(wish.filters["state"]))
    return desk.page("refunds.html", table=table, tally=await tally.get(desk.at), states=RefundState)


async def _list(borrowed: Connection, wish: Wish, state: RefundState | None) -> Rows[store.RefundRow]:
    way = wish.is_descending
    if wish.sort == "amount":
        start = wish.start(read_number, read_number)
        found = await store.list_refunds_by_amount(borrowed, start, is_descending=way, state=state)
        return cut(wish, found, lambda row: join_key(row.amount.micros, row.id))
    if wish.sort == "state" and state is None:
        found = await store.list_refunds_by_state(borrowed, wish.start(str, read_number), is_descending=way)
        return cut(wish, found, lambda row: join_key(row.state, row.id))
    wish = wish.by_key()  # those of one state
    found = await store.list_refunds(borrowed, wish.from_id, is_descending=way, state=state)
    return cut(wish, found, lambda row: row.id)


@get(REFUNDS + "/{refund_id:int}", opt=needs(Permission.SEE_REFUNDS))
async def show_refund(desk: GivenDesk, refund_id: FromPath[int]) -> Page:
    """One refund: where it stands, and how it came there."""
    async with desk.connection() as borrowed:
        return await _show(desk, borrowed, await _get_refund(borrowed, refund_id))


async def _show(desk: Desk, borrowed: Connection, refund: Refund, payee: Payee | None = None) -> Page:
    return desk.page(
        "refund.html",
        refund=refund,
        payee=payee,
        history=await list_history(borrowed, refund.part, refund.id),
        payments=await list_payouts_of_refund(borrowed, refund.part, refund.id),
    )


async def _get_refund(borrowed: Connection, refund_id: int) -> Refund:
    """Raises NotFoundException."""
    is_id = 0 < refund_id <= ID_HIGHEST
    part = await find_part_of_refund(borrowed, refund_id) if is_id else None
    refund = None if part is None else await find_refund(borrowed, part, refund_id)
    if refund is None:
        raise NotFoundException
    return refund


@post(REFUNDS + "/{refund_id:int}/payee", status_code=200, opt=needs(Permission.APPROVE_REFUNDS))
async def show_payee(desk: GivenDesk, refund_id: FromPath[int], form: GivenForm) -> Page:
    """Open who is paid, and write down who looked and what for."""
    reason = form.text("reason", most=REASON_LENGTH_MOST)
    if not form.is_good:
        return desk.refused(_path(refund_id), "Say what you need it for.")
    async with desk.connection() as borrowed:
        refund = await _get_refund(borrowed, refund_id)
        if refund.sealed_payee is None:
            return desk.refused(_path(refund_id), RefundRefusal.NO_PAYEE)
        payee = await actions.read_payee(
            borrowed, desk.at, actor=desk.actor, master=desk.site.master, refund=refund, reason=reason
        )
        if isinstance(payee, RefundRefusal):
            return desk.refused(_path(refund_id), payee)
        return await _show(desk, borrowed, refund, payee)


@post(REFUNDS + "/{refund_id:int}/payee/change", opt=needs(Permission.REQUEST_REFUNDS))
async def change_payee(desk: GivenDesk, refund_id: FromPath[int], form: GivenForm) -> Page:
    """Name who is paid; another than the first waits, and the subscriber is told."""
    try:
        payee = _read_payee(form)
    except BadPayee as bad:
        return desk.refused(_path(refund_id), f"The payee cannot be used: {bad}.")
    if payee is None:
        return desk.refused(_path(refund_id), RefundRefusal.NO_PAYEE)
    async with desk.connection() as borrowed:
        refund = await _get_refund(borrowed, refund_id)
        changed = await actions.change_payee(
            borrowed,
            desk.at,
            actor=desk.actor,
            master=desk.site.master,
            part=refund.part,
            refund_id=refund_id,
            payee=payee,
            cooling_off=desk.site.payee_cooling_off,
        )
    if isinstance(changed, RefundRefusal):
        return desk.refused(_path(refund_id), changed)
    return desk.done(_path(refund_id), f"Refund {refund_id} is paid to {changed.payee_shown}.")


@post(REFUNDS + "/{refund_id:int}/verify", opt=needs(Permission.REQUEST_REFUNDS))
async def verify(desk: GivenDesk, refund_id: FromPath[int], form: GivenForm, tally: GivenTally) -> Page:
    """Whoever asked has shown who they are."""
    how = form.text("how", most=REASON_LENGTH_MOST)
    if not form.is_good:
        return desk.refused(_path(refund_id), "Say how they have shown who they are.")
    return await _change(desk, tally, refund_id, Verify(how), "is verified")


@post(REFUNDS + "/{refund_id:int}/approve", opt=needs(Permission.APPROVE_REFUNDS))
async def approve(desk: GivenDesk, refund_id: FromPath[int], tally: GivenTally) -> Page:
    """A second person agrees that it is paid."""
    return await _change(desk, tally, refund_id, Approve(), "is approved")


@post(REFUNDS + "/{refund_id:int}/reject", opt=needs(Permission.APPROVE_REFUNDS))
async def reject(desk: GivenDesk, refund_id: FromPath[int], form: GivenForm, tally: GivenTally) -> Page:
    """It is not paid, for a reason that the subscriber is told."""
    reason = form.text("reason", most=REASON_LENGTH_MOST)
    if not form.is_good:
        return desk.refused(_path(refund_id), "Say why it is rejected.")
    return await _change(desk, tally, refund_id, Reject(reason), "is rejected")


@post(REFUNDS + "/{refund_id:int}/cancel", opt=needs(Permission.REQUEST_REFUNDS))
async def cancel(desk: GivenDesk, refund_id: FromPath[int], tally: GivenTally) -> Page:
    """The subscriber does not want it any more."""
    return await _change(desk, tally, refund_id, Cancel(), "is cancelled")


@post(REFUNDS + "/{refund_id:int}/retry", opt=needs(Permission.REQUEST_REFUNDS))
async def retry(desk: GivenDesk, refund_id: FromPath[int], tally: GivenTally) -> Page:
    """One that came back is tried again as it is."""
    return await _change(desk, tally, refund_id, Retry(), "is tried again")


async def _change(
    desk: Desk, tally: Lately[tuple[Tally, ...]], refund_id: int, change: Change, what: str
) -> Page:
    async with desk.connection() as borrowed:
        refund = await _get_refund(borrowed, refund_id)
        changed = await actions.change_refund(
            borrowed, desk.at, actor=desk.actor, part=refund.part, refund_id=refund_id, change=change
        )
    if isinstance(changed, RefundRefusal):
        return desk.refused(_path(refund_id), changed)
    tally.forget()
    return desk.done(_path(refund_id), f"Refund {refund_id} {what}.")


@post("/console/subscribers/{subscriber_id:int}/refund", opt=needs(Permission.REQUEST_REFUNDS))
async def request_refund(
    desk: GivenDesk, subscriber_id: FromPath[int], form: GivenForm, tally: GivenTally
) -> Page:
    """Ask for a subscriber's balance on their behalf: the money is held from now on."""
    back = f"/console/subscribers/{subscriber_id}"
    try:
        payee = _read_payee(form)
    except BadPayee as bad:
        return desk.refused(back, f"The payee cannot be used: {bad}.")
    async with desk.connection() as borrowed:
        part = await store.find_part_of_subscriber(borrowed, subscriber_id) if subscriber_id > 0 else None
        subscriber = None if part is None else await find_subscriber(borrowed, part, subscriber_id)
        if subscriber is None:
            raise NotFoundException
        refund = await actions.request_refund(
            borrowed,
            desk.at,
            actor=desk.actor,
            gates=desk.gates,
            master=desk.site.master,
            part=subscriber.part,
            wish=RefundWish(subscriber.account_id, uuid4(), payee=payee),
            cooling_off=desk.site.payee_cooling_off,
        )
    if not isinstance(refund, Refund):
        return desk.refused(back, refund)
    tally.forget()
    return desk.done(_path(refund.id), f"The refund of {refund.amount} is requested.")


def _read_payee(form: Form) -> Payee | None:
    """Who is paid, and where: an IBAN, or a Canadian account; None where that comes later. Raises BadPayee."""
    name = form.text("name", most=200, required=False)
    account = form.text("account", most=60, required=False)
    if not name and not account:
        return None
    is_iban = account[:2].isalpha()
    return make_payee(name, parse_iban(account) if is_iban else parse_canadian_account(account))


def _path(refund_id: int) -> str:
    return f"{REFUNDS}/{refund_id}"


# Payout runs


@get(PAYOUTS, opt=needs(Permission.SEE_REFUNDS))
async def show_payouts(request: AnyRequest, desk: GivenDesk) -> Page:
    """The runs, the latest first, and what the bank said that fits none of them."""
    async with desk.connection() as borrowed:
        runs = await list_runs(borrowed, before=ID_HIGHEST, most=RUNS_SHOWN_MOST)
        after = read_wish(request, is_descending=False).from_id
        unmatched = await list_unmatched(borrowed, after=after, most=ROWS_A_PAGE + 1)
    more = unmatched[ROWS_A_PAGE - 1].id if len(unmatched) > ROWS_A_PAGE else None
    return desk.page("payouts.html", runs=runs, unmatched=unmatched[:ROWS_A_PAGE], more=more, routes=Route)


@get(PAYOUTS + "/{run_id:int}", opt=needs(Permission.SEE_REFUNDS))
async def show_run(desk: GivenDesk, run_id: FromPath[int]) -> Page:
    """One run and what became of its payments."""
    async with desk.connection() as borrowed:
        run = await find_run(borrowed, run_id) if 0 < run_id <= ID_HIGHEST else None
        if run is None:
            raise NotFoundException
        counts = await tally_payouts(borrowed, run_id)
    return desk.page("run.html", run=run, counts=counts)


@post(PAYOUTS, opt=needs(Permission.RUN_PAYOUTS))
async def make_run(desk: GivenDesk, form: GivenForm, tally: GivenTally) -> Page:
    """Collect approved refunds into a run, for a second person to release."""
    wish = _read_run(desk, form)
    if wish is None:
        return desk.refused(PAYOUTS, BAD_RUN)
    async with desk.connection() as borrowed:
        run = await payouts.make_payout_run(borrowed, desk.at, actor=desk.actor, **wish)
    if not isinstance(run, PayoutRun):
        return desk.refused(PAYOUTS, run)
    tally.forget()
    return desk.done(f"{PAYOUTS}/{run.id}", f"Run {run.id}: {run.count} payments, {run.total}.")


def _read_run(desk: Desk, form: Form) -> dict[str, Any] | None:
    try:
        currency = Currency(parse_currency(form.text("currency", most=3).upper()))
        limit = Money(parse_micros(form.text("limit", most=20)), currency)
        execution_on = datetime.fromisoformat(form.text("on", most=20)).date()
        route = Route(form.text("route", most=10))
    except (BadMoney, ValueError):
        return None
    today = desk.at.astimezone(desk.site.operator.zone).date()
    terms = desk.site.payouts
    if execution_on < today or limit.micros > terms.amount_most_micros:
        return None
    return {
        "currency": currency,
        "limit": limit,
        "execution_on": execution_on,
        "route": route,
        "most": terms.payments_most,
    }


@post(PAYOUTS + "/{run_id:int}/release", opt=needs(Permission.RUN_PAYOUTS))
async def release_run(desk: GivenDesk, run_id: FromPath[int]) -> Page:
    """Another than who made a run agrees that it is paid; its file can then be taken."""
    debtor = desk.site.payouts.debtor
    if debtor is None:
        return desk.refused(
            PAYOUTS, "The configuration does not name the account that refunds are paid from."
        )
    async with desk.connection() as borrowed:
        run = await payouts.release_run(
            borrowed, desk.at, actor=desk.actor, run_id=min(run_id, ID_HIGHEST), debtor=debtor
        )
    if not isinstance(run, PayoutRun):
        return desk.refused(PAYOUTS, run)
    return desk.done(f"{PAYOUTS}/{run.id}", f"Run {run.id} is released.")


@post(PAYOUTS + "/{run_id:int}/withdraw", opt=needs(Permission.RUN_PAYOUTS))
async def withdraw_run(desk: GivenDesk, run_id: FromPath[int], tally: GivenTally) -> Page:
    """Give up a run before its file is written."""
    async with desk.connection() as borrowed:
        run = await payouts.withdraw_run(borrowed, desk.at, actor=desk.actor, run_id=min(run_id, ID_HIGHEST))
    if not isinstance(run, PayoutRun):
        return desk.refused(PAYOUTS, run)
    tally.forget()
    return desk.done(f"{PAYOUTS}/{run.id}", f"Run {run.id} is withdrawn; its refunds are approved still.")


@post(PAYOUTS + "/lines/{line_id:int}/resolve", opt=needs(Permission.RUN_PAYOUTS))
async def resolve_line(desk: GivenDesk, line_id: FromPath[int], form: GivenForm) -> Page:
    """Note what somebody found out about a line of the bank's that fitted nothing."""
    resolution = form.text("resolution", most=REASON_LENGTH_MOST)
    if not form.is_good:
        return desk.refused(PAYOUTS, "Say what you found out.")
    async with desk.connection() as borrowed:
        line = await payouts.resolve_unmatched(
            borrowed, desk.at, actor=desk.actor, line_id=min(line_id, ID_HIGHEST), resolution=resolution
        )
    if isinstance(line, PayoutRefusal):
        return desk.refused(PAYOUTS, line)
    return desk.done(PAYOUTS, f"Line {line_id} is resolved.")


ROUTES = (
    show_refunds,
    show_refund,
    show_payee,
    change_payee,
    verify,
    approve,
    reject,
    cancel,
    retry,
    request_refund,
    show_payouts,
    show_run,
    make_run,
    release_run,
    withdraw_run,
    resolve_line,
)
