"""The endpoint on real sockets: who is let in, one answer a request, what we ask, and nodes that call each other."""

from __future__ import annotations

import asyncio
import socket
from ipaddress import ip_network
from pathlib import Path

import pytest

from gateways.smpp.peers.certificates import make_certificates
from onecard.gateways.diameter import server as diameter_server
from onecard.gateways.diameter.client import DELAY_LEAST_SECONDS, DiameterClient, Target
from onecard.gateways.diameter.constants import CommandCode, DisconnectCause, Flag, ResultCode
from onecard.gateways.diameter.messages import (
    AbortSessionAnswer,
    AbortSessionRequest,
    CreditControlAnswer,
    DisconnectAnswer,
    DisconnectRequest,
    Message,
    ReAuthAnswer,
    ReAuthRequest,
    WatchdogRequest,
)
from onecard.gateways.diameter.server import SctpUnavailable, has_sctp
from onecard.gateways.diameter.session import Identity, SessionSettings

from .golden import NAMED
from .octets import avp, message, number
from .partners import (
    GATEWAY,
    LOOPBACK,
    US,
    Node,
    RawPeer,
    call,
    cer,
    connect,
    open_node,
    peer_settings,
    result_of,
    until,
    update,
)

SESSION = "pgw.host.example;1;2"
RELAY = "relay.host.example"


async def until_open(node: Node, host: str, *, is_open: bool = True) -> None:
    """Wait for a peer of the node to be there, or to be gone."""
    await until(lambda: node.endpoint.peers[host].open is is_open)


async def test_a_known_peer_is_let_in_and_charged() -> None:
    async with open_node() as node:
        peer = await call(node.port)
        answer = await peer.ask(update())
        assert isinstance(answer.body, CreditControlAnswer)
        assert [each.rating_group for each in answer.body.services] == [10, 20]
        assert answer.body.session_id == SESSION
        assert node.endpoint.peers[GATEWAY].counts.requests_in == 1
        peer.close()


# Who calls, from where; the result.
TURNED_AWAY = [
    ("stranger.example", "host.example", "127.0.0.1", ResultCode.UNKNOWN_PEER),
    (GATEWAY, "other.example", "127.0.0.1", ResultCode.UNKNOWN_PEER),
    (GATEWAY, "host.example", "127.1.0.1", ResultCode.UNKNOWN_PEER),
    ("secure.host.example", "host.example", "127.0.0.1", ResultCode.NO_COMMON_SECURITY),
]


@pytest.mark.parametrize(("host", "realm", "address", "result_code"), TURNED_AWAY)
async def test_who_is_not_known_from_there_is_turned_away(
    host: str, realm: str, address: str, result_code: int
) -> None:

    near = (ip_network("127.0.0.0/24"),)
    secure = peer_settings("secure.host.example", tls_required=True)
    async with open_node(peer_settings(networks=near), secure) as node:
        peer = await connect(node.port, local_address=address)
        assert result_of(await peer.ask(cer(host, realm))) == result_code
        assert await peer.ended()
        peer.close()


async def test_a_peer_that_must_is_let_in_with_tls(tmp_path: Path) -> None:
    certificates = make_certificates(tmp_path)
    settings = peer_settings(tls_required=True)
    async with open_node(settings, tls=certificates.server_context()) as node:
        assert node.tls_port is not None
        peer = await call(node.tls_port, tls=certificates.client_context())
        assert result_of(await peer.ask(update())) == ResultCode.SUCCESS
        peer.close()


async def test_handshakes_that_fail_do_not_keep_their_places(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(diameter_server, "HANDSHAKE_SECONDS", 0.1)
    certificates = make_certificates(tmp_path)
    async with open_node(tls=certificates.server_context()) as node:
        assert node.tls_port is not None
        for _ in range(10):
            peer = await connect(node.tls_port)
            peer.send(cer())
            peer.close()
        await until(lambda: not node.server._connections)
        (await call(node.port)).close()


async def test_a_repeated_request_gets_the_first_answer_with_or_without_the_t_flag() -> None:
    async with open_node() as node:
        peer = await call(node.port)
        first = await peer.ask(update())
        again = await peer.ask(update(hop_by_hop=0x99))
        bare = update(hop_by_hop=0x98)
        without = await peer.ask(
            Message(272, Flag.REQUEST | Flag.PROXIABLE, 4, bare.hop_by_hop, bare.end_to_end, bare.body)
        )
        assert first.body == again.body == without.body
        assert (again.hop_by_hop, without.hop_by_hop) == (0x99, 0x98)
        assert len(node.charger.asked) == 1
        peer.close()


async def test_a_repeat_over_a_new_connection_gets_the_first_answer() -> None:
    async with open_node() as node:
        peer = await call(node.port)
        first = await peer.ask(update())
        peer.close()
        await until_open(node, GATEWAY, is_open=False)
        peer = await call(node.port)
        assert (await peer.ask(update())).body == first.body
        assert len(node.charger.asked) == 1
        peer.close()


async def test_a_repeat_while_the_first_is_answered_waits_for_it() -> None:
    async with open_node() as node:
        node.charger.go.clear()
        peer = await call(node.port)
        peer.send(update())
        peer.send(update(hop_by_hop=0x99))
        await until(lambda: node.endpoint.peers[GATEWAY].counts.repeats_in == 1)
        node.charger.go.set()
        first, second = await peer.read(), await peer.read()
        assert {first.hop_by_hop, second.hop_by_hop} == {0x11, 0x99}
        assert first.body == second.body
        assert len(node.charger.asked) == 1
        peer.close()


async def test_an_id_used_again_for_another_request_is_no_repeat() -> None:
    async with open_node() as node:
        peer = await call(node.port)
        first, second = await peer.ask(update(3)), await peer.ask(update(4))
        assert first.body != second.body
        assert len(node.charger.asked) == 2
        peer.close()


async def test_an_answer_is_not_kept_for_ever() -> None:
    async with open_node(keep_seconds=0.0) as node:
        peer = await call(node.port)
        await peer.ask(update())
        await peer.ask(update())
        assert len(node.charger.asked) == 2
        peer.close()


async def test_a_request_that_could_not_be_answered_is_worked_on_anew_when_repeated() -> None:
    async with open_node() as node:
        peer = await call(node.port)
        node.charger.fails = True
        assert result_of(await peer.ask(update())) == ResultCode.UNABLE_TO_COMPLY
        node.charger.fails = False
        assert result_of(await peer.ask(update())) == ResultCode.SUCCESS
        peer.close()


async def test_busy_is_an_answer_that_is_not_kept() -> None:
    async with open_node() as node:
        peer = await call(node.port)
        node.charger.result_code = ResultCode.TOO_BUSY
        busy = await peer.ask(update())
        assert busy.flags & Flag.ERROR
        assert result_of(busy) == ResultCode.TOO_BUSY
        node.charger.result_code = ResultCode.SUCCESS
        assert result_of(await peer.ask(update())) == ResultCode.SUCCESS
        peer.close()


async def test_a_peer_over_its_bound_is_told_that_we_are_busy_and_no_other_is() -> None:
    bound = SessionSettings(requests_most=2)
    async with open_node(peer_settings(session=bound), peer_settings(RELAY)) as node:
        node.charger.go.clear()
        greedy, modest = await call(node.port), await call(node.port, RELAY)
        for each in range(3):
            greedy.send(update(each, end_to_end=each, hop_by_hop=each))
        modest.send(update(9, end_to_end=9))
        refused = await greedy.read()
        assert (refused.hop_by_hop, result_of(refused)) == (2, ResultCode.TOO_BUSY)
        node.charger.go.set()
        assert {(await greedy.read()).hop_by_hop, (await greedy.read()).hop_by_hop} == {0, 1}
        assert result_of(await modest.read()) == ResultCode.SUCCESS
        greedy.close()
        modest.close()


async def test_a_peer_that_is_connected_is_not_let_in_twice() -> None:
    async with open_node() as node:
        peer = await call(node.port)
        second = await connect(node.port)
        assert result_of(await second.ask(cer())) == ResultCode.ELECTION_LOST
        probe = await peer.read()
        assert isinstance(probe.body, WatchdogRequest)
        peer.send(Message(280, 0, 0, probe.hop_by_hop, probe.end_to_end, NAMED["DWA"].message.body))
        assert result_of(await peer.ask(update())) == ResultCode.SUCCESS
        second.close()
        peer.close()


async def test_a_peer_whose_connection_was_lost_unnoticed_finds_its_place_free_soon() -> None:
    async with open_node() as node:
        dead = await call(node.port)
        second = await connect(node.port)
        assert result_of(await second.ask(cer())) == ResultCode.ELECTION_LOST
        await until_open(node, GATEWAY, is_open=False)
        (await call(node.port)).close()
        second.close()
        dead.close()


async def test_garbage_ends_its_connection_and_no_other() -> None:
    async with open_node(peer_settings(), peer_settings(RELAY)) as node:
        peer, noisy = await call(node.port), await connect(node.port)
        noisy._writer.write(b"GET / HTTP/1.1\r\nHost: ocs.onecard.example\r\n\r\n")
        assert await noisy.ended()
        assert result_of(await peer.ask(update())) == ResultCode.SUCCESS
        noisy.close()
        peer.close()


async def test_an_unknown_avp_is_refused_by_name_on_the_wire() -> None:
    async with open_node() as node:
        peer = await call(node.port)
        unknown = number(9999, 1)
        peer._writer.write(message(272, avp(263, b"s"), number(416, 1), number(415, 0), unknown))
        answer = await peer.read()
        assert isinstance(answer.body, CreditControlAnswer)
        assert (answer.body.result_code, answer.body.failed_avps) == (5001, (unknown,))
        peer.close()


async def reply(peer: RawPeer, body: ReAuthAnswer | AbortSessionAnswer) -> Message:
    """Answer the next request of the node; returns it."""
    asked = await peer.read()
    peer.send(Message(asked.command, Flag.PROXIABLE, 4, asked.hop_by_hop, asked.end_to_end, body))
    return asked


async def test_a_session_is_asked_to_report_over_the_peer_that_it_came_from() -> None:
    async with open_node(peer_settings(RELAY)) as node:
        relay = await call(node.port, RELAY)
        assert result_of(await relay.ask(update(origin_host="far.example", origin_realm="example"))) == 2001
        asking = asyncio.create_task(
            node.endpoint.reauthorize(SESSION, "far.example", "example", rating_group=10)
        )
        asked = await reply(relay, ReAuthAnswer(SESSION, 2002, "far.example", "example"))
        assert isinstance(asked.body, ReAuthRequest)
        assert (asked.body.session_id, asked.body.destination_host) == (SESSION, "far.example")
        assert (asked.body.destination_realm, asked.body.rating_group) == ("example", 10)
        answer = await asking
        assert isinstance(answer, ReAuthAnswer)
        assert answer.result_code == ResultCode.LIMITED_SUCCESS
        relay.close()


async def test_a_session_is_asked_to_end() -> None:
    async with open_node() as node:
        peer = await call(node.port)
        asking = asyncio.create_task(node.endpoint.abort_session(SESSION, GATEWAY, "host.example"))
        asked = await reply(peer, AbortSessionAnswer(SESSION, 5002, GATEWAY, "host.example"))
        assert isinstance(asked.body, AbortSessionRequest)
        answer = await asking
        assert isinstance(answer, AbortSessionAnswer)
        assert answer.result_code == ResultCode.UNKNOWN_SESSION_ID
        peer.close()


async def test_what_nobody_answers_is_none() -> None:
    async with open_node() as node:
        assert await node.endpoint.reauthorize(SESSION, GATEWAY, "host.example") is None
        peer = await call(node.port)
        assert await node.endpoint.reauthorize(SESSION, GATEWAY, "host.example") is None
        lost = asyncio.create_task(node.endpoint.reauthorize(SESSION, GATEWAY, "host.example"))
        await peer.read()
        peer.close()
        assert await lost is None
        assert node.endpoint.peers[GATEWAY].counts.requests_out_lost == 2


async def test_at_the_end_every_peer_is_told() -> None:
    async with open_node() as node:
        peer = await call(node.port)
        closing = asyncio.create_task(node.endpoint.close())
        asked = await peer.read()
        assert isinstance(asked.body, DisconnectRequest)
        assert asked.body.cause is DisconnectCause.REBOOTING
        answer = DisconnectAnswer(ResultCode.SUCCESS, GATEWAY, "host.example")
        peer.send(Message(asked.command, 0, 0, asked.hop_by_hop, asked.end_to_end, answer))
        assert await peer.ended()
        await closing
        peer.close()


async def test_a_peer_that_leaves_is_answered_and_may_come_back() -> None:
    async with open_node() as node:
        for _ in range(2):
            peer = await call(node.port)
            answer = await peer.ask(NAMED["DPR"].message)
            assert (answer.command, result_of(answer)) == (CommandCode.DISCONNECT_PEER, 2001)
            assert await peer.ended()
            peer.close()
            await until_open(node, GATEWAY, is_open=False)


FAR = Identity("far.example", "example", LOOPBACK)


async def test_we_call_a_peer_and_call_again_when_it_was_lost() -> None:
    async with (
        open_node(peer_settings(US.host, US.realm), identity=FAR) as far,
        open_node(peer_settings(FAR.host, FAR.realm)) as near,
    ):
        client = DiameterClient(near.endpoint, FAR.host, Target("127.0.0.1", far.port))
        await until_open(near, FAR.host)
        await until_open(far, US.host)
        connection = far.endpoint.peers[US.host].connection
        assert connection is not None
        connection.abort()
        await until_open(near, FAR.host, is_open=False)
        await until_open(near, FAR.host)
        await client.close()


async def test_a_peer_that_sends_us_away_is_left_alone() -> None:
    async with (
        open_node(peer_settings(US.host, US.realm), identity=FAR) as far,
        open_node(peer_settings(FAR.host, FAR.realm)) as near,
    ):
        client = DiameterClient(near.endpoint, FAR.host, Target("127.0.0.1", far.port))
        await until_open(far, US.host)
        await far.endpoint.close(DisconnectCause.DO_NOT_WANT_TO_TALK_TO_YOU)
        await until_open(near, FAR.host, is_open=False)
        await asyncio.sleep(2 * DELAY_LEAST_SECONDS)
        assert not near.endpoint.peers[FAR.host].open
        await client.close()


async def test_what_is_being_answered_is_finished_before_the_peers_are_left() -> None:
    async with open_node() as node:
        node.charger.go.clear()
        peer = await call(node.port)
        peer.send(update())
        await until(lambda: len(node.charger.asked) == 1)
        closing = asyncio.create_task(node.endpoint.close())
        node.charger.go.set()
        assert [(await peer.read()).command for _ in range(2)] == [272, 282]
        peer.close()
        await closing


async def test_a_relay_that_we_called_sends_us_requests() -> None:
    async with (
        open_node(peer_settings(US.host, US.realm), identity=FAR) as far,
        open_node(peer_settings(FAR.host, FAR.realm)) as near,
    ):
        client = DiameterClient(near.endpoint, FAR.host, Target("127.0.0.1", far.port))
        await until_open(far, US.host)
        connection = far.endpoint.peers[US.host].connection
        assert connection is not None
        request = update().body
        answer = await connection.ask(request)  # type: ignore[arg-type]
        assert isinstance(answer, CreditControlAnswer)
        assert answer.validity_seconds == 1
        await client.close()


async def test_another_who_answers_where_we_called_is_not_our_peer() -> None:
    async with (
        open_node(peer_settings(US.host, US.realm), identity=FAR) as far,
        open_node(peer_settings("expected.example", None)) as near,
    ):
        client = DiameterClient(near.endpoint, "expected.example", Target("127.0.0.1", far.port))
        await until(lambda: client.peer.last_error != "")
        assert client.peer.last_error == "far.example answered in place of expected.example"
        await client.close()


async def test_two_nodes_that_call_each_other_have_one_connection() -> None:
    async with (
        open_node(peer_settings(US.host, US.realm), identity=FAR) as far,
        open_node(peer_settings(FAR.host, FAR.realm)) as near,
    ):
        clients = [
            DiameterClient(near.endpoint, FAR.host, Target("127.0.0.1", far.port)),
            DiameterClient(far.endpoint, US.host, Target("127.0.0.1", near.port)),
        ]
        await until_open(near, FAR.host)
        await until_open(far, US.host)
        await asyncio.sleep(0.3)
        ends = [near.endpoint.peers[FAR.host].connection, far.endpoint.peers[US.host].connection]
        assert all(end is not None and not end.session.closed for end in ends)
        answer = await far.endpoint.reauthorize("s", US.host, US.realm)
        assert answer is not None
        assert answer.result_code == ResultCode.COMMAND_UNSUPPORTED
        for client in clients:
            await client.close()


async def test_sctp_is_there_or_its_absence_is_told() -> None:
    async with open_node() as node:
        if not has_sctp():
            with pytest.raises(SctpUnavailable, match="no SCTP"):
                await node.server.listen_sctp("127.0.0.1", 0)
            return
        port = await node.server.listen_sctp("127.0.0.1", 0)
        caller = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_SCTP)
        caller.connect(("127.0.0.1", port))
        caller.setblocking(False)
        peer = RawPeer(*await asyncio.open_connection(sock=caller))
        assert result_of(await peer.ask(cer())) == ResultCode.SUCCESS
        peer.close()
