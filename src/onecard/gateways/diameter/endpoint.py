"""This node as its Diameter peers see it: who is let in, what is answered, and what we ask of those who hold sessions.

Server and client share one endpoint, so that a peer has one open connection whoever called, a repeated request finds
the first answer whichever way it comes, and a RAR goes out by whichever way the session came in.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable
from ipaddress import ip_address

import structlog

from onecard.gateways.diameter.answers import KeptAnswers, Key, key_of
from onecard.gateways.diameter.constants import (
    ApplicationId,
    DisconnectCause,
    ReAuthRequestType,
    ResultCode,
    is_protocol_error,
)
from onecard.gateways.diameter.events import CapabilitiesReceived, CreditControlReceived
from onecard.gateways.diameter.messages import (
    AbortSessionRequest,
    CreditControlAnswer,
    CreditControlRequest,
    ReAuthRequest,
)
from onecard.gateways.diameter.messages import Answer as AnyAnswer
from onecard.gateways.diameter.peer import Peer, PeerConnection, PeerSettings
from onecard.gateways.diameter.session import Identity

log = structlog.get_logger(__name__)

Answer = Callable[[CreditControlRequest], Awaitable[CreditControlAnswer]]
"""What answers a request. It is asked once a request, however often that is repeated while its answer is kept."""

_ORIGINS_MOST = 10_000
_Waiter = tuple[PeerConnection, int]

ANSWERS_MOST = 100_000
KEEP_SECONDS = 300.0
FINISH_SECONDS = 5.0


class Endpoint:
    """Knows the peers by their Origin-Host and gives each request one answer."""

    def __init__(
        self,
        identity: Identity,
        peers: Iterable[PeerSettings],
        answer: Answer,
        *,
        answers_most: int = ANSWERS_MOST,
        keep_seconds: float = KEEP_SECONDS,
    ) -> None:
        self.identity = identity
        self.peers = {settings.host.lower(): Peer(settings) for settings in peers}
        self._answer = answer
        self._loop = asyncio.get_running_loop()
        self._kept: KeptAnswers[_Waiter] = KeptAnswers(answers_most=answers_most, keep_seconds=keep_seconds)
        # Over which peer an Origin-Host was last heard: the way to it, if it is not a peer itself.
        self._ways: OrderedDict[str, Peer] = OrderedDict()
        self._tasks: set[asyncio.Task[None]] = set()

    async def close(self, cause: DisconnectCause = DisconnectCause.REBOOTING) -> None:
        """Finish what is being answered, and disconnect every peer."""
        await self._finish_tasks()
        connections = [each for peer in self.peers.values() for each in (peer.connection, peer.calling)]
        await asyncio.gather(*(each.disconnect(cause) for each in connections if each is not None))
        await self._finish_tasks()  # what came in meanwhile; its askers have gone, and ask again

    async def _finish_tasks(self) -> None:
        if self._tasks:
            await asyncio.wait(list(self._tasks), timeout=FINISH_SECONDS)

    # ---- what we ask

    async def reauthorize(
        self,
        session_id: str,
        origin_host: str,
        origin_realm: str,
        *,
        rating_group: int | None = None,
        service_identifier: int | None = None,
    ) -> AnyAnswer | None:
        """Ask whoever holds a session to report and ask anew (RFC 8506 section 5.5): all of it, or a rating group.

        `origin_host` and `origin_realm` are those of its CCRs. None: no way there, or no answer in time.
        """
        return await self._ask(
            origin_host,
            ReAuthRequest(
                session_id,
                self.identity.host,
                self.identity.realm,
                origin_realm,
                origin_host,
                ApplicationId.CREDIT_CONTROL,
                ReAuthRequestType.AUTHORIZE_ONLY,
                rating_group,
                service_identifier,
                self.identity.origin_state_id,
            ),
        )

    async def abort_session(self, session_id: str, origin_host: str, origin_realm: str) -> AnyAnswer | None:
        """Ask whoever holds a session to end it (RFC 6733 section 8.5). None: no way there, or no answer in time."""
        return await self._ask(
            origin_host,
            AbortSessionRequest(
                session_id,
                self.identity.host,
                self.identity.realm,
                origin_realm,
                origin_host,
                ApplicationId.CREDIT_CONTROL,
                self.identity.origin_state_id,
            ),
        )

    async def _ask(self, host: str, request: ReAuthRequest | AbortSessionRequest) -> AnyAnswer | None:
        connection = self._way_to(host)
        return None if connection is None else await connection.ask(request)

    def _way_to(self, host: str) -> PeerConnection | None:
        """The peer itself, or the one that it was last heard over."""
        for peer in (self.peers.get(host.lower()), self._ways.get(host)):
            if peer is not None and peer.connection is not None and peer.connection.session.can_ask:
                return peer.connection
        return None

    # ---- who is let in

    def on_capabilities(self, connection: PeerConnection, event: CapabilitiesReceived) -> None:
        """Let a known peer in that calls from where it may, unless it is here already."""
        peer = self.peers.get(event.request.origin_host.lower())
        if peer is None or not _is_allowed(peer.settings, connection.address, event.request.origin_realm):
            connection.refuse(ResultCode.UNKNOWN_PEER, "no peer of this name may call from there")
        elif peer.settings.tls_required and not connection.tls:
            connection.refuse(ResultCode.NO_COMMON_SECURITY, "this peer has to use TLS")
        elif not self._wins(peer):
            connection.refuse(ResultCode.ELECTION_LOST, "this peer is connected already")
        elif connection.accept(peer):
            self._opened(connection, peer)

    def _wins(self, peer: Peer) -> bool:
        """Whether a peer that calls gets its connection: the election of RFC 6733 section 5.6.4.

        One that is connected already is not let in again, but the connection there is has to prove itself: a peer
        that lost it without our noticing calls again, and then finds its place free.
        """
        if peer.connection is not None:
            peer.connection.probe()
            return False
        if peer.calling is None:
            return True
        if self.identity.host.lower() < peer.settings.host.lower():
            return False
        peer.calling.abort()
        return True

    def on_opened(self, connection: PeerConnection) -> None:
        """The peer that we called let us in: it has to be the one that we meant."""
        peer = connection.peer
        assert peer is not None
        if connection.session.peer_host.lower() != peer.settings.host.lower():
            peer.last_error = f"{connection.session.peer_host} answered in place of {peer.settings.host}"
            log.warning("diameter", host=peer.settings.host, error=peer.last_error)
            connection.abort()
        elif peer.connection is not None:
            connection.abort()
        else:
            self._opened(connection, peer)

    def on_closed(self, connection: PeerConnection) -> None:
        """Its place is free again."""
        peer = connection.peer
        if peer is None:
            return
        if peer.connection is connection:
            peer.connection = None
            log.info("peer closed", host=peer.settings.host)
        if peer.calling is connection:
            peer.calling = None

    def _opened(self, connection: PeerConnection, peer: Peer) -> None:
        peer.connection = connection
        if peer.calling is connection:
            peer.calling = None
        log.info("peer open", host=peer.settings.host, address=connection.address, tls=connection.tls)

    # ---- what is answered

    def on_credit_control(self, connection: PeerConnection, event: CreditControlReceived) -> None:
        """Answer from what is kept, or wait with whoever asked before, or start to work on it."""
        peer = connection.peer
        assert peer is not None, "the session lets requests through only when open"
        request = event.request
        peer.counts.requests_in += 1
        self._learn_way(request.origin_host, peer)
        key = key_of(request, event.end_to_end)
        kept = self._kept.find(key, self._loop.time())
        if kept is not None:
            peer.counts.repeats_in += 1
            connection.answer(event.ticket, kept)
        elif self._kept.wait(key, (connection, event.ticket)):
            peer.counts.repeats_in += 1
        else:
            task = self._loop.create_task(self._work(key, request))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _learn_way(self, origin_host: str, peer: Peer) -> None:
        if self._ways.get(origin_host) is peer:
            return
        self._ways[origin_host] = peer
        self._ways.move_to_end(origin_host)
        if len(self._ways) > _ORIGINS_MOST:
            self._ways.popitem(last=False)

    async def _work(self, key: Key, request: CreditControlRequest) -> None:
        """Find the answer and give it to all who wait. What fails here is a bug, or the store is away."""
        try:
            answer = await self._answer(request)
        except Exception:
            log.exception("a request was not answered", session=request.session_id)
            answer = CreditControlAnswer(result_code=ResultCode.UNABLE_TO_COMPLY)
            waiters = self._kept.give_up(key)
        else:
            waiters = self._settle(key, answer)
        for connection, ticket in waiters:
            _give(connection, ticket, answer)

    def _settle(self, key: Key, answer: CreditControlAnswer) -> list[_Waiter]:
        """Keep an answer, unless it only says that it should be asked again."""
        if is_protocol_error(answer.result_code):
            return self._kept.give_up(key)
        return self._kept.keep(key, answer, self._loop.time())


def _give(connection: PeerConnection, ticket: int, answer: CreditControlAnswer) -> None:
    try:
        connection.answer(ticket, answer)
    except ValueError as error:
        log.error("an answer cannot be written", error=str(error))
        connection.answer(ticket, CreditControlAnswer(result_code=ResultCode.UNABLE_TO_COMPLY))


def _is_allowed(settings: PeerSettings, address: str, realm: str) -> bool:
    if settings.realm is not None and settings.realm.lower() != realm.lower():
        return False
    try:
        source = ip_address(address)
    except ValueError:
        return False
    return any(source in network for network in settings.networks)
