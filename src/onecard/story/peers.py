"""Simulated SMPP peers: an ESME that binds, and a message centre that is bound to.

They speak the protocol through our own codec over real TCP. Tests, the demonstration and the benchmarks share them;
peers of other makers are in the tests.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from onecard.gateways.smpp.constants import CommandId, CommandStatus, MessageState
from onecard.gateways.smpp.events import (
    BindAnswered,
    BindMode,
    BindRequested,
    Event,
    RequestTimedOut,
    TextAnswered,
    TextReceived,
)
from onecard.gateways.smpp.pdus import Bind, ShortMessage
from onecard.gateways.smpp.receipts import Receipt, build_receipt
from onecard.gateways.smpp.session import Session, SessionSettings
from onecard.gateways.smpp.states import Role

OnText = Callable[["PeerConnection", ShortMessage], tuple[CommandStatus, str]]
"""Answers a received text with a status and a message id."""

WIDE = SessionSettings(incoming_window=10_000, outgoing_window=100)


class PeerRefused(Exception):
    """The other side refused a bind, or the connection is over."""


class PeerConnection(asyncio.Protocol):
    """One connection of a simulated peer."""

    def __init__(self, role: Role, on_text: OnText, settings: SessionSettings, password: str = "") -> None:
        self._loop = asyncio.get_running_loop()
        self.session = Session(role, settings, self._loop.time())
        self.ended = asyncio.Event()
        self.bound: asyncio.Future[None] = self._loop.create_future()
        self._on_text = on_text
        self._password = password
        self._answers: dict[int, asyncio.Future[TextAnswered]] = {}
        self._transport: asyncio.Transport | None = None
        self._flush_due = False
        self._timer: asyncio.TimerHandle | None = None

    # ---- the socket

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        for event in self.session.receive(data, self._loop.time()):
            self._dispatch(event)
        self._flush()

    def connection_lost(self, exc: Exception | None) -> None:
        self.session.close()
        self.ended.set()
        if self._timer is not None:
            self._timer.cancel()
        if not self.bound.done():
            self.bound.set_exception(PeerRefused("the connection ended before the bind"))
            self.bound.exception()  # whoever waits for it is told; nobody has to
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(PeerRefused("the connection ended before the answer"))
                answer.exception()
        self._answers.clear()

    # ---- what a peer does

    def bind(self, mode: BindMode, system_id: str, password: str) -> None:
        """Ask to be bound; `bound` tells the outcome."""
        self.session.bind(mode, Bind(system_id, password), self._loop.time())
        self._flush()

    def send_nowait(self, message: ShortMessage) -> asyncio.Future[TextAnswered]:
        """Send a text; the window must be open."""
        answer: asyncio.Future[TextAnswered] = self._loop.create_future()
        self._answers[self.session.send_text(message, self._loop.time())] = answer
        if not self._flush_due:
            self._flush_due = True
            self._loop.call_soon(self._flush)
        return answer

    async def send(self, message: ShortMessage) -> TextAnswered:
        """Send a text and wait for its answer; raises PeerRefused when the connection ends first."""
        while not self.session.window_open:
            if self.session.closed:
                raise PeerRefused("the connection is over")
            await asyncio.sleep(0.001)
        return await self.send_nowait(message)

    async def close(self) -> None:
        """Unbind and end."""
        if not self.session.closed and self.bound.done() and not self.bound.exception():
            self.session.unbind(self._loop.time())
            self._flush()
            with suppress(TimeoutError):
                await asyncio.wait_for(self.ended.wait(), 2.0)
        if self._transport is not None:
            self._transport.abort()

    def abort(self) -> None:
        """End as a crash would: without a word."""
        if self._transport is not None:
            self._transport.abort()

    # ---- events

    def _dispatch(self, event: Event) -> None:
        match event:
            case TextReceived(sequence=sequence, message=message):
                status, message_id = self._on_text(self, message)
                self.session.answer_text(sequence, status, message_id)
            case TextAnswered(sequence=sequence):
                self._resolve(sequence, event)
            case RequestTimedOut(sequence=sequence):
                self._resolve(sequence, TextAnswered(sequence, CommandStatus.ESME_RUNKNOWNERR))
            case BindAnswered(status=status):
                self._on_bind_answer(status)
            case BindRequested(bind=bind):
                self._on_bind_request(bind)
            case _:
                pass

    def _resolve(self, sequence: int, answered: TextAnswered) -> None:
        answer = self._answers.pop(sequence, None)
        if answer is not None and not answer.done():
            answer.set_result(answered)

    def _on_bind_answer(self, status: int) -> None:
        if status:
            self.bound.set_exception(PeerRefused(f"the bind was refused with status {status:#x}"))
        else:
            self.bound.set_result(None)

    def _on_bind_request(self, bind: Bind) -> None:
        if bind.password != self._password:
            self.session.refuse_bind(CommandStatus.ESME_RINVPASWD)
            return
        self.session.accept_bind("centre")
        self.bound.set_result(None)

    def _flush(self) -> None:
        self._flush_due = False
        output = self.session.take_output()
        assert self._transport is not None
        if output:
            self._transport.write(output)
        if self.session.closed:
            self._transport.close()
        elif self._timer is None:
            self._timer = self._loop.call_at(self.session.next_tick, self._tick)

    def _tick(self) -> None:
        self._timer = None
        for event in self.session.tick(self._loop.time()):
            self._dispatch(event)
        self._flush()


@dataclass(slots=True)
class Esme:
    """A peer that binds: a home operator, a bank, or a host that comes to us."""

    connection: PeerConnection
    texts: list[ShortMessage] = field(default_factory=list)
    """What was delivered to it, receipts among them."""

    async def send(self, message: ShortMessage) -> TextAnswered:
        """Submit a text and wait for its answer."""
        return await self.connection.send(message)


async def bind_esme(
    host: str,
    port: int,
    system_id: str,
    password: str,
    *,
    mode: BindMode = BindMode.TRANSCEIVER,
    on_text: OnText | None = None,
    settings: SessionSettings = WIDE,
    tls: ssl.SSLContext | None = None,
) -> Esme:
    """Connect and bind; raises PeerRefused or OSError."""
    texts: list[ShortMessage] = []

    def keep(_: PeerConnection, message: ShortMessage) -> tuple[CommandStatus, str]:
        texts.append(message)
        return CommandStatus.ESME_ROK, ""

    _, connection = await asyncio.get_running_loop().create_connection(
        lambda: PeerConnection(Role.CLIENT, on_text or keep, settings), host, port, ssl=tls
    )
    connection.bind(mode, system_id, password)
    await connection.bound
    return Esme(connection, texts)


class MessageCentre:
    """A message centre that is bound to: it takes texts, gives them ids, and reports each as delivered."""

    def __init__(
        self,
        password: str,
        *,
        on_text: OnText | None = None,
        settings: SessionSettings = WIDE,
        report: MessageState | None = MessageState.DELIVERED,
    ) -> None:
        self.texts: list[ShortMessage] = []
        """What it took, in order; its ids are the places here, from 1."""
        self.report = report
        """What its receipts say; None: it sends none."""
        self.connections: list[PeerConnection] = []
        self.port = 0
        self.answers: list[int] = []
        """Statuses of the answers to its receipts."""
        self._password = password
        self._on_text = on_text or self._take
        self._settings = settings
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def listen(self, host: str = "127.0.0.1", port: int = 0, tls: ssl.SSLContext | None = None) -> None:
        """Listen; `port` then says where."""
        self._server = await asyncio.get_running_loop().create_server(self._new, host, port, ssl=tls)
        self.port = int(self._server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """Go away, with all connections."""
        if self._server is not None:
            self._server.close()
        for connection in self.connections:
            await connection.close()

    async def deliver(self, message: ShortMessage) -> TextAnswered:
        """Deliver a text over a bound connection, and wait for its answer."""
        return await self.bound_connection().send(message)

    def bound_connection(self) -> PeerConnection:
        """A connection that may receive; raises PeerRefused when there is none."""
        for connection in self.connections:
            if connection.session.can_send:
                return connection
        raise PeerRefused("nobody is bound to the message centre")

    def _new(self) -> PeerConnection:
        connection = PeerConnection(Role.SERVER, self._on_text, self._settings, self._password)
        self.connections.append(connection)
        return connection

    def _take(self, connection: PeerConnection, message: ShortMessage) -> tuple[CommandStatus, str]:
        self.texts.append(message)
        message_id = str(len(self.texts))
        if self.report is not None and message.registered_delivery & 1:
            asyncio.get_running_loop().call_soon(self._report, connection, message, message_id, self.report)
        return CommandStatus.ESME_ROK, message_id

    def _report(
        self, connection: PeerConnection, message: ShortMessage, message_id: str, state: MessageState
    ) -> None:
        task = asyncio.get_running_loop().create_task(
            self._send_report(connection, message, message_id, state)
        )
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _send_report(
        self, connection: PeerConnection, message: ShortMessage, message_id: str, state: MessageState
    ) -> None:
        with suppress(PeerRefused):  # a receipt is lost with its connection, as in life
            answered = await connection.send(receipt_of(message, message_id, state))
            self.answers.append(answered.status)


def receipt_of(message: ShortMessage, message_id: str, state: MessageState) -> ShortMessage:
    """The receipt of a text that was submitted."""
    body, tlvs = build_receipt(Receipt(message_id, state))
    return ShortMessage(
        CommandId.DELIVER_SM, message.destination, message.source, body, esm_class=0x04, tlvs=tlvs
    )
