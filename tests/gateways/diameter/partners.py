"""Peers for the tests: one that speaks message by message, and this node as an endpoint with a callback of the test."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import IPv4Address, ip_network

from msgspec.structs import replace

from onecard.gateways.diameter.codec import decode_message, encode_message
from onecard.gateways.diameter.constants import Flag, ResultCode
from onecard.gateways.diameter.endpoint import KEEP_SECONDS, Endpoint
from onecard.gateways.diameter.messages import (
    Body,
    CapabilitiesExchangeRequest,
    CreditControlAnswer,
    CreditControlRequest,
    GrantedUnits,
    Message,
    ServiceAnswer,
)
from onecard.gateways.diameter.peer import PeerSettings
from onecard.gateways.diameter.server import DiameterServer
from onecard.gateways.diameter.session import Identity, SessionSettings

from .golden import NAMED

LOOPBACK = (IPv4Address("127.0.0.1"),)
US = Identity("ocs.onecard.example", "onecard.example", LOOPBACK)
GATEWAY = "pgw.host.example"
QUICK = SessionSettings(probe_seconds=0.2, disconnect_seconds=0.5, response_seconds=0.5)


def peer_settings(host: str = GATEWAY, realm: str | None = "host.example", **changes: object) -> PeerSettings:
    """A peer that calls from this machine."""
    values: dict[str, object] = {"networks": (ip_network("127.0.0.0/8"),), "session": QUICK} | changes
    return PeerSettings(host, realm, **values)  # type: ignore[arg-type]


@dataclass
class Charger:
    """Grants what is asked for, counts what it was asked, and waits, fails or refuses when told to."""

    asked: list[CreditControlRequest] = field(default_factory=list)
    go: asyncio.Event = field(default_factory=asyncio.Event)
    fails: bool = False
    result_code: ResultCode = ResultCode.SUCCESS

    async def answer(self, request: CreditControlRequest) -> CreditControlAnswer:
        self.asked.append(request)
        number = len(self.asked)
        await self.go.wait()
        if self.fails:
            raise ConnectionError("the store is away")
        granted = GrantedUnits(total_octets=1000 + number)
        services = tuple(
            ServiceAnswer(2001, each.rating_group, each.service_identifiers, granted)
            for each in request.services
        )
        return CreditControlAnswer(result_code=self.result_code, services=services, validity_seconds=number)


@dataclass
class Node:
    """This node, listening."""

    endpoint: Endpoint
    server: DiameterServer
    charger: Charger
    port: int
    tls_port: int | None = None


@asynccontextmanager
async def open_node(
    *peers: PeerSettings,
    identity: Identity = US,
    tls: ssl.SSLContext | None = None,
    keep_seconds: float = KEEP_SECONDS,
) -> AsyncIterator[Node]:
    charger = Charger()
    charger.go.set()
    endpoint = Endpoint(identity, peers or (peer_settings(),), charger.answer, keep_seconds=keep_seconds)
    server = DiameterServer(endpoint, connections_most=8)
    port = await server.listen("127.0.0.1", 0)
    tls_port = await server.listen("127.0.0.1", 0, tls) if tls else None
    try:
        yield Node(endpoint, server, charger, port, tls_port)
    finally:
        charger.go.set()
        await server.close()
        await endpoint.close()


class RawPeer:
    """A peer that asks one thing after the other, message by message."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    def send(self, message: Message) -> None:
        self._writer.write(encode_message(message))

    async def ask(self, message: Message) -> Message:
        """Send a request and read on until its answer."""
        self.send(message)
        while True:
            answer = await self.read()
            if not answer.is_request and answer.hop_by_hop == message.hop_by_hop:
                return answer

    async def read(self) -> Message:
        """The next message; raises IncompleteReadError at the end of the connection."""
        head = await self._reader.readexactly(4)
        decoded = decode_message(head + await self._reader.readexactly(int.from_bytes(head[1:], "big") - 4))
        assert isinstance(decoded, Message)
        return decoded

    async def ended(self) -> bool:
        """Read to the end of the connection, which has to come."""
        while await self._reader.read(65_536):
            pass
        return True

    def close(self) -> None:
        self._writer.close()


async def connect(
    port: int, tls: ssl.SSLContext | None = None, *, local_address: str = "127.0.0.1"
) -> RawPeer:
    """Connect without a word."""
    return RawPeer(*await asyncio.open_connection("127.0.0.1", port, ssl=tls, local_addr=(local_address, 0)))


def cer(host: str = GATEWAY, realm: str = "host.example") -> Message:
    """The capabilities of a peer."""
    body = CapabilitiesExchangeRequest(host, realm, 0, "gateway", LOOPBACK, auth_application_ids=(4,))
    return Message(257, Flag.REQUEST, 0, 1, 1, body)


async def call(port: int, host: str = GATEWAY, tls: ssl.SSLContext | None = None) -> RawPeer:
    """Connect and exchange capabilities."""
    peer = await connect(port, tls)
    assert result_of(await peer.ask(cer(host))) == ResultCode.SUCCESS
    return peer


def update(number: int = 3, *, end_to_end: int = 0x21, hop_by_hop: int = 0x11, **changes: object) -> Message:
    """The golden update with other numbers."""
    message = NAMED["CCR update of data, sent again"].message
    assert isinstance(message.body, CreditControlRequest)
    body = replace(message.body, request_number=number, **changes)
    return replace(message, hop_by_hop=hop_by_hop, end_to_end=end_to_end, body=body)


async def until(condition: Callable[[], bool]) -> None:
    """Wait until something is so; ten seconds are more than it ever takes."""
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it never came to be")


def result_of(message: Message) -> int:
    """The result of an answer."""
    body: Body = message.body
    result_code = getattr(body, "result_code", None)
    assert isinstance(result_code, int)
    return result_code
