"""What is the subscriber's own: ways to sign in, their data to take along, and its erasure."""

from __future__ import annotations

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import asdict
from datetime import timedelta
from enum import Enum
from typing import Any

import msgspec
from litestar import Response, get, post
from litestar.params import FromPath

from onecard.charging.allowances import list_given_allowances
from onecard.charging.records import list_records
from onecard.database.pool import Connection, connection
from onecard.ledger.actions import list_entries
from onecard.lines.store import CardWithLines, list_applications_of_card
from onecard.messages.store import list_traces
from onecard.subscribers.actions import erase_subscriber, read_contact
from onecard.subscribers.claims import has_claim_code, issue_claim_code
from onecard.subscribers.model import Contact, SubscriberRefusal
from onecard.subscribers.rules import format_claim_code
from onecard.switching.model import CardEntry
from onecard.web import ceremony
from onecard.web.given import GivenForm, GivenLayout, GivenSite, GivenVisit
from onecard.web.layout import Page
from onecard.web.selfcare import passkeys
from onecard.web.selfcare.activity import ID_MOST
from onecard.web.selfcare.home import get_account
from onecard.web.selfcare.me import GivenMe, Me
from onecard.web.selfcare.refusals import go_refused, word_of
from onecard.web.sessions import end_other_sessions
from onecard.web.site import Site
from onecard.web.throttle import Throttle, count_attempt
from onecard.web.visit import Visit
from onecard.web.words import say

EXPORT = Throttle("export", 10, timedelta(hours=1))
ROWS_MOST = 1000
"""Of each sort in an export: the latest."""


@get("/own")
async def own(site: GivenSite, layout: GivenLayout, visit: GivenVisit, me: GivenMe) -> Page:
    """Passkeys, claim code, sessions, data."""
    async with connection(site.pool) as borrowed:
        keys = await passkeys.list_passkeys(borrowed, me.part, me.subscriber.id)
        has_code = await has_claim_code(borrowed, me.part, me.subscriber.id)
    return layout.page(
        visit, "selfcare/own.html", me=me, passkeys=keys, has_code=has_code, name_of=_name_of_key
    )


@get("/own/passkey")
async def new_passkey(site: GivenSite, layout: GivenLayout, visit: GivenVisit, me: GivenMe) -> Page:
    """Ask the browser to make a passkey."""
    handle = passkeys.make_handle(me.part, me.subscriber.id)
    async with connection(site.pool) as borrowed:
        known = await passkeys.list_passkeys(borrowed, me.part, me.subscriber.id)
        options = await ceremony.ask_to_make(
            borrowed,
            site,
            visit,
            handle=handle,
            name=next((line.msisdn for line in me.lines), str(me.subscriber.id)),
            known=[one.id for one in known],
        )
    return layout.page(visit, "selfcare/new_passkey.html", me=me, options=options)


@post("/own/passkey")
async def add_passkey(
    site: GivenSite, layout: GivenLayout, visit: GivenVisit, me: GivenMe, form: GivenForm
) -> Page:
    """Keep the passkey that the browser made."""
    credential = form.text("credential", most=ceremony.CREDENTIAL_LENGTH_MOST)
    async with connection(site.pool) as borrowed:
        made = await ceremony.verify_new(borrowed, site, visit, credential)
        is_kept = made is not None and await passkeys.add_passkey(
            borrowed,
            visit.at,
            actor=me.actor,
            part=me.part,
            subscriber_id=me.subscriber.id,
            made=made,
        )
    if not is_kept:
        return layout.go("/own", refused="own.passkey_not_made")
    await _warn(site, me, "own.text_passkey")
    return layout.go("/own", said="own.said_passkey")


@post("/own/passkey/{name:str}/remove")
async def remove_passkey(
    site: GivenSite, layout: GivenLayout, visit: GivenVisit, me: GivenMe, name: FromPath[str]
) -> Page:
    """Forget a passkey."""
    async with connection(site.pool) as borrowed:
        await passkeys.remove_passkey(
            borrowed,
            visit.at,
            actor=me.actor,
            part=me.part,
            subscriber_id=me.subscriber.id,
            passkey_id=_read_name_of_key(name),
        )
    return layout.go("/own", said="own.said_removed")


@post("/own/claim-code")
async def claim_code(site: GivenSite, layout: GivenLayout, visit: GivenVisit, me: GivenMe) -> Page:
    """Give a claim code, and show it this once, to be printed."""
    async with connection(site.pool) as borrowed:
        code = await issue_claim_code(
            borrowed,
            visit.at,
            actor=me.actor,
            master=site.master,
            part=me.part,
            subscriber_id=me.subscriber.id,
        )
    if isinstance(code, Enum):
        return go_refused(layout, visit, "/own", code)
    await _warn(site, me, "own.text_claim")
    return layout.page(visit, "selfcare/claim_code.html", me=me, code=format_claim_code(code))


async def _warn(site: Site, me: Me, word: str) -> None:
    """Tell the cards of a new way to sign in: whoever did not make it hears of it. Without texts nobody can be told."""
    for card in me.cards:
        await site.tell(CardEntry(*card), say(word, card.language, name=site.operator.name))


@post("/own/sign-out-elsewhere")
async def leave_elsewhere(site: GivenSite, layout: GivenLayout, visit: GivenVisit, me: GivenMe) -> Page:
    """End all other sessions."""
    async with connection(site.pool) as borrowed:
        await end_other_sessions(borrowed, visit.at, me.session)
    return layout.go("/own", said="own.said_elsewhere")


@get("/own/onecard.json")
async def export(site: GivenSite, layout: GivenLayout, visit: GivenVisit, me: GivenMe) -> Response[Any]:
    """All that is kept of the subscriber, for a program to read."""
    async with connection(site.pool) as borrowed:
        key = site.master.derive(b"export")
        if not await count_attempt(borrowed, visit.at, EXPORT, me.actor, key=key):
            return layout.go("/own", refused="own.export_too_often")
        document = await _collect(borrowed, site, visit, me)
    return Response(
        msgspec.json.format(msgspec.json.encode(document), indent=2),
        media_type="application/json",
        headers={
            "content-disposition": 'attachment; filename="onecard.json"',
            "cache-control": "no-store",
        },
    )


async def _collect(borrowed: Connection, site: Site, visit: Visit, me: Me) -> Mapping[str, Any]:
    account = await get_account(borrowed, me)
    return {
        "subscriber": asdict(me.subscriber),
        "contact": await _read_contact(borrowed, site, visit, me),
        "account": asdict(account),
        "entries": await list_entries(borrowed, me.part, account.id, most=ROWS_MOST),
        "allowances": await list_given_allowances(borrowed, me.part, account.id),
        "cards": [await _collect_card(borrowed, card) for card in me.cards],
        "passkeys": [
            {"made_at": one.made_at, "used_at": one.used_at}
            for one in await passkeys.list_passkeys(borrowed, me.part, me.subscriber.id)
        ],
    }


async def _collect_card(borrowed: Connection, card: CardWithLines) -> Mapping[str, Any]:
    part, card_id = card.card.part, card.card.id
    return {
        "card": card.card,
        "lines": [_plain(asdict(line)) for line in card.lines],
        "applications": await list_applications_of_card(borrowed, part, card_id),
        "texts": await list_traces(borrowed, part, card_id, before=ID_MOST, most=ROWS_MOST),
        "usage": await list_records(borrowed, part, card_id, most=ROWS_MOST),
    }


def _plain(value: Any) -> Any:
    """Sets as lists in order: JSON has none, and their order would change from day to day."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return sorted(value) if isinstance(value, frozenset) else value


async def _read_contact(borrowed: Connection, site: Site, visit: Visit, me: Me) -> Contact | None:
    """The contact details; that they were opened, and for whom, is written down."""
    contact = await read_contact(
        borrowed,
        visit.at,
        actor=me.actor,
        master=site.master,
        part=me.part,
        subscriber_id=me.subscriber.id,
        reason="export of own data",
    )
    return None if isinstance(contact, SubscriberRefusal) else contact


@get("/own/erase")
async def erase_page(site: GivenSite, layout: GivenLayout, visit: GivenVisit, me: GivenMe) -> Page:
    """What erasure takes away, and what stays."""
    async with connection(site.pool) as borrowed:
        account = await get_account(borrowed, me)
    return layout.page(visit, "selfcare/erase.html", me=me, account=account)


@post("/own/erase")
async def erase(
    site: GivenSite, layout: GivenLayout, visit: GivenVisit, me: GivenMe, form: GivenForm
) -> Page:
    """Erase name and addresses for good."""
    if not form.has("sure"):
        return layout.go("/own/erase", refused="own.erase_not_sure")
    async with connection(site.pool) as borrowed:
        outcome = await erase_subscriber(
            borrowed, visit.at, actor=me.actor, part=me.part, subscriber_id=me.subscriber.id
        )
    if isinstance(outcome, SubscriberRefusal):
        return layout.go("/own", refused=word_of(outcome))
    return layout.go("/own", said="own.said_erased")


def _name_of_key(one: passkeys.Passkey) -> str:
    return urlsafe_b64encode(one.id).decode().rstrip("=")


def _read_name_of_key(name: str) -> bytes:
    try:
        return urlsafe_b64decode(name + "=" * (-len(name) % 4))
    except (binascii.Error, ValueError):
        return b""


ROUTES = (
    own,
    new_passkey,
    add_passkey,
    remove_passkey,
    claim_code,
    leave_elsewhere,
    export,
    erase_page,
    erase,
)
