"""Subscribers: found by number, card or name; what they have; their contact details, with a reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from litestar import get, post
from litestar.exceptions import NotFoundException
from litestar.params import FromPath

from onecard import ledger
from onecard.audit import AuditRecord, list_records
from onecard.cards.model import Card
from onecard.cards.store import list_cards_of_subscriber
from onecard.charging.allowances import GivenAllowance, list_given_allowances
from onecard.charging.periods import Subscription
from onecard.charging.records import StoredRecord
from onecard.charging.records import list_records as list_usage
from onecard.charging.subscription_store import list_of_card
from onecard.database.pool import Connection
from onecard.ledger import Account, Entry
from onecard.lines.actions import switch_line
from onecard.lines.model import Application, Line, LineRefusal
from onecard.lines.store import list_applications_of_card, list_lines
from onecard.messages.model import Trace
from onecard.messages.store import list_traces
from onecard.staff.model import Permission
from onecard.subscribers.actions import find_by_name, read_contact
from onecard.subscribers.model import Contact, Subscriber, SubscriberRefusal
from onecard.subscribers.store import find_subscriber
from onecard.values.phone import BadNumber, parse_msisdn
from onecard.web.console import store
from onecard.web.console.desk import Desk, GivenDesk, needs
from onecard.web.console.tables import ID_HIGHEST, Rows, cut, read_wish
from onecard.web.given import GivenForm
from onecard.web.layout import Page
from onecard.web.visit import AnyRequest

SUBSCRIBERS = "/console/subscribers"
ID_LENGTH_MOST = 9
"""Longer digits are a number in international form, an IMSI or an ICCID."""
IMSI_LENGTH = 15
ICCID_LENGTH_LEAST = 18
FOUND_MOST = 50
LATEST_MOST = 15
REASON_LENGTH_MOST = 200


@get(SUBSCRIBERS, opt=needs(Permission.SEE_SUBSCRIBERS))
async def show_subscribers(request: AnyRequest, desk: GivenDesk) -> Page:
    """All subscribers, the latest first; or those that a search finds."""
    wish = read_wish(request, "q")
    asked = wish.filters["q"]
    async with desk.connection() as borrowed:
        if asked:
            found = await _search(borrowed, desk, asked)
            rows = await store.get_subscribers(borrowed, found[:FOUND_MOST])
            table = Rows(wish, rows, None)
        else:
            listed = await store.list_subscribers(borrowed, wish.from_id, is_descending=wish.is_descending)
            table = cut(wish, listed, lambda row: row.id)
    if asked and len(table.rows) == 1:
        return desk.layout.go(_path(table.rows[0].id))
    return desk.page("subscribers.html", table=table, asked=asked, by_name=desk.may(Permission.READ_CONTACT))


async def _search(borrowed: Connection, desk: Desk, asked: str) -> Sequence[tuple[int, int]]:
    """Part and id of whom these words name: a number, a SIM, an id, or a name."""
    digits = "".join(letter for letter in asked if letter not in " -().")
    named = digits.rpartition(":")[2]
    if named.isascii() and named.isdigit():
        if len(named) <= ID_LENGTH_MOST or named != digits:
            return await store.find_by_id(borrowed, min(int(named[:19]), ID_HIGHEST))
        if len(named) >= ICCID_LENGTH_LEAST:
            return await store.find_by_sim(borrowed, named)
        if len(named) == IMSI_LENGTH and (found := await store.find_by_sim(borrowed, named)):
            return found
    if digits.lstrip("+").isdigit():
        return await _find_by_number(borrowed, digits)
    return await _find_by_name(borrowed, desk, asked)


async def _find_by_number(borrowed: Connection, digits: str) -> Sequence[tuple[int, int]]:
    try:
        return await store.find_by_number(borrowed, parse_msisdn(digits))
    except BadNumber:
        return []


async def _find_by_name(borrowed: Connection, desk: Desk, name: str) -> Sequence[tuple[int, int]]:
    """Whether a person is a subscriber is personal: only who may read contact details may look for a name."""
    if not desk.may(Permission.READ_CONTACT):
        return []
    return await find_by_name(
        borrowed, desk.at, actor=desk.actor, master=desk.site.master, name=name, most=FOUND_MOST
    )


@dataclass(frozen=True, slots=True)
class CardFile:
    """A card and what belongs to it."""

    card: Card
    lines: Sequence[Line]
    applications: Sequence[Application]
    plans: Sequence[Subscription]
    texts: Sequence[Trace]
    usage: Sequence[StoredRecord]
    msisdns: dict[int, str]


@dataclass(frozen=True, slots=True)
class File:
    """All that is known of a subscriber, but for what is sealed."""

    subscriber: Subscriber
    account: Account
    cards: Sequence[CardFile]
    allowances: Sequence[GivenAllowance]
    entries: Sequence[Entry]
    records: Sequence[AuditRecord] = field(default=())


@get(SUBSCRIBERS + "/{subscriber_id:int}", opt=needs(Permission.SEE_SUBSCRIBERS))
async def show_subscriber(desk: GivenDesk, subscriber_id: FromPath[int]) -> Page:
    """One subscriber."""
    async with desk.connection() as borrowed:
        return await _show(desk, borrowed, subscriber_id)


async def _show(
    desk: Desk,
    borrowed: Connection,
    subscriber_id: int,
    contact: Contact | None = None,
    problem: str = "",
) -> Page:
    file = await _load_file(borrowed, desk, subscriber_id)
    status = 422 if problem else 200
    return desk.page("subscriber.html", status=status, file=file, contact=contact, problem=problem)


async def _load_file(borrowed: Connection, desk: Desk, subscriber_id: int) -> File:
    """Raises NotFoundException."""
    part = await _get_part(borrowed, subscriber_id)
    subscriber = await find_subscriber(borrowed, part, subscriber_id)
    assert subscriber is not None
    account = await ledger.find_account(borrowed, part, subscriber.account_id)
    assert account is not None  # it is made with its subscriber
    cards = await list_cards_of_subscriber(borrowed, part, subscriber_id)
    return File(
        subscriber,
        account,
        [await _load_card(borrowed, card) for card in cards],
        await list_given_allowances(borrowed, part, account.id),
        await ledger.list_entries(borrowed, part, account.id, most=LATEST_MOST),
        await list_records(borrowed, f"subscriber:{subscriber_id}", most=LATEST_MOST)
        if desk.may(Permission.SEE_AUDIT)
        else (),
    )


async def _get_part(borrowed: Connection, subscriber_id: int) -> int:
    part = (
        await store.find_part_of_subscriber(borrowed, subscriber_id)
        if 0 < subscriber_id <= ID_HIGHEST
        else None
    )
    if part is None:
        raise NotFoundException
    return part


async def _load_card(borrowed: Connection, card: Card) -> CardFile:
    texts = await list_traces(borrowed, card.part, card.id, before=ID_HIGHEST, most=LATEST_MOST)
    return CardFile(
        card,
        await list_lines(borrowed, card.part, card.id),
        await list_applications_of_card(borrowed, card.part, card.id),
        await list_of_card(borrowed, card.part, card.id),
        texts,
        await list_usage(borrowed, card.part, card.id, most=LATEST_MOST),
        await store.load_msisdns(borrowed, card.part, [text.line_id for text in texts]),
    )


@post(SUBSCRIBERS + "/{subscriber_id:int}/contact", status_code=200, opt=needs(Permission.READ_CONTACT))
async def show_contact(desk: GivenDesk, subscriber_id: FromPath[int], form: GivenForm) -> Page:
    """Show the contact details, and write down who looked and what for."""
    reason = form.text("reason", most=REASON_LENGTH_MOST)
    async with desk.connection() as borrowed:
        part = await _get_part(borrowed, subscriber_id)
        if not form.is_good:
            return await _show(desk, borrowed, subscriber_id, problem="Say what you need them for.")
        contact = await read_contact(
            borrowed,
            desk.at,
            actor=desk.actor,
            master=desk.site.master,
            part=part,
            subscriber_id=subscriber_id,
            reason=reason,
        )
        if isinstance(contact, SubscriberRefusal):
            return desk.refused(_path(subscriber_id), contact)
        return await _show(desk, borrowed, subscriber_id, contact)


@post(SUBSCRIBERS + "/{subscriber_id:int}/lines/{line_id:int}/switch", opt=needs(Permission.CHANGE_LINES))
async def switch(
    desk: GivenDesk, subscriber_id: FromPath[int], line_id: FromPath[int], form: GivenForm
) -> Page:
    """Switch a line on or off, as its subscriber asked by telephone say."""
    is_on = form.text("on", most=3, required=False) == "yes"
    async with desk.connection() as borrowed:
        part = await _get_part(borrowed, subscriber_id)
        line = await switch_line(borrowed, desk.at, actor=desk.actor, part=part, line_id=line_id, on=is_on)
    if isinstance(line, LineRefusal):
        return desk.refused(_path(subscriber_id), line)
    desk.site.forget_card(line.card_id)
    return desk.done(_path(subscriber_id), f"The line {line.msisdn} is switched {'on' if is_on else 'off'}.")


def _path(subscriber_id: int) -> str:
    return f"{SUBSCRIBERS}/{subscriber_id}"


@get("/console/cards/{card_id:int}", opt=needs(Permission.SEE_SUBSCRIBERS))
async def show_card(desk: GivenDesk, card_id: FromPath[int]) -> Page:
    """To the subscriber whose card this is."""
    async with desk.connection() as borrowed:
        found = await store.find_by_id(borrowed, card_id) if 0 < card_id <= ID_HIGHEST else []
    if not found:
        raise NotFoundException
    return desk.layout.go(f"{_path(found[0][1])}#card-{card_id}")


ROUTES = (show_subscribers, show_subscriber, show_contact, switch, show_card)
