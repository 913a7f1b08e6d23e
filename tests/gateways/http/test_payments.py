"""Payment providers and the operator's own systems, over a real socket."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

import shop
from onecard.cards.model import Card
from onecard.database.pool import Database, connection
from onecard.gateways.http.payments import STATUS_OF_REFUND, STATUS_OF_TOP_UP, STATUS_OF_VOUCHER
from onecard.gateways.http.signature import TOLERANCE, is_signed, sign
from onecard.gateways.nchf.consumers import hash_token
from onecard.ledger import TopUpRefusal, check_ledger, find_account
from onecard.payments.actions import make_vouchers
from onecard.payments.model import VoucherRefusal
from onecard.values.clock import MovedClock
from onecard.values.gate import NO_ORDER, Capability, Closed
from onecard.values.money import Money
from onecard.winddown.model import Stage
from onecard.winddown.rules import to_instant
from orders import start_order
from town import Town, open_town, sell_card_with_two_lines, stock_up
from winddown.plans import TORONTO, local, make_plan

SECRET, TOKEN = b"a secret of thirty-two octets ok", "the-token-of-the-shop"
AUTH = {"authorization": f"Bearer {TOKEN}"}


@pytest.fixture
async def card(database: Database) -> Card:
    async with connection(database.pool) as borrowed:
        await stock_up(borrowed)
        return await sell_card_with_two_lines(borrowed)


@pytest.fixture
def payments(tmp_path: Path) -> dict[str, Any]:
    secret = tmp_path / "secret"
    secret.write_bytes(SECRET)
    return {
        "providers": [{"name": "stripe", "secret_file": str(secret)}],
        "clients": [{"name": "shop", "token_hash": hash_token(TOKEN)}],
    }


@pytest.fixture
async def town(database: Database, card: Card, payments: dict[str, Any]) -> AsyncIterator[Town]:
    async with open_town(database, cards=[card], clock=MovedClock(shop.AT), payments=payments) as town:
        yield town


@pytest.fixture
async def client(town: Town) -> AsyncIterator[httpx.AsyncClient]:
    base = f"http://{town.node.addresses.http}"
    async with httpx.AsyncClient(base_url=base, trust_env=False) as client:
        yield client


@pytest.fixture
async def number(town: Town, card: Card) -> str:
    return (await town.lines(card))[0].msisdn


async def tell(
    client: httpx.AsyncClient,
    body: dict[str, Any] | bytes,
    *,
    at: datetime = shop.AT,
    secret: bytes = SECRET,
    provider: str = "stripe",
) -> httpx.Response:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"onecard-provider": provider, "onecard-signature": sign(secret, content, at)}
    return await client.post("/payments/top-ups", content=content, headers=headers)


def payment(number: str, /, **changes: Any) -> dict[str, Any]:
    told = {"event": "E1", "reference": "pi_1", "amount": "20.00", "currency": "CAD", "number": number}
    return {name: value for name, value in {**told, **changes}.items() if value is not None}


async def test_a_payment_tops_up_once(town: Town, client: httpx.AsyncClient, number: str, card: Card) -> None:
    before = await town.balance(card)
    first, again = [await tell(client, payment(number)) for _ in range(2)]
    assert first.json() == {"account": card.account_id, "repeated": False, "refund": None}
    assert again.json() == {"account": card.account_id, "repeated": True, "refund": None}
    by_id = await tell(client, payment(number, event="E2", number=None, account=card.account_id))
    assert by_id.status_code == 200
    assert await town.balance(card) == before + 40_000_000
    assert (await tell(client, payment(number, amount="21.00"))).status_code == 409
    async with connection(town.database.pool) as borrowed:
        assert not (await check_ledger(borrowed)).violations


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"number": "+16045550999"}, 422),
        ({"number": "nonsense"}, 400),
        ({"account": 7}, 400),
        ({"number": None}, 400),
        ({"number": None, "account": 10**15}, 422),
        ({"number": None, "account": 2**63}, 400),
        ({"amount": "-1"}, 400),
        ({"amount": "0"}, 400),
        ({"amount": "a lot"}, 400),
        ({"amount": "0.0000001"}, 400),
        ({"currency": "USD"}, 422),
        ({"currency": "dollars"}, 400),
        ({"event": ""}, 400),
        ({"reference": "x" * 35}, 400),
        ({"reference": "x\0"}, 400),
        ({"reference": "\ud800"}, 400),
        ({"event": "\ud800"}, 400),
        ({"name": "Wang Fang"}, 400),
    ],
)
async def test_a_payment_that_is_not_right_is_refused(
    client: httpx.AsyncClient, number: str, changes: dict[str, Any], status: int
) -> None:
    answer = await tell(client, payment(number, **changes))
    assert (answer.status_code, answer.json()["status"]) == (status, status), answer.text
    assert answer.headers["content-type"] == "application/problem+json"


async def test_only_a_provider_is_believed_and_only_for_a_while(
    client: httpx.AsyncClient, number: str, town: Town, card: Card
) -> None:
    before = await town.balance(card)
    told = payment(number)
    refused = [
        await tell(client, told, secret=b"another secret"),
        await tell(client, told, provider="paypal"),
        await tell(client, told, at=shop.AT - TOLERANCE - timedelta(seconds=1)),
        await tell(client, told, at=shop.AT + TOLERANCE + timedelta(seconds=1)),
        await client.post("/payments/top-ups", json=told),
        await client.post("/payments/top-ups", json=told, headers={"onecard-provider": "stripe"}),
    ]
    assert [answer.status_code for answer in refused] == [401] * 6
    assert (await tell(client, b"x" * 5000)).status_code == 413
    assert (await tell(client, b"{")).status_code == 400
    assert (await tell(client, b'{"event": "\xff"}')).status_code == 400
    assert await town.balance(card) == before
    assert (await tell(client, told, at=shop.AT - TOLERANCE)).status_code == 200


@given(body=st.binary(max_size=50), other=st.binary(max_size=50), seconds=st.integers(-600, 600))
def test_a_signature_is_of_one_body_and_one_time(body: bytes, other: bytes, seconds: int) -> None:
    at = shop.AT + timedelta(seconds=seconds)
    header = sign(SECRET, body, at)
    assert is_signed(SECRET, body, header, shop.AT) == (abs(seconds) <= 300)
    if other != body:
        assert not is_signed(SECRET, other, header, at)
    assert not is_signed(SECRET, body, header.replace("t=", "t=1"), at)


@given(header=st.text(max_size=100))
def test_whatever_stands_in_the_header_is_no_signature(header: str) -> None:
    assert not is_signed(SECRET, b"", header, shop.AT)


async def test_a_refund_is_not_requested_before_the_order_opens_it(
    client: httpx.AsyncClient, number: str
) -> None:
    answer = await client.post("/payments/refunds", json={"event": "1", "number": number}, headers=AUTH)
    assert (answer.status_code, "refund is closed" in answer.json()["detail"]) == (409, True)


ENDS = local("2026-05-01")
"""On the clock of Toronto."""
LATER = to_instant(ENDS, TORONTO) + timedelta(hours=1)


@pytest.fixture
async def ending(database: Database, card: Card, payments: dict[str, Any]) -> AsyncIterator[Town]:
    """The town when an order has closed top-ups and opened refunds."""
    stage = Stage("refunds begin", ENDS, frozenset({Capability.TOP_UP}), frozenset({Capability.REFUND}))
    async with connection(database.pool) as borrowed:
        await start_order(borrowed, shop.AT, make_plan(stage))
    async with open_town(database, cards=[card], clock=MovedClock(LATER), payments=payments) as town:
        yield town


async def test_under_an_order_a_refund_is_requested_once_and_late_money_goes_back(
    ending: Town, card: Card
) -> None:
    number = (await ending.lines(card))[0].msisdn
    base = f"http://{ending.node.addresses.http}"
    wish = {
        "event": "web-1",
        "number": number,
        "proof": "sign-in",
        "payee": {"name": "Wang Fang", "canadian": "004-12345-9876501"},
    }
    async with httpx.AsyncClient(base_url=base, trust_env=False) as client:
        asked = [await client.post("/payments/refunds", json=wish, headers=AUTH) for _ in range(2)]
        assert asked[0].json() == asked[1].json()
        told = asked[0].json()
        assert (told["amount"], told["state"], told["payee"]) == ("10.00", "verified", "…501")
        path = f"/payments/refunds/{told['refund']}"
        assert (await client.get(path, headers=AUTH)).json() == told
        other = await client.post("/payments/refunds", json={**wish, "event": "web-2"}, headers=AUTH)
        assert other.status_code == 409
        late = (await tell(client, payment(number), at=LATER)).json()
        assert late["refund"] not in (None, told["refund"])
        again = (await tell(client, payment(number), at=LATER)).json()
        assert again == {**late, "repeated": True}
    async with connection(ending.database.pool) as borrowed:
        account = await find_account(borrowed, card.part, card.account_id)
        assert account is not None
        assert (account.available_micros, account.held_micros) == (0, 30_000_000)


@pytest.mark.parametrize(
    ("changes", "detail"),
    [
        ({"payee": {"name": "Wang"}}, "payee"),
        ({"payee": {"name": "Wang", "iban": "GB83WEST12345698765432"}}, "payee"),
        ({"value": "late_payments"}, "cash or deposits"),
        ({"amount": "x"}, "not an amount"),
        ({"number": "x"}, ""),
        ({"account": 1}, "give a number, or an account"),
        ({"proof": "\0"}, ""),
    ],
)
async def test_a_request_that_makes_no_sense_is_refused(
    client: httpx.AsyncClient, number: str, changes: dict[str, Any], detail: str
) -> None:
    wish = {"event": "1", "number": number, **changes}
    answer = await client.post("/payments/refunds", json=wish, headers=AUTH)
    assert (answer.status_code, detail in answer.json()["detail"]) == (400, True), answer.text


@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer x"}, {"authorization": f"Basic {TOKEN}"}])
async def test_who_has_no_token_gets_nothing(
    client: httpx.AsyncClient, number: str, headers: dict[str, str]
) -> None:
    answers = [
        await client.post("/payments/refunds", json={"event": "1", "number": number}, headers=headers),
        await client.post("/payments/vouchers/redeem", json={"number": number, "pin": "1"}, headers=headers),
        await client.get("/payments/refunds/1", headers=headers),
    ]
    assert [answer.status_code for answer in answers] == [401] * 3
    assert answers[0].headers["www-authenticate"].startswith("Bearer")


async def test_there_is_no_refund_of_an_unknown_number(client: httpx.AsyncClient) -> None:
    for number in (1, 0, 2**63):
        assert (await client.get(f"/payments/refunds/{number}", headers=AUTH)).status_code == 404


async def test_a_voucher_is_redeemed_once(town: Town, client: httpx.AsyncClient, number: str) -> None:
    async with connection(town.database.pool) as borrowed:
        made = await make_vouchers(
            borrowed,
            shop.AT,
            actor=shop.STAFF,
            gates=NO_ORDER,
            master=shop.MASTER,
            face=Money(20_000_000, shop.CAD),
            count=1,
            expires_at=shop.AT + timedelta(days=30),
        )
    assert not isinstance(made, VoucherRefusal | Closed)
    wish = {"number": number, "pin": made[1][0].pin}
    for is_repeated in (False, True):
        answer = await client.post("/payments/vouchers/redeem", json=wish, headers=AUTH)
        assert (answer.json()["amount"], answer.json()["repeated"]) == ("20.00", is_repeated)
    wrong = await client.post("/payments/vouchers/redeem", json={**wish, "pin": "12"}, headers=AUTH)
    assert wrong.status_code == 400
    late = await client.post("/payments/vouchers/redeem", json={**wish, "for_refund": True}, headers=AUTH)
    assert late.json()["repeated"]


def test_every_refusal_has_its_status() -> None:
    assert set(STATUS_OF_TOP_UP) == set(TopUpRefusal)
    of_staff = {"bad_face", "bad_count", "expired_already", "unknown_batch", "unknown_serial"}
    assert {refusal.value for refusal in STATUS_OF_VOUCHER} == {
        one.value for one in VoucherRefusal
    } - of_staff
    assert all(400 <= status < 500 for status, _ in STATUS_OF_REFUND.values())
