"""A peer: one neighbour with its settings, its connection and what passed over it.

`PeerConnection` drives one `Session` on one socket. It decides nothing: the `endpoint` says who is let in and
what is answered.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from random import uniform
from secrets import randbits
from typing import Protocol

import structlog

from onecard.gateways.connection import SessionConnection
from onecard.gateways.diameter.constants import DisconnectCause, ResultCode
from onecard.gateways.diameter.events import (
    CapabilitiesAnswered,
    CapabilitiesReceived,
    CreditControlReceived,
    DisconnectReceived,
    Event,
    PeerFailed,
    RequestAnswered,
    RequestTimedOut,
)
from onecard.gateways.diameter.messages import Answer, CreditControlAnswer, Request
from onecard.gateways.diameter.session import Identity, Role, Session, SessionSettings, State

log = structlog.get_logger(__name__)

_JITTER_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class PeerSettings:
    """One peer, as it was configured. `realm` None: any; `networks`: where it may call from."""

    host: str
    realm: str | None
    networks: tuple[IPv4Network | IPv6Network, ...]
    tls_required: bool = False
    session: SessionSettings = SessionSettings()  # noqa: RUF009  (frozen)


@dataclass(slots=True)
class PeerCounts:
    """What passed over a peer since this node started."""

    requests_in: int = 0
    repeats_in: int = 0
    requests_out: int = 0
    requests_out_lost: int = 0


class Peer:
    """A neighbour: what outlives its connections."""

    def __init__(self, settings: PeerSettings) -> None:
        self.settings = settings
        self.counts = PeerCounts()
        self.connection: PeerConnection | None = None
        """The one that is open."""
        self.calling: PeerConnection | None = None
        """One of ours that the peer has not answered yet."""
        self.last_error = ""

    @property
    def open(self) -> bool:
        return self.connection is not None


class Owner(Protocol):
    """What a connection belongs to."""

    def on_capabilities(self, connection: PeerConnection, event: CapabilitiesReceived) -> None:
        """A peer called: let it in or turn it away."""

    def on_opened(self, connection: PeerConnection) -> None:
        """The peer that we called let us in."""

    def on_credit_control(self, connection: PeerConnection, event: CreditControlReceived) -> None:
        """A request wants its answer."""

    def on_closed(self, connection: PeerConnection) -> None:
        """The connection is over."""


class PeerConnection(SessionConnection[Event]):
    """One connection, on either side. `peer` is known from the start (we call) or once it has named itself."""

    def __init__(self, owner: Owner, role: Role, identity: Identity, settings: SessionSettings) -> None:
        self.owner = owner
        self.peer: Peer | None = None
        self.address = ""
        self.tls = False
        self.left: DisconnectCause | None = None
        """Why the peer left, if it said so."""
        self.session = Session(
            role,
            identity,
            settings,
            asyncio.get_running_loop().time(),
            first_id=randbits(32),
            jitter_seconds=_jitter_seconds,
        )
        super().__init__(self.session, settings.disconnect_seconds)
        self._asked: dict[int, asyncio.Future[Answer | None]] = {}

    # ---- the socket

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.address = str((transport.get_extra_info("peername") or ("?",))[0])
        self.tls = transport.get_extra_info("ssl_object") is not None
        if self.session.role is Role.INITIATOR:
            self.session.start(self._loop.time())
        super().connection_made(transport)

    async def disconnect(self, cause: DisconnectCause) -> None:
        """Send a DPR, give the peer a moment to answer, and close the socket, if it got so far as to be open."""
        if self._transport is None:
            return
        if self.session.state is State.OPEN:
            self.session.disconnect(cause, self._loop.time())
        elif self.session.state is State.WAIT_CAPABILITIES:
            self.session.close()
        await self._part(2 * self.session.settings.disconnect_seconds)

    # ---- decisions of the owner

    def accept(self, peer: Peer) -> bool:
        """Let the peer in that called; from here on its own bounds hold. False: it speaks nothing that it may."""
        if self.session.accept(peer.settings.session, self._loop.time()):
            self.peer = peer
            self._hang_up_seconds = peer.settings.session.disconnect_seconds
            return True
        return False

    def refuse(self, result_code: ResultCode, error_message: str) -> None:
        """Turn the peer away; the connection ends."""
        log.warning("peer refused", address=self.address, host=self.session.peer_host, reason=error_message)
        self.session.refuse(result_code, error_message)

    def answer(self, ticket: int, answer: CreditControlAnswer) -> None:
        """Answer a request. Raises ValueError if a value does not fit its AVP."""
        self.session.answer_credit_control(ticket, answer)
        self._flush_soon()

    def probe(self) -> None:
        """Find out soon whether the peer is still there."""
        self.session.probe(self._loop.time())
        self._flush()

    async def ask(self, request: Request) -> Answer | None:
        """Send a request, and wait. None: no answer in time, or no more room for a question, or the peer is gone."""
        if not self.session.can_ask:
            return None
        hop_by_hop = self.session.ask(request, self._loop.time())
        future = self._asked[hop_by_hop] = self._loop.create_future()
        if self.peer is not None:
            self.peer.counts.requests_out += 1
        self._flush_soon()
        answer: Answer | None = await future
        return answer

    # ---- events

    def _dispatch(self, event: Event) -> None:
        match event:
            case CreditControlReceived():
                self.owner.on_credit_control(self, event)
            case RequestAnswered():
                self._settle(event.hop_by_hop, event.answer)
            case RequestTimedOut():
                self._settle(event.hop_by_hop, None)
            case CapabilitiesReceived():
                self.owner.on_capabilities(self, event)
            case CapabilitiesAnswered():
                if self.session.state is State.OPEN:
                    self.owner.on_opened(self)
            case DisconnectReceived():
                self.left = event.cause
                log.info("peer leaves", host=self.session.peer_host, cause=event.cause.name.lower())
            case PeerFailed():
                self._note(f"the connection failed: {event.failure.value}")
            case _:  # our own DPR was answered
                pass

    def _settle(self, hop_by_hop: int, answer: Answer | None) -> None:
        future = self._asked.pop(hop_by_hop)
        if answer is None and self.peer is not None:
            self.peer.counts.requests_out_lost += 1
        if not future.done():  # whoever asked may have stopped waiting
            future.set_result(answer)

    def _end(self) -> None:
        for hop_by_hop in list(self._asked):
            self._settle(hop_by_hop, None)
        self.owner.on_closed(self)

    def _note(self, error: str) -> None:
        if self.peer is not None:
            self.peer.last_error = error
        log.warning("diameter", address=self.address, host=self.session.peer_host, error=error)


def _jitter_seconds() -> float:
    return uniform(-_JITTER_SECONDS, _JITTER_SECONDS)  # noqa: S311  (spreads load, guards nothing)
