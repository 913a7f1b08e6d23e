"""freeDiameter as a relay between python-diameter and us: it calls us, or we call it, plain and with TLS."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from gateways.diameter.golden import NAMED
from gateways.diameter.partners import GATEWAY, US, Node, open_node, peer_settings, until
from onecard.gateways.diameter.client import DiameterClient, Target
from onecard.gateways.diameter.constants import ResultCode
from onecard.gateways.diameter.messages import CreditControlRequest, Message, ReAuthAnswer

from .freediameter import HOST, REALM, Authority, Relay, run_relay
from .oracle import Oracle, run_oracle

SESSION = "pgw.host.example;1;2"


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
async def node(authority: Authority) -> AsyncIterator[Node]:
    """This node, that knows the relay alone."""
    async with open_node(peer_settings(HOST, REALM), tls=authority.server_context(US.host)) as node:
        yield node


@pytest.fixture(params=["it calls us", "it calls us with TLS", "we call it"])
async def relay(
    request: pytest.FixtureRequest,
    node: Node,
    authority: Authority,
    require_program: Callable[[str], str],
    tmp_path: Path,
) -> AsyncIterator[Relay]:
    """A relay that is open on our side."""
    connect = {
        "it calls us": _connect(node.port, "No_TLS; "),
        "it calls us with TLS": _connect(node.tls_port, ""),
        "we call it": "",
    }[request.param]
    allowed = (GATEWAY, US.host)
    async with run_relay(require_program, tmp_path, authority, allowed=allowed, connect=connect) as relay:
        client = None if connect else DiameterClient(node.endpoint, HOST, Target("127.0.0.1", relay.port))
        await until(lambda: node.endpoint.peers[HOST].open)
        connection = node.endpoint.peers[HOST].connection
        assert connection is not None
        assert connection.tls is ("TLS" in request.param)
        yield relay
        if client is not None:
            await client.close()


def _connect(port: int | None, options: str) -> str:
    return f'ConnectPeer = "{US.host}" {{ ConnectTo = "127.0.0.1"; Port = {port}; {options}Realm = "{US.realm}"; }};'


@pytest.fixture
async def oracle(relay: Relay) -> AsyncIterator[Oracle]:
    """A client of the relay."""
    async with run_oracle(
        GATEWAY, REALM, peer_host=HOST, peer_realm=REALM, port=relay.port, realms=[US.realm]
    ) as oracle:
        yield oracle


def fresh(name: str) -> Message:
    """A golden request as the gateway itself sends it, before any relay."""
    message = NAMED[name].message
    assert isinstance(message.body, CreditControlRequest)
    body = replace(message.body, origin_host=GATEWAY, origin_realm=REALM, routes=(), proxies=())
    return replace(message, body=body)


async def test_a_session_goes_through_the_relay_and_is_asked_to_report(node: Node, oracle: Oracle) -> None:
    for name in ("CCR initial of a call", "CCR update of data, sent again", "CCR termination of a call"):
        answer = await oracle.ask(fresh(name))
        assert answer.result_code == ResultCode.SUCCESS
    assert [asked.request_type for asked in node.charger.asked] == [1, 2, 3]
    assert node.charger.asked[0].routes == (GATEWAY,)
    repeated = await oracle.ask(fresh("CCR update of data, sent again"))
    assert repeated.multiple_services_credit_control[0].granted_service_unit.cc_total_octets == 1002
    assert len(node.charger.asked) == 3
    told = await node.endpoint.reauthorize(SESSION, GATEWAY, REALM, rating_group=10)
    assert isinstance(told, ReAuthAnswer)
    assert told.result_code == ResultCode.LIMITED_SUCCESS
    assert (await oracle.next_asked()).rating_group == 10
