"""What a subscriber sees and does: every page, by form alone, in every language."""

from __future__ import annotations

import io
import re
from base64 import b64encode
from datetime import timedelta
from enum import Enum

import msgspec
import pypdf
import pytest

import shop
from messages.texts import make_acceptance
from onecard.catalogue.model import ListedRate, Rate, UsageKind
from onecard.catalogue.rules import explain, facts_of
from onecard.database.pool import Database, connection
from onecard.lines.actions import decide_on_application
from onecard.lines.model import ApplicationState, LineRefusal, Verification
from onecard.lines.store import list_lines
from onecard.messages.store import ACCEPTED, accept_batch
from onecard.payments.actions import make_vouchers
from onecard.payments.model import VoucherRefusal
from onecard.subscribers.model import ClaimRefusal, SubscriberRefusal
from onecard.values.clock import MovedClock
from onecard.values.gate import NO_ORDER
from onecard.values.language import Language
from onecard.values.money import Money
from onecard.values.phone import Country
from onecard.web.selfcare.refusals import word_of
from onecard.web.words import WORDS
from onecard.winddown.gatekeeper import Gatekeeper
from town import sell_card_with_two_lines
from web.pages import browse, make_site, post, sign_in, token_of
from web.subscriber import CMLINK, Self

NOT_MET = {
    VoucherRefusal.BAD_FACE,
    VoucherRefusal.BAD_COUNT,
    VoucherRefusal.EXPIRED_ALREADY,
    VoucherRefusal.UNKNOWN_BATCH,
    VoucherRefusal.UNKNOWN_SERIAL,
}
"""Refusals of what staff do."""


async def test_home_shows_the_balance_what_it_buys_and_the_lines(me: Self) -> None:
    page = await me.read("/")
    assert "$10.00" in page
    assert "200 texts within Canada" in page
    assert "100 texts within China" in page
    assert "+1 604-555-0100" in page
    assert "+86 138 0013 8000" in page
    assert page.count('role="switch"') == 1


@pytest.mark.parametrize("language", Language)
async def test_every_page_can_be_read_in_every_language(me: Self, language: Language) -> None:
    await me.send("/language", language=language.value, next="/")
    secondary = await me.line(1)
    for path in (
        "/",
        "/usage",
        "/money",
        "/own",
        "/own/erase",
        "/own/passkey",
        "/apply",
        "/apply?country=CN",
        "/ending",
        f"/lines/{await me.line(0)}",
        f"/lines/{secondary}",
        f"/lines/{secondary}/end",
    ):
        assert f'<html lang="{language.value}">' in await me.read(path), path


async def test_a_line_is_switched_off_and_on_from_home(me: Self) -> None:
    line = await me.line(1)
    page = await me.send(f"/lines/{line}/switch", on="no", home="yes")
    assert "Codes from banks still arrive" in page
    assert 'aria-checked="false"' in page
    assert 'aria-checked="true"' in await me.send(f"/lines/{line}/switch", on="yes", home="yes")
    assert "The line is on" not in await me.read("/")  # it is said once


async def test_bars_hours_and_lists_of_a_line_are_set_and_shown(me: Self) -> None:
    line = await me.line(1)
    assert "barred" in await me.send(f"/lines/{line}/bar", usage="calls", barred="yes")
    assert "calls barred" in await me.read("/")
    page = await me.send(f"/lines/{line}/list", what="block", entry="+8620*")
    assert "+8620*" in page
    assert "+8620*" not in await me.send(f"/lines/{line}/list", what="unblock", entry="+8620*")
    assert "alibaba" in await me.send(f"/lines/{line}/list", what="allow", entry="Alibaba")
    answer = await post(me.browser, f"/lines/{line}/schedule", begin="08:00", end="22:00", usage="texts")
    assert answer.status_code == 422
    assert "Choose at least one day" in answer.text
    page = await me.send(f"/lines/{line}/schedule", day="mon", begin="08:00", end="22:00", usage="texts")
    assert "Mon 08:00–22:00" in page
    assert "any time" in await me.send(f"/lines/{line}/schedule/remove", place="0")


async def test_what_is_no_entry_of_a_list_is_explained_beside_its_field(me: Self) -> None:
    answer = await post(me.browser, f"/lines/{await me.line(1)}/list", what="block", entry="!!")
    assert answer.status_code == 422
    assert 'id="entry-error"' in answer.text


async def test_a_line_says_how_to_dial_from_it(me: Self) -> None:
    assert "125831" in await me.read(f"/lines/{await me.line(1)}")
    assert "Dial and text as always" in await me.read(f"/lines/{await me.line(0)}")


async def test_a_test_text_goes_to_the_card_by_the_line_that_asked_but_not_many(me: Self) -> None:
    line, before = await me.line(1), len(me.phone.texts)
    for _ in range(5):
        assert "on its way" in await me.send(f"/lines/{line}/test")
    assert "+8613800138000" in me.phone.texts[-1]
    by = me.phone.lines[-1]
    assert by is not None
    assert by.id == line
    assert "wait a while" in await me.send(f"/lines/{line}/test")
    assert len(me.phone.texts) == before + 5


async def test_a_line_ends_only_when_it_is_asked_for_and_confirmed_in_time(
    me: Self, clock: MovedClock
) -> None:
    line = await me.line(1)
    path = f"/lines/{line}/end"
    assert "payment apps" in await me.read(path)
    assert "Nobody asked" in await me.send(path, step="confirm")
    assert "confirm below" in await me.send(path, step="ask")
    assert "You keep the number" in await me.send(path, step="keep")
    await me.send(path, step="ask")
    clock.move(timedelta(minutes=29))
    assert "no longer yours" in await me.send(path, step="confirm")
    assert "+86" not in await me.read("/")


async def test_the_primary_line_cannot_be_given_up_here(me: Self) -> None:
    assert (await me.browser.get(f"/lines/{await me.line(0)}/end")).status_code == 404


async def test_three_numbers_are_offered_and_one_applied_for(me: Self) -> None:
    page = await me.read("/apply?country=CN")
    offered = re.findall(r'name="number" value="(\+\d+)"', page)
    assert len(offered) == 3
    page = await me.send("/apply", country="CN", number=offered[1], card=str(me.card.id))
    assert "being checked" in page
    assert "Applied for +86" in await me.read("/")
    taken = await me.send("/apply", country="CN", number=offered[1], card=str(me.card.id))
    assert "Somebody else was quicker" in taken
    async with connection(me.database.pool) as borrowed:
        open_one = await borrowed.fetchval("SELECT id FROM application WHERE state = 'applied'")
        await decide_on_application(
            borrowed,
            shop.AT,
            actor=shop.STAFF,
            gates=NO_ORDER,
            part=me.card.part,
            application_id=open_one,
            verification=Verification.MISMATCH,
        )
    assert "does not match" in await me.read("/apply")


async def test_a_voucher_tops_up_once_and_has_a_receipt(me: Self) -> None:
    async with connection(me.database.pool) as borrowed:
        made = await make_vouchers(
            borrowed,
            shop.AT,
            actor=shop.STAFF,
            gates=NO_ORDER,
            master=shop.MASTER,
            face=Money(20_000_000, shop.CAD),
            count=1,
            expires_at=shop.AT + timedelta(days=365),
        )
    assert isinstance(made, tuple)
    pin = made[1][0].pin
    page = await me.send("/money", pin=f"{pin[:4]} {pin[4:8]}-{pin[8:]}")
    assert "$20.00 added" in page
    assert "$30.00" in page
    again = await me.send("/money", pin=pin)
    assert "used this voucher before" in again
    assert "$30.00" in again
    assert "16 digits" in await me.send("/money", pin="1234")
    receipts = re.findall(r"/money/[\w-]+/receipt\.pdf", page)
    drawn = await me.browser.get(receipts[0])
    assert drawn.headers["content-type"] == "application/pdf"
    text = pypdf.PdfReader(io.BytesIO(drawn.content)).pages[0].extract_text()
    assert "Receipt" in text
    assert "$20.00" in text


@pytest.mark.parametrize("language", [Language.CHINESE_SIMPLIFIED, Language.CHINESE_TRADITIONAL])
async def test_a_receipt_is_written_in_chinese_with_fonts_that_readers_bring(
    me: Self, language: Language
) -> None:
    await me.send("/language", language=language.value, next="/")
    path = re.search(r"/money/[\w-]+/receipt\.pdf", await me.read("/money"))
    assert path
    drawn = (await me.browser.get(path[0])).content
    page = pypdf.PdfReader(io.BytesIO(drawn)).pages[0]
    fonts = {str(font.get_object()["/BaseFont"]) for font in page["/Resources"]["/Font"].values()}  # type: ignore[index]
    assert any("Light" in font for font in fonts), fonts
    assert len(drawn) < 20_000


async def test_a_receipt_of_somebody_elses_money_is_not_there(me: Self) -> None:
    async with connection(me.database.pool) as borrowed:
        await sell_card_with_two_lines(borrowed)
        event = await borrowed.fetchval(
            "SELECT event_id FROM entry WHERE kind = 1 AND account_id <> $1", me.card.account_id
        )
    assert (await me.browser.get(f"/money/{event}/receipt.pdf")).status_code == 404


async def test_nothing_of_another_subscriber_can_be_seen_or_changed(me: Self) -> None:
    async with connection(me.database.pool) as borrowed:
        other = await sell_card_with_two_lines(borrowed)
        lines = await list_lines(borrowed, other.part, other.id)
    for line in lines:
        assert (await me.browser.get(f"/lines/{line.id}")).status_code == 404
        for path in ("switch", "bar", "schedule", "schedule/remove", "list", "test", "end"):
            refused = await post(me.browser, f"/lines/{line.id}/{path}", on="no", step="ask")
            assert refused.status_code == 404, path
    refused = await post(me.browser, "/apply", country="CN", number="+8613800138005", card=str(other.id))
    assert refused.status_code == 404


async def test_usage_is_explained_charge_by_charge_and_summed_by_line(me: Self) -> None:
    async with connection(me.database.pool) as borrowed:
        for number in range(40):
            await borrowed.execute(
                "INSERT INTO message (part, id, account_id, card_id, line_id, direction, application, source_link,"
                " next_link, far, segments, price_micros, rate, state, attempts, accepted_at, handed_over_at, done_at)"
                " VALUES ($1, $2, $3, $4, $5, 2, false, 'host', 'cn-home', '+861380****', 2, 200000,"
                " 'text from CN to 86: 2 segments at 0.10', 3, 1, $6, $6, $6)",
                me.card.part,
                number + 1,
                me.card.account_id,
                me.card.id,
                await me.line(1),
                shop.AT + timedelta(days=1, minutes=number),
            )
    page = await me.read("/usage")
    assert (
        page.count('<p lang="en">text from CN to 86: 2 segments at 0.10') == 30
    )  # from before facts were kept
    assert "$0.20" in page
    assert "+86 138 0013 8000: CA$8.00" in page
    older = re.search(r'href="(/usage\?[^"]+)"', page)
    assert older
    assert (await me.read(older[1].replace("&amp;", "&"))).count("2 segments at 0.10") == 10
    chart = await me.browser.get("/usage/spending.svg")
    assert chart.headers["content-type"] == "image/svg+xml"
    assert b"$8.00" in chart.content
    assert b"<script" not in chart.content
    assert b"http" not in re.sub(rb'xmlns(:\w+)?="[^"]+"|<!--.*?-->', b"", chart.content, flags=re.DOTALL)


async def test_a_charge_whose_facts_were_kept_is_explained_in_the_language_of_who_reads(me: Self) -> None:
    rate = Rate(UsageKind.TEXT, Country("CN"), 100_000, prefix="86")
    listed = ListedRate("Spring", shop.AT, shop.CAD, rate)
    row = make_acceptance(
        1,
        me.card.account_id,
        card_id=me.card.id,
        line_id=await me.line(1),
        price_micros=200_000,
        rate=explain(listed, 2).as_text(),
        facts=facts_of(listed, 2),
    )
    assert await accept_batch(me.database.pool, me.card.part, [row]) == [ACCEPTED]
    assert "Prices “Spring” of" in await me.read("/usage")
    await me.send("/language", language="zh-Hans", next="/")
    page = await me.read("/usage")
    assert "短信，中国至+86：2段，每段\u00a0CA$0.10：CA$0.20" in page.replace("每段 ", "每段\u00a0")
    assert '<p lang="en">' not in page


async def test_a_claim_code_is_shown_once_and_works(me: Self) -> None:
    answer = await post(me.browser, "/own/claim-code")
    code = re.search(r"<strong>([\w-]+)</strong>", answer.text)
    assert code
    assert "Not you? Call us" in me.phone.texts[-1]
    assert code[1] not in "".join(me.phone.texts)
    assert code[1] not in await me.read("/own")
    assert "You have one" in await me.read("/own")
    await post(me.browser, "/sign-out")
    assert (await post(me.browser, "/sign-in/claim", claim_code=code[1])).status_code == 303


async def test_the_export_holds_what_is_kept_and_that_it_was_read_is_written_down(me: Self) -> None:
    answer = await me.browser.get("/own/onecard.json")
    document = msgspec.json.decode(answer.content)
    assert document["contact"]["name"] == shop.WANG.name
    assert [line["slot"] for line in document["cards"][0]["lines"]] == [0, 1]
    assert document["entries"][0]["available_micros"] == 10_000_000
    async with connection(me.database.pool) as borrowed:
        row = await borrowed.fetchrow("SELECT * FROM audit WHERE action = 'read_contact'")
    assert row
    assert row["actor"] == f"subscriber:{me.card.subscriber_id}"


async def test_contact_details_are_erased_when_one_is_sure(me: Self) -> None:
    assert "tick the box" in await me.send("/own/erase")
    assert "Your contact details are erased" in await me.send("/own/erase", sure="yes")
    document = msgspec.json.decode((await me.browser.get("/own/onecard.json")).content)
    assert document["contact"] is None
    assert "erased before" in await me.send("/own/erase", sure="yes")


async def test_another_session_is_ended_from_here(me: Self, database: Database, clock: MovedClock) -> None:
    async with browse(make_site(database, clock=clock, phone=me.phone)) as elsewhere:
        await sign_in(elsewhere, me.phone)
        await me.send("/own/sign-out-elsewhere")
        assert (await elsewhere.get("/")).status_code == 303
    await me.read("/")


# The end of the service


async def test_under_an_order_the_subscriber_is_told_and_led_to_what_outlives_it(
    me: Self, clock: MovedClock, gatekeeper: Gatekeeper
) -> None:
    gatekeeper.put_in_force(CMLINK)
    page = await me.read("/")
    assert "Maple Bridge ends its mobile service" in page
    assert "Sign-in by text ends with the service" in page
    await post(me.browser, "/own/claim-code")
    assert "Sign-in by text ends with the service" not in await me.read("/")
    assert "No more plan renewals" in await me.read("/ending")


async def test_a_gate_that_is_closed_is_shown_and_refuses_with_its_reason(
    me: Self, gatekeeper: Gatekeeper
) -> None:
    page = await me.read("/apply?country=CN")
    offered = re.findall(r'name="number" value="(\+\d+)"', page)
    gatekeeper.put_in_force(CMLINK)  # its dates are in the past
    assert "Top-ups have ended" in await me.read("/money")
    assert 'name="pin"' not in await me.read("/money")
    assert "No new numbers" in await me.read("/apply")
    refused = await me.send("/apply", country="CN", number=offered[0], card=str(me.card.id))
    assert "This was not done. No more" in refused


# Words


@pytest.mark.parametrize(
    "refusal",
    [
        one
        for kind in (LineRefusal, VoucherRefusal, ClaimRefusal, SubscriberRefusal)
        for one in kind
        if one not in NOT_MET
    ],
    ids=str,
)
def test_every_refusal_that_a_subscriber_can_meet_has_a_word(refusal: Enum) -> None:
    assert word_of(refusal) in WORDS


def test_every_state_of_an_application_has_a_word() -> None:
    for state in ApplicationState:
        assert f"apply.state_{state.value}" in WORDS
    for outcome in Verification:
        assert outcome is Verification.MATCH or f"apply.reason_{outcome.value}" in WORDS


BIG = 10**30


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (f"/refund/{BIG}/receipt.pdf", 404),
        (f"/usage?text={BIG}&record=-{BIG}", 200),
        ("/sign-in?next=/%E4%B8%AD", 303),
    ],
)
async def test_an_address_that_nobody_was_given_is_answered(me: Self, path: str, status: int) -> None:
    assert (await me.browser.get(path)).status_code == status


@pytest.mark.parametrize(
    ("path", "fields", "status"),
    [
        (f"/port-out/{BIG}/cancel", {}, 404),
        (f"/refund/-{BIG}/cancel", {}, 404),
        ("/apply", {"country": "CA", "number": "+1\0", "card": "1"}, 404),
        ("/apply", {"country": "CA", "number": "+1", "card": "²"}, 404),
        ("/language", {"language": "fr", "next": "/中"}, 303),
        ("/console/sign-in", {"login": "alice\0", "password": "x"}, 422),
        ("/console/welcome", {"login": "alice\0", "one_time_password": "x"}, 422),
    ],
)
async def test_a_form_that_no_page_of_ours_has_is_answered(
    me: Self, path: str, fields: dict[str, str], status: int
) -> None:
    assert (await post(me.browser, path, **fields)).status_code == status


async def test_the_console_does_not_even_read_a_subscribers_file(me: Self) -> None:
    token = token_of((await me.browser.get("/about")).text)
    answer = await me.browser.post(
        "/console/stock/sims/import",
        data={"form_token": token},
        files={"file": ("x.csv", b"x" * 1_000_000, "text/csv")},
    )
    assert answer.status_code == 403


async def test_a_form_that_is_no_text_is_answered(me: Self) -> None:
    part = b'--x\r\nContent-Disposition: form-data; name="language"\r\n\r\n\xff\xfe\r\n--x--\r\n'
    headers = {"content-type": "multipart/form-data; boundary=x"}
    assert (await me.browser.post("/language", content=part, headers=headers)).status_code == 400


async def test_a_word_that_another_left_for_a_page_is_not_said(me: Self) -> None:
    planted = b64encode(b'{"key": "console.said", "values": {"language": "x", "sentence": "x"}}').decode()
    page = await me.browser.get("/about", headers={"cookie": f"said={planted}"})
    assert page.status_code == 200
