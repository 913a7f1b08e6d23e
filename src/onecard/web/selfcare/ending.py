"""The end of the service by order: what stops when, and what a subscriber should do before it does."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from litestar import get

from onecard.database.pool import Connection, connection
from onecard.subscribers.claims import has_claim_code
from onecard.values.gate import Capability
from onecard.values.language import Language
from onecard.web.given import GivenLayout, GivenSite, GivenVisit
from onecard.web.layout import Page
from onecard.web.public import find_statement
from onecard.web.selfcare.me import GivenMe, Me
from onecard.web.selfcare.passkeys import list_passkeys
from onecard.web.site import Site
from onecard.winddown.notices.catalogue import load_catalogue
from onecard.winddown.notices.statement import StatementPage
from onecard.winddown.notices.voice import Voice
from onecard.winddown.rules import date_stages


@dataclass(frozen=True, slots=True)
class Ending:
    """The plan in force as a subscriber is told of it, with the next thing that happens."""

    page: StatementPage
    next_words: str | None
    left: timedelta | None
    past: int
    """How many items of the first section, the dates, are over."""


def find_ending(site: Site, language: Language, at: datetime) -> Ending | None:
    """What is told of the plan in force; None: the service goes on."""
    file, page = site.plan_in_force(), find_statement(site, language)
    if file is None or page is None:
        return None
    voice = Voice(load_catalogue(site.operator.wording), language, file.plan.time_zone)
    dated = [one for one in date_stages(file.plan, file.stays) if voice.describe(one.stage)]
    following = next((one for one in dated if one.instant and one.instant > at), None)
    instant = following.instant if following else None
    return Ending(
        page,
        voice.item(following) if following else None,
        instant - at if instant else None,
        sum(one.has_come(at) for one in dated),
    )


def say_stopped(language: Language, capability: Capability, site: Site) -> str:
    """That one thing has stopped, in the words of the notices."""
    voice = Voice(load_catalogue(site.operator.wording), language, site.operator.zone)
    return voice.say("stops", list=voice.name([capability]))


async def is_bound(borrowed: Connection, me: Me) -> bool:
    """Whether the subscriber has something to sign in by when no text arrives any more."""
    part, subscriber_id = me.part, me.subscriber.id
    return bool(await list_passkeys(borrowed, part, subscriber_id)) or await has_claim_code(
        borrowed, part, subscriber_id
    )


@get("/ending")
async def ending(site: GivenSite, layout: GivenLayout, visit: GivenVisit, me: GivenMe) -> Page:
    """What stops when, and what to do."""
    async with connection(site.pool) as borrowed:
        bound = await is_bound(borrowed, me)
    return layout.page(
        visit,
        "selfcare/ending.html",
        me=me,
        ending=find_ending(site, visit.language, visit.at),
        is_bound=bound,
        gates=site.gates_at(visit.at),
    )


ROUTES = (ending,)
