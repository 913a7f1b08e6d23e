"""We call peers, relays above all: one task a peer, which calls again whenever the connection is lost.

A peer that we called and that called us meanwhile is not called again before its connection is lost.
"""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress
from dataclasses import dataclass

import structlog

from onecard.gateways.diameter.constants import DisconnectCause
from onecard.gateways.diameter.endpoint import Endpoint
from onecard.gateways.diameter.peer import Peer, PeerConnection
from onecard.gateways.diameter.session import Role

log = structlog.get_logger(__name__)

DELAY_LEAST_SECONDS = 0.5
DELAY_MOST_SECONDS = 30.0
"""Tc of RFC 6733 section 12."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where a peer is to be called."""

    host: str
    port: int
    tls: ssl.SSLContext | None = None
    tls_name: str | None = None


class DiameterClient:
    """Keeps a connection to one peer of the endpoint open."""

    def __init__(self, endpoint: Endpoint, peer_host: str, target: Target) -> None:
        self._endpoint = endpoint
        self._peer = endpoint.peers[peer_host.lower()]
        self._target = target
        self._task = asyncio.get_running_loop().create_task(self._run(), name=f"call {peer_host}")

    @property
    def peer(self) -> Peer:
        """The peer that is called."""
        return self._peer

    async def close(self, cause: DisconnectCause = DisconnectCause.REBOOTING) -> None:
        """Disconnect, and stay away."""
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task
        for connection in (self._peer.connection, self._peer.calling):
            if connection is not None:
                await connection.disconnect(cause)

    async def _run(self) -> None:
        delay_seconds = DELAY_LEAST_SECONDS
        while True:
            connection = self._peer.connection or await self._call()
            if connection is not None:
                await connection.ended.wait()
                delay_seconds = _delay_after(connection, delay_seconds)
            await asyncio.sleep(delay_seconds)
            delay_seconds = min(2 * delay_seconds, DELAY_MOST_SECONDS)

    async def _call(self) -> PeerConnection | None:
        connection = PeerConnection(
            self._endpoint, Role.INITIATOR, self._endpoint.identity, self._peer.settings.session
        )
        connection.peer = self._peer
        self._peer.calling = connection
        try:
            await asyncio.get_running_loop().create_connection(
                lambda: connection,
                self._target.host,
                self._target.port,
                ssl=self._target.tls,
                server_hostname=self._target.tls_name if self._target.tls else None,
            )
        except OSError as error:  # ssl.SSLError is one
            self._peer.calling = None
            self._peer.last_error = f"cannot connect: {error}"
            log.warning("diameter", host=self._peer.settings.host, error=self._peer.last_error)
            return None
        return connection


def _delay_after(connection: PeerConnection, delay_seconds: float) -> float:
    """How long to stay away: long from one that has sent us away (RFC 6733 section 5.4.3), else not if it was open."""
    if connection.left in (DisconnectCause.BUSY, DisconnectCause.DO_NOT_WANT_TO_TALK_TO_YOU):
        return DELAY_MOST_SECONDS
    return DELAY_LEAST_SECONDS if connection.session.peer_host else delay_seconds
