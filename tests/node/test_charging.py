"""A node answers networks: over Nchf, with the session on its own ledger."""

from __future__ import annotations

from datetime import UTC, datetime

import httpx

from onecard.database.pool import Database, connection
from onecard.gateways.nchf.consumers import hash_token
from town import Town, open_town, sell_card_with_two_lines, stock_up

TOKEN = "a token of the core network"
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
