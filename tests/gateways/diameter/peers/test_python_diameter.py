"""python-diameter reads what we write, and is charged over a real socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from diameter.message import Message as TheirMessage  # type: ignore[import-untyped]

from gateways.diameter.golden import NAMED, VECTORS, Vector
from gateways.diameter.octets import tree
from gateways.diameter.partners import GATEWAY, US, Node, open_node, update
from onecard.gateways.diameter.codec import encode_message
from onecard.gateways.diameter.constants import ResultCode
from onecard.gateways.diameter.dictionary import CONTENTS
from onecard.gateways.diameter.messages import ReAuthAnswer

from .oracle import Oracle, run_oracle

KNOWN = frozenset(each.key for avps in CONTENTS.values() for each in avps)
REQUESTS = [
    "CCR initial of a call",
    "CCR update of data, sent again",
    "CCR termination of a call",
    "CCR event of a text",
]


@pytest.fixture
async def node() -> AsyncIterator[Node]:
    async with open_node() as node:
        yield node


@pytest.fixture
async def oracle(node: Node) -> AsyncIterator[Oracle]:
    async with run_oracle(
        GATEWAY, "host.example", peer_host=US.host, peer_realm=US.realm, port=node.port
    ) as oracle:
        yield oracle


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector.name)
def test_it_reads_what_we_write(vector: Vector) -> None:
    theirs = TheirMessage.from_bytes(encode_message(vector.message))
    assert tree(theirs.as_bytes(), KNOWN) == tree(vector.octets, KNOWN)


async def test_it_is_let_in_and_gets_an_answer_to_each_kind_of_request(node: Node, oracle: Oracle) -> None:
    for name in REQUESTS:
        answer = await oracle.ask(NAMED[name].message)
        assert answer.result_code == ResultCode.SUCCESS
        assert answer.origin_host == US.host.encode()
        assert len(answer.multiple_services_credit_control) == len(node.charger.asked[-1].services)
    assert [asked.request_type for asked in node.charger.asked] == [1, 2, 3, 4]


async def test_it_reads_the_units_of_each_rating_group(oracle: Oracle) -> None:
    answer = await oracle.ask(update())
    services = answer.multiple_services_credit_control
    assert [(each.rating_group, each.result_code) for each in services] == [(10, 2001), (20, 2001)]
    assert services[0].granted_service_unit.cc_total_octets == 1001


async def test_many_at_once_get_each_its_own_answer(node: Node, oracle: Oracle) -> None:
    numbers = range(40)
    answers = await asyncio.gather(
        *(oracle.ask(update(number, end_to_end=1000 + number)) for number in numbers)
    )
    assert [answer.cc_request_number for answer in answers] == list(numbers)
    assert len(node.charger.asked) == 40


async def test_it_is_asked_to_report_a_session(node: Node, oracle: Oracle) -> None:
    await oracle.ask(update())
    answer = await node.endpoint.reauthorize("pgw.host.example;1;2", GATEWAY, "host.example")
    asked = await oracle.next_asked()
    assert asked.session_id == "pgw.host.example;1;2"
    assert isinstance(answer, ReAuthAnswer)
    assert answer.result_code == ResultCode.LIMITED_SUCCESS
