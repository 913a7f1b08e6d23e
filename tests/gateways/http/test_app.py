"""HTTP for machines, over a real socket: outcomes of applications, health, metrics."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from zoneinfo import ZoneInfo

import httpx
import pytest

import shop
from onecard.cards.model import Card
from onecard.database.pool import Database, connection
from onecard.lines.actions import apply_for_line
from onecard.lines.model import Application, LineLimits
from onecard.values.address import Address
from onecard.values.clock import MovedClock
from onecard.values.gate import NO_ORDER, Capability
from onecard.winddown.model import Stage
from onecard.winddown.reading import PlanFile
from town import HASH, PASSWORD, Town, open_town, sell_card_with_two_lines, stock_up, to_number
from winddown.plans import GREENWICH, make_plan

HOME_AUTH = ("cnhome", PASSWORD)
OTHER_HOME = {
    "name": "us-home",
    "role": "home",
    "system_id": "ushome",
    "password_hash": HASH,
    "numbers": ["+1"],
}


@pytest.fixture
async def card(database: Database) -> Card:
    async with connection(database.pool) as borrowed:
        await stock_up(borrowed)
        return await sell_card_with_two_lines(borrowed)


@pytest.fixture
async def town(database: Database, card: Card) -> AsyncIterator[Town]:
    """The town, two days after the card was sold: its applications still have time."""
    clock = MovedClock(shop.AT + timedelta(days=2))
    async with open_town(database, cards=[card], more_links=[OTHER_HOME], clock=clock) as town:
        yield town


@pytest.fixture
async def client(town: Town) -> AsyncIterator[httpx.AsyncClient]:
    base = f"http://{town.node.addresses.http}"
    async with httpx.AsyncClient(base_url=base, trust_env=False) as client:
        yield client


@pytest.fixture
async def application(town: Town, card: Card) -> Application:
    """A second application for a Chinese number, not decided yet."""
    async with connection(town.database.pool) as borrowed:
        application = await apply_for_line(
            borrowed,
            shop.AT,
            actor=shop.STAFF,
            gates=NO_ORDER,
            part=card.part,
            card_id=card.id,
            country=shop.CN,
            limits=LineLimits(),
            operator_time_zone=ZoneInfo("America/Vancouver"),
        )
    assert isinstance(application, Application), application
    return application


def path_of(application: Application | int | str) -> str:
    number = application.id if isinstance(application, Application) else application
    return f"/verification/applications/{number}/outcome"


async def post(
    client: httpx.AsyncClient,
    application: Application | int | str,
    outcome: str,
    auth: tuple[str, str] | None = HOME_AUTH,
) -> httpx.Response:
    basic = httpx.BasicAuth(*auth) if auth else httpx.Auth()
    return await client.post(path_of(application), json={"outcome": outcome}, auth=basic)


def assert_problem(answer: httpx.Response, status: int) -> None:
    assert answer.status_code == status
    assert answer.headers["content-type"].startswith("application/problem+json")
    assert answer.json()["status"] == status


# ---- outcomes


async def test_a_match_opens_the_line_and_telling_it_again_changes_nothing(
    town: Town, client: httpx.AsyncClient, application: Application
) -> None:
    answers = [await post(client, application, "match") for _ in range(2)]
    for answer in answers:
        assert answer.status_code == 200
        assert answer.json() == {"application": application.id, "state": "approved", "reason": None}
    lines = await town.lines(town.cards[0])
    assert [line.slot for line in lines] == [0, 1, 2]
    assert lines[2].msisdn == application.msisdn
    text = to_number(Address(5, 0, "ICBC"), application.msisdn, "Code 123456")
    assert (await town.bank.send(text)).status == 0
    assert_problem(await post(client, application, "mismatch"), 409)


async def test_no_line_is_made_once_secondary_lines_have_ended_but_an_application_is_refused(
    town: Town, client: httpx.AsyncClient, application: Application
) -> None:
    ended = frozenset({Capability.SECONDARY_LINES})
    stage = Stage("secondary lines end", shop.AT.replace(tzinfo=None), closes=ended)
    town.node.gatekeeper.put_in_force(PlanFile(make_plan(stage, zone=GREENWICH), ()))
    late = await post(client, application, "match")
    assert_problem(late, 409)
    assert "secondary lines end" in late.json()["detail"]
    assert (await post(client, application, "mismatch")).json()["state"] == "refused"


@pytest.mark.parametrize(
    ("outcome", "contradicted"), [("mismatch", 409), ("five_number_limit", 409), ("time_out", 200)]
)
async def test_anything_else_refuses_it_for_this_reason(
    town: Town, client: httpx.AsyncClient, application: Application, outcome: str, contradicted: int
) -> None:
    for _ in range(2):
        answer = await post(client, application, outcome)
        assert answer.status_code == 200
        assert answer.json() == {"application": application.id, "state": "refused", "reason": outcome}
    assert len(await town.lines(town.cards[0])) == 2
    late = await post(client, application, "match")  # after a time-out it is told what became of it
    assert late.status_code == contradicted
    assert late.status_code == 409 or late.json()["state"] == "refused"
    assert len(await town.lines(town.cards[0])) == 2


async def test_who_posts_must_prove_to_be_a_home_operator(
    town: Town, client: httpx.AsyncClient, application: Application
) -> None:
    for auth in (None, ("cnhome", "guess"), ("nobody", PASSWORD), ("bank", PASSWORD), ("maple", PASSWORD)):
        answer = await post(client, application, "match", auth)
        assert_problem(answer, 401)
        assert answer.headers["www-authenticate"].startswith("Basic")
    for header in ("Basic", "Basic %%%", "Basic //79", "Bearer abc", "Basic " + "A" * 2000, "Basic \xe9"):
        answer = await client.post(
            path_of(application),
            json={"outcome": "match"},
            headers={b"authorization": header.encode("latin-1")},
        )
        assert_problem(answer, 401)
    assert len(await town.lines(town.cards[0])) == 2


async def test_another_home_operator_does_not_even_learn_of_the_application(
    client: httpx.AsyncClient, application: Application
) -> None:
    foreign = await post(client, application, "match", ("ushome", PASSWORD))
    unknown = await post(client, application.id + 1000, "match")
    assert_problem(foreign, 404)
    assert_problem(unknown, 404)
    assert foreign.json() == unknown.json()


async def test_a_number_that_is_no_application_is_not_found(client: httpx.AsyncClient) -> None:
    for number in ("0", "-1", "99999999999999999999999", "first", "1.5"):
        assert_problem(await post(client, number, "match"), 404)


async def test_a_body_that_is_no_outcome_is_refused(
    town: Town, client: httpx.AsyncClient, application: Application
) -> None:
    for body in (
        b"",
        b"match",
        b"[]",
        b"null",
        b"{}",
        b'{"outcome": "perhaps"}',
        b'{"outcome": null}',
        b'{"outcome": "match", "name": "Wang Fang"}',
        b'{"outcome": "match"',
        b"\xff\xfe",
        b"[" * 2000,
    ):
        answer = await client.post(
            path_of(application),
            content=body,
            headers={"content-type": "application/json"},
            auth=httpx.BasicAuth(*HOME_AUTH),
        )
        assert_problem(answer, 400)
        assert "Wang" not in answer.text
    assert len(await town.lines(town.cards[0])) == 2


async def test_a_body_that_is_too_long_is_refused_whether_its_length_is_told_or_not(
    client: httpx.AsyncClient, application: Application
) -> None:
    body = b'{"outcome": "match"' + b" " * 8_000 + b"}"

    async def in_chunks() -> AsyncIterator[bytes]:
        yield body[:3_000]
        yield body[3_000:]

    for content in (body, in_chunks()):
        answer = await client.post(
            path_of(application),
            content=content,
            headers={"content-type": "application/json"},
            auth=HOME_AUTH,
        )
        assert_problem(answer, 413)


async def test_other_ways_and_places_are_refused(client: httpx.AsyncClient, application: Application) -> None:
    assert_problem(await client.get(path_of(application), auth=HOME_AUTH), 405)
    assert_problem(await client.get("/"), 404)
    assert_problem(await client.get("/schema"), 404)


# ---- health and metrics


async def test_health_tells_of_the_database_and_the_links(client: httpx.AsyncClient) -> None:
    answer = await client.get("/health")
    assert answer.status_code == 200
    assert answer.json() == {
        "database": "up",
        "links": {"host": 1, "cn-home": 1, "bank": 1, "us-home": 0},
    }


async def test_metrics_count_what_passed(town: Town, client: httpx.AsyncClient) -> None:
    _, secondary = await town.lines(town.cards[0])
    for number in (secondary.msisdn, "+8613899999999"):
        await town.bank.send(to_number(Address(5, 0, "ICBC"), number, "hello", registered_delivery=1))
    await town.settle(lambda: town.bank.texts, "the receipt")
    await town.settle(lambda: town.node.links["bank"].counts.receipts_out, "its answer")
    answer = await client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    told = answer.text.splitlines()
    for line in (
        'onecard_link_sessions{link="bank"} 1.0',
        'onecard_link_sessions{link="us-home"} 0.0',
        'onecard_link_texts_waiting{link="host"} 0.0',
        'onecard_link_passed_total{link="bank",what="texts_in"} 1.0',
        'onecard_link_passed_total{link="bank",what="texts_refused"} 1.0',
        'onecard_link_passed_total{link="bank",what="receipts_out"} 1.0',
        'onecard_link_passed_total{link="host",what="texts_out"} 1.0',
        'onecard_link_passed_total{link="host",what="receipts_in"} 1.0',
    ):
        assert line in told
