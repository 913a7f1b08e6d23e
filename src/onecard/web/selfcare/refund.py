"""Ask for the balance back: to whom, how far it is, and the proof once it is paid."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import uuid4

from litestar import Response, get, post
from litestar.exceptions import NotFoundException
from litestar.params import FromPath

from onecard.database.pool import Connection, connection, transaction
from onecard.ledger import name_event
from onecard.ledger.model import Account
from onecard.payments.bank.model import BankAccount, Payee
from onecard.payments.payees import (
    BadPayee,
    make_payee,
    parse_canadian_account,
    parse_iban,
    parse_other_account,
)
from onecard.payments.refunds.actions import change_payee, change_refund, request_refund
from onecard.payments.refunds.model import (
    Cancel,
    Refund,
    RefundedValue,
    RefundRefusal,
    RefundState,
    Verify,
    Wish,
)
from onecard.payments.refunds.store import find_refund, list_refunds
from onecard.payments.sides.model import SideValue
from onecard.payments.sides.store import list_side_accounts
from onecard.values.gate import Capability, Closed
from onecard.values.money import Money
from onecard.web.forms import Form
from onecard.web.given import GivenForm, GivenLayout, GivenSite, GivenVisit
from onecard.web.layout import Layout, Page
from onecard.web.selfcare.home import get_account
from onecard.web.selfcare.me import GivenMe, Me
from onecard.web.selfcare.receipts import Receipt, answer_receipt
from onecard.web.selfcare.refusals import go_refused
from onecard.web.site import Site
from onecard.web.visit import Visit

NAME_MOST, ACCOUNT_MOST, BIC_MOST = 140, 50, 11
CANCELLABLE = frozenset({RefundState.REQUESTED, RefundState.VERIFIED})
PAYEE_MAY_CHANGE = CANCELLABLE | {RefundState.APPROVED, RefundState.RETURNED}
STEPS = (
    RefundState.REQUESTED,
    RefundState.VERIFIED,
    RefundState.APPROVED,
    RefundState.SUBMITTED,
    RefundState.SETTLED,
)
"""The way of a refund when all goes well."""
REFUNDS_MOST = 100


@get("/refund")
async def refund_page(site: GivenSite, layout: GivenLayout, visit: GivenVisit, me: GivenMe) -> Page:
    """What can be asked for, and what was."""
    return await _show(site, layout, visit, me)


async def _show(site: Site, layout: Layout, visit: Visit, me: Me, form: Form | None = None) -> Page:
    async with connection(site.pool) as borrowed:
        account = await get_account(borrowed, me)
        refunds = await list_refunds(borrowed, part=me.part, account_id=account.id, most=REFUNDS_MOST)
        offers = await _list_offers(borrowed, account, refunds)
    errors = form.errors if form else {}
    return layout.page(
        visit,
        "selfcare/refund.html",
        status=422 if errors else 200,
        errors=errors,
        filled=_filled(form),
        me=me,
        offers=offers,
        refunds=refunds[::-1],
        closed=site.gates_at(visit.at).find_closed(Capability.REFUND),
        event=form.text("event", most=36) if form else str(uuid4()),
        steps=STEPS,
        cancellable=CANCELLABLE,
        payee_may_change=PAYEE_MAY_CHANGE,
    )


async def _list_offers(
    borrowed: Connection, account: Account, refunds: Sequence[Refund]
) -> list[tuple[RefundedValue, Money]]:
    """What can be asked for: the balance and the deposits, each while no refund of it is open."""
    sides = await list_side_accounts(borrowed, account.part, account.id)
    deposits = [side.available for side in sides if side.value is SideValue.DEPOSITS]
    owed = [(RefundedValue.CASH, account.available), *((RefundedValue.DEPOSITS, one) for one in deposits)]
    asked = {refund.value for refund in refunds if refund.closed_at is None}
    return [(value, amount) for value, amount in owed if amount.micros > 0 and value not in asked]


def _filled(form: Form | None) -> dict[str, str]:
    names = {"name": NAME_MOST, "account": ACCOUNT_MOST, "bic": BIC_MOST}
    return {name: form.text(name, most=most, required=False) if form else "" for name, most in names.items()}


@post("/refund")
async def ask(site: GivenSite, layout: GivenLayout, visit: GivenVisit, me: GivenMe, form: GivenForm) -> Page:
    """Ask for all of the balance, or of the deposits. The same form sent twice asks once."""
    payee, event = _read_payee(form), form.text("event", most=36)
    is_deposit = form.text("value", most=20, required=False) == RefundedValue.DEPOSITS
    value = RefundedValue.DEPOSITS if is_deposit else RefundedValue.CASH
    if payee is None:
        return await _show(site, layout, visit, me, form)
    async with transaction(site.pool) as borrowed:
        outcome = await _request(borrowed, site, visit, me, payee, event, value)
    if isinstance(outcome, Refund):
        return layout.go("/refund", said="refund.said_asked")
    return go_refused(layout, visit, "/refund", outcome)


async def _request(
    borrowed: Connection, site: Site, visit: Visit, me: Me, payee: Payee, event: str, value: RefundedValue
) -> Refund | RefundRefusal | Closed:
    """The request, and at once that it was verified: who asks has signed in."""
    wish = Wish(me.subscriber.account_id, name_event(me.actor, event), value, payee=payee)
    requested = await request_refund(
        borrowed,
        visit.at,
        actor=me.actor,
        gates=site.gates_at(visit.at),
        master=site.master,
        part=me.part,
        wish=wish,
        cooling_off=site.payee_cooling_off,
    )
    if not isinstance(requested, Refund) or requested.state is not RefundState.REQUESTED:
        return requested
    change = Verify(f"sign-in by {me.session.method.value}")
    return await change_refund(
        borrowed, visit.at, actor=me.actor, part=me.part, refund_id=requested.id, change=change
    )


@post("/refund/{refund_id:int}/payee")
async def name_payee(
    site: GivenSite,
    layout: GivenLayout,
    visit: GivenVisit,
    me: GivenMe,
    form: GivenForm,
    refund_id: FromPath[int],
) -> Page:
    """Name another payee; the refund then waits for a while, and the subscriber is told by text."""
    payee = _read_payee(form)
    if payee is None:
        return await _show(site, layout, visit, me, form)
    async with connection(site.pool) as borrowed:
        refund = await _get_mine(borrowed, me, refund_id)
        outcome = await change_payee(
            borrowed,
            visit.at,
            actor=me.actor,
            master=site.master,
            part=me.part,
            refund_id=refund.id,
            payee=payee,
            cooling_off=site.payee_cooling_off,
        )
        if isinstance(outcome, Refund) and outcome.state is RefundState.REQUESTED:
            change = Verify(f"sign-in by {me.session.method.value}")
            outcome = await change_refund(
                borrowed, visit.at, actor=me.actor, part=me.part, refund_id=refund.id, change=change
            )
    if isinstance(outcome, Refund):
        return layout.go("/refund", said="refund.said_payee")
    return go_refused(layout, visit, "/refund", outcome)


@post("/refund/{refund_id:int}/cancel")
async def cancel(
    site: GivenSite, layout: GivenLayout, visit: GivenVisit, me: GivenMe, refund_id: FromPath[int]
) -> Page:
    """Let the money stay on the account after all."""
    async with connection(site.pool) as borrowed:
        refund = await _get_mine(borrowed, me, refund_id)
        outcome = await change_refund(
            borrowed, visit.at, actor=me.actor, part=me.part, refund_id=refund.id, change=Cancel()
        )
    if isinstance(outcome, Refund):
        return layout.go("/refund", said="refund.said_cancelled")
    return go_refused(layout, visit, "/refund", outcome)


@get("/refund/{refund_id:int}/receipt.pdf")
async def proof(site: GivenSite, visit: GivenVisit, me: GivenMe, refund_id: FromPath[int]) -> Response[bytes]:
    """The proof that a refund was paid: how much, when, to which account."""
    async with connection(site.pool) as borrowed:
        refund = await _get_mine(borrowed, me, refund_id)
    if refund.state is not RefundState.SETTLED or refund.closed_at is None:
        raise NotFoundException
    receipt = Receipt(
        site.operator.name, str(refund.id), refund.closed_at, "payout", refund.amount, refund.payee_shown
    )
    return answer_receipt(receipt, visit, site)


async def _get_mine(borrowed: Connection, me: Me, refund_id: int) -> Refund:
    """A refund of the subscriber's own account; raises NotFoundException."""
    refund = await find_refund(borrowed, me.part, refund_id)
    if refund is None or refund.account_id != me.subscriber.account_id:
        raise NotFoundException
    return refund


def _read_payee(form: Form) -> Payee | None:
    """Who is paid; None where a field cannot be used, which is noted."""
    bic = form.text("bic", most=BIC_MOST, required=False).upper() or None
    account = form.read("account", lambda text: _read_account(text, bic), BadPayee, "refund.account_wrong")
    if account is None or not form.is_good:
        return None
    return form.read("name", lambda text: make_payee(text, account), BadPayee, "form.wrong")


def _read_account(text: str, bic: str | None) -> BankAccount:
    """An IBAN; an account at the bank of a BIC; or else a Canadian one."""
    if text[:2].isalpha():
        return parse_iban(text, bic)
    return parse_other_account(text, bic=bic) if bic else parse_canadian_account(text)


ROUTES = (refund_page, ask, name_payee, cancel, proof)
