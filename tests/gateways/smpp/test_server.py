"""Peers that bind to us, over real sockets: who is let in, what they may do, and what they cannot break."""

from __future__ import annotations

import asyncio
import random
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest

from onecard.cards.model import Card
from onecard.database.embedded import EmbeddedServer
from onecard.database.pool import Database
from onecard.gateways.smpp import server as smpp_server
from onecard.gateways.smpp.codec import encode_pdu
from onecard.gateways.smpp.constants import CommandId, CommandStatus, MessageState
from onecard.gateways.smpp.events import BindMode, UnbindReceived
from onecard.gateways.smpp.pdus import Bind, Body, Cancel, Pdu, Query, QueryAnswer, Replace, ShortMessage
from onecard.story.peers import Esme, PeerRefused, bind_esme
from onecard.values.address import Address
from town import BANK, HASH, HOME, HOST, PASSWORD, Town, from_card, open_town, to_number

from .golden import VECTORS
from .partners import HoldingCentre, RawPeer, bind, open_raw
from .peers.certificates import make_certificates

Status = CommandStatus
ICBC = Address(5, 0, "ICBC")
FAR = "+8613900001111"
UNKNOWN = "+8613899999999"


async def secondary_of(town: Town) -> str:
    return (await town.lines(town.cards[0]))[1].msisdn


async def code(town: Town, words: str = "Code 123456", **changes: object) -> ShortMessage:
    """A text of the bank to the secondary number."""
    return to_number(ICBC, await secondary_of(town), words, **changes)


async def refusal_of_bind(
    town: Town, system_id: str, password: str = PASSWORD, *, local_address: str | None = None
) -> str:
    with pytest.raises(PeerRefused) as caught:
        await bind(town, system_id, password, local_address=local_address)
    return str(caught.value)


# ---- being let in


async def test_a_bind_from_a_foreign_address_does_not_learn_that_its_name_is_known(
    database: Database, card: Card
) -> None:
    async with open_town(database, link_changes={BANK: {"allow": ["127.0.0.1/32"]}}) as town:
        refused = await asyncio.gather(
            refusal_of_bind(town, "bank", local_address="127.0.0.2"),
            refusal_of_bind(town, "bank", "guess", local_address="127.0.0.2"),
            refusal_of_bind(town, "nobody", local_address="127.0.0.2"),
            refusal_of_bind(town, "bank", "guess"),
        )
    assert [message.rpartition(" ")[2] for message in refused] == ["0xf", "0xf", "0xf", "0xe"]


async def test_a_link_that_we_bind_to_cannot_be_bound_to_us(town: Town) -> None:
    assert (await refusal_of_bind(town, "maple")).endswith("0xf")


async def test_a_link_has_no_more_sessions_than_it_may(database: Database, card: Card) -> None:
    async with open_town(database, link_changes={BANK: {"sessions_most": 2}}) as town:
        second = await bind(town, "bank")
        assert (await refusal_of_bind(town, "bank")).endswith("0x5")
        await second.close()
        await town.settle(lambda: town.node.links[BANK].bound_count == 1, "the end of the second")
        await bind(town, "bank")


async def test_one_connection_too_many_is_closed_at_once_and_a_place_that_is_left_is_given_again(
    database: Database, card: Card
) -> None:
    smpp = {"listen": "127.0.0.1:0", "connections_most": 3}  # the home operator and the bank have two of them
    async with open_town(database, smpp=smpp) as town:
        third = await bind(town, "bank")
        reader, writer = await asyncio.open_connection(*town.smpp)
        assert await reader.read() == b""
        writer.close()
        await third.close()
        await bind(town, "bank")


async def test_nothing_can_be_submitted_before_a_bind(town: Town) -> None:
    peer = RawPeer(*await asyncio.open_connection(*town.smpp))
    answer = await peer.ask(CommandId.SUBMIT_SM, await code(town))
    assert answer.status == Status.ESME_RINVBNDSTS
    peer.close()


@pytest.mark.parametrize(
    ("mode", "status"),
    [
        (BindMode.TRANSMITTER, Status.ESME_ROK),
        (BindMode.TRANSCEIVER, Status.ESME_ROK),
        (BindMode.RECEIVER, Status.ESME_RINVBNDSTS),
    ],
)
async def test_a_peer_may_do_what_it_bound_for(town: Town, mode: BindMode, status: CommandStatus) -> None:
    peer = await open_raw(town, "bank", mode)
    assert (await peer.ask(CommandId.SUBMIT_SM, await code(town))).status == status
    peer.close()


# ---- roles


async def test_a_home_operator_reaches_its_own_numbers_only(town: Town) -> None:
    primary, secondary = await town.lines(town.cards[0])
    far = Address(1, 1, FAR.removeprefix("+"))
    statuses = [
        (await town.home.send(to_number(far, number, "hello"))).status
        for number in (secondary.msisdn, primary.msisdn, UNKNOWN)
    ]
    assert statuses == [Status.ESME_ROK, Status.ESME_RINVDSTADR, Status.ESME_RINVDSTADR]


async def test_an_application_reaches_every_line_and_nothing_else(town: Town) -> None:
    primary, secondary = await town.lines(town.cards[0])
    statuses = [
        (await town.bank.send(to_number(ICBC, number, "hello"))).status
        for number in (secondary.msisdn, primary.msisdn, UNKNOWN, "12583")
    ]
    assert statuses == [Status.ESME_ROK, Status.ESME_ROK, Status.ESME_RINVDSTADR, Status.ESME_RINVDSTADR]


async def test_a_host_sends_for_the_cards_it_serves_only(database: Database, card: Card) -> None:
    other = {
        "name": "other-host",
        "role": "host",
        "system_id": "other",
        "password_hash": HASH,
        "cards": ["99999"],
    }
    async with open_town(database, cards=[card], more_links=[other]) as town:
        primary, _ = await town.lines(card)
        stranger = await bind(town, "other")
        text = from_card(primary.msisdn, FAR, "not mine", operation=CommandId.SUBMIT_SM)
        assert (await stranger.send(text)).status == Status.ESME_RINVSRCADR
        assert (await town.host.deliver(from_card(primary.msisdn, FAR, "mine"))).status == Status.ESME_ROK
        assert await town.balance(card) < 10_000_000


# ---- bounds


async def test_texts_over_the_rate_of_a_link_are_throttled(database: Database, card: Card) -> None:
    async with open_town(database, cards=[card], link_changes={BANK: {"texts_a_second_in": 2}}) as town:
        text = await code(town)
        answers = await asyncio.gather(*(town.bank.send(text) for _ in range(6)))
    statuses = [answer.status for answer in answers]
    assert statuses[:2] == [Status.ESME_ROK] * 2
    assert set(statuses[2:]) == {Status.ESME_RTHROTTLED}


async def test_requests_over_the_window_are_throttled_and_the_window_opens_again(
    database: Database, card: Card
) -> None:
    async with open_town(database, cards=[card], link_changes={BANK: {"window_in": 2}}) as town:
        text = await code(town)
        answers = await asyncio.gather(*(town.bank.send(text) for _ in range(5)))
        assert sorted(answer.status for answer in answers) == [0, 0] + [Status.ESME_RTHROTTLED] * 3
        assert (await town.bank.send(text)).status == Status.ESME_ROK


async def test_a_full_queue_is_told_and_takes_again_when_it_has_room(database: Database, card: Card) -> None:
    async with open_town(database, cards=[card], texts={"queue_most": 2}) as town:
        await town.home.connection.close()
        await town.settle(lambda: not town.node.links[HOME].bound_count, "the home operator's absence")
        primary, _ = await town.lines(card)
        text = from_card(primary.msisdn, "12583113900001111", "hello")
        statuses = [(await town.host.deliver(text)).status for _ in range(3)]
        assert statuses == [Status.ESME_ROK, Status.ESME_ROK, Status.ESME_RMSGQFUL]
        home = await bind_esme(*town.smpp, "cnhome", PASSWORD)
        await town.node.upkeep.tick()
        await town.settle(lambda: len(home.texts) == 2, "what waited")
        await town.node.upkeep.tick()
        assert (await town.host.deliver(text)).status == Status.ESME_ROK
        await home.connection.close()


async def test_a_peer_that_does_not_read_is_no_longer_read_from_and_then_cut_off(
    database: Database, card: Card
) -> None:
    """Its answers would else collect here without bound, and its place stay taken."""
    timers = {"enquire_link_seconds": 0.5, "response_seconds": 1.0}
    async with open_town(database, cards=[card], link_changes={BANK: timers}) as town:
        _, writer = await asyncio.open_connection(sock=await _narrow_socket(town))
        writer.write(encode_pdu(Pdu(CommandId.BIND_TRANSCEIVER, Status.ESME_ROK, 1, Bind("bank", PASSWORD))))
        await town.settle(lambda: town.node.links[BANK].bound_count == 2, "the bind")
        # Nobody reads the answers: a stream reader takes no more than its limit.
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        enquiries = encode_pdu(Pdu(CommandId.ENQUIRE_LINK, Status.ESME_ROK, 2)) * 4096
        for _ in range(1000):
            writer.write(enquiries)
            try:
                await asyncio.wait_for(writer.drain(), 1.0)
            except TimeoutError:
                break
        else:
            pytest.fail("64 MB of requests were read though no answer was")
        assert (await town.bank.send(await code(town))).status == Status.ESME_ROK
        await town.settle(lambda: town.node.links[BANK].bound_count == 1, "the end of the connection")
        writer.transport.abort()


async def _narrow_socket(town: Town) -> socket.socket:
    """A connection with little room in the kernel."""
    narrow = socket.socket()
    narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    narrow.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65_536)
    narrow.setblocking(False)
    await asyncio.get_running_loop().sock_connect(narrow, town.smpp)
    return narrow


async def test_a_peer_that_went_silent_is_found_and_its_place_is_free_again(
    database: Database, card: Card
) -> None:
    timers = {"enquire_link_seconds": 0.1, "response_seconds": 0.2, "sessions_most": 1}
    async with open_town(database, link_changes={BANK: timers}) as town:
        await town.bank.connection.close()
        silent = await open_raw(town, "bank")
        assert (await silent.read()).command is CommandId.ENQUIRE_LINK
        with pytest.raises(asyncio.IncompleteReadError):
            await silent.read()
        await bind(town, "bank")
        silent.close()


# ---- what cannot be offered


@pytest.mark.parametrize(
    ("times", "status"),
    [
        ({"schedule": "000001000000000R"}, Status.ESME_RINVSCHED),
        ({"validity": "tomorrow"}, Status.ESME_RINVEXPIRY),
        ({"validity": "200101000000000+"}, Status.ESME_RINVEXPIRY),
        ({"validity": "000000010000000R"}, Status.ESME_ROK),
    ],
)
async def test_delivery_at_a_time_is_refused_and_a_validity_must_be_to_come(
    town: Town, times: dict[str, str], status: CommandStatus
) -> None:
    assert (await town.bank.send(await code(town, **times))).status == status


# ---- query, cancel, replace


async def ask(peer: RawPeer, command: CommandId, message_id: str, body: bytes = b"") -> CommandStatus:
    """Ask for something to be done to a text."""
    asked: dict[CommandId, Body] = {
        CommandId.QUERY_SM: Query(message_id),
        CommandId.CANCEL_SM: Cancel(message_id=message_id),
        CommandId.REPLACE_SM: Replace(message_id, ICBC, body=body),
    }
    return CommandStatus((await peer.ask(command, asked[command])).status)


async def test_a_text_can_be_queried_replaced_and_cancelled_while_it_waits(
    database: Database, card: Card
) -> None:
    host = HoldingCentre()
    async with open_town(database, cards=[card], host=host, link_changes={HOST: {"window_out": 1}}) as town:
        first, second, third = [(await town.bank.send(await code(town))).message_id for _ in range(3)]
        await town.settle(lambda: host.held, "the first text at the host")
        peer = await open_raw(town, "bank")

        answer = await peer.ask(CommandId.QUERY_SM, Query(second))
        assert isinstance(answer.body, QueryAnswer)
        assert (answer.body.state, answer.body.final_date) == (MessageState.ENROUTE, "")
        assert await ask(peer, CommandId.CANCEL_SM, first) == Status.ESME_RCANCELFAIL  # it is under way
        assert await ask(peer, CommandId.REPLACE_SM, first, b"no") == Status.ESME_RREPLACEFAIL
        assert await ask(peer, CommandId.REPLACE_SM, second, b"x" * 200) == Status.ESME_RREPLACEFAIL
        assert await ask(peer, CommandId.REPLACE_SM, second, b"Code 654321") == Status.ESME_ROK
        assert await ask(peer, CommandId.CANCEL_SM, third) == Status.ESME_ROK
        assert await ask(peer, CommandId.CANCEL_SM, third) == Status.ESME_RCANCELFAIL  # it is over

        answer = await peer.ask(CommandId.QUERY_SM, Query(third))
        assert isinstance(answer.body, QueryAnswer)
        assert answer.body.state == MessageState.DELETED
        assert answer.body.final_date != ""
        host.holding[0].answer(host.held[0], "1")
        await town.settle(lambda: len(host.held) == 2, "the second text at the host")
        assert host.held[1].message.body == b"Code 654321"
        peer.close()


async def test_a_text_is_nothing_to_a_link_that_did_not_bring_it(database: Database, card: Card) -> None:
    host = HoldingCentre()
    async with open_town(database, cards=[card], host=host, link_changes={HOST: {"window_out": 1}}) as town:
        _, waiting = [(await town.bank.send(await code(town))).message_id for _ in range(2)]
        stranger = await open_raw(town, "cnhome")
        for command in (CommandId.QUERY_SM, CommandId.CANCEL_SM, CommandId.REPLACE_SM):
            for message_id in (waiting, "", "12x", "9" * 60, "-1"):
                status = await ask(stranger, command, message_id, b"Code 000000")
                assert status == Status.ESME_RINVMSGID
        stranger.close()


# ---- leaving


async def test_a_node_that_stops_unbinds(database: Database, card: Card) -> None:
    async with open_town(database, cards=[card]) as town:
        peer = await bind(town, "bank")
        taken = await peer.send(await code(town))
    assert taken.status == Status.ESME_ROK
    assert any(isinstance(event, UnbindReceived) for event in peer.events)


async def test_a_peer_that_unbinds_is_answered_after_what_it_asked_before(town: Town) -> None:
    peer = await bind(town, "bank")
    answers = [peer.send_nowait(await code(town)) for _ in range(3)]
    await peer.close()
    assert [(await answer).status for answer in answers] == [Status.ESME_ROK] * 3


# ---- trouble


async def test_without_the_database_requests_are_refused_for_now_and_leave_the_window_open(
    database: Database, card: Card, server: EmbeddedServer
) -> None:
    async with open_town(database, cards=[card], link_changes={BANK: {"window_in": 2}}) as town:
        peer = await open_raw(town, "bank")
        text = await code(town)
        async with cut_off(server, database):
            for _ in range(3):
                assert await ask(peer, CommandId.QUERY_SM, "1") == Status.ESME_RSYSERR
        for _ in range(100):
            if (await peer.ask(CommandId.SUBMIT_SM, text)).status == Status.ESME_ROK:
                break
            await asyncio.sleep(0.1)
        else:
            pytest.fail("texts are not taken again")
        peer.close()


@asynccontextmanager
async def cut_off(server: EmbeddedServer, database: Database) -> AsyncIterator[None]:
    """Nobody reaches the database meanwhile."""
    name = urlsplit(database.dsn).path.removeprefix("/")
    connection = await asyncpg.connect(server.dsn)
    try:
        await connection.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", name
        )
        yield
        await connection.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
    finally:
        await connection.close()


async def test_garbage_and_mutated_octets_disturb_no_other_connection(
    town: Town, caplog: pytest.LogCaptureFixture
) -> None:
    generator = random.Random(20_261_124)  # noqa: S311
    raised: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: raised.append(context))
    answers = []
    for _ in range(10):
        await _send_junk(town, _garbage(generator), bound=False)
        await _send_junk(town, _mutated(generator), bound=True)
        answers.append(await town.bank.send(await code(town)))
    assert {answer.status for answer in answers} == {Status.ESME_ROK}
    assert raised == []
    assert not [record for record in caplog.records if record.exc_info]


async def _send_junk(town: Town, octets: bytes, *, bound: bool) -> None:
    reader, writer = await asyncio.open_connection(*town.smpp)
    if bound:
        writer.write(
            encode_pdu(Pdu(CommandId.BIND_TRANSCEIVER, Status.ESME_ROK, 1, Bind("cnhome", PASSWORD)))
        )
        await reader.readexactly(16)
    writer.write(octets)
    writer.write_eof()
    with suppress(ConnectionError):
        await reader.read()
    writer.close()


def _garbage(generator: random.Random) -> bytes:
    return generator.randbytes(generator.randrange(1, 300))


def _mutated(generator: random.Random) -> bytes:
    """Well-formed PDUs with one octet in fifty replaced."""
    octets = bytearray(b"".join(vector.octets for vector in generator.choices(VECTORS, k=40)))
    for place in generator.sample(range(len(octets)), len(octets) // 50):
        octets[place] = generator.randrange(256)
    return bytes(octets)


async def test_handshakes_that_fail_do_not_keep_their_places(
    database: Database, card: Card, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(smpp_server, "HANDSHAKE_SECONDS", 0.2)
    certificates = make_certificates(tmp_path)
    tls = {
        "listen": "127.0.0.1:0",
        "certificate": str(certificates.certificate),
        "key": str(certificates.key),
    }
    smpp = {"listen": "127.0.0.1:0", "tls": tls, "connections_most": 4}
    async with open_town(database, cards=[card], smpp=smpp) as town:
        assert town.node.addresses.smpp_tls is not None
        host, _, port = town.node.addresses.smpp_tls.rpartition(":")
        for _ in range(10):
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(b"GET / HTTP/1.1\r\n\r\n")
            with suppress(ConnectionError):
                await reader.read()
            writer.close()
        context = certificates.client_context()
        esme = await _bound_at_last(host, int(port), context)
        assert (await esme.send(await code(town))).status == Status.ESME_ROK
        await esme.connection.close()


async def _bound_at_last(host: str, port: int, tls: ssl.SSLContext) -> Esme:
    for _ in range(50):
        try:
            return await bind_esme(host, port, "bank", PASSWORD, tls=tls)
        except (PeerRefused, OSError):
            await asyncio.sleep(0.1)
    raise AssertionError("there is no place")
