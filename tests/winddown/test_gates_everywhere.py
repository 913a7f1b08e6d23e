"""Every way in, one second before each stage of the plan of CMLink in Canada and at it.

What has not ended is done; what has is refused with the name of the stage that ended it, or in the words of whoever
asked; what is protected goes on to the end.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gateways.nchf.partners import open_callback
from onecard.catalogue.store import load_tariff
from onecard.charging.subscriptions import renew_due
from onecard.database.pool import Database, connection
from onecard.gateways.diameter.constants import ResultCode
from onecard.gateways.http.signature import sign
from onecard.story.sessions import call_from_card, data_of_card, read_grant
from onecard.switching.model import TextRefusal
from onecard.values.address import international, unknown
from onecard.values.gate import Capability
from onecard.values.phone import E164
from onecard.winddown.model import Stage
from onecard.winddown.reading import PlanFile, read_plan
from onecard.winddown.rules import to_local
from town import to_number
from winddown.place import DATA, NAMED, PROVIDER_SECRET, TORONTO, Place, of_status, open_place

FILE = Path(__file__).parents[2] / "plans" / "cmlink-canada-2021.toml"
PLAN = read_plan(FILE.read_text(encoding="utf-8")).plan
SALES_END, OPERATIONS_CEASE, SERVICE_ENDS = (stage.name for stage in PLAN.stages)
SECOND = timedelta(seconds=1)
BOUNDARIES = {
    SALES_END: datetime(2021, 12, 28, 5, tzinfo=UTC),
    OPERATIONS_CEASE: datetime(2022, 1, 5, 5, tzinfo=UTC),
    SERVICE_ENDS: datetime(2022, 4, 1, 4, tzinfo=UTC),
}
FRIEND = international("+8613900001111")
BANK = unknown("95588")
NEWCOMER = ("--name", "Li Na", "--email", "li.na@example.com")
LOST = "lost before the number was taken elsewhere"
REFUSED = "ESME_RX_P_APPN"

Ask = Callable[[Place], Awaitable[str]]


@dataclass(frozen=True, slots=True)
class Way:
    """A way in: the stage that ends it (None: no stage does), and what is told from then on, besides its name."""

    ask: Ask
    ended_by: str | None
    told: str = ""
    begun_by: str | None = None
    """The stage that begins it; None: it is there before."""


def command(*words: str) -> Ask:
    """A command of staff: `CARD` and `SECONDARY` are numbers of the card in use, `PLAN` of the one that has a plan."""

    def ask(place: Place) -> Awaitable[str]:
        names = {
            "CARD": place.primary,
            "SECONDARY": place.secondary,
            "PLAN": place.numbers[place.with_plan.id],
        }
        return place.command(*(names.get(word, word) for word in words))

    return ask


async def top_up(place: Place) -> str:
    reference = f"payment at {place.clock.now()}"
    return await place.command("account", "topup", place.primary, "20", "--reference", reference)


async def redeem_by_staff(place: Place) -> str:
    pin = place.vouchers.pop().pin
    return await place.command("account", "topup", f"card:{place.card.id}", "--voucher", pin)


async def redeem_by_text(place: Place) -> str:
    answer = await place.order(f"TOPUP {place.vouchers.pop().pin}")
    return "" if "20.00" in answer else answer


async def make_vouchers(place: Place) -> str:
    file = f"pins-{place.clock.now().timestamp()}.csv"
    return await place.command("voucher", "make", "20", "2", "--expires", "2023-01-01", "--file", file)


async def sell_to_known(place: Place) -> str:
    return await place.command("card", "sell", "--subscriber", str(place.card.subscriber_id))


async def activate(place: Place) -> str:
    return await place.command("card", "activate", place.numbers[place.unused.pop().id])


async def first_text(place: Place) -> str:
    return await place.text(place.numbers[place.unused.pop().id], "6045550199")


async def first_call(place: Place) -> str:
    return await place.open(call_from_card(place.numbers[place.unused.pop().id], "6045550199"))


async def call_for_help(place: Place) -> str:
    answer = await place.open(call_from_card(place.primary, "911"))
    return "" if answer.startswith("CREDIT_CONTROL_NOT_APPLICABLE") else answer


async def ask_for_balance(place: Place) -> str:
    answer = await place.order("BALANCE")
    return "" if "余额" in answer else answer


def text(dialled: str) -> Ask:
    return lambda place: place.text(place.primary, dialled)


def call(dialled: str) -> Ask:
    return lambda place: place.open(call_from_card(place.primary, dialled))


async def open_data(place: Place) -> str:
    return await place.open(data_of_card(place.primary), 1000)


async def text_of_home_operator(place: Place) -> str:
    return of_status(await place.town.home.send(to_number(FRIEND, place.secondary, "hello")))


async def code_of_bank(place: Place) -> str:
    return of_status(await place.town.bank.send(to_number(BANK, place.secondary, "code 123456")))


async def code_of_bank_to_primary(place: Place) -> str:
    return of_status(await place.town.bank.send(to_number(BANK, place.primary, "code 123456")))


async def ask_for_refund(place: Place) -> str:
    """A part of it, of another card each time: one refund of an account is open at a time."""
    return await place.command("refund", "request", f"card:{place.unused.pop().id}", "--amount", "0.01")


async def redeem_for_refund(place: Place) -> str:
    return await place.command("refund", "voucher", f"card:{place.card.id}", place.vouchers.pop().pin)


async def redeem_over_http(place: Place) -> str:
    wish = {"number": place.primary, "pin": place.vouchers.pop().pin}
    async with place.call() as client:
        answer = await client.post("/payments/vouchers/redeem", json=wish)
    return "" if answer.status_code == 200 else answer.text


async def tell_of_payment(place: Place) -> str:
    """What comes late is not lost: it is held, to go back."""
    event = f"payment of {place.clock.now()}"
    told = {"event": event, "reference": "pi_1", "amount": "20.00", "currency": "CAD"}
    body = json.dumps({**told, "number": place.numbers[place.unused.pop().id]}).encode()
    signature = sign(PROVIDER_SECRET, body, place.clock.now())
    headers = {"onecard-provider": "stripe", "onecard-signature": signature}
    async with place.call() as client:
        answer = await client.post("/payments/top-ups", content=body, headers=headers)
    return "" if answer.json()["refund"] is None else "it goes back"


async def ask_for_port_pin(place: Place) -> str:
    answer = await place.order("PORT")
    return "" if "授权码" in answer else answer


WAYS = {
    "a sale": Way(command("card", "sell", *NEWCOMER), SALES_END),
    "a sale to a subscriber": Way(sell_to_known, SALES_END),
    "a top-up": Way(top_up, SALES_END),
    "a voucher, by staff": Way(redeem_by_staff, SALES_END),
    "a voucher, by text": Way(redeem_by_text, SALES_END, "充值业务已停止"),
    "a voucher, over HTTP": Way(redeem_over_http, SALES_END, "top_up is closed by the order"),
    "a payment, told by its provider": Way(tell_of_payment, SALES_END, "it goes back"),
    "new vouchers": Way(make_vouchers, SALES_END),
    "another SIM": Way(command("card", "replace", "CARD"), SALES_END),
    "another SIM, by exception": Way(command("card", "replace", "CARD", "--exception", LOST), SERVICE_ENDS),
    "an application": Way(command("line", "apply", "CARD", "--country", "CN"), SALES_END),
    "a plan": Way(command("plan", "subscribe", "CARD", "Small"), SALES_END),
    "a change of plan": Way(command("plan", "change", "PLAN", "Small"), SALES_END),
    "an activation": Way(activate, OPERATIONS_CEASE),
    "the first text of a card": Way(first_text, OPERATIONS_CEASE, REFUSED),
    "the first call of a card": Way(first_call, OPERATIONS_CEASE),
    "a text": Way(text("6045550199"), SERVICE_ENDS, REFUSED),
    "a text from a secondary line": Way(text("12583113800138000"), SERVICE_ENDS, REFUSED),
    "a text to a secondary line": Way(text_of_home_operator, SERVICE_ENDS, REFUSED),
    "a bank's code": Way(code_of_bank_to_primary, SERVICE_ENDS, REFUSED),
    "a bank's code to a secondary line": Way(code_of_bank, SERVICE_ENDS, REFUSED),
    "a text, over Nchf": Way(lambda place: place.post(NAMED), SERVICE_ENDS),
    "data, over Nchf": Way(lambda place: place.post(DATA), SERVICE_ENDS),
    "a call": Way(call("6045550199"), SERVICE_ENDS),
    "a call from a secondary line": Way(call("12583113800138000"), SERVICE_ENDS),
    "data": Way(open_data, SERVICE_ENDS),
    "a PIN to take the number elsewhere": Way(ask_for_port_pin, SERVICE_ENDS, "携号转网业务已停止"),
    "a refund": Way(ask_for_refund, None, begun_by=SALES_END),
    "a voucher that is to be refunded": Way(redeem_for_refund, None, begun_by=SALES_END),
    "a command by text": Way(ask_for_balance, None),
    "an emergency call": Way(call_for_help, None),
    "the end of a line": Way(command("line", "end", "SECONDARY"), None),
}


@pytest.fixture
async def place(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Place]:
    async with open_place(database, tmp_path, monkeypatch, PLAN) as place:
        yield place


def has_come(stage: str | None, now: datetime) -> bool:
    return stage is not None and BOUNDARIES[stage] <= now


def expected_of(way: Way, now: datetime) -> str:
    """What a refusal must say; nothing where none is due."""
    if way.begun_by is not None and not has_come(way.begun_by, now):
        return way.begun_by
    return (way.told or str(way.ended_by)) if has_come(way.ended_by, now) else ""


async def test_every_way_in_is_open_to_the_second_of_its_stage_and_closed_from_it_on(place: Place) -> None:
    for boundary in BOUNDARIES.values():
        for now in (boundary - SECOND, boundary):
            place.clock.move_to(now)
            for name, way in WAYS.items():
                said, expected = await way.ask(place), expected_of(way, now)
                assert bool(said) is bool(expected), (now, name, said)
                assert expected in said, (now, name, said)
    await place.town.proved()


async def test_a_plan_is_renewed_for_its_fee_then_for_nothing_and_then_not_any_more(place: Place) -> None:
    """It is renewed on the 28th: of December, at the very second from which fees are not taken any more."""
    spent = {}
    for month, day in ((11, 28), (12, 28), (1, 28), (2, 28), (3, 28), (4, 28)):
        instant = datetime(2021 + (month < 6), month, day, tzinfo=TORONTO)
        before = await place.town.balance(place.with_plan)
        place.clock.move_to(instant)
        await renew(place)
        spent[f"{month}-{day}"] = before - await place.town.balance(place.with_plan)
    assert spent == {"11-28": 10_000_000, "12-28": 0, "1-28": 0, "2-28": 0, "3-28": 0, "4-28": 0}
    assert await place.audited("renew_plan_free") == [SALES_END] * 4
    assert await place.audited("end_plan") == [SERVICE_ENDS]
    await place.town.proved()


async def renew(place: Place) -> None:
    pool, now = place.town.database.pool, place.clock.now()
    async with connection(pool) as borrowed:
        tariff = await load_tariff(borrowed)
    gates = place.town.node.gatekeeper.at
    await renew_due(pool, place.with_plan.part, tariff, TORONTO, now, gates=gates)


async def test_open_sessions_are_ended_when_the_stage_comes_and_what_they_used_is_settled(
    place: Place,
) -> None:
    place.clock.move_to(BOUNDARIES[SERVICE_ENDS] - timedelta(minutes=30))
    asked = call_from_card(place.primary, "6045550199")
    [service] = (await place.network.charge(asked.open(600))).services
    assert service.validity_seconds == 30 * 60
    place.clock.move_to(BOUNDARIES[SERVICE_ENDS])
    await place.town.settle(lambda: place.aborted == [asked.id], "the end of the call")
    assert read_grant(await place.network.charge(asked.end(590))).result_code == ResultCode.SUCCESS
    await place.town.proved()


async def test_the_holder_of_a_session_over_nchf_is_told_to_end_it(place: Place) -> None:
    place.clock.move_to(BOUNDARIES[SERVICE_ENDS] - timedelta(minutes=30))
    async with open_callback(204) as callback:
        notified = {**DATA, "notifyUri": f"http://{callback.address}/notify"}
        opened = await place.send(notified, 1)
        [information] = opened.json()["multipleUnitInformation"]
        assert information["validityTime"] == 30 * 60
        place.clock.move_to(BOUNDARIES[SERVICE_ENDS])
        await callback.until_came(1)
        ended = await place.send({}, 2, f"{opened.headers['location']}/release")
    assert [came["notificationType"] for _, came in callback.came] == ["ABORT_CHARGING"]
    assert ended.status_code == 204
    await place.town.proved()


async def test_who_holds_a_session_is_asked_to_come_again_when_the_host_is_to_cut_early(place: Place) -> None:
    place.clock.move_to(BOUNDARIES[SALES_END] - timedelta(days=1))
    asked = call_from_card(place.primary, "6045550199")
    [service] = (await place.network.charge(asked.open(600))).services
    assert service.validity_seconds == 60 * 60
    cut = Stage(
        "the host cuts calls",
        to_local(place.clock.now() + timedelta(minutes=20), PLAN.time_zone),
        closes=frozenset({Capability.VOICE}),
        is_by_host=True,
    )
    place.town.node.gatekeeper.put_in_force(PlanFile(replace(PLAN, stages=(*PLAN.stages, cut)), ()))
    await place.town.settle(lambda: place.asked_again == [asked.id], "the question to come again")
    [service] = (await place.network.charge(asked.go_on(60, 600))).services
    assert service.validity_seconds == 20 * 60
    assert place.aborted == []


async def test_once_support_has_ended_no_command_is_obeyed_and_no_notice_told(place: Place) -> None:
    ended = Stage(
        "support ends",
        to_local(place.clock.now(), PLAN.time_zone),
        closes=frozenset({Capability.SUPPORT}),
    )
    place.town.node.gatekeeper.put_in_force(PlanFile(replace(PLAN, stages=(ended,)), ()))
    assert await place.order("BALANCE") == REFUSED
    entry = await place.town.node.directory.find(E164(place.primary))
    assert entry is not None
    assert await place.town.node.acceptor.tell(entry, "hello") is TextRefusal.SUPPORT_ENDED
    assert place.town.host.texts == []
