"""The simulated network, against our own endpoint: what it asks, and what it answers when it is asked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from gateways.diameter.partners import LOOPBACK, Node, open_node, peer_settings, until
from onecard.gateways.diameter.constants import DisconnectCause, ResultCode
from onecard.gateways.diameter.messages import CostInformation, CreditControlAnswer, ReAuthAnswer, UnitValue
from onecard.gateways.diameter.peer import Peer
from onecard.gateways.diameter.session import Identity
from onecard.story.network import Network, open_network
from onecard.story.peers import PeerRefused
from onecard.story.place import NETWORK, OUR_HOST, OUR_REALM, SPARE_NETWORK
from onecard.story.sessions import Granted, call_from_card, data_of_card, read_cost_micros, read_grant
from onecard.story.usage_steps import write_octets

US = Identity(OUR_HOST, OUR_REALM, LOOPBACK)
PRIMARY = "+16045550100"


@dataclass(frozen=True, slots=True)
class Joined:
    """A network that was let in by a node, and the sessions it was asked for again."""

    node: Node
    network: Network
    asked_again: list[str]

    @property
    def peer(self) -> Peer:
        return self.node.endpoint.peers[NETWORK[0]]


@asynccontextmanager
async def join() -> AsyncIterator[Joined]:
    asked_again: list[str] = []
    async with open_node(peer_settings(*NETWORK), identity=US) as node:
        network = await open_network("127.0.0.1", node.port, NETWORK, asked_again.append)
        try:
            yield Joined(node, network, asked_again)
        finally:
            await network.close()


async def test_a_session_numbers_its_requests_and_reads_its_grants() -> None:
    session = data_of_card(PRIMARY)
    requests = (session.open(5), session.go_on(5, None), session.end(0))
    async with join() as joined:
        answers = [await joined.network.charge(request) for request in requests]
        asked = joined.node.charger.asked
    assert [read_grant(answer) for answer in answers] == [
        Granted(ResultCode.SUCCESS, 1000 + count, is_last=False) for count in (1, 2, 3)
    ]
    assert [(request.session_id, request.request_number) for request in asked] == [
        (session.id, number) for number in range(3)
    ]
    assert [request.services[0].requested is None for request in asked] == [False, True, True]


async def test_a_network_that_is_asked_to_authorise_anew_says_that_more_is_to_come() -> None:
    async with join() as joined:
        call = call_from_card(PRIMARY, "12583113900139000")
        await joined.network.charge(call.open(30))
        answer = await joined.node.endpoint.reauthorize(call.id, *NETWORK)
    assert isinstance(answer, ReAuthAnswer)
    assert (answer.result_code, answer.session_id) == (ResultCode.LIMITED_SUCCESS, call.id)
    assert joined.asked_again == [call.id]


async def test_a_network_proves_that_it_is_there() -> None:
    async with join() as joined:
        connection = joined.peer.connection
        assert connection is not None
        connection.probe()
        assert connection.session.suspect
        await until(lambda: not connection.session.suspect)


async def test_a_network_lets_a_node_go_and_asks_it_no_more() -> None:
    async with join() as joined:
        await joined.node.endpoint.close(DisconnectCause.REBOOTING)
        with pytest.raises(PeerRefused):
            await joined.network.charge(data_of_card(PRIMARY).open(5))


async def test_a_question_without_an_answer_ends_with_the_connection() -> None:
    async with join() as joined:
        joined.node.charger.go.clear()
        asking = asyncio.create_task(joined.network.charge(data_of_card(PRIMARY).open(5)))
        await until(lambda: bool(joined.node.charger.asked))
        connection = joined.peer.connection
        assert connection is not None
        connection.abort()
        with pytest.raises(PeerRefused, match="before the answer"):
            await asking


async def test_a_stranger_is_told_that_it_is_not_let_in() -> None:
    async with open_node(peer_settings(*NETWORK), identity=US) as node:
        with pytest.raises(PeerRefused, match="3010"):
            await open_network("127.0.0.1", node.port, SPARE_NETWORK, list[str]().append)


def test_cost_is_read_with_its_exponent() -> None:
    cost = CostInformation(UnitValue(154, -3), 124)
    assert read_cost_micros(CreditControlAnswer(cost=cost)) == 154_000
    assert read_cost_micros(CreditControlAnswer()) is None


def test_octets_are_written_to_the_last_one() -> None:
    assert [write_octets(octets) for octets in (80_000_000, 36_960_000, 29_354_839)] == [
        "80 MB",
        "36.96 MB",
        "29.354839 MB",
    ]
