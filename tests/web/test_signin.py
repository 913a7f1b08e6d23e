"""Sign in by a code on the phone and by a claim code; what is counted, and what nobody learns."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import AsyncIterator
from datetime import timedelta
from urllib.parse import quote

import httpx
import pytest

import shop
from onecard.cards.model import Card
from onecard.database.pool import Database, connection
from onecard.subscribers.claims import issue_claim_code
from onecard.values.clock import MovedClock
from onecard.web.ceremony import tidy_challenges
from onecard.web.selfcare.codes import LIFE, SENDING, TRIES_MOST, tidy_codes
from town import sell_card_with_two_lines, stock_up
from web.pages import Phone, browse, code_in, make_site, post, token_of

NUMBER = "+16045550100"


@pytest.fixture
def phone() -> Phone:
    return Phone()


@pytest.fixture
def clock() -> MovedClock:
    return MovedClock(shop.AT + timedelta(days=2))


@pytest.fixture
async def card(database: Database) -> Card:
    async with connection(database.pool) as borrowed:
        await stock_up(borrowed)
        return await sell_card_with_two_lines(borrowed)


@pytest.fixture
async def browser(
    database: Database, card: Card, phone: Phone, clock: MovedClock
) -> AsyncIterator[httpx.AsyncClient]:
    async with browse(make_site(database, clock=clock, phone=phone)) as client:
        yield client


async def test_who_is_not_signed_in_is_sent_to_sign_in_and_back(
    browser: httpx.AsyncClient, phone: Phone
) -> None:
    sent = await browser.get("/usage")
    assert (sent.status_code, sent.headers["location"]) == (303, f"/sign-in?next={quote('/usage')}")
    await post(browser, "/sign-in/code", number=NUMBER)
    done = await post(browser, "/sign-in", number=NUMBER, code=code_in(phone.texts[0]), next="/usage")
    assert (done.status_code, done.headers["location"]) == (303, "/usage")
    assert (await browser.get("/usage")).status_code == 200


async def test_the_code_is_texted_in_the_subscribers_language_and_browsers_can_fill_it_in(
    browser: httpx.AsyncClient, phone: Phone
) -> None:
    await post(browser, "/sign-in/code", number="604 555 0100")
    (text,) = phone.texts
    assert "请勿告诉他人" in text
    assert text.endswith(f"\n\n@care.test #{code_in(text)}")


async def test_a_secondary_number_gets_the_code_too_and_signs_in(
    browser: httpx.AsyncClient, phone: Phone
) -> None:
    await post(browser, "/sign-in/code", number="+8613800138000")
    done = await post(browser, "/sign-in", number="+8613800138000", code=code_in(phone.texts[0]))
    assert done.status_code == 303
    assert "+86 138 0013 8000" in (await browser.get("/")).text


async def test_nobody_learns_whose_number_it_is(browser: httpx.AsyncClient, phone: Phone) -> None:
    known = await post(browser, "/sign-in/code", number=NUMBER)
    unknown = await post(browser, "/sign-in/code", number="+16045550199")
    hide = re.compile(r"\+1[\d -]+|\w{64}")
    assert hide.sub("", known.text) == hide.sub("", unknown.text)
    assert len(phone.texts) == 1
    wrong = await post(browser, "/sign-in", number="+16045550199", code="123456")
    assert wrong.status_code == 422


async def test_signing_in_makes_a_new_token_so_that_a_planted_one_is_worthless(
    browser: httpx.AsyncClient, phone: Phone
) -> None:
    await browser.get("/about")
    before = browser.cookies["onecard"]
    await post(browser, "/sign-in/code", number=NUMBER)
    await post(browser, "/sign-in", number=NUMBER, code=code_in(phone.texts[0]))
    assert browser.cookies["onecard"] != before


async def test_a_code_is_good_once_and_for_minutes_and_for_few_guesses(
    browser: httpx.AsyncClient, phone: Phone, clock: MovedClock
) -> None:
    await post(browser, "/sign-in/code", number=NUMBER)
    code = code_in(phone.texts[-1])
    assert (await post(browser, "/sign-in", number=NUMBER, code=code)).status_code == 303
    assert (await post(browser, "/sign-in", number=NUMBER, code=code)).status_code == 422

    await post(browser, "/sign-in/code", number=NUMBER)
    clock.move(LIFE)
    late = await post(browser, "/sign-in", number=NUMBER, code=code_in(phone.texts[-1]))
    assert late.status_code == 422

    await post(browser, "/sign-in/code", number=NUMBER)
    code = code_in(phone.texts[-1])
    wrong = "000000" if code != "000000" else "000001"
    for _ in range(TRIES_MOST):
        assert (await post(browser, "/sign-in", number=NUMBER, code=wrong)).status_code == 422
    assert (await post(browser, "/sign-in", number=NUMBER, code=code)).status_code == 422


async def test_too_many_codes_are_not_sent(
    browser: httpx.AsyncClient, phone: Phone, clock: MovedClock
) -> None:
    for _ in range(SENDING[0].most):
        assert (await post(browser, "/sign-in/code", number=NUMBER)).status_code == 200
    refused = await post(browser, "/sign-in/code", number=NUMBER)
    assert refused.status_code == 429
    assert len(phone.texts) == SENDING[0].most
    clock.move(SENDING[0].span)
    assert (await post(browser, "/sign-in/code", number=NUMBER)).status_code == 200


async def test_neither_code_nor_number_is_stored_in_the_clear(
    browser: httpx.AsyncClient, phone: Phone, database: Database
) -> None:
    await post(browser, "/sign-in/code", number=NUMBER)
    async with connection(database.pool) as borrowed:
        rows = [
            *await borrowed.fetch("SELECT * FROM sign_in_code"),
            *await borrowed.fetch("SELECT * FROM web_attempt"),
        ]
    written = repr(rows)
    assert code_in(phone.texts[0]) not in written
    assert NUMBER[1:] not in written


async def test_what_nobody_used_is_deleted_when_its_time_is_over(
    browser: httpx.AsyncClient, database: Database, clock: MovedClock
) -> None:
    await post(browser, "/sign-in/code", number=NUMBER)
    await browser.get("/sign-in/passkey")
    count = "SELECT (SELECT count(*) FROM sign_in_code) + (SELECT count(*) FROM passkey_challenge)"
    async with connection(database.pool) as borrowed:
        for at, left in ((clock.now(), 2), (clock.now() + LIFE, 0)):
            await tidy_challenges(borrowed, at)
            for part in range(1, 5):
                await tidy_codes(borrowed, part, at)
            assert await borrowed.fetchval(count) == left


@pytest.mark.parametrize("number", ["", "hello", "1" * 50, "+1"])
async def test_what_is_no_number_is_said_to_be_none(browser: httpx.AsyncClient, number: str) -> None:
    page = await post(browser, "/sign-in/code", number=number)
    assert page.status_code == 422
    assert 'aria-invalid="true"' in page.text


async def test_a_claim_code_signs_in_without_any_text(
    browser: httpx.AsyncClient, card: Card, database: Database, phone: Phone
) -> None:
    async with connection(database.pool) as borrowed:
        code = await issue_claim_code(
            borrowed,
            shop.AT,
            actor=shop.STAFF,
            master=shop.MASTER,
            part=card.part,
            subscriber_id=card.subscriber_id,
        )
    assert isinstance(code, str)
    wrong = await post(browser, "/sign-in/claim", claim_code=code[:-1] + ("0" if code[-1] != "0" else "1"))
    assert wrong.status_code == 422
    assert (await post(browser, "/sign-in/claim", claim_code=code)).status_code == 303
    assert (await browser.get("/")).status_code == 200
    assert not phone.texts


async def test_signed_out_is_signed_out_also_for_who_kept_the_cookie(
    browser: httpx.AsyncClient, phone: Phone
) -> None:
    await post(browser, "/sign-in/code", number=NUMBER)
    await post(browser, "/sign-in", number=NUMBER, code=code_in(phone.texts[0]))
    kept = browser.cookies["onecard"]
    await post(browser, "/sign-out")
    browser.cookies.set("onecard", kept)
    assert (await browser.get("/")).headers["location"] == "/sign-in"


async def test_a_passkey_that_was_never_made_signs_nobody_in(browser: httpx.AsyncClient) -> None:
    asked = await browser.get("/sign-in/passkey")
    assert "&#34;userVerification&#34;: &#34;required&#34;" in asked.text
    for credential in ("", "{}", "[]", "null", '{"id": 1}', "x" * 20_000):
        answer = await post(browser, "/sign-in/passkey", credential=credential)
        assert answer.headers["location"] == "/sign-in", credential


async def test_a_passkey_of_nobody_lets_nobody_in(browser: httpx.AsyncClient) -> None:
    await browser.get("/sign-in/passkey")
    token = token_of((await browser.get("/about")).text)
    await browser.get("/sign-in/passkey")
    response = {
        "clientDataJSON": "e30",
        "authenticatorData": "e30",
        "signature": "e30",
        "userHandle": b64encode(b"\xff" * 12).decode(),
    }
    credential = {"id": "e30", "rawId": "e30", "type": "public-key", "response": response}
    fields = {"credential": json.dumps(credential), "form_token": token}
    answer = await browser.post("/sign-in/passkey", data=fields)
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in")
