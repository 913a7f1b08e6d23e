"""Sessions of network functions on the real ledger: what they reserve, settle, repeat and give back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from charging.desk import Desk, open_desk
from onecard.database.pool import Database
from onecard.gateways.nchf.notify import Notifier
from onecard.gateways.nchf.server import COLLECTION

from .golden import HEAD, PDU_SESSION, SMS_HEAD, container
from .partners import (
    QUICK,
    Callback,
    assert_problem,
    call,
    open_callback,
    open_office,
    path_of,
    reference_in,
)


@dataclass(frozen=True, slots=True)
class Network:
    """A session management function, and the desk that charges for it."""

    desk: Desk
    client: httpx.AsyncClient
    notifier: Notifier
    callback: Callback

    def document(self, number: int, *usage: dict[str, Any], **more: Any) -> dict[str, Any]:
        session = {**PDU_SESSION, "userInformation": {"servedGPSI": f"msisdn-{self.desk.primary[1:]}"}}
        return {
            **HEAD,
            "subscriberIdentifier": f"imsi-{self.desk.card.imsi}",
            "invocationSequenceNumber": number,
            "notifyUri": f"http://{self.callback.address}/notify",
            "multipleUnitUsage": list(usage),
            "pDUSessionChargingInformation": session,
            **more,
        }

    async def open(self, *usage: dict[str, Any], **more: Any) -> httpx.Response:
        return await self.client.post(COLLECTION, json=self.document(0, *usage, **more))

    async def go_on(self, reference: str, number: int, *usage: dict[str, Any]) -> httpx.Response:
        return await self.client.post(path_of(reference, "update"), json=self.document(number, *usage))

    async def end(self, reference: str, number: int, *usage: dict[str, Any]) -> httpx.Response:
        return await self.client.post(path_of(reference, "release"), json=self.document(number, *usage))


def group(rating_group: int, wanted: int | None = None, used: int | None = None) -> dict[str, Any]:
    usage: dict[str, Any] = {"ratingGroup": rating_group}
    if wanted is not None:
        usage["requestedUnit"] = {"totalVolume": wanted}
    if used is not None:
        usage["usedUnitContainer"] = [container(1, totalVolume=used)]
    return usage


@pytest.fixture
async def network(database: Database) -> AsyncIterator[Network]:
    async with open_desk(database) as desk, open_callback(204) as callback:
        notifier = Notifier(desk.control.open_sessions, QUICK)
        async with open_office(desk.control.answer, notifier) as office, call(office) as client:
            yield Network(desk, client, notifier, callback)
        await desk.proved()


async def test_data_is_reserved_used_and_given_back(network: Network) -> None:
    opened = await network.open(group(10, wanted=1_000_000))
    reference = reference_in(opened)
    assert await network.desk.balance() == (990_000, 10_000)
    went_on = await network.go_on(reference, 1, group(10, wanted=2_000_000, used=1_000_000))
    [granted] = went_on.json()["multipleUnitInformation"]
    assert granted["grantedUnit"] == {"totalVolume": 2_000_000}
    assert await network.desk.balance() == (970_000, 20_000)
    ended = await network.end(reference, 2, group(10, used=500_000))
    assert ended.status_code == 204
    assert await network.desk.balance() == (985_000, 0)
    [record] = await network.desk.records()
    assert (record["units"], record["price_micros"], record["rating_group"]) == (1_500_000, 15_000, 10)


async def test_a_session_opens_before_anything_is_used_and_costs_nothing(network: Network) -> None:
    opened = await network.open()
    assert "multipleUnitInformation" not in opened.json()
    reference = reference_in(opened)
    assert await network.desk.balance() == (1_000_000, 0)
    await network.go_on(reference, 1, group(10, wanted=1_000_000))
    assert await network.desk.balance() == (990_000, 10_000)
    assert (await network.end(reference, 2)).status_code == 204
    assert await network.desk.balance() == (1_000_000, 0)


async def test_every_request_may_be_repeated_and_is_charged_once(network: Network) -> None:
    async def twice(first: Awaitable[httpx.Response], second: Awaitable[httpx.Response]) -> httpx.Response:
        answers = await asyncio.gather(first, second)
        assert len({(answer.status_code, answer.text) for answer in answers}) == 1
        return answers[0]

    wanted, used = group(10, wanted=1_000_000), group(10, wanted=1_000_000, used=1_000_000)
    opened = await twice(network.open(wanted), network.open(wanted, retransmissionIndicator=True))
    reference = reference_in(opened)
    await twice(network.go_on(reference, 1, used), network.go_on(reference, 1, used))
    assert await network.desk.balance() == (980_000, 10_000)
    ended = await twice(network.end(reference, 2, used), network.end(reference, 2, used))
    assert ended.status_code == 204
    assert await network.desk.balance() == (980_000, 0)


async def test_a_request_out_of_order_or_after_the_end_is_refused(network: Network) -> None:
    reference = reference_in(await network.open(group(10, wanted=1_000_000)))
    await network.go_on(reference, 2, group(10, wanted=1_000_000))
    assert_problem(await network.go_on(reference, 1, group(10)), 400, "CHARGING_FAILED")
    await network.end(reference, 3)
    assert_problem(await network.go_on(reference, 4, group(10)), 404, "CONTEXT_NOT_FOUND")
    assert_problem(await network.end(reference, 5), 404, "CONTEXT_NOT_FOUND")
    assert await network.desk.balance() == (1_000_000, 0)


async def test_a_grant_is_the_last_when_the_balance_ends_and_then_there_is_none(network: Network) -> None:
    opened = await network.open(group(10, wanted=90_000_000), group(20, wanted=90_000_000))
    first, last = opened.json()["multipleUnitInformation"]
    assert first["grantedUnit"] == {"totalVolume": 90_000_000}
    assert last["grantedUnit"] == {"totalVolume": 10_000_000}
    assert last["finalUnitIndication"] == {"finalUnitAction": "TERMINATE"}
    assert await network.desk.balance() == (0, 1_000_000)
    refused = await network.open(group(10, wanted=1_000), invocationTimeStamp="2026-04-01T19:00:01Z")
    assert_problem(refused, 403, "QUOTA_LIMIT_REACHED")
    reference = reference_in(opened)
    went_on = await network.go_on(reference, 1, group(20, wanted=1_000_000, used=10_000_000))
    [group_of_20] = went_on.json()["multipleUnitInformation"]
    assert group_of_20 == {"ratingGroup": 20, "resultCode": "QUOTA_LIMIT_REACHED"}
    await network.end(reference, 2)
    assert await network.desk.balance() == (900_000, 0)


async def test_a_card_that_is_none_of_ours_is_unknown(network: Network) -> None:
    stranger = {
        "subscriberIdentifier": "imsi-001010000000001",
        "pDUSessionChargingInformation": {"chargingId": 1},
    }
    assert_problem(await network.open(group(10, wanted=1), **stranger), 404, "USER_UNKNOWN")


async def test_a_text_is_debited_once(network: Network) -> None:
    document = {
        **SMS_HEAD,
        "subscriberIdentifier": f"msisdn-{network.desk.primary[1:]}",
        "oneTimeEvent": True,
        "multipleUnitUsage": [{"ratingGroup": 1, "requestedUnit": {"serviceSpecificUnits": 2}}],
        "sMSChargingInformation": {
            "recipientInfo": [{"recipientReceivedAddress": {"sMaddressData": "6045550199"}}]
        },
    }
    for _ in range(2):
        answer = await network.client.post(COLLECTION, json=document)
        assert answer.status_code == 201
        [text] = answer.json()["multipleUnitInformation"]
        assert text["grantedUnit"] == {"serviceSpecificUnits": 2}
    assert await network.desk.balance() == (900_000, 0)


async def test_the_holder_of_a_session_is_asked_to_come_again_after_a_top_up(network: Network) -> None:
    reference_in(await network.open(group(10, wanted=100_000_000)))
    await network.desk.top_up("1.00")
    network.notifier.reauthorize(network.desk.card.account_id)
    await network.callback.until_came(1)
    assert network.callback.came[0][1] == {"notificationType": "REAUTHORIZATION"}


async def test_usage_that_was_never_granted_is_charged_all_the_same(network: Network) -> None:
    reference = reference_in(await network.open(group(10, wanted=1_000_000)))
    went_on = await network.go_on(reference, 1, group(20, used=1_000_000))
    assert went_on.status_code == 200, went_on.text
    await network.end(reference, 2)
    assert await network.desk.balance() == (990_000, 0)


async def test_a_session_that_ends_with_usage_never_granted_ends(network: Network) -> None:
    reference = reference_in(await network.open())
    ended = await network.end(reference, 1, group(10, used=1_000_000))
    assert ended.status_code == 204, ended.text
