"""Pages that anybody may read: what the service is, whether it works; and the choice of a language."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from litestar import get, post

from onecard.database.pool import Connection, connection
from onecard.subscribers.actions import change_language
from onecard.switching.model import LinkRole
from onecard.values.language import Language
from onecard.web.given import GivenForm, GivenLayout, GivenSite, GivenVisit
from onecard.web.language import find_language
from onecard.web.layout import Page
from onecard.web.sessions import SessionKind
from onecard.web.site import Site
from onecard.winddown.notices.catalogue import load_catalogue
from onecard.winddown.notices.model import Sender
from onecard.winddown.notices.statement import StatementPage, statement

FRESH = timedelta(minutes=1)
"""What a node said of a link before then is worth nothing: the node may be down."""
COUNT_BOUND = """
SELECT link, sum(bound_sessions) > 0 AS is_up FROM link_status WHERE at > $1 GROUP BY link"""


@dataclass(frozen=True, slots=True)
class Health:
    """How many of the networks of one role are connected; no network is named."""

    role: LinkRole
    up: int
    all: int

    @property
    def word(self) -> str:
        if self.up == self.all:
            return "up"
        return "partly" if self.up else "down"


@get("/about")
async def about(layout: GivenLayout, visit: GivenVisit) -> Page:
    """What the service is, in a minute."""
    return layout.page(visit, "about.html")


@get("/notice")
async def notice(site: GivenSite, layout: GivenLayout, visit: GivenVisit) -> Page:
    """The operator's statement: what stops when, from the plan in force."""
    return layout.page(visit, "notice.html", statement=find_statement(site, visit.language))


def find_statement(site: Site, language: Language) -> StatementPage | None:
    """The operator's public statement; None: there is no order."""
    file = site.plan_in_force()
    if file is None:
        return None
    sender = Sender(site.operator.name, f"{site.url}/notice", site.operator.phone)
    catalogue = load_catalogue(site.operator.wording)
    return statement(file.plan, file.stays, language, sender=sender, catalogue=catalogue)


@get("/status")
async def status(site: GivenSite, layout: GivenLayout, visit: GivenVisit) -> Page:
    """Whether it works now."""
    async with connection(site.pool) as borrowed:
        health = await look_at_links(borrowed, site, visit.at)
    return layout.page(visit, "status.html", health=health)


async def look_at_links(borrowed: Connection, site: Site, at: datetime) -> list[Health]:
    """The networks by role, from what all nodes said of late."""
    rows = await borrowed.fetch(COUNT_BOUND, at - FRESH)
    up = {row["link"] for row in rows if row["is_up"]}
    health = []
    for role in LinkRole:
        links = {name for name, its_role in site.roles.items() if its_role is role}
        if links:
            health.append(Health(role, len(links & up), len(links)))
    return health


@post("/language")
async def choose(site: GivenSite, layout: GivenLayout, visit: GivenVisit, form: GivenForm) -> Page:
    """Speak another language from now on; a subscriber's texts and notices follow."""
    language = find_language(form.text("language", most=10)) or visit.language
    subscriber = visit.session if visit.session and visit.session.kind is SessionKind.SUBSCRIBER else None
    if subscriber is not None:
        async with connection(site.pool) as borrowed:
            await change_language(
                borrowed,
                visit.at,
                actor=subscriber.actor,
                part=subscriber.part,
                subscriber_id=subscriber.person_id,
                language=language,
            )
    return layout.keep_language(layout.go(safe_path(form.text("next", required=False))), language)


def safe_path(path: str) -> str:
    """A path of this site to go back to; the start page for anything else (an open redirect would serve a thief)."""
    is_ours = path.startswith("/") and not path.startswith("//") and "\\" not in path and path.isprintable()
    return path if is_ours else "/"


ROUTES = (about, notice, status, choose)
