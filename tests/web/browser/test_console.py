"""Journeys of staff at the console in a real browser: on a desktop, in English and Chinese, and without scripts."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest
from playwright.async_api import Browser

import shop
from onecard.database.pool import Database, connection
from onecard.gateways.http.server import serve_http
from onecard.node.web import make_pages
from onecard.staff.model import Role
from onecard.story.sample import Scale, fill
from onecard.values.clock import MovedClock
from onecard.web.console.desk import ROOMS
from onecard.winddown.gatekeeper import Gatekeeper
from onecard.winddown.store import load_in_force
from staff import office
from web.pages import make_site

from .chromium import DESKTOP, Visitor, find_chromium, visit

IN_ENGLISH = {"locale": "en-CA", "viewport": DESKTOP}
IN_CHINESE = {"locale": "zh-CN", "viewport": DESKTOP}
PICTURED = ("/console/links", "/console/winddown")
LINKS = """
INSERT INTO link_status VALUES ('host', 'onecard-1', 2, 0, 812, 3, 790, 4, 780, 800, '', $1),
    ('home-cn', 'onecard-1', 1, 0, 210, 0, 198, 1, 0, 0, '', $1),
    ('bank', 'onecard-1', 0, 0, 0, 0, 0, 0, 0, 0, '', $1)"""


@pytest.fixture
async def url(database: Database, clock: MovedClock) -> AsyncIterator[str]:
    """The pages of an operator with some weeks behind it."""
    find_chromium()
    keeper = Gatekeeper()
    async with connection(database.pool) as borrowed:
        await borrowed.executemany("INSERT INTO part VALUES ($1)", [(part,) for part in range(1, 5)])
    zone = ZoneInfo("America/Vancouver")
    await fill(
        database.pool,
        shop.MASTER,
        now=clock.now(),
        zone=zone,
        scale=Scale(subscribers=60, days=10, texts_a_day=14),
    )
    async with connection(database.pool) as borrowed:
        await borrowed.execute(LINKS, clock.now() + timedelta(minutes=5))  # as the clock is moved on
        keeper.put_in_force(await load_in_force(borrowed))
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    url = f"http://localhost:{port}"  # passkeys want a name
    site = make_site(database, url, clock=clock, gatekeeper=keeper)
    async with serve_http(make_pages(site), "127.0.0.1", port):
        yield url


async def enrol(database: Database, login: str, *roles: Role) -> str:
    async with connection(database.pool) as borrowed:
        _, secret = await office.enrol(borrowed, login, *roles)
    return secret


async def sign_in(visitor: Visitor, clock: MovedClock, login: str, secret: str) -> None:
    clock.move(timedelta(minutes=1))  # no code is taken twice
    await visitor.page.locator("#login").fill(login)
    await visitor.page.locator("#password").fill(office.PASSWORD)
    await visitor.page.locator("#code").fill(office.code_of(secret, clock.now()))
    async with visitor.page.expect_navigation():
        await visitor.page.keyboard.press("Enter")


async def test_the_first_sign_in_and_every_room(
    database: Database, clock: MovedClock, url: str, browser: Browser
) -> None:
    async with connection(database.pool) as borrowed:
        invitation = await office.invite(borrowed, "anna", *Role)
    async with visit(browser, url, **IN_ENGLISH) as visitor:
        await visitor.go("/console")
        await visitor.check()
        await visitor.press("First time here", role="link")
        await visitor.page.locator("#login").fill("anna")
        await visitor.page.locator("#one_time_password").fill(invitation.password.lower())
        assert shop.AT < clock.now() < invitation.until
        await visitor.press("Go on")
        await visitor.check()
        secret = await visitor.page.locator("input[name=secret]").get_attribute("value") or ""
        await visitor.page.locator("#password").fill(office.PASSWORD)
        await visitor.page.locator("#code").fill(office.code_of(secret, clock.now()))
        await visitor.press("Set both")
        assert await visitor.sees("Now sign in")
        await sign_in(visitor, clock, "anna", secret)
        assert await visitor.sees("Owed to subscribers")
        await visitor.check()
        await visitor.take_picture("console-overview")
        for room in ROOMS:
            await visitor.go(room.path)
            await visitor.check()
            if room.path in PICTURED:
                await visitor.take_picture(f"console-{room.path.rpartition('/')[2]}")
        await _look_at_a_subscriber(visitor)
        await _look_at_a_proposal(visitor)


async def _look_at_a_subscriber(visitor: Visitor) -> None:
    await visitor.go("/console/subscribers")
    await visitor.page.locator("#q").fill("+1 604 220 0003")
    await visitor.press("Search")
    await visitor.page.locator("#reason").fill("call 4711")
    await visitor.press("Show contact details")
    assert await visitor.sees("@example.com")
    await visitor.check()
    await visitor.take_picture("console-subscriber")


async def _look_at_a_proposal(visitor: Visitor) -> None:
    await visitor.go("/console/winddown/versions/2")
    await visitor.check()
    await visitor.press("Approve")
    assert await visitor.sees("has your approval")
    assert await visitor.sees("in force")


async def test_a_passkey_lets_in_by_itself(
    database: Database, clock: MovedClock, url: str, browser: Browser
) -> None:
    secret = await enrol(database, "ben", Role.ENGINEER)
    async with visit(browser, url, **IN_ENGLISH) as visitor:
        tools = await visitor.page.context.new_cdp_session(visitor.page)
        await tools.send("WebAuthn.enable")
        options = {
            "protocol": "ctap2",
            "transport": "internal",
            "hasResidentKey": True,
            "hasUserVerification": True,
            "isUserVerified": True,
        }
        await tools.send("WebAuthn.addVirtualAuthenticator", {"options": options})
        await visitor.go("/console/links")
        await sign_in(visitor, clock, "ben", secret)
        assert visitor.page.url.endswith("/console/links")
        await visitor.go("/console/me/passkeys")
        await visitor.page.locator("#label").fill("the key on my ring")
        await visitor.press("Make a passkey")
        assert await visitor.sees("the key on my ring")
        await visitor.check()
        await visitor.press("Sign out")
        await visitor.press("Sign in with a passkey", role="link")
        await visitor.check()
        await visitor.press("Sign in with a passkey")
        assert visitor.page.url.endswith("/console")
        assert await visitor.sees("Owed to subscribers")


async def test_in_chinese(database: Database, clock: MovedClock, url: str, browser: Browser) -> None:
    secret = await enrol(database, "chen", Role.AUDITOR)
    async with visit(browser, url, **IN_CHINESE) as visitor:
        await visitor.go("/console")
        assert await visitor.sees("登录控制台")
        await visitor.check()
        await sign_in(visitor, clock, "chen", secret)
        assert await visitor.sees("应付用户余额")
        await visitor.check()
        await visitor.take_picture("console-overview-zh")
        await visitor.page.goto(f"{url}/console/staff")
        assert await visitor.sees("无权操作")
        visitor.faults.clear()  # the browser notes that the page was refused
        await visitor.check()


async def test_without_scripts(database: Database, clock: MovedClock, url: str, browser: Browser) -> None:
    secret = await enrol(database, "dora", Role.CARE)
    async with visit(browser, url, **IN_ENGLISH, java_script_enabled=False) as visitor:
        await visitor.go("/console/applications")
        await sign_in(visitor, clock, "dora", secret)
        await visitor.press("Approve")
        assert await visitor.sees("is approved")
