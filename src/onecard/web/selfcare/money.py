"""Money: top-up by voucher, every movement with its receipt, usage with the explanation of each charge, a chart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from litestar import Response, get, post
from litestar.exceptions import NotFoundException
from litestar.params import FromPath, FromQuery

from onecard.database.pool import Connection, connection
from onecard.ledger.actions import list_entries
from onecard.ledger.model import Account, Entry, EntryKind
from onecard.payments.actions import redeem
from onecard.payments.model import Redeemed
from onecard.values.gate import Capability
from onecard.values.money import Money
from onecard.web import store
from onecard.web.given import GivenForm, GivenLayout, GivenSite, GivenVisit
from onecard.web.layout import Page
from onecard.web.selfcare.activity import ID_MOST, Cursor, list_activity
from onecard.web.selfcare.charges import say_charge
from onecard.web.selfcare.chart import draw_spending
from onecard.web.selfcare.home import get_account
from onecard.web.selfcare.me import GivenMe, Me
from onecard.web.selfcare.receipts import Receipt, answer_receipt
from onecard.web.selfcare.refusals import go_refused
from onecard.web.writing import Writing

ROWS_MOST = 30
ENTRIES_MOST = 50
SPAN = timedelta(days=30)
PIN_LENGTH_MOST = 40
USAGE = frozenset(
    {
        EntryKind.COUNTERPART,
        EntryKind.HOLD,
        EntryKind.SETTLE,
        EntryKind.RELEASE,
        EntryKind.TEXT_CHARGE,
        EntryKind.USAGE_CHARGE,
    }
)
WITH_RECEIPT = frozenset({EntryKind.TOP_UP, EntryKind.VOUCHER})


@dataclass(frozen=True, slots=True)
class Spent:
    """What one line cost in the span of the chart."""

    number: str
    amount: Money


@get("/money")
async def money_page(site: GivenSite, layout: GivenLayout, visit: GivenVisit, me: GivenMe) -> Page:
    """Balance, top-up, and what came and went beside usage."""
    async with connection(site.pool) as borrowed:
        account = await get_account(borrowed, me)
        entries = await _list_movements(borrowed, account)
    gates = site.gates_at(visit.at)
    return layout.page(
        visit,
        "selfcare/money.html",
        me=me,
        account=account,
        entries=entries,
        closed=gates.find_closed(Capability.TOP_UP),
        refund_is_open=gates.is_open(Capability.REFUND),
        with_receipt=WITH_RECEIPT,
        Money=Money,
    )


async def _list_movements(borrowed: Connection, account: Account) -> list[Entry]:
    entries = await list_entries(borrowed, account.part, account.id, most=1000)
    return [entry for entry in entries if entry.kind not in USAGE][:ENTRIES_MOST]


@post("/money")
async def top_up(
    site: GivenSite, layout: GivenLayout, visit: GivenVisit, me: GivenMe, form: GivenForm
) -> Page:
    """Top up by the PIN of a voucher; it tops up once, however often it is sent."""
    pin = form.text("pin", most=PIN_LENGTH_MOST).replace(" ", "").replace("-", "")
    if not me.cards or not form.is_good:
        return layout.go("/money", refused="refusal.voucher.bad_pin")
    async with connection(site.pool) as borrowed:
        outcome = await redeem(
            borrowed,
            visit.at,
            actor=me.actor,
            gates=site.gates_at(visit.at),
            master=site.master,
            part=me.part,
            card_id=me.cards[0].card.id,
            pin=pin,
        )
    if not isinstance(outcome, Redeemed):
        return go_refused(layout, visit, "/money", outcome)
    word = "money.said_repeated" if outcome.is_repeated else "money.said_topped_up"
    amount = Writing(visit.language, site.operator.zone).money(outcome.amount)
    return layout.go("/money", said=word, amount=amount)


@get("/money/{event:uuid}/receipt.pdf")
async def receipt(site: GivenSite, visit: GivenVisit, me: GivenMe, event: FromPath[UUID]) -> Response[bytes]:
    """The receipt of one top-up."""
    async with connection(site.pool) as borrowed:
        account = await get_account(borrowed, me)
        entries = await _list_movements(borrowed, account)
    entry = next((one for one in entries if one.event_id == event and one.kind in WITH_RECEIPT), None)
    if entry is None:
        raise NotFoundException
    drawn = Receipt(
        site.operator.name,
        str(event),
        entry.at,
        entry.kind.name.lower(),
        Money(entry.available_micros, account.currency),
        _say_memo(entry),
    )
    return answer_receipt(drawn, visit, site)


def _say_memo(entry: Entry) -> str | None:
    """The reference of a receipt: of a voucher its serial, without the word that the ledger has before it."""
    return entry.memo and entry.memo.removeprefix("voucher ")


@get("/usage")
async def usage_page(
    site: GivenSite,
    layout: GivenLayout,
    visit: GivenVisit,
    me: GivenMe,
    text: FromQuery[int] = ID_MOST,
    record: FromQuery[int] = ID_MOST,
) -> Page:
    """Texts, calls and data, the latest first, each with what it cost and why."""
    after = Cursor(*(min(max(one, 0), ID_MOST) for one in (text, record)))
    async with connection(site.pool) as borrowed:
        page = await list_activity(borrowed, me, most=ROWS_MOST, after=after)
        spent = await _list_spent(borrowed, me, visit.at)
    return layout.page(
        visit,
        "selfcare/usage.html",
        me=me,
        page=page,
        spent=spent,
        is_first=after == Cursor(),
        say_charge=say_charge,
    )


@get("/usage/spending.svg")
async def spending(site: GivenSite, visit: GivenVisit, me: GivenMe) -> Response[bytes]:
    """The chart: what each line cost of late."""
    async with connection(site.pool) as borrowed:
        spent = await _list_spent(borrowed, me, visit.at)
    drawn = draw_spending(
        [(one.number, one.amount) for one in spent], Writing(visit.language, site.operator.zone)
    )
    return Response(
        drawn,
        media_type="image/svg+xml",
        headers={
            "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
            "cache-control": "no-store",
        },
    )


async def _list_spent(borrowed: Connection, me: Me, at: datetime) -> Sequence[Spent]:
    spent: list[Spent] = []
    for card in me.cards:
        numbers = await store.list_numbers_of_card(borrowed, me.part, card.card.id)
        sums = await store.sum_spending(borrowed, me.part, card.card.id, at - SPAN)
        spent += [Spent(numbers[line], Money(micros, card.currency)) for line, micros in sums.items()]
    return sorted(spent, key=lambda one: one.amount.micros, reverse=True)


ROUTES = (money_page, top_up, receipt, usage_page, spending)
