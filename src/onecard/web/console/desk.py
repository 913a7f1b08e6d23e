"""Who works at the console: the desk that every page gets, and the one place where its rights are asked."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any, TypeAlias
from urllib.parse import quote

from litestar.di import NamedDependency
from litestar.exceptions import HTTPException
from litestar.params import SkipValidation

from onecard.database.pool import Connection, connection
from onecard.staff.model import Permission, Staff
from onecard.staff.rules import may
from onecard.staff.store import find_staff
from onecard.values.gate import Closed, Gates
from onecard.values.money import Money
from onecard.web.app import SESSION_FIRST
from onecard.web.console.sentences import say_closed, say_refusal
from onecard.web.given import GivenLayout, GivenSite, GivenVisit
from onecard.web.layout import Layout, Page
from onecard.web.sessions import Session, SessionKind
from onecard.web.site import Site
from onecard.web.visit import AnyRequest, Visit

HOME = "/console"
SIGN_IN = "/console/sign-in"
PERMISSION = "permission"
"""What a route says that it takes, or None: whoever is signed in may."""


class NotSignedIn(HTTPException):
    """Nobody is signed in, or not any more."""

    status_code = 401


class Forbidden(HTTPException):
    """Somebody is, and may not do this."""

    status_code = 403


@dataclass(frozen=True, slots=True)
class Room:
    """One entry of the navigation."""

    path: str
    word: str
    permission: Permission


ROOMS = (
    Room("/console", "console.overview", Permission.SEE_OVERVIEW),
    Room("/console/subscribers", "console.subscribers", Permission.SEE_SUBSCRIBERS),
    Room("/console/applications", "console.applications", Permission.SEE_APPLICATIONS),
    Room("/console/stock", "console.stock", Permission.SEE_STOCK),
    Room("/console/prices", "console.prices", Permission.SEE_PRICES),
    Room("/console/links", "console.links", Permission.SEE_LINKS),
    Room("/console/traces", "console.traces", Permission.SEE_TRACES),
    Room("/console/refunds", "console.refunds", Permission.SEE_REFUNDS),
    Room("/console/books", "console.books", Permission.SEE_BOOKS),
    Room("/console/winddown", "console.winddown", Permission.SEE_WINDDOWN),
    Room("/console/audit", "console.audit", Permission.SEE_AUDIT),
    Room("/console/exports", "console.exports", Permission.EXPORT),
    Room("/console/staff", "console.staff", Permission.MANAGE_STAFF),
)


def needs(permission: Permission | None) -> dict[str, Any]:
    """What a route declares: `opt=needs(...)`."""
    return {PERMISSION: permission}


def needs_for_upload(permission: Permission) -> dict[str, Any]:
    """What a route declares that takes a file: a stranger's is not even read."""
    return {PERMISSION: permission, SESSION_FIRST: SessionKind.STAFF}


@dataclass(frozen=True, slots=True)
class Desk:
    """A member of staff before one page."""

    site: Site
    layout: Layout
    visit: Visit
    session: Session
    staff: Staff

    @property
    def at(self) -> datetime:
        return self.visit.at

    @property
    def actor(self) -> str:
        return self.staff.actor

    @property
    def gates(self) -> Gates:
        return self.site.gates_at(self.at)

    def may(self, permission: Permission) -> bool:
        return may(self.staff, permission)

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        async with connection(self.site.pool) as borrowed:
            yield borrowed

    def page(self, template: str, *, status: int = 200, **values: Any) -> Page:
        """A page of the console, with the rooms that this person may enter."""
        return self.layout.page(self.visit, f"console/{template}", status=status, **self._shared(), **values)

    def _shared(self) -> Mapping[str, Any]:
        return {
            "desk": self,
            "may": self.may,
            "P": Permission,
            "stamp": self.stamp,
            "money": Money,
            "rooms": [room for room in ROOMS if self.may(room.permission)],
        }

    def stamp(self, instant: datetime) -> str:
        """An instant by the operator's clock, as tables have it."""
        return f"{instant.astimezone(self.site.operator.zone):%Y-%m-%d %H:%M:%S}"

    def done(self, path: str, sentence: str) -> Page:
        """Go on to another page, and say there what was done."""
        return self.layout.go(path, said="console.said", sentence=sentence)

    def refused(self, path: str, refusal: Enum | Closed | str) -> Page:
        """Go to another page, and say there why nothing was done."""
        if isinstance(refusal, Closed):
            sentence = say_closed(refusal, self.site.operator.zone)
        else:
            sentence = (
                refusal
                if isinstance(refusal, str) and not isinstance(refusal, Enum)
                else say_refusal(refusal)
            )
        return self.layout.go(path, refused="console.said", sentence=sentence)


GivenDesk: TypeAlias = NamedDependency[SkipValidation[Desk]]


async def open_desk(request: AnyRequest, site: GivenSite, layout: GivenLayout, visit: GivenVisit) -> Desk:
    """The desk of who asks, if they may enter the route; raises NotSignedIn, Forbidden."""
    permission: Permission | None = request.route_handler.opt[PERMISSION]
    session = visit.session
    if session is None or session.kind is not SessionKind.STAFF:
        raise NotSignedIn
    async with connection(site.pool) as borrowed:
        staff = await find_staff(borrowed, session.person_id)
    if staff is None or staff.deactivated_at or session.opened_at < staff.sessions_from:
        raise NotSignedIn
    desk = Desk(site, layout, visit, session, staff)
    if permission is not None and not desk.may(permission):
        request.state.desk = desk
        raise Forbidden
    return desk


def send_to_sign_in(request: AnyRequest, _: NotSignedIn) -> Page:
    """To the page to sign in on, and from there back to the page that was asked for."""
    layout: Layout = request.app.state.layout
    asked = request.url.path if request.method == "GET" else HOME
    query = f"?{request.url.query}" if request.method == "GET" and request.url.query else ""
    return layout.go(f"{SIGN_IN}?next={quote(asked + query, safe='')}")


def say_forbidden(request: AnyRequest, error: Forbidden) -> Page:
    """A page that names who could do it."""
    desk: Desk = request.state.desk
    return desk.page("forbidden.html", status=error.status_code)
