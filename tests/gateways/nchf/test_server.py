"""The application over real sockets: sessions, repeats, who may ask, and what is turned away."""

from __future__ import annotations

import asyncio
import json
import random
from typing import Any

import httpx
import pytest

from onecard.charging.model import Operation, Result
from onecard.gateways.nchf import server
from onecard.gateways.nchf.consumers import Consumer, may_notify
from onecard.gateways.nchf.server import API, BODY_OCTETS_MOST, COLLECTION
from onecard.gateways.nchf.translate import PROBLEMS

from .golden import ASKED, HEAD, OPENED
from .partners import (
    JSON,
    OTHER_TOKEN,
    QUIET_TOKEN,
    SMF,
    TOKEN,
    Till,
    assert_problem,
    call,
    open_office,
    path_of,
    reference_in,
    until,
)
from .specification import assert_valid

GOES_ON = {
    **HEAD,
    "invocationSequenceNumber": 2,
    "multipleUnitUsage": [{"ratingGroup": 10, "requestedUnit": {"totalVolume": 5000}}],
}
ENDS = {**HEAD, "invocationSequenceNumber": 3}


@pytest.mark.parametrize("http2", [True, False])
async def test_a_session_is_opened_goes_on_and_ends(http2: bool) -> None:
    async with open_office() as office, call(office, http2=http2) as client:
        opened = await client.post(COLLECTION, json=OPENED)
        assert opened.http_version == ("HTTP/2" if http2 else "HTTP/1.1")
        reference = reference_in(opened)
        went_on = await client.post(path_of(reference, "update"), json=GOES_ON)
        assert went_on.status_code == 200
        for answer in (opened, went_on):
            assert answer.headers["content-type"] == JSON
            assert_valid(answer.json(), "ChargingDataResponse")
        [group] = went_on.json()["multipleUnitInformation"]
        assert (group["ratingGroup"], group["grantedUnit"]) == (10, {"totalVolume": 5000})
        ended = await client.post(path_of(reference, "release"), json=ENDS)
        assert (ended.status_code, ended.content) == (204, b"")
        operations = [asked.operation for asked in office.till.asked]
        assert operations == [Operation.INITIAL, Operation.UPDATE, Operation.TERMINATE]
        assert [asked.number for asked in office.till.asked] == [1, 2, 3]
        assert len({asked.session_id for asked in office.till.asked}) == 1


@pytest.mark.parametrize("asked", ASKED, ids=lambda asked: asked.name)
async def test_every_golden_document_is_answered_as_the_specification_says(asked: Any) -> None:
    async with open_office() as office, call(office) as client:
        if asked.operation in (Operation.INITIAL, Operation.DEBIT):
            answer = await client.post(COLLECTION, json=asked.document)
            reference_in(answer)
        else:
            reference = reference_in(await client.post(COLLECTION, json=OPENED))
            verb = "update" if asked.operation is Operation.UPDATE else "release"
            answer = await client.post(path_of(reference, verb), json=asked.document)
        if answer.status_code != 204:
            assert_valid(answer.json(), "ChargingDataResponse")
        assert office.till.asked[-1].usage is asked.usage
        assert office.till.asked[-1].operation is asked.operation


async def test_a_repeated_initial_request_names_the_same_session_and_any_other_names_its_own() -> None:
    others = [
        {**OPENED, "invocationTimeStamp": "2026-04-01T12:00:00.26-07:00"},
        {**OPENED, "subscriberIdentifier": "imsi-302720000000002"},
        {**OPENED, "pDUSessionChargingInformation": {"chargingId": 78}},
        {**OPENED, "chargingId": 78},
    ]
    async with open_office() as office, call(office) as client:
        first = reference_in(await client.post(COLLECTION, json=OPENED))
        written_anew = json.dumps(dict(reversed(list(OPENED.items()))), indent=2)
        for body in (
            json.dumps({"retransmissionIndicator": True, **OPENED}),
            json.dumps({**OPENED, "retransmissionIndicator": False}),
            written_anew,
        ):
            answer = await client.post(COLLECTION, content=body, headers={"content-type": JSON})
            assert reference_in(answer) == first
        references = {reference_in(await client.post(COLLECTION, json=other)) for other in others}
        assert len(references | {first}) == len(others) + 1


async def test_another_node_gives_the_same_reference() -> None:
    references = set()
    for _ in range(2):
        async with open_office() as office, call(office) as client:
            references.add(reference_in(await client.post(COLLECTION, json=OPENED)))
    assert len(references) == 1


async def test_the_reference_of_one_consumer_means_nothing_to_another() -> None:
    async with open_office() as office, call(office) as mine, call(office, OTHER_TOKEN) as theirs:
        document = {key: value for key, value in OPENED.items() if key != "notifyUri"}
        reference = reference_in(await mine.post(COLLECTION, json=document))
        assert reference_in(await theirs.post(COLLECTION, json=document)) != reference
        await mine.post(path_of(reference, "update"), json=GOES_ON)
        await theirs.post(path_of(reference, "update"), json=GOES_ON)
        assert office.till.asked[2].session_id == office.till.asked[0].session_id
        assert office.till.asked[3].session_id not in {asked.session_id for asked in office.till.asked[:3]}


@pytest.mark.parametrize("result", PROBLEMS)
async def test_a_refusal_is_a_problem_with_its_cause(result: Result) -> None:
    till = Till(result=result)
    status, cause, _ = PROBLEMS[result]
    async with open_office(till=till) as office, call(office) as client:
        for path in (COLLECTION, path_of("d" + "0" * 40, "update"), path_of("d" + "0" * 40, "release")):
            answer = await client.post(path, json=OPENED)
            assert_problem(answer, status.value, cause.value)
            assert ("retry-after" in answer.headers) is (result is Result.BUSY)


@pytest.mark.parametrize(
    "reference", ["1", "x" + "0" * 40, "d" + "0" * 39, "d" + "G" * 40, "d" * 2000, "%00"]
)
async def test_a_reference_that_is_none_of_ours_is_not_even_looked_up(reference: str) -> None:
    async with open_office() as office, call(office) as client:
        answer = await client.post(path_of(reference, "update"), json=GOES_ON)
        assert_problem(answer, 404, "CONTEXT_NOT_FOUND")
        assert not office.till.asked


@pytest.mark.parametrize(
    "authorization", [None, "", "Bearer", "Bearer ", "Bearer wrong", "Basic c21mOnNtZg==", "Bearer é"]
)
async def test_who_has_no_token_is_turned_away(authorization: str | None) -> None:
    headers = [] if authorization is None else [(b"authorization", authorization.encode())]
    async with open_office() as office, call(office, None) as client:
        answer = await client.post(COLLECTION, json=OPENED, headers=headers)
        assert_problem(answer, 401)
        assert answer.headers["www-authenticate"].startswith("Bearer")
        assert not office.till.asked


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
async def test_another_method_is_not_allowed(method: str) -> None:
    async with open_office() as office, call(office) as client:
        answer = await client.request(method, COLLECTION)
        assert_problem(answer, 405)
        assert answer.headers["allow"] == "POST"


@pytest.mark.parametrize(
    "path", ["", "/", "/chargingdata/x", "/chargingdata/x/other", "/chargingdata/x/update/y"]
)
async def test_another_path_is_not_found(path: str) -> None:
    async with open_office() as office, call(office) as client:
        assert_problem(await client.post(API + path, json=OPENED), 404, "RESOURCE_URI_STRUCTURE_NOT_FOUND")


@pytest.mark.parametrize("media_type", ["text/plain", "application/jsonp", ""])
async def test_another_media_type_is_not_read(media_type: str) -> None:
    async with open_office() as office, call(office) as client:
        answer = await client.post(COLLECTION, content=b"{}", headers={"content-type": media_type})
        assert_problem(answer, 415)


async def test_parameters_of_the_media_type_are_no_hindrance() -> None:
    async with open_office() as office, call(office) as client:
        headers = {"content-type": "Application/JSON; charset=utf-8"}
        reference_in(await client.post(COLLECTION, content=json.dumps(OPENED), headers=headers))


@pytest.mark.parametrize(
    ("http2", "told"),
    [(False, True), (False, False), (True, False)],  # httpx cannot read an answer before its body went out
)
async def test_a_body_that_is_too_large_is_refused_told_beforehand_or_not(http2: bool, told: bool) -> None:
    async def pieces() -> Any:
        for _ in range(BODY_OCTETS_MOST // 1024 + 1):
            yield b" " * 1024

    body: Any = b" " * (BODY_OCTETS_MOST + 1) if told else pieces()
    async with open_office() as office, call(office, http2=http2) as client:
        answer = await client.post(COLLECTION, content=body, headers={"content-type": JSON})
        assert_problem(answer, 413)
        reference_in(await client.post(COLLECTION, json=OPENED))


HALF_A_REQUEST = (
    f"POST {COLLECTION} HTTP/1.1\r\nHost: here\r\nAuthorization: Bearer {TOKEN}\r\n"
    f"Content-Type: {JSON}\r\nContent-Length: 100\r\n\r\n{{"
).encode()


async def test_a_body_that_does_not_come_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "BODY_SECONDS", 0.05)
    async with open_office() as office, asyncio.timeout(10):
        reader, writer = await asyncio.open_connection(*office.address.split(":"))
        writer.write(HALF_A_REQUEST)
        assert await reader.readline() == b"HTTP/1.1 408 Request Timeout\r\n"
        writer.close()


async def test_a_consumer_that_leaves_in_the_middle_takes_no_place_with_it() -> None:
    async with open_office() as office, call(office) as client:
        for _ in range(SMF.requests_most + 1):
            _, writer = await asyncio.open_connection(*office.address.split(":"))
            writer.write(HALF_A_REQUEST)
            await writer.drain()
            writer.close()
            await writer.wait_closed()
        for _ in range(500):
            answer = await client.post(COLLECTION, json=OPENED)
            if answer.status_code != 429:
                break
            await asyncio.sleep(0.01)
        reference_in(answer)
        assert len(office.till.asked) == 1


@pytest.mark.parametrize(
    "uri",
    [
        "http://elsewhere.example/notify",
        "ftp://smf.example/notify",
        "http://smf.example@elsewhere.example/",
        "http://elsewhere.example#@smf.example/",
        "http://smf.example:99999/",
        "http://smf.example:0/",
        "http://smf.example\\@elsewhere.example/",
        "http://smf.example/\r\nX: y",
        "http://[::1/",
        "http://smf.example/" + "a" * 2048,
        "smf.example",
        "",
    ],
)
async def test_a_consumer_cannot_have_us_call_others(uri: str) -> None:
    async with open_office() as office, call(office) as client:
        answer = await client.post(COLLECTION, json={**OPENED, "notifyUri": uri})
        document = assert_problem(answer, 400, "OPTIONAL_IE_INCORRECT")
        assert [param["param"] for param in document["invalidParams"]] == ["/notifyUri"]
        assert not office.till.asked


def test_hosts_are_compared_as_hosts() -> None:
    assert may_notify(SMF, "https://SMF.example:8443/notify/1?a=b")
    assert not may_notify(SMF, "https://smf.example.elsewhere.example/")
    assert not may_notify(Consumer("none", ""), "http://smf.example/")


async def test_who_is_not_notified_may_give_any_address() -> None:
    async with open_office() as office, call(office, OTHER_TOKEN) as client:
        reference_in(await client.post(COLLECTION, json={**OPENED, "notifyUri": "http://anywhere.example"}))


async def test_a_mistake_of_ours_is_said_to_be_ours_and_tells_nothing() -> None:
    till = Till(error=RuntimeError("secret"))
    async with open_office(till=till) as office, call(office) as client:
        answer = await client.post(COLLECTION, json=OPENED)
        assert_problem(answer, 500, "SYSTEM_FAILURE")
        assert "secret" not in answer.text


async def test_a_consumer_with_too_many_requests_at_once_is_told_to_come_later() -> None:
    till = Till()
    till.open.clear()
    async with (
        open_office(till=till) as office,
        call(office) as client,
        call(office, http2=False) as again,
        call(office, QUIET_TOKEN) as other,
    ):
        waiting = [
            asyncio.create_task(client.post(COLLECTION, json=OPENED)) for _ in range(SMF.requests_most)
        ]
        await until(lambda: len(till.asked) == SMF.requests_most)
        turned_away = await again.post(COLLECTION, json=OPENED)
        assert_problem(turned_away, 429, "NF_CONGESTION_RISK")
        assert turned_away.headers["retry-after"] == "1"
        waiting.append(asyncio.create_task(other.post(COLLECTION, json=OPENED)))
        await until(lambda: len(till.asked) > SMF.requests_most)
        till.open.set()
        for answer in await asyncio.gather(*waiting):
            reference_in(answer)
        reference_in(await again.post(COLLECTION, json=OPENED))


@pytest.mark.parametrize("seed", range(4))
async def test_mutated_bodies_are_answered_and_never_by_our_mistake(seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - the same mutations every time
    bodies = [json.dumps(asked.document).encode() for asked in ASKED]
    async with open_office() as office, call(office, QUIET_TOKEN) as client:
        for _ in range(25):
            batch = [_mutate(chance.choice(bodies), chance) for _ in range(20)]
            answers = await asyncio.gather(*(_post(client, body) for body in batch))
            assert {answer.status_code for answer in answers} <= {201, 400}
            for answer in answers:
                if answer.status_code == 400:
                    assert_valid(answer.json(), "TS29571_ProblemDetails")


async def _post(client: httpx.AsyncClient, body: bytes) -> httpx.Response:
    return await client.post(COLLECTION, content=body, headers={"content-type": JSON})


def _mutate(body: bytes, chance: random.Random) -> bytes:
    octets = bytearray(body)
    for _ in range(chance.randint(1, 4)):
        place = chance.randrange(len(octets))
        match chance.randrange(4):
            case 0:
                octets[place] = chance.randrange(256)
            case 1:
                del octets[place : place + chance.randrange(1, 30)]
            case 2:
                octets[place:place] = octets[: chance.randrange(1, 60)]
            case 3:
                octets[place:place] = chance.choice(
                    [b"9" * 30, b"null", b"-1", b"1e400", b'"\\ud800"', b"{}"]
                )
        if not octets:
            break
    return bytes(octets)
