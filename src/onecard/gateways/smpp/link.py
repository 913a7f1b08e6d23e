"""A link: one peer with its settings, its bound connections and what passed over them.

`LinkConnection` drives one `Session` on one socket: received texts go to the exchange, what waits for the link is sent
while the window is open. It decides nothing about texts: `translate` has the words, `messages` the rules.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from functools import partial
from ipaddress import IPv4Network, IPv6Network
from typing import Any, Protocol

import structlog

from onecard.gateways.connection import SessionConnection
from onecard.gateways.smpp import translate
from onecard.gateways.smpp.constants import CommandId, CommandStatus
from onecard.gateways.smpp.events import (
    BindAnswered,
    BindMode,
    BindRequested,
    CancelReceived,
    Event,
    PeerFailed,
    QueryReceived,
    ReplaceReceived,
    RequestTimedOut,
    TextAnswered,
    TextReceived,
)
from onecard.gateways.smpp.pdus import Bind, QueryAnswer, ShortMessage
from onecard.gateways.smpp.receipts import parse_receipt
from onecard.gateways.smpp.session import Session, SessionSettings
from onecard.gateways.smpp.states import BOUND, Role
from onecard.gateways.smpp.throttle import Throttle
from onecard.gateways.smpp.times import format_time
from onecard.messages.accept import TextAcceptor
from onecard.messages.handover import Handover
from onecard.messages.model import Receipt, Text
from onecard.messages.queues import Queues
from onecard.switching.model import TextRefusal
from onecard.values.clock import Clock

log = structlog.get_logger(__name__)

BUSY_SECONDS = 1.0
"""How long a link is spared after its peer said that it has too much to do."""
RECEIPT_RETRY_SECONDS = 2.0
UNBIND_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class LinkSettings:
    """One peer, as it was configured."""

    name: str
    system_id: str
    password_hash: str | None
    networks: tuple[IPv4Network | IPv6Network, ...]
    receipts: bool
    """Whether the peer reports what became of a text after it took it."""
    sessions_most: int
    texts_a_second_in: float | None
    texts_a_second_out: float | None
    session: SessionSettings


@dataclass(slots=True)
class LinkCounts:
    """What passed over a link since this node started."""

    texts_in: int = 0
    texts_refused: int = 0
    texts_out: int = 0
    texts_failed: int = 0
    receipts_in: int = 0
    receipts_out: int = 0


@dataclass(frozen=True, slots=True)
class Exchange:
    """The parts of `messages` that a gateway talks to."""

    acceptor: TextAcceptor
    handover: Handover
    queues: Queues
    clock: Clock


class Link:
    """A peer: what all of its connections share."""

    def __init__(self, settings: LinkSettings, exchange: Exchange) -> None:
        self.settings = settings
        self.exchange = exchange
        self.counts = LinkCounts()
        self.connections: list[LinkConnection] = []
        self.last_error = ""
        self.throttle_in = Throttle(settings.texts_a_second_in)
        self.throttle_out = Throttle(settings.texts_a_second_out)
        self.unwritten = 0
        """Texts that the peer took and whose hand-over is not durable yet."""
        self.spare_until = 0.0
        """Loop time before which nothing is sent: the peer is busy."""

    @property
    def bound_count(self) -> int:
        return len(self.connections)


class Owner(Protocol):
    """The server or the client that a connection belongs to."""

    def on_bind(self, connection: LinkConnection, event: BindRequested | BindAnswered) -> None:
        """The peer asks to be bound, or answered our bind."""

    def on_closed(self, connection: LinkConnection) -> None:
        """The connection is over."""


class LinkConnection(SessionConnection[Event]):
    """One connection, on either side. Its link is known from the start (we bind) or once the peer has bound."""

    def __init__(self, owner: Owner, role: Role, settings: SessionSettings) -> None:
        self.owner = owner
        self.link: Link | None = None
        self.peer = ""
        self.session = Session(role, settings, asyncio.get_running_loop().time())
        super().__init__(self.session, UNBIND_SECONDS)
        self._operation = CommandId.DELIVER_SM if role is Role.SERVER else CommandId.SUBMIT_SM
        self._under_way: dict[int, Text | Receipt] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._pump_due = False
        self._writable = True
        self._pump_timer: asyncio.TimerHandle | None = None

    # ---- the socket

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.peer = str(transport.get_extra_info("peername", ("?",))[0])
        super().connection_made(transport)

    def pause_writing(self) -> None:
        self._writable = False
        super().pause_writing()

    def resume_writing(self) -> None:
        self._writable = True
        super().resume_writing()
        self._pump_soon()

    async def close(self) -> None:
        """Unbind, give the peer a moment to answer, and close the socket, if it got so far as to be open."""
        if self._transport is None:
            return
        if self.session.state in BOUND:
            self.session.unbind(self._loop.time())
        else:
            self.session.close()
        await self._part(UNBIND_SECONDS)

    # ---- being bound

    def bind(self, mode: BindMode, bind: Bind) -> None:
        """We bind: ask the peer. `on_bind` tells the owner what it said."""
        self.session.bind(mode, bind, self._loop.time())
        self._flush()

    def bind_accepted(self, link: Link, system_id: str) -> None:
        """The peer bound to us, and is let in: from here on the link's own windows and timers hold."""
        if self.session.closed:
            return
        self.session.settings = link.settings.session
        self.session.accept_bind(system_id)
        self.attach(link)
        log.info("bound", link=link.settings.name, peer=self.peer)
        self._flush()

    def bind_refused(self, status: CommandStatus) -> None:
        """The peer is not let in; the connection ends."""
        self.session.refuse_bind(status)
        self._flush()

    def attach(self, link: Link) -> None:
        """The session is bound for this link: what waits for it may go out."""
        self.link = link
        link.connections.append(self)
        if self.session.can_send:
            link.exchange.queues.of(link.settings.name).on_ready.append(self._pump_soon)
            self._pump_soon()

    def _end(self) -> None:
        """The connection is over: what was under way is tried again, since nobody knows whether it arrived."""
        if self._pump_timer is not None:
            self._pump_timer.cancel()
        link, self.link = self.link, None
        if link is not None:
            self._leave(link)
        self.owner.on_closed(self)

    def _leave(self, link: Link) -> None:
        link.connections.remove(self)
        callbacks = link.exchange.queues.of(link.settings.name).on_ready
        if self._pump_soon in callbacks:
            callbacks.remove(self._pump_soon)
        for item in self._under_way.values():
            self._try_again(link, item, None)
        self._under_way.clear()

    # ---- events

    def _dispatch(self, event: Event) -> None:
        match event:
            case TextReceived():
                self._receive_text(event)
            case TextAnswered():
                self._settle(event.sequence, event.status, event.message_id)
            case RequestTimedOut():
                self._settle(event.sequence, None, "")
            case BindRequested() | BindAnswered():
                self.owner.on_bind(self, event)
            case QueryReceived():
                self._start(event.sequence, self._answer_query(event))
            case CancelReceived():
                self._start(event.sequence, self._answer_cancel(event))
            case ReplaceReceived():
                self._start(event.sequence, self._answer_replace(event))
            case PeerFailed():
                self._note(f"the connection failed: {event.failure.value}")
            case _:  # alerts, outbinds and unbinds call for nothing that the session does not do
                pass

    def _receive_text(self, event: TextReceived) -> None:
        link = self.link
        assert link is not None, "the session lets texts through only when bound"
        if translate.is_receipt(event.message):
            link.counts.receipts_in += 1
            self._start(event.sequence, self._take_receipt(link, event))
        elif event.message.is_intermediate_notification:
            self.session.answer_text(event.sequence, CommandStatus.ESME_ROK)
        elif not link.throttle_in.take(self._loop.time()):
            link.counts.texts_refused += 1
            self.session.answer_text(event.sequence, CommandStatus.ESME_RTHROTTLED)
        else:
            self._start(event.sequence, self._accept(link, event))

    async def _accept(self, link: Link, event: TextReceived) -> None:
        try:
            arrival = translate.read_arrival(link.settings.name, event.message, link.exchange.clock.now())
        except translate.BadTimes as error:
            self._refuse(link, event, error.status)
            return
        outcome = await link.exchange.acceptor.accept(arrival)
        if isinstance(outcome, TextRefusal):
            self._refuse(link, event, translate.STATUS_OF_REFUSAL[outcome])
            return
        link.counts.texts_in += 1
        self.session.answer_text(event.sequence, CommandStatus.ESME_ROK, self._id_for_answer(outcome))
        self._flush_soon()

    def _refuse(self, link: Link, event: TextReceived, status: CommandStatus) -> None:
        link.counts.texts_refused += 1
        self.session.answer_text(event.sequence, status)
        self._flush_soon()

    def _id_for_answer(self, message_id: int) -> str:
        """deliver_sm_resp has no use for an id (section 4.6.2)."""
        return str(message_id) if self.session.role is Role.SERVER else ""

    async def _take_receipt(self, link: Link, event: TextReceived) -> None:
        """Answer a receipt once what it says is durable. One about no text of ours is answered too, and noted."""
        receipt = parse_receipt(event.message)
        state = translate.FINAL_STATE.get(receipt.state) if receipt else None
        if receipt and state:
            known = await link.exchange.handover.receive_receipt(
                link.settings.name, receipt.message_id, state, translate.read_error(receipt.error)
            )
            if not known:
                self._note("a receipt came for no text that waits for one")
        self.session.answer_text(event.sequence, CommandStatus.ESME_ROK)
        self._flush_soon()

    # ---- query, cancel, replace

    async def _answer_query(self, event: QueryReceived) -> None:
        message_id = event.query.message_id
        trace = await self._link_handover().find(self._link_name(), _read_id(message_id))
        if trace is None:
            self.session.answer_query(event.sequence, CommandStatus.ESME_RINVMSGID)
        else:
            final_date = format_time(trace.done_at) if trace.done_at else ""
            state = translate.SMPP_STATE[trace.state]
            self.session.answer_query(
                event.sequence, CommandStatus.ESME_ROK, QueryAnswer(message_id, final_date, state)
            )
        self._flush_soon()

    async def _answer_cancel(self, event: CancelReceived) -> None:
        refusal = await self._link_handover().cancel(self._link_name(), _read_id(event.cancel.message_id))
        status = translate.STATUS_OF_CANCEL_REFUSAL[refusal] if refusal else CommandStatus.ESME_ROK
        self.session.answer_cancel(event.sequence, status)
        self._flush_soon()

    async def _answer_replace(self, event: ReplaceReceived) -> None:
        refusal = await self._link_handover().replace(
            self._link_name(), _read_id(event.replace.message_id), event.replace.body
        )
        status = translate.STATUS_OF_REPLACE_REFUSAL[refusal] if refusal else CommandStatus.ESME_ROK
        self.session.answer_replace(event.sequence, status)
        self._flush_soon()

    def _link_handover(self) -> Handover:
        assert self.link is not None
        return self.link.exchange.handover

    def _link_name(self) -> str:
        assert self.link is not None
        return self.link.settings.name

    # ---- sending

    def _pump_soon(self) -> None:
        """Look once, in the next turn of the loop, however many texts are queued in this one."""
        if not self._pump_due:
            self._pump_due = True
            self._loop.call_soon(self._pump)

    def _pump(self) -> None:
        """Send what waits for the link while the window is open, the peer not busy and the socket writable."""
        self._pump_due = False
        link = self.link
        if link is None or not self._writable:
            return
        now = self._loop.time()
        while self.session.window_open and self._has_place(link) and self._may_send(link, now):
            item = link.exchange.queues.take(link.settings.name, link.exchange.clock.now())
            if item is None:
                break
            self._send(link, item, now)
            self._flush_soon()

    def _has_place(self, link: Link) -> bool:
        """A text keeps its place in the window until its hand-over is durable.

        What a crash makes us hand over twice is so never more than a window, however long the database was away.
        """
        return len(self._under_way) + link.unwritten < link.settings.session.outgoing_window

    def _may_send(self, link: Link, now: float) -> bool:
        """Whether the peer may be sent to now; if not, look again when it may."""
        seconds = max(link.spare_until - now, link.throttle_out.seconds_to_wait(now))
        if seconds <= 0:
            return True
        if self._pump_timer is None:
            self._pump_timer = self._loop.call_later(seconds, self._pump_again)
        return False

    def _pump_again(self) -> None:
        self._pump_timer = None
        self._pump_soon()

    def _send(self, link: Link, item: Text | Receipt, now: float) -> None:
        link.throttle_out.take(now)
        try:
            sequence = self.session.send_text(self._message(link, item), now)
        except ValueError as error:  # the text does not fit SMPP: no next hop will ever take it
            self._note(f"a text could not be written: {error}")
            self._give_up(link, item, CommandStatus.ESME_RINVMSGLEN)
            return
        self._under_way[sequence] = item

    def _message(self, link: Link, item: Text | Receipt) -> ShortMessage:
        if isinstance(item, Receipt):
            return translate.write_receipt(item, self._operation)
        assert item.envelope is not None
        valid = item.expires_at - link.exchange.clock.now()
        return translate.write_text(
            item.envelope,
            self._operation,
            valid_seconds=int(valid.total_seconds()),
            wants_receipt=link.settings.receipts,
        )

    def _settle(self, sequence: int, status: int | None, message_id: str) -> None:
        """The peer answered what was sent, or did not in time (status None)."""
        link = self.link
        item = self._under_way.pop(sequence, None)
        if link is None or item is None:
            return
        answer = translate.Answer.LATER if status is None else translate.read_answer(status)
        if status in translate.BUSY:
            link.spare_until = self._loop.time() + BUSY_SECONDS
        if answer is translate.Answer.TAKEN:
            self._taken(link, item, message_id)
        elif answer is translate.Answer.LATER:
            self._try_again(link, item, status)
        else:
            assert status is not None
            self._give_up(link, item, status)

    def _taken(self, link: Link, item: Text | Receipt, message_id: str) -> None:
        if isinstance(item, Receipt):
            link.counts.receipts_out += 1
            link.exchange.handover.receipt_delivered(item)
        else:
            link.counts.texts_out += 1
            reports = link.settings.receipts and message_id
            written = link.exchange.handover.handed_over(item, message_id if reports else None)
            link.unwritten += 1
            written.add_done_callback(partial(self._note_written, link))

    def _note_written(self, link: Link, _: asyncio.Future[bool]) -> None:
        link.unwritten -= 1
        self._pump_soon()

    def _try_again(self, link: Link, item: Text | Receipt, status: int | None) -> None:
        if isinstance(item, Receipt):
            queue = link.exchange.queues.of(link.settings.name)
            self._loop.call_later(RECEIPT_RETRY_SECONDS, queue.put_receipt, item)
        else:
            link.exchange.handover.postpone(item, status)

    def _give_up(self, link: Link, item: Text | Receipt, status: int) -> None:
        """A receipt that its source refuses is as good as delivered: it will not want it later either."""
        if isinstance(item, Receipt):
            link.exchange.handover.receipt_delivered(item)
        else:
            link.counts.texts_failed += 1
            link.exchange.handover.fail(item, status)

    # ---- machinery

    def _start(self, sequence: int, work: Coroutine[Any, Any, None]) -> None:
        """Work that ends with the answer to a request."""
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(partial(self._finish, sequence))

    def _finish(self, sequence: int, task: asyncio.Task[None]) -> None:
        """Work that failed is a bug here or a lost database: the peer may try again, and the window is not blocked."""
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("a request could not be done", link=self._name(), exc_info=task.exception())
            self.session.refuse(sequence, CommandStatus.ESME_RSYSERR)
            self._flush_soon()

    def _after_input(self) -> None:
        """Write all that the input gave rise to at once; send more if it opened the window."""
        self._pump()
        self._flush()

    def _note(self, error: str) -> None:
        if self.link is not None:
            self.link.last_error = error
        log.warning("smpp", link=self._name(), peer=self.peer, error=error)

    def _name(self) -> str:
        return self.link.settings.name if self.link else "?"


def _read_id(message_id: str) -> int:
    """Our ids are decimal; anything else names no text."""
    return int(message_id) if message_id.isascii() and message_id.isdigit() and len(message_id) < 19 else 0
