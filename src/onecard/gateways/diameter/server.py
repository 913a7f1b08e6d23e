"""Peers call us: the listening sockets, over TCP, TLS and, where the kernel has it, SCTP."""

from __future__ import annotations

import asyncio
import socket
import ssl

import structlog

from onecard.gateways.diameter.endpoint import Endpoint
from onecard.gateways.diameter.events import CapabilitiesReceived, CreditControlReceived
from onecard.gateways.diameter.peer import PeerConnection
from onecard.gateways.diameter.session import Role, SessionSettings

log = structlog.get_logger(__name__)

HANDSHAKE_SECONDS = 5.0
_BACKLOG = 128


class SctpUnavailable(Exception):
    """The kernel has no SCTP."""


class DiameterServer:
    """Accepts connections for an endpoint."""

    def __init__(self, endpoint: Endpoint, *, connections_most: int = 256) -> None:
        self._endpoint = endpoint
        self._connections_most = connections_most
        self._connections: set[PeerConnection] = set()
        self._servers: list[asyncio.Server] = []

    async def listen(self, host: str, port: int, tls: ssl.SSLContext | None = None) -> int:
        """Listen on TCP; returns the port, which the system chooses when 0 was asked for."""
        server = await asyncio.get_running_loop().create_server(
            self._new_connection,
            host,
            port,
            ssl=tls,
            ssl_handshake_timeout=HANDSHAKE_SECONDS if tls else None,
        )
        self._servers.append(server)
        return int(server.sockets[0].getsockname()[1])

    async def listen_sctp(self, host: str, port: int) -> int:
        """Listen on SCTP, one stream of octets a connection. Raises SctpUnavailable."""
        server = await asyncio.get_running_loop().create_server(
            self._new_connection, sock=_open_sctp(host, port)
        )
        self._servers.append(server)
        return int(server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """Take no more connections, and drop those that no peer has opened; the endpoint closes the others."""
        for server in self._servers:
            server.close()
        for connection in list(self._connections):
            if connection.peer is None:
                connection.abort()

    def _new_connection(self) -> asyncio.BaseProtocol:
        if len(self._connections) >= self._connections_most:
            return _TurnedAway()
        # The bounds of the peer come with its CER; until then nothing else may be said.
        connection = PeerConnection(self, Role.RESPONDER, self._endpoint.identity, SessionSettings())
        self._connections.add(connection)
        asyncio.get_running_loop().call_later(HANDSHAKE_SECONDS + 1.0, self._forget_unopened, connection)
        return connection

    def _forget_unopened(self, connection: PeerConnection) -> None:
        """A TLS handshake that failed tells nobody: its place would stay taken."""
        if not connection.is_opened:
            self._connections.discard(connection)

    # ---- what its connections tell: all of it is for the endpoint

    def on_capabilities(self, connection: PeerConnection, event: CapabilitiesReceived) -> None:
        self._endpoint.on_capabilities(connection, event)

    def on_opened(self, connection: PeerConnection) -> None:
        self._endpoint.on_opened(connection)

    def on_credit_control(self, connection: PeerConnection, event: CreditControlReceived) -> None:
        self._endpoint.on_credit_control(connection, event)

    def on_closed(self, connection: PeerConnection) -> None:
        self._connections.discard(connection)
        self._endpoint.on_closed(connection)


class _TurnedAway(asyncio.Protocol):
    """A connection too many."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        log.warning("connection refused: as many are open as may be")
        transport.close()


def has_sctp() -> bool:
    """Whether the kernel has SCTP."""
    try:
        socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_SCTP).close()
    except OSError:
        return False
    return True


def _open_sctp(host: str, port: int) -> socket.socket:
    if not has_sctp():
        raise SctpUnavailable("this kernel has no SCTP: load its module, or listen on TCP or TLS")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_SCTP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(_BACKLOG)
        listener.setblocking(False)
    except OSError:
        listener.close()
        raise
    return listener
