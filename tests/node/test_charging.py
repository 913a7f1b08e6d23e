"""A node answers networks, over Nchf and over Diameter, and asks them to come again when something changed."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx

import shop
from gateways.smpp.peers.certificates import make_certificates
from onecard.cards.model import Card
from onecard.catalogue.actions import import_price_book
from onecard.catalogue.model import PriceBook
from onecard.catalogue.reading import read_csv_price_list
from onecard.database.pool import Connection, Database, connection
from onecard.gateways.nchf.consumers import hash_token
from onecard.ledger.actions import top_up
from onecard.story.network import open_network
from onecard.story.place import NETWORK, OUR_HOST, OUR_REALM
from onecard.story.sessions import call_from_card, read_grant
from onecard.values.money import MICROS, Money
from town import PRICES, Town, open_town, sell_card_with_two_lines, stock_up

TOKEN = "a token of the core network"
DIAMETER = {
    "host": OUR_HOST,
    "realm": OUR_REALM,
    "listen": "127.0.0.1:0",
    "peers": [{"host": NETWORK[0]}],
}
CALLS = "call_out,CA,1,0.06,minute\n"
CORE = {"consumers": [{"name": "smf", "token_hash": hash_token(TOKEN)}]}


async def test_a_network_function_charges_a_text_over_http(database: Database) -> None:
    async with connection(database.pool) as borrowed:
        await stock_up(borrowed)
        card = await sell_card_with_two_lines(borrowed)
    async with open_town(database, cards=[card], charging=CORE) as town:
        primary, _ = await town.lines(card)
        asked = {
            "nfConsumerIdentification": {"nodeFunctionality": "SMSF"},
            "invocationTimeStamp": datetime.now(UTC).isoformat(),
            "invocationSequenceNumber": 1,
            "oneTimeEvent": True,
            "oneTimeEventType": "IEC",
            "subscriberIdentifier": f"msisdn-{primary.msisdn.removeprefix('+')}",
            "sMSChargingInformation": {"recipientInfo": [{"recipientGPSI": "msisdn-16045550199"}]},
        }
        for _ in range(2):
            answered = await _post(town, asked)
            assert answered.status_code == 201, answered.text
        assert await town.balance(card) == 9_950_000
        await town.proved()


async def test_networks_may_charge_over_tls(database: Database, tmp_path: Path) -> None:
    made = make_certificates(tmp_path)
    files = {"certificate": str(made.certificate), "key": str(made.key)}
    http = {"listen": "127.0.0.1:0", "tls": {"listen": "127.0.0.1:0", **files}}
    async with connection(database.pool) as borrowed:
        await stock_up(borrowed)
    async with open_town(database, charging=CORE, http=http) as town:
        trusting = ssl.create_default_context(cafile=str(made.authority))
        url = f"https://{town.node.addresses.http_tls}/nchf-convergedcharging/v3/chargingdata"
        async with httpx.AsyncClient(verify=trusting, http2=True) as client:
            answered = await client.post(url, json={}, headers={"authorization": f"Bearer {TOKEN}"})
    assert (answered.status_code, answered.http_version) == (400, "HTTP/2")


async def test_a_stranger_charges_nothing(database: Database) -> None:
    async with connection(database.pool) as borrowed:
        await stock_up(borrowed)
        card = await sell_card_with_two_lines(borrowed)
    async with open_town(database, cards=[card], charging=CORE) as town:
        assert (await _post(town, {}, "another token")).status_code == 401


async def _post(town: Town, document: dict[str, object], token: str = TOKEN) -> httpx.Response:
    url = f"http://{town.node.addresses.http}/nchf-convergedcharging/v3/chargingdata"
    async with httpx.AsyncClient() as client:
        return await client.post(url, json=document, headers={"authorization": f"Bearer {token}"})


async def test_networks_are_asked_to_come_again_when_prices_change_and_when_money_comes(
    database: Database,
) -> None:
    async with connection(database.pool) as borrowed:
        await stock_up(borrowed)
        await _import_prices(borrowed, shop.AT, shop.AT + timedelta(days=2))
        card = await sell_card_with_two_lines(borrowed)
    async with open_town(database, cards=[card], diameter=DIAMETER) as town:
        primary, _ = await town.lines(card)
        asked_again: list[str] = []
        assert town.node.addresses.diameter is not None
        host, port = town.node.addresses.diameter.split(":")
        network = await open_network(host, int(port), NETWORK, asked_again.append)
        call = call_from_card(primary.msisdn, "6045550199")
        assert read_grant(await network.charge(call.open(60))).units == 60
        async with connection(database.pool) as borrowed:
            now = datetime.now(UTC)
            await _import_prices(borrowed, now, now + timedelta(minutes=5))
        await town.settle(lambda: asked_again == [call.id], "the request after the prices changed")
        await _top_up(database, card)
        await town.settle(lambda: asked_again == [call.id] * 2, "the request after the top-up")
        await network.close()


async def _import_prices(borrowed: Connection, at: datetime, effective_from: datetime) -> None:
    prices = read_csv_price_list(
        [*PRICES, CALLS], name="with calls", currency=shop.CAD, effective_from=effective_from
    )
    book = await import_price_book(borrowed, at, actor=shop.STAFF, prices=prices)
    assert isinstance(book, PriceBook), book


async def _top_up(database: Database, card: Card) -> None:
    async with connection(database.pool) as borrowed:
        await top_up(
            borrowed,
            datetime.now(UTC),
            actor=shop.STAFF,
            part=card.part,
            account_id=card.account_id,
            amount=Money(MICROS, shop.CAD),
            event="a later top-up",
        )
