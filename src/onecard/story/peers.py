"""Simulated SMPP peers: an ESME that binds, and a message centre that is bound to.

They speak the protocol through our own codec over real TCP. Tests, the demonstration and the benchmarks share them;
peers of other makers are in the tests.
"""

from __future__ import annotations

import asyncio
import itertools
import ssl
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import cast

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


THROTTLED_SECONDS = 0.05


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
        self._backlog: deque[tuple[ShortMessage, asyncio.Future[TextAnswered]]] = deque()
        self._transport: asyncio.Transport | None = None
        self._flush_due = False
        self._timer: asyncio.TimerHandle | None = None

    # ---- the socket

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one by its methods only

    def data_received(self, data: bytes) -> None:
        for event in self.session.receive(data, self._loop.time()):
            self._dispatch(event)
        self._send_backlog()
        self._flush()

    def connection_lost(self, exc: Exception | None) -> None:
        self.session.close()
        self.ended.set()
        if self._timer is not None:
            self._timer.cancel()
        if not self.bound.done():
            self.bound.set_exception(PeerRefused("the connection ended before the bind"))
            self.bound.exception()  # whoever waits for it is told; nobody has to
        for answer in (*self._answers.values(), *(answer for _, answer in self._backlog)):
            if not answer.done():
                answer.set_exception(PeerRefused("the connection ended before the answer"))
                answer.exception()
        self._answers.clear()
        self._backlog.clear()

    # ---- what a peer does

    def bind(self, mode: BindMode, system_id: str, password: str) -> None:
        """Ask to be bound; `bound` tells the outcome."""
        self.session.bind(mode, Bind(system_id, password), self._loop.time())
        self._flush()

    def send_nowait(self, message: ShortMessage) -> asyncio.Future[TextAnswered]:
        """Send a text, now or when the window opens; the future is its answer, or PeerRefused."""
        answer: asyncio.Future[TextAnswered] = self._loop.create_future()
        if self.session.closed:
            answer.set_exception(PeerRefused("the connection is over"))
            return answer
        self._backlog.append((message, answer))
        self._send_backlog()
        return answer

    async def send(self, message: ShortMessage) -> TextAnswered:
        """Send a text and wait for its answer; raises PeerRefused when the connection ends first."""
        return await self.send_nowait(message)

    def _send_backlog(self) -> None:
        while self._backlog and self.session.window_open:
            message, answer = self._backlog.popleft()
            self._answers[self.session.send_text(message, self._loop.time())] = answer
        if not self._flush_due:
            self._flush_due = True
            self._loop.call_soon(self._flush)

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
        on_taken: Callable[[ShortMessage], None] | None = None,
    ) -> None:
        self.texts: list[ShortMessage] = []
        """What it took, in order; its ids are the places here, from 1. Not kept here where `on_taken` is told."""
        self.report = report
        """What its receipts say; None: it sends none."""
        self.connections: list[PeerConnection] = []
        self.port = 0
        self._password = password
        self._on_text = on_text or self._take
        self._on_taken = on_taken or self.texts.append
        self._ids = itertools.count(1)
        self._settings = settings
        self._server: asyncio.Server | None = None

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
        self._on_taken(message)
        message_id = str(next(self._ids))
        if self.report is not None and message.registered_delivery & 1:
            asyncio.get_running_loop().call_soon(
                self._report, connection, receipt_of(message, message_id, self.report)
            )
        return CommandStatus.ESME_ROK, message_id

    def _report(self, connection: PeerConnection, receipt: ShortMessage) -> None:
        """Send a receipt, again and again while the other side has too much to do."""
        loop = asyncio.get_running_loop()

        def on_answer(answer: asyncio.Future[TextAnswered]) -> None:
            if answer.exception() is None and answer.result().status == CommandStatus.ESME_RTHROTTLED:
                loop.call_later(THROTTLED_SECONDS, self._report, connection, receipt)

        connection.send_nowait(receipt).add_done_callback(on_answer)


def receipt_of(message: ShortMessage, message_id: str, state: MessageState) -> ShortMessage:
    """The receipt of a text that was submitted."""
    body, tlvs = build_receipt(Receipt(message_id, state))
    return ShortMessage(
        CommandId.DELIVER_SM, message.destination, message.source, body, esm_class=0x04, tlvs=tlvs
    )
