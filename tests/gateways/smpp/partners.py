"""Simulated peers with habits: one that answers when it is told to, and notes everything that happens to it."""

from __future__ import annotations

import asyncio

from onecard.gateways.smpp.codec import decode_pdu, encode_pdu
from onecard.gateways.smpp.constants import RESPONSE_BIT, CommandId, CommandStatus
from onecard.gateways.smpp.events import BindMode, Event, TextReceived, UnbindReceived
from onecard.gateways.smpp.pdus import Bind, Body, Pdu, ShortMessage
from onecard.gateways.smpp.session import SessionSettings
from onecard.gateways.smpp.states import Role
from onecard.story.peers import WIDE, MessageCentre, OnText, PeerConnection
from town import PASSWORD, Town

ANSWER_SECONDS = 10.0


class HoldingConnection(PeerConnection):
    """Answers no text by itself."""

    def __init__(self, role: Role, on_text: OnText, settings: SessionSettings, password: str = "") -> None:
        super().__init__(role, on_text, settings, password)
        self.events: list[Event] = []
        self.held: list[TextReceived] = []

    def answer(self, received: TextReceived, message_id: str = "") -> None:
        """Take a text that was held."""
        self.session.answer_text(received.sequence, CommandStatus.ESME_ROK, message_id)
        self._flush()

    def _dispatch(self, event: Event) -> None:
        self.events.append(event)
        if isinstance(event, TextReceived):
            self.held.append(event)
        elif isinstance(event, UnbindReceived) and not self.session.closed:
            self.abort()  # it would wait for answers that nobody gives any more
        else:
            super()._dispatch(event)


class HoldingCentre(MessageCentre):
    """A message centre that answers no text by itself."""

    def __init__(self) -> None:
        super().__init__(PASSWORD)
        self.holding: list[HoldingConnection] = []

    @property
    def held(self) -> list[TextReceived]:
        """What came over any connection, in order."""
        return [received for connection in self.holding for received in connection.held]

    def _new(self) -> PeerConnection:
        connection = HoldingConnection(Role.SERVER, self._on_text, WIDE, PASSWORD)
        self.connections.append(connection)
        self.holding.append(connection)
        return connection


async def connect(
    town: Town, *, local_address: str | None = None, settings: SessionSettings = WIDE
) -> HoldingConnection:
    """Connect to the node without binding."""
    host, port = town.smpp
    _, connection = await asyncio.get_running_loop().create_connection(
        lambda: HoldingConnection(Role.CLIENT, _never, settings),
        host,
        port,
        local_addr=(local_address, 0) if local_address else None,
    )
    return connection


async def bind(
    town: Town,
    system_id: str,
    password: str = PASSWORD,
    *,
    mode: BindMode = BindMode.TRANSCEIVER,
    local_address: str | None = None,
    settings: SessionSettings = WIDE,
) -> HoldingConnection:
    """Connect and bind; raises PeerRefused."""
    connection = await connect(town, local_address=local_address, settings=settings)
    connection.bind(mode, system_id, password)
    await connection.bound
    return connection


def _never(_: PeerConnection, __: ShortMessage) -> tuple[CommandStatus, str]:
    raise AssertionError("a holding connection answers by itself")


class RawPeer:
    """A peer that asks one thing after the other, PDU by PDU."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._sequence = 0

    async def ask(self, command: CommandId, body: Body | None = None) -> Pdu:
        """Send a request and read on until its response."""
        self._sequence += 1
        self._writer.write(encode_pdu(Pdu(command, CommandStatus.ESME_ROK, self._sequence, body)))
        async with asyncio.timeout(ANSWER_SECONDS):
            while True:
                pdu = await self.read()
                if pdu.command & RESPONSE_BIT and pdu.sequence == self._sequence:
                    return pdu

    async def read(self) -> Pdu:
        """The next PDU; raises IncompleteReadError at the end of the connection."""
        length = await self._reader.readexactly(4)
        return decode_pdu(length + await self._reader.readexactly(int.from_bytes(length, "big") - 4))

    def close(self) -> None:
        self._writer.close()


async def open_raw(town: Town, system_id: str, mode: BindMode = BindMode.TRANSMITTER) -> RawPeer:
    """Connect and bind."""
    peer = RawPeer(*await asyncio.open_connection(*town.smpp))
    answer = await peer.ask(mode.value, Bind(system_id, PASSWORD))
    assert answer.status == CommandStatus.ESME_ROK
    return peer
