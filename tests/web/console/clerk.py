"""Somebody who works at the console with a browser that runs no scripts."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from html import unescape
from typing import Any

import httpx

from onecard.database.pool import Database, connection
from onecard.staff.model import Role
from onecard.values.clock import MovedClock
from onecard.web.sessions import SessionKind, SignInMethod, open_session
from onecard.web.site import Site
from onecard.web.visit import session_cookie
from staff import office
from web.pages import browse, make_site, token_of


@dataclass(slots=True)
class Clerk:
    """A browser in which somebody is signed in."""

    site: Site
    browser: httpx.AsyncClient

    async def see(self, path: str) -> str:
        """The text of a page that may be seen."""
        answer = await self.browser.get(path)
        assert answer.status_code == 200, (path, answer.status_code, text_of(answer))
        return text_of(answer)

    async def send(self, path: str, files: dict[str, Any] | None = None, **fields: Any) -> httpx.Response:
        """Send a form with its token, which any page of the console has."""
        token = token_of((await self.browser.get("/console/me")).text)
        return await self.browser.post(path, data={**fields, "form_token": token}, files=files)

    async def do(self, path: str, files: dict[str, Any] | None = None, **fields: Any) -> str:
        """Send a form that is taken, and read the page that it leads to."""
        answer = await self.send(path, files, **fields)
        assert answer.status_code == 303, (path, answer.status_code, text_of(answer))
        return await self.see(answer.headers["location"])


def text_of(answer: httpx.Response) -> str:
    return unescape(answer.text)


def strip_tags(page: str) -> str:
    """The words of a page, a space between them."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", page))


@asynccontextmanager
async def at_console(
    database: Database, login: str, *roles: Role, site: Site | None = None
) -> AsyncIterator[Clerk]:
    """Somebody of these roles, signed in. The sign-in itself is told by tests of it."""
    site = site or make_site(database)
    async with connection(database.pool) as borrowed:
        staff, _ = await office.enrol(borrowed, login, *roles)
        token = await open_session(
            borrowed,
            site.clock.now(),
            kind=SessionKind.STAFF,
            part=0,
            person_id=staff.id,
            method=SignInMethod.PASSWORD,
            actor=staff.actor,
        )
    async with browse(site) as browser:
        browser.cookies.set(session_cookie(site), token)
        yield Clerk(site, browser)


def move(site: Site, by: timedelta) -> None:
    """Let time pass for a site of the tests."""
    assert isinstance(site.clock, MovedClock)
    site.clock.move(by)
