"""Staff sign in by password and authenticator, at the first time by an invitation; what is wrong is not told."""

from __future__ import annotations

import re
from datetime import timedelta

import httpx
import pytest

import shop
from onecard.audit import list_records
from onecard.database.pool import Database, connection
from onecard.staff.actions import change_roles, deactivate_staff, reset_staff
from onecard.staff.model import Role
from onecard.web.sessions import LIMITS, SessionKind
from staff import office
from web.console.clerk import at_console, move, text_of
from web.pages import browse, make_site, token_of

SIGN_IN = "/console/sign-in"


async def send(browser: httpx.AsyncClient, page: str, path: str, **fields: str) -> httpx.Response:
    token = token_of((await browser.get(page)).text)
    return await browser.post(path, data={**fields, "form_token": token})


async def test_the_first_sign_in_sets_a_password_and_an_authenticator_and_then_both_let_in(
    database: Database,
) -> None:
    site = make_site(database)
    async with connection(database.pool) as borrowed:
        invitation = await office.invite(borrowed, "bob", Role.ENGINEER)
    given = {"login": "bob", "one_time_password": invitation.password}
    async with browse(site) as browser:
        offered = await send(browser, "/console/welcome", "/console/welcome", **given)
        found = re.search(r'name="secret" value="(\w+)"', offered.text)
        assert found
        secret = found[1]
        assert "<svg" in offered.text
        chosen = {**given, "secret": secret, "password": office.PASSWORD}
        weak = await send(
            browser,
            "/console/welcome",
            "/console/welcome/set",
            **{**chosen, "password": "short"},
            code=office.code_of(secret, shop.AT),
        )
        assert "12 characters" in weak.text
        assert secret in weak.text
        done = await send(
            browser,
            "/console/welcome",
            "/console/welcome/set",
            **chosen,
            code=office.code_of(secret, shop.AT),
        )
        assert done.headers["location"] == SIGN_IN
        move(site, timedelta(minutes=1))
        credentials = {
            "login": "Bob",
            "password": office.PASSWORD,
            "code": office.code_of(secret, site.clock.now()),
        }
        answer = await send(browser, SIGN_IN, SIGN_IN, **credentials, next="/console/links")
        assert answer.headers["location"] == "/console/links"
        assert (await browser.get("/console")).status_code == 200
        assert (await browser.get(SIGN_IN)).headers["location"] == "/console"
    async with connection(database.pool) as borrowed:
        [latest, *_] = await list_records(borrowed, "staff:bob")
    assert (latest.actor, latest.action, latest.detail) == ("staff:bob", "sign_in", {"method": "password"})


async def test_what_is_wrong_with_a_sign_in_is_not_told(database: Database) -> None:
    site = make_site(database)
    async with connection(database.pool) as borrowed:
        _, secret = await office.enrol(borrowed)
    move(site, timedelta(minutes=1))
    code = office.code_of(secret, site.clock.now())
    async with browse(site) as browser:
        answers = [
            await send(browser, SIGN_IN, SIGN_IN, login=login, password=password, code=code)
            for login, password in (("bob", "wrong"), ("nobody", office.PASSWORD), ("", ""))
        ]
    pages = {re.sub(r'value="\w*"', "", answer.text) for answer in answers}
    assert [answer.status_code for answer in answers] == [422] * 3
    assert len(pages) == 1
    assert "is not right" in pages.pop()


async def test_an_address_that_tries_too_often_is_not_listened_to(database: Database) -> None:
    async with browse(make_site(database)) as browser:
        wrong = {"login": "nobody", "password": "x", "code": "1"}
        statuses = [(await send(browser, SIGN_IN, SIGN_IN, **wrong)).status_code for _ in range(31)]
    assert statuses == [422] * 30 + [429]


@pytest.mark.parametrize("elsewhere", ["https://evil.test", "//evil.test", "/consolevil", "/", "/console\\x"])
async def test_no_sign_in_leads_out_of_the_console(database: Database, elsewhere: str) -> None:
    async with browse(make_site(database)) as browser:
        page = await browser.get(SIGN_IN, params={"next": elsewhere})
    assert 'name="next" value="/console"' in page.text


async def test_who_is_not_signed_in_is_sent_to_sign_in_and_back(database: Database) -> None:
    async with browse(make_site(database)) as browser:
        asked = await browser.get("/console/audit?by=actor&value=staff:bob")
        page = await browser.get(asked.headers["location"])
    assert asked.status_code == 303
    assert 'name="next" value="/console/audit?by=actor&value=staff:bob"' in text_of(page)


async def test_a_session_ends_with_sign_out_with_idleness_with_a_reset_and_with_the_job(
    database: Database,
) -> None:
    async with at_console(database, "bob", Role.ENGINEER) as bob:
        assert "staff:" not in await bob.see("/console")
        answer = await bob.send("/console/sign-out")
        assert answer.headers["location"] == SIGN_IN
        assert (await bob.browser.get("/console")).status_code == 303
    async with at_console(database, "carol", Role.ENGINEER) as carol:
        move(carol.site, LIMITS[SessionKind.STAFF].idle)
        assert (await carol.browser.get("/console")).status_code == 303
    for login, end in (("dan", reset_staff), ("eve", deactivate_staff)):
        async with at_console(database, login, Role.ENGINEER) as clerk:
            move(clerk.site, timedelta(seconds=1))
            async with connection(database.pool) as borrowed:
                await end(borrowed, clerk.site.clock.now(), actor=shop.STAFF, login=login)
            assert (await clerk.browser.get("/console")).status_code == 303, login


async def test_a_new_role_counts_from_the_next_click(database: Database) -> None:
    async with at_console(database, "bob", Role.ENGINEER) as bob:
        assert (await bob.browser.get("/console/audit")).status_code == 403
        async with connection(database.pool) as borrowed:
            await change_roles(borrowed, shop.AT, actor=shop.STAFF, login="bob", roles=[Role.AUDITOR])
        assert (await bob.browser.get("/console/audit")).status_code == 200
