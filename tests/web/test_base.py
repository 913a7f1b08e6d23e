"""What every page has, and what no page lets through: headers, cookies, tokens of forms, languages, errors."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from string import Formatter

import asyncpg
import httpx
import pytest

import shop
from onecard import web
from onecard.database.pool import Database, connection
from onecard.values.language import Language
from onecard.web.sessions import (
    LIMITS,
    SessionKind,
    SignInMethod,
    end_other_sessions,
    end_session,
    find_session,
    open_session,
    tidy_sessions,
)
from onecard.web.site import Site
from onecard.web.static import FILES, static_url
from onecard.web.throttle import Throttle, count_attempt, tidy_attempts
from onecard.web.visit import form_token, read_visit
from onecard.web.words import WORDS, say
from web.pages import browse, make_site, token_of

FOLDER = Path(web.__file__).parent
KEY = b"k" * 32
TWICE = Throttle("test", 2, timedelta(minutes=1))


@pytest.fixture
async def browser(database: Database) -> AsyncIterator[httpx.AsyncClient]:
    async with browse(make_site(database)) as client:
        yield client


async def test_a_page_names_no_source_but_itself_and_may_not_be_framed(browser: httpx.AsyncClient) -> None:
    page = await browser.get("/about")
    policy = page.headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert page.headers["x-content-type-options"] == "nosniff"
    assert page.headers["referrer-policy"] == "same-origin"
    assert page.headers["cache-control"] == "no-store"
    assert not re.search(r"""(?:src|href|action)=["'](?!/|#)""", page.text)
    assert not re.search(r"<script(?! src=)|<style| style=| on\w+=", page.text)


async def test_errors_and_files_have_the_safe_headers_too(browser: httpx.AsyncClient) -> None:
    for path in ("/nowhere", "/static/nothing.css", static_url("onecard.css")):
        assert "content-security-policy" in (await browser.get(path)).headers, path


async def test_cookies_are_kept_from_scripts_and_other_sites_and_with_tls_to_this_host(
    database: Database,
) -> None:
    async with browse(make_site(database)) as plain, browse(make_site(database, "https://care.test")) as safe:
        cookie = (await plain.get("/about")).headers["set-cookie"]
        assert cookie.startswith("onecard=")
        assert "HttpOnly" in cookie
        assert "SameSite=lax" in cookie
        page = await safe.get("/about")
        assert page.headers["set-cookie"].startswith("__Host-onecard=")
        assert "Secure" in page.headers["set-cookie"]
        assert "max-age=" in page.headers["strict-transport-security"]


async def test_a_form_is_taken_only_from_the_browser_that_it_was_made_for(
    browser: httpx.AsyncClient, database: Database
) -> None:
    fields = {"language": "fr", "next": "/about"}
    assert (await browser.post("/language", data=fields)).status_code == 403
    token = token_of((await browser.get("/about")).text)
    assert (await browser.post("/language", data={**fields, "form_token": token})).status_code == 303
    async with browse(make_site(database)) as stranger:
        await stranger.get("/about")
        refused = await stranger.post("/language", data={**fields, "form_token": token})
    assert refused.status_code == 403
    assert "Nothing was changed" in refused.text


@pytest.mark.parametrize("elsewhere", ["//evil.test", "https://evil.test", "/\\evil.test", "evil"])
async def test_no_form_sends_anybody_to_another_site(browser: httpx.AsyncClient, elsewhere: str) -> None:
    token = token_of((await browser.get("/about")).text)
    answer = await browser.post("/language", data={"language": "fr", "next": elsewhere, "form_token": token})
    assert answer.headers["location"] == "/"


@pytest.mark.parametrize(
    ("headers", "query", "language"),
    [
        ({}, "", "en"),
        ({"accept-language": "fr-CA, en;q=0.8"}, "", "fr"),
        ({"accept-language": "de, zh-TW;q=0.9, en;q=0.1"}, "", "zh-Hant"),
        ({"accept-language": "zh-CN"}, "", "zh-Hans"),
        ({"accept-language": "zh-CN"}, "?lang=fr", "fr"),
        ({"accept-language": "fr;q=0, en;q=x"}, "", "en"),
        ({"accept-language": "tlh"}, "?lang=tlh", "en"),
    ],
)
async def test_a_page_speaks_the_language_that_is_asked_for(
    browser: httpx.AsyncClient, headers: dict[str, str], query: str, language: str
) -> None:
    assert f'<html lang="{language}">' in (await browser.get(f"/about{query}", headers=headers)).text


async def test_a_language_that_was_chosen_is_kept(browser: httpx.AsyncClient) -> None:
    token = token_of((await browser.get("/about")).text)
    await browser.post("/language", data={"language": "zh-Hans", "form_token": token})
    assert '<html lang="zh-Hans">' in (await browser.get("/about")).text


async def test_an_error_is_a_page_that_says_what_to_do(browser: httpx.AsyncClient) -> None:
    lost = await browser.get("/nowhere", headers={"accept-language": "fr"})
    assert lost.status_code == 404
    assert "Cette page n'existe pas" in lost.text.replace("&#39;", "'")
    large = await browser.post("/language", data={"language": "x" * 100_000})
    assert large.status_code == 413


async def test_when_the_database_is_away_the_page_says_so() -> None:
    async with (
        asyncpg.create_pool("postgresql://nobody@127.0.0.1:1/none", min_size=0) as pool,
        browse(make_site(Database(pool, "", None))) as browser,
    ):
        away = await browser.get("/status")
        assert (await browser.get(static_url("onecard.css"))).status_code == 200
    assert away.status_code == 503
    assert "back shortly" in away.text


async def test_a_file_that_the_browser_has_is_not_sent_again(browser: httpx.AsyncClient) -> None:
    first = await browser.get(static_url("onecard.css"))
    assert first.headers["content-type"].startswith("text/css")
    again = await browser.get(static_url("onecard.css"), headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert set(FILES) >= {"onecard.css", "onecard.js", "icon.svg"}


async def test_the_status_page_tells_of_networks_without_naming_them(database: Database) -> None:
    site = make_site(database)
    async with connection(database.pool) as borrowed:
        await borrowed.execute(
            "INSERT INTO link_status VALUES ('host', 'n', 1, 0, 0, 0, 0, 0, 0, 0, '', $1),"
            " ('cn-home', 'n', 1, 0, 0, 0, 0, 0, 0, 0, 'secret.example.net refused', $2)",
            site.clock.now(),
            site.clock.now() - timedelta(hours=1),
        )
    async with browse(site) as browser:
        page = (await browser.get("/status")).text
    assert page.count("badge good") == 2
    assert page.count("badge bad") == 2
    assert "cn-home" not in page
    assert "secret" not in page


# Sessions


async def sign_in(site: Site) -> str:
    async with connection(site.pool) as borrowed:
        return await open_session(
            borrowed,
            site.clock.now(),
            kind=SessionKind.SUBSCRIBER,
            part=1,
            person_id=7,
            method=SignInMethod.CODE,
        )


async def test_a_session_ends_when_it_is_not_used_and_at_its_greatest_age(database: Database) -> None:
    site, limits = make_site(database), LIMITS[SessionKind.SUBSCRIBER]
    token, begun = await sign_in(site), site.clock.now()
    async with connection(database.pool) as borrowed:
        at = begun
        while at - begun < limits.age_most - limits.idle:
            at += limits.idle - timedelta(seconds=1)
            assert await find_session(borrowed, at, token), at
        assert await find_session(borrowed, begun + limits.age_most, token) is None
        idle = await sign_in(site)
        assert await find_session(borrowed, begun + limits.idle, idle) is None
        assert await find_session(borrowed, begun, "another") is None
        await tidy_sessions(borrowed, begun + timedelta(days=1))
        assert await borrowed.fetchval("SELECT count(*) FROM web_session") == 0


async def test_a_session_that_was_ended_is_gone_and_no_token_is_stored(database: Database) -> None:
    site = make_site(database)
    here, elsewhere = await sign_in(site), await sign_in(site)
    now = site.clock.now()
    async with connection(database.pool) as borrowed:
        session = await find_session(borrowed, now, here)
        assert session is not None
        assert await end_other_sessions(borrowed, now, session) == 1
        assert await find_session(borrowed, now, elsewhere) is None
        await end_session(borrowed, now, session)
        assert await find_session(borrowed, now, here) is None
        audit = await borrowed.fetch("SELECT actor, action FROM audit ORDER BY id")
    actions = ["sign_in", "sign_in", "sign_out_elsewhere", "sign_out"]
    assert [(row["actor"], row["action"]) for row in audit] == [("subscriber:7", one) for one in actions]


async def test_attempts_are_counted_by_subject_until_their_window_is_over(database: Database) -> None:
    async with connection(database.pool) as borrowed:
        tries = [await count_attempt(borrowed, shop.AT, TWICE, "a", key=KEY) for _ in range(3)]
        assert tries == [True, True, False]
        assert await count_attempt(borrowed, shop.AT, TWICE, "b", key=KEY)
        assert await count_attempt(borrowed, shop.AT + TWICE.span, TWICE, "a", key=KEY)
        await tidy_attempts(borrowed, shop.AT + 2 * TWICE.span)
        assert await borrowed.fetchval("SELECT count(*) FROM web_attempt") == 0


def test_who_asks_is_believed_of_a_proxy_only(database: Database) -> None:
    class Asked:
        def __init__(self, client: str, forwarded: str) -> None:
            self.client = type("Client", (), {"host": client})
            self.headers = {"x-forwarded-for": forwarded}
            self.cookies: dict[str, str] = {}
            self.query_params: dict[str, str] = {}
            self.url = type("Url", (), {"path": "/"})

    site = make_site(database)
    for client, forwarded, address in (
        ("203.0.113.9", "198.51.100.1", "203.0.113.9"),
        ("127.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("127.0.0.1", "1.2.3.4, 198.51.100.1, 127.0.0.2", "198.51.100.1"),
        ("127.0.0.1", "", "127.0.0.1"),
        ("2001:db8:1:2::9", "", "2001:db8:1:2::/64"),
        ("127.0.0.1", "2001:db8:1:2:ffff::1", "2001:db8:1:2::/64"),
        ("::ffff:203.0.113.9", "", "203.0.113.9"),
        ("127.0.0.1", "unknown", "unknown"),
    ):
        visit = read_visit(site, Asked(client, forwarded))  # type: ignore[arg-type]
        assert visit.address == address
        assert len(form_token(site, visit)) == 64


# Words


@pytest.mark.parametrize("key", WORDS)
def test_a_word_has_the_same_gaps_in_every_language(key: str) -> None:
    gaps = [{name for _, name, _, _ in Formatter().parse(sentence) if name} for sentence in WORDS[key]]
    assert all(one == gaps[0] for one in gaps), key
    assert all(sentence.strip() for sentence in WORDS[key]), key


def test_every_word_that_a_template_names_is_there() -> None:
    for template in FOLDER.rglob("templates/*.html"):
        text = template.read_text(encoding="utf-8")
        for key in re.findall(r"""say\(["']([\w.]+)["'](?!\s*~)""", text):
            assert key in WORDS, f"{template.name}: {key}"


def test_a_word_is_said_in_the_language_asked_for() -> None:
    assert say("yes", Language.CHINESE_TRADITIONAL) == "是"
