"""Whole journeys of a subscriber in a real browser, on a phone and on a desktop, in English and in Chinese."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from playwright.async_api import Browser

import shop
from onecard.database.pool import connection
from onecard.messages.commands import words_of
from onecard.messages.model import Content
from onecard.subscribers.actions import change_language
from onecard.values.language import Language
from onecard.winddown.reading import read_plan
from town import Town

from .chromium import DESKTOP, PHONE, Visitor, visit

PLAN = (Path(__file__).parents[3] / "plans" / "cmlink-canada-2021.toml").read_text(encoding="utf-8")
IN_FORCE = read_plan(PLAN.replace("2021-", "2026-").replace("2022-", "2027-"))
"""Five years later than it was."""
IN_ENGLISH = {"locale": "en-CA", "viewport": DESKTOP}
ON_A_PHONE = {"locale": "zh-CN", "viewport": PHONE, "is_mobile": True, "has_touch": True}


async def last_code(town: Town, count: int) -> str:
    """The code in the text that comes to the card after the first `count`."""
    await town.settle(lambda: len(town.host.texts) > count, "the code")
    text = town.host.texts[-1]
    found = re.search(r"\d{6}", words_of(Content(text.body, text.data_coding)))
    assert found
    return found[0]


async def speak(town: Town, language: Language) -> None:
    (card,) = town.cards
    async with connection(town.database.pool) as borrowed:
        await change_language(
            borrowed,
            shop.AT,
            actor=shop.STAFF,
            part=card.part,
            subscriber_id=card.subscriber_id,
            language=language,
        )


async def sign_in(visitor: Visitor, town: Town) -> None:
    """By the code that is texted to the card, with the keyboard alone."""
    count = len(town.host.texts)
    await visitor.go("/")
    await visitor.page.locator("#number").fill("604 555 0100")
    async with visitor.page.expect_navigation():
        await visitor.page.keyboard.press("Enter")
    await visitor.page.locator("#code").fill(await last_code(town, count))
    async with visitor.page.expect_navigation():
        await visitor.page.keyboard.press("Enter")
    assert visitor.page.url == f"{visitor.url}/"


async def test_on_a_phone_in_chinese(town: Town, url: str, browser: Browser) -> None:
    async with visit(browser, url, **ON_A_PHONE) as visitor:
        await visitor.go("/")
        await visitor.check()
        await sign_in(visitor, town)
        assert await visitor.sees("您的余额")
        await visitor.check()
        await visitor.take_picture("selfcare-home-phone-zh")
        await visitor.page.get_by_role("switch").click()
        await visitor.page.wait_for_selector("[role=status]")
        assert await visitor.sees("银行验证码仍会送达")
        assert await visitor.page.get_by_role("switch").get_attribute("aria-checked") == "false"
        await visitor.press("+86 138 0013 8000", role="link")
        assert await visitor.sees("我们已接收")
        await visitor.check()
        await visitor.take_picture("selfcare-line-phone-zh")
        for path in ("/usage", "/money", "/own"):
            await visitor.go(path)
            await visitor.check()


async def test_on_a_desktop_in_english(town: Town, url: str, browser: Browser, pin: str) -> None:
    await speak(town, Language.ENGLISH)
    async with visit(browser, url, **IN_ENGLISH) as visitor:
        for path in ("/about", "/status", "/nowhere", "/sign-in"):
            await visitor.go(path)
            await visitor.check(ignoring="404")
        await sign_in(visitor, town)
        await visitor.check()
        await visitor.take_picture("selfcare-home-desktop-en")
        await visitor.go("/money")
        await visitor.page.get_by_label("PIN of the voucher").fill(pin)
        await visitor.press("Top up by voucher")
        assert await visitor.sees("CA$20.00 added")
        await visitor.go("/apply")
        await visitor.press("China")
        await visitor.check()
        await visitor.press("Apply for it")
        assert await visitor.sees("being checked")
        await visitor.go("/usage")
        await visitor.page.get_by_text("Why, and what became of it").first.click()
        await visitor.check()
        await visitor.take_picture("selfcare-usage-desktop-en")
        await visitor.go("/")
        await visitor.press("+86 138 0013 8000", role="link")
        await visitor.check()
        await visitor.press("Give up this number", role="link")
        for box in await visitor.page.get_by_role("checkbox").all():
            await box.check()
        await visitor.check()
        await visitor.press("Give it up")
        assert await visitor.sees("This can not be undone")
        await visitor.press("Keep the number")
        await visitor.press("Sign out")
        assert await visitor.sees("You are signed out")


async def test_every_page_keeps_its_contrast_in_the_dark(town: Town, url: str, browser: Browser) -> None:
    await speak(town, Language.FRENCH)
    async with visit(browser, url, color_scheme="dark", locale="fr-CA", viewport=PHONE) as visitor:
        await sign_in(visitor, town)
        for path in ("/", "/usage", "/money", "/own", "/own/erase", "/apply?country=CN", "/about", "/status"):
            await visitor.go(path)
            await visitor.check()
        await visitor.go("/")


async def test_a_passkey_is_made_and_signs_in_without_any_text(
    town: Town, url: str, browser: Browser
) -> None:
    await speak(town, Language.ENGLISH)
    async with visit(browser, url, **IN_ENGLISH) as visitor:
        session = await visitor.page.context.new_cdp_session(visitor.page)
        await session.send("WebAuthn.enable")
        added = await session.send(
            "WebAuthn.addVirtualAuthenticator",
            {
                "options": {
                    "protocol": "ctap2",
                    "transport": "internal",
                    "hasResidentKey": True,
                    "hasUserVerification": True,
                    "isUserVerified": True,
                    "automaticPresenceSimulation": True,
                }
            },
        )
        await sign_in(visitor, town)
        count = len(town.host.texts)
        await visitor.go("/own/passkey")
        await visitor.check()
        await visitor.press("Make it now")
        assert await visitor.sees("The passkey is ready")
        await town.settle(lambda: len(town.host.texts) > count, "the warning of a new passkey")
        count = len(town.host.texts)
        await visitor.press("Sign out")
        await visitor.press("Use a passkey", role="link")
        await visitor.check()
        await visitor.press("Use a passkey")
        assert visitor.page.url == f"{url}/"
        assert await visitor.sees("Your balance")
        assert len(town.host.texts) == count

        await visitor.go("/own")
        await visitor.press("Remove")
        await visitor.press("Sign out")
        await visitor.go("/sign-in/passkey")
        await visitor.press("Use a passkey")
        assert await visitor.sees("We do not know this passkey")
        unverified = {"authenticatorId": added["authenticatorId"], "isUserVerified": False}
        await session.send("WebAuthn.setUserVerified", unverified)
        await visitor.go("/sign-in/passkey")
        await visitor.page.get_by_role("button", name="Use a passkey").click()
        await visitor.page.get_by_text("The browser gave no passkey").wait_for()


async def test_all_of_it_works_without_javascript(town: Town, url: str, browser: Browser, pin: str) -> None:
    await speak(town, Language.ENGLISH)
    async with visit(browser, url, java_script_enabled=False, **IN_ENGLISH) as visitor:
        await sign_in(visitor, town)
        await visitor.page.get_by_role("switch").click()
        assert await visitor.sees("Codes from banks still arrive")
        await visitor.go("/money")
        await visitor.page.get_by_label("PIN of the voucher").fill(pin)
        await visitor.press("Top up by voucher")
        assert await visitor.sees("CA$20.00 added")
        await visitor.go("/own")
        await visitor.press("Give me a claim code")
        assert not await visitor.page.get_by_role("button", name="Print").is_visible()
        await visitor.go("/sign-in/passkey?next=/")
        assert await visitor.sees("A passkey needs JavaScript")


@pytest.mark.parametrize("begin", [datetime(2027, 1, 3, 20, tzinfo=UTC)])
async def test_a_balance_is_asked_back_on_a_phone_and_a_number_taken_along(
    town: Town, url: str, browser: Browser
) -> None:
    town.node.gatekeeper.put_in_force(IN_FORCE)
    async with visit(browser, url, **ON_A_PHONE) as visitor:
        await sign_in(visitor, town)
        await visitor.go("/money")
        await visitor.press("申请退还余额", role="link")
        await visitor.page.get_by_label("收款人姓名").fill("王芳")
        await visitor.page.get_by_label("收款账号").fill("004-12345-0")
        await visitor.press("提交申请")
        assert await visitor.sees("账号有误")
        await visitor.check(ignoring="422")
        await visitor.page.get_by_label("收款账号").fill("004-12345-9876543")
        await visitor.press("提交申请")
        assert await visitor.sees("已收到申请")
        await visitor.check()
        await visitor.take_picture("selfcare-refund-phone-zh")
        await visitor.go("/port-out")
        await visitor.check()
        await visitor.press("获取PIN码")
        await visitor.check()
        await visitor.go("/notice")
        await visitor.check()


@pytest.mark.parametrize("begin", [datetime(2026, 11, 7, 20, tzinfo=UTC)])
async def test_under_an_order_what_stops_is_told_and_a_claim_code_is_printed(
    town: Town, url: str, browser: Browser
) -> None:
    town.node.gatekeeper.put_in_force(IN_FORCE)
    async with visit(browser, url, **ON_A_PHONE) as visitor:
        await sign_in(visitor, town)
        await visitor.check()
        await visitor.take_picture("selfcare-home-ending-phone-zh")
        await visitor.press("停止时间与应办事项", role="link")
        await visitor.check()
        await visitor.press("立即办理", role="link")
        await visitor.press("获取权益码")
        await visitor.check()


@pytest.mark.parametrize("path", ["/about", "/sign-in"])
async def test_a_public_page_reads_well_when_letters_are_twice_as_large(
    town: Town, url: str, browser: Browser, path: str
) -> None:
    async with visit(browser, url, viewport={"width": 320, "height": 640}, locale="fr") as visitor:
        await visitor.go(path)
        await visitor.page.evaluate("document.documentElement.style.fontSize = '200%'")
        await visitor.check()
