"""A site without sockets, and a browser for it that runs no scripts."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from ipaddress import ip_network
from typing import Any
from zoneinfo import ZoneInfo

import httpx

import shop
from onecard.catalogue.model import Tariff
from onecard.database.pool import Connection, Database
from onecard.lines.model import Line, LineLimits
from onecard.node.web import make_pages
from onecard.portability.model import PortTerms
from onecard.switching.model import CardEntry, LinkRole
from onecard.values.business import BusinessCalendar
from onecard.values.clock import Clock, MovedClock
from onecard.values.hours import parse_hours
from onecard.web.site import OperatorFacts, Site
from onecard.winddown.gatekeeper import Gatekeeper


async def _port_terms(_: Connection) -> PortTerms:
    return PortTerms(BusinessCalendar(parse_hours("mon-fri 09:00-17:00"), "America/Vancouver"))


class Phone:
    """Takes the texts that are sent to cards."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.lines: list[Line | None] = []
        """By which line each came; None: the primary one."""

    async def tell(self, _: CardEntry, words: str, line: Line | None = None, /) -> int:
        self.texts.append(words)
        self.lines.append(line)
        return len(self.texts)


def make_site(
    database: Database,
    url: str = "http://care.test",
    *,
    clock: Clock | None = None,
    gatekeeper: Gatekeeper | None = None,
    tariff: Tariff | None = None,
    phone: Phone | None = None,
) -> Site:
    """The site of an operator whose node is only this."""
    gatekeeper = gatekeeper or Gatekeeper()
    return Site(
        pool=database.pool,
        parts=(1, 2, 3, 4),
        master=shop.MASTER,
        clock=clock or MovedClock(shop.AT),
        gates_at=gatekeeper.at,
        plan_in_force=lambda: gatekeeper.in_force,
        port_terms=_port_terms,
        payee_cooling_off=timedelta(hours=24),
        tariff=lambda: tariff or Tariff(),
        tell=(phone or Phone()).tell,
        forget_card=lambda _: None,
        operator=OperatorFacts(
            "Maple Bridge", shop.CA, shop.CAD, ZoneInfo("America/Vancouver"), "12583", LineLimits()
        ),
        roles={"host": LinkRole.HOST, "cn-home": LinkRole.HOME, "bank": LinkRole.APPLICATION},
        url=url,
        proxies=(ip_network("127.0.0.0/8"),),
    )


@asynccontextmanager
async def browse(site: Site) -> AsyncIterator[httpx.AsyncClient]:
    """A browser that keeps cookies and follows nothing by itself."""
    app: Any = make_pages(site)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url=site.url) as client:
        yield client


def token_of(page: str) -> str:
    """The token that the forms of a page bring back."""
    found = re.search(r'name="form_token" value="(\w+)"', page)
    assert found, page
    return found[1]


async def post(browser: httpx.AsyncClient, path: str, **fields: str) -> httpx.Response:
    """Send a form, with the token of this browser."""
    token = token_of((await browser.get("/about")).text)
    return await browser.post(path, data={**fields, "form_token": token})


def code_in(text: str) -> str:
    found = re.search(r"\b\d{6}\b", text)
    assert found, text
    return found[0]


async def sign_in(browser: httpx.AsyncClient, phone: Phone, number: str = "+16045550100") -> None:
    """Sign in by the code that comes to the card."""
    await post(browser, "/sign-in/code", number=number)
    done = await post(browser, "/sign-in", number=number, code=code_in(phone.texts[-1]))
    assert done.status_code == 303, done.text
