"""The end of the service, as a subscriber meets it: the notice, the balance back, the number elsewhere."""

from __future__ import annotations

import io
import re
from enum import Enum

import pypdf
import pytest

import shop
from onecard.database.pool import Connection, connection
from onecard.payments.refunds.actions import change_refund
from onecard.payments.refunds.model import Approve, Refund, RefundedValue, RefundRefusal, RefundState
from onecard.payments.refunds.store import find_refund
from onecard.payments.sides.actions import pay_in_deposit
from onecard.portability.actions import request_port_out
from onecard.portability.model import PortOut, PortRefusal, PortState, PortTerms, Proof
from onecard.values.business import BusinessCalendar
from onecard.values.clock import MovedClock
from onecard.values.gate import NO_ORDER
from onecard.values.hours import parse_hours
from onecard.values.language import Language
from onecard.values.money import Money
from onecard.values.phone import E164
from onecard.web.selfcare.refusals import word_of
from onecard.web.words import WORDS
from onecard.winddown.gatekeeper import Gatekeeper
from web.pages import post
from web.subscriber import CMLINK, Self

PAYEE = {"name": "Wang Fang", "account": "004-12345-9876543", "event": "5f0c4c2e-0000-4000-8000-000000000001"}
SECONDARY = E164("+8613800138000")
OF_STAFF = {
    RefundRefusal.UNKNOWN_CARD,
    RefundRefusal.CARD_IN_USE,
    RefundRefusal.NOT_PAID,
    RefundRefusal.NO_PAYEE,
    RefundRefusal.NOT_STAFF,
    RefundRefusal.SAME_PERSON,
}
"""Refusals of what only staff do."""
MET = {PortRefusal.UNKNOWN_CARD, PortRefusal.CARD_ENDED, PortRefusal.UNKNOWN_PORT, PortRefusal.OVER}


async def the_refund(borrowed: Connection, me: Self) -> Refund:
    refund_id = await borrowed.fetchval("SELECT max(id) FROM refund WHERE part = $1", me.card.part)
    refund = await find_refund(borrowed, me.card.part, refund_id)
    assert refund is not None
    return refund


@pytest.mark.parametrize("language", Language)
async def test_the_notice_says_in_every_language_what_stops_when(
    me: Self, gatekeeper: Gatekeeper, language: Language
) -> None:
    await me.send("/language", language=language.value, next="/")
    assert "2022" not in await me.read("/notice")
    gatekeeper.put_in_force(CMLINK)
    page = await me.read("/notice")
    assert "Maple Bridge" in page
    assert "2022" in page


async def test_without_an_order_no_balance_is_asked_back(me: Self) -> None:
    assert "when the service ends by order" in await me.read("/refund")
    assert 'name="account"' not in await me.read("/refund")
    await me.send("/refund", **PAYEE)
    assert "CA$10.00" in await me.read("/money")


async def test_a_balance_is_asked_back_once_however_often_the_form_is_sent(
    me: Self, gatekeeper: Gatekeeper
) -> None:
    gatekeeper.put_in_force(CMLINK)
    assert "Get CA$10.00 back" in await me.read("/refund")
    page = await me.send("/refund", **PAYEE)
    assert "We have your request" in page
    assert "…543" in page
    assert "9876543" not in page
    await me.send("/refund", **PAYEE)
    assert "already" in await me.send("/refund", **{**PAYEE, "event": "another"})
    async with connection(me.database.pool) as borrowed:
        assert await borrowed.fetchval("SELECT count(*) FROM refund") == 1
        refund = await the_refund(borrowed, me)
    assert (refund.state, refund.verified_how) == (RefundState.VERIFIED, "sign-in by code")
    assert "CA$0.00" in await me.read("/")


async def test_a_deposit_is_asked_back_beside_the_balance_and_shown_with_its_state(
    me: Self, gatekeeper: Gatekeeper
) -> None:
    async with connection(me.database.pool) as borrowed:
        await pay_in_deposit(
            borrowed,
            shop.AT,
            actor="clerk",
            part=me.card.part,
            account_id=me.card.account_id,
            amount=Money(50_000_000, shop.CAD),
            event="deposit 1",
        )
    gatekeeper.put_in_force(CMLINK)
    assert "Deposit: CA$50.00" in await me.read("/refund")
    page = await me.send("/refund", **PAYEE, value="deposits")
    assert "CA$50.00" in page
    assert "Deposit ·" in page
    assert "Get CA$10.00 back" in page
    async with connection(me.database.pool) as borrowed:
        refund = await the_refund(borrowed, me)
    assert (refund.value, refund.state) == (RefundedValue.DEPOSITS, RefundState.VERIFIED)


@pytest.mark.parametrize(
    ("account", "bic", "is_good"),
    [
        ("004-12345-1234567", "", True),
        ("DE89 3704 0044 0532 0130 00", "", True),
        ("6222021234567890123", "ICBKCNBJ", True),
        ("DE89 3704 0044 0532 0130 01", "", False),
        ("6222021234567890123", "", False),
        ("6222021234567890123", "12", False),
        ("", "", False),
    ],
)
async def test_an_account_that_cannot_be_right_is_said_to_be_wrong_and_kept_in_the_form(
    me: Self, gatekeeper: Gatekeeper, account: str, bic: str, is_good: bool
) -> None:
    gatekeeper.put_in_force(CMLINK)
    answer = await post(me.browser, "/refund", **{**PAYEE, "account": account, "bic": bic})
    assert answer.status_code == (303 if is_good else 422)
    if not is_good:
        assert 'id="account-error"' in answer.text
        assert 'value="Wang Fang"' in answer.text


async def test_another_payee_is_named_and_cools_off_and_the_request_can_be_taken_back(
    me: Self, gatekeeper: Gatekeeper
) -> None:
    gatekeeper.put_in_force(CMLINK)
    await me.send("/refund", **PAYEE)
    async with connection(me.database.pool) as borrowed:
        refund = await the_refund(borrowed, me)
    other = {"name": "Wang Fang", "account": "010-00001-7654321"}
    page = await me.send(f"/refund/{refund.id}/payee", **other)
    assert "…321" in page
    assert "nothing is paid before" in page
    assert "on your account again" in await me.send(f"/refund/{refund.id}/cancel")
    assert "CA$10.00" in await me.read("/")
    assert "too far along" in await me.send(f"/refund/{refund.id}/cancel")


async def test_a_refund_that_was_paid_has_its_proof_and_no_other_has(
    me: Self, gatekeeper: Gatekeeper, clock: MovedClock
) -> None:
    gatekeeper.put_in_force(CMLINK)
    await me.send("/refund", **PAYEE)
    async with connection(me.database.pool) as borrowed:
        refund = await the_refund(borrowed, me)
        path = f"/refund/{refund.id}/receipt.pdf"
        assert (await me.browser.get(path)).status_code == 404
        approved = await change_refund(
            borrowed,
            clock.now(),
            actor="staff:bob",
            part=refund.part,
            refund_id=refund.id,
            change=Approve(),
        )
        assert isinstance(approved, Refund), approved
        assert "A second person has approved it" in await me.read("/refund")
        await borrowed.execute(
            "UPDATE refund SET state = 'settled', closed_at = $2 WHERE id = $1", refund.id, clock.now()
        )
    assert "Proof of payment" in await me.read("/refund")
    text = pypdf.PdfReader(io.BytesIO((await me.browser.get(path)).content)).pages[0].extract_text()
    assert "CA$10.00" in text
    assert "Paid out to you" in text


async def test_a_refund_of_somebody_else_is_not_there(me: Self, gatekeeper: Gatekeeper) -> None:
    gatekeeper.put_in_force(CMLINK)
    await me.send("/refund", **PAYEE)
    async with connection(me.database.pool) as borrowed:
        refund = await the_refund(borrowed, me)
        await borrowed.execute("UPDATE refund SET account_id = account_id + 1000 WHERE id = $1", refund.id)
    for path in ("cancel", "payee"):
        answer = await post(me.browser, f"/refund/{refund.id}/{path}", **PAYEE)
        assert answer.status_code == 404, path
    assert (await me.browser.get(f"/refund/{refund.id}/receipt.pdf")).status_code == 404


async def test_nobody_is_erased_while_a_refund_needs_the_key(me: Self, gatekeeper: Gatekeeper) -> None:
    gatekeeper.put_in_force(CMLINK)
    await me.send("/refund", **PAYEE)
    assert "sealed with the same key" in await me.send("/own/erase", sure="yes")


# The number elsewhere


async def port(me: Self, at: MovedClock, pin: str) -> PortOut | object:
    terms = PortTerms(BusinessCalendar(parse_hours("mon-fri 09:00-17:00"), "America/Vancouver"))
    async with connection(me.database.pool) as borrowed:
        return await request_port_out(
            borrowed,
            at.now(),
            actor="porting:cmcc",
            master=shop.MASTER,
            gates=NO_ORDER,
            msisdn=SECONDARY,
            gaining="cmcc",
            reference="R1",
            proof=Proof.PIN,
            pin=pin,
            terms=terms,
        )


async def test_the_pin_that_is_shown_takes_the_number_along_unless_that_is_stopped(
    me: Self, clock: MovedClock
) -> None:
    answer = await post(me.browser, f"/port-out/{me.card.id}/pin")
    shown = re.search(r"<strong>(\d+)</strong>", answer.text)
    assert shown
    ported = await port(me, clock, shown[1])
    assert isinstance(ported, PortOut), ported
    page = await me.read("/port-out")
    assert "to cmcc" in page
    assert "If you never asked for this" in page
    assert "Stopped" in await me.send(f"/port-out/{ported.id}/cancel")
    assert "over already" in await me.send(f"/port-out/{ported.id}/cancel")


async def test_a_port_out_of_somebody_else_cannot_be_stopped(me: Self, clock: MovedClock) -> None:
    assert (await post(me.browser, "/port-out/999/cancel")).status_code == 404
    assert (await post(me.browser, "/port-out/999/pin")).status_code == 404


async def test_after_the_last_day_no_pin_is_given(
    me: Self, gatekeeper: Gatekeeper, clock: MovedClock
) -> None:
    gatekeeper.put_in_force(CMLINK)
    assert "can not be taken elsewhere any more" in await me.read("/port-out")
    assert "This was not done" in await me.send(f"/port-out/{me.card.id}/pin")


# Words


@pytest.mark.parametrize(
    "refusal",
    [*(one for one in RefundRefusal if one not in OF_STAFF), *(one for one in PortRefusal if one in MET)],
    ids=str,
)
def test_every_refusal_that_a_subscriber_can_meet_has_a_word(refusal: Enum) -> None:
    assert word_of(refusal) in WORDS


def test_every_state_has_a_word() -> None:
    for state in RefundState:
        assert f"refund.state_{state.value}" in WORDS
    for value in RefundedValue:
        assert f"refund.kind_{value.value}" in WORDS
    for ported in PortState:
        assert f"port.state_{ported.value}" in WORDS
