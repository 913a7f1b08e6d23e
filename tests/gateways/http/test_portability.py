"""A gaining operator asks for a number over a real socket."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

import shop
from onecard.cards.model import Card
from onecard.database.pool import Database, connection
from onecard.lines.store import list_lines
from onecard.portability.actions import issue_port_pin
from onecard.portability.model import PortPin
from onecard.values.clock import MovedClock
from onecard.values.gate import NO_ORDER
from onecard.values.guard import WRONG_MOST
from portability.desk import TERMS
from town import HASH, PASSWORD, Town, open_town, sell_card_with_two_lines, stock_up

ROGUE, OTHER = ("rogue", PASSWORD), ("other", PASSWORD)
OPERATORS = [
    {"name": name, "login": login, "password_hash": HASH}
    for name, login in (("Rogue Mobile", "rogue"), ("Other Mobile", "other"))
]
PATH = "/portability/port-outs"


@pytest.fixture
async def card(database: Database) -> Card:
    async with connection(database.pool) as borrowed:
        await stock_up(borrowed)
        return await sell_card_with_two_lines(borrowed)


@pytest.fixture
async def town(database: Database, card: Card) -> AsyncIterator[Town]:
    clock = MovedClock(shop.AT)
    async with open_town(database, cards=[card], clock=clock, portability={"operators": OPERATORS}) as town:
        yield town


@pytest.fixture
async def client(town: Town) -> AsyncIterator[httpx.AsyncClient]:
    base = f"http://{town.node.addresses.http}"
    async with httpx.AsyncClient(base_url=base, trust_env=False) as client:
        yield client


@pytest.fixture
async def wish(town: Town, card: Card) -> dict[str, Any]:
    """A good request for the card's primary number."""
    async with connection(town.database.pool) as borrowed:
        issued = await issue_port_pin(
            borrowed,
            shop.AT,
            actor=shop.STAFF,
            master=shop.MASTER,
            gates=NO_ORDER,
            part=card.part,
            card_id=card.id,
            terms=TERMS,
        )
        assert isinstance(issued, PortPin)
        line = (await list_lines(borrowed, card.part, card.id))[0]
    return {"number": line.msisdn, "pin": issued.pin, "reference": "R-1"}


async def test_a_request_is_taken_once_and_its_state_told(
    client: httpx.AsyncClient, wish: dict[str, Any]
) -> None:
    first = await client.post(PATH, json=wish, auth=ROGUE)
    assert first.status_code == 200, first.text
    told = first.json()
    assert (told["number"], told["reference"], told["state"]) == (wish["number"], "R-1", "requested")
    assert (await client.post(PATH, json=wish, auth=ROGUE)).json() == told
    path = f"{PATH}/{told['port_out']}"
    assert (await client.get(path, auth=ROGUE)).json() == told
    assert (await client.get(path, auth=OTHER)).status_code == 404
    taken = await client.post(PATH, json={**wish, "reference": "X-9"}, auth=OTHER)
    assert (taken.status_code, taken.headers["content-type"]) == (409, "application/problem+json")


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"pin": "00000000"}, 403),
        ({"number": "+16045550199"}, 403),
        ({"number": "nonsense"}, 400),
        ({"reference": ""}, 400),
        ({"reference": "x" * 61}, 400),
        ({"pin": "1" * 41}, 400),
        ({"name": "Wang Fang"}, 400),
        ({"pin": None}, 400),
    ],
)
async def test_a_request_that_is_not_right_is_refused(
    client: httpx.AsyncClient, wish: dict[str, Any], change: dict[str, Any], status: int
) -> None:
    answer = await client.post(PATH, json={**wish, **change}, auth=ROGUE)
    assert (answer.status_code, answer.json()["status"]) == (status, status)


async def test_a_number_that_is_not_ours_is_refused_as_a_wrong_pin_is(
    client: httpx.AsyncClient, wish: dict[str, Any]
) -> None:
    wrong = await client.post(PATH, json={**wish, "pin": "x"}, auth=ROGUE)
    foreign = await client.post(PATH, json={**wish, "number": "+16045550199"}, auth=ROGUE)
    assert wrong.json() == foreign.json()


async def test_who_guesses_is_locked_out(client: httpx.AsyncClient, wish: dict[str, Any]) -> None:
    for _ in range(WRONG_MOST):
        assert (await client.post(PATH, json={**wish, "pin": "x"}, auth=ROGUE)).status_code == 403
    assert (await client.post(PATH, json=wish, auth=ROGUE)).status_code == 429


@pytest.mark.parametrize("auth", [None, ("rogue", "wrong"), ("nobody", PASSWORD), ("cnhome", PASSWORD)])
async def test_nobody_else_may_ask(client: httpx.AsyncClient, wish: dict[str, Any], auth: Any) -> None:
    asked = await client.post(PATH, json=wish, auth=auth)
    told = await client.get(f"{PATH}/1", auth=auth)
    assert (asked.status_code, told.status_code) == (401, 401)
    assert asked.headers["www-authenticate"].startswith("Basic")


@pytest.mark.parametrize("port_id", ["0", "1", str(2**63), "9" * 30])
async def test_a_request_that_was_never_made_is_not_found(client: httpx.AsyncClient, port_id: str) -> None:
    assert (await client.get(f"{PATH}/{port_id}", auth=ROGUE)).status_code == 404
