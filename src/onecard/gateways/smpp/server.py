"""Peers bind to us: the listening sockets, plain and with TLS, and who is let in."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from ipaddress import ip_address

import structlog

from onecard.gateways.smpp.constants import CommandStatus
from onecard.gateways.smpp.events import BindAnswered, BindRequested
from onecard.gateways.smpp.link import Link, LinkConnection
from onecard.gateways.smpp.session import SessionSettings
from onecard.gateways.smpp.states import Role
from onecard.sealing.passwords import PasswordCheck

log = structlog.get_logger(__name__)

REFUSAL_DELAY_SECONDS = 1.0
HANDSHAKE_SECONDS = 5.0


class SmppServer:
    """Accepts connections and binds. `links` are the peers that may bind, by system_id."""

    def __init__(
        self, system_id: str, links: Mapping[str, Link], passwords: PasswordCheck, *, connections_most: int
    ) -> None:
        self._system_id = system_id
        self._links = dict(links)
        self._connections_most = connections_most
        self._connections: set[LinkConnection] = set()
        self._servers: list[asyncio.Server] = []
        self._passwords = passwords
        self._tasks: set[asyncio.Task[None]] = set()

    async def listen(self, host: str, port: int, tls: ssl.SSLContext | None = None) -> int:
        """Listen on an address; returns the port, which the system chooses when 0 was asked for."""
        server = await asyncio.get_running_loop().create_server(
            self._new_connection,
            host,
            port,
            ssl=tls,
            ssl_handshake_timeout=HANDSHAKE_SECONDS if tls else None,
        )
        self._servers.append(server)
        return int(server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """Take no more connections, and unbind those there are."""
        for server in self._servers:
            server.close()
        await asyncio.gather(*(connection.close() for connection in list(self._connections)))

    def _new_connection(self) -> asyncio.BaseProtocol:
        if len(self._connections) >= self._connections_most:
            return _TurnedAway()
        # Windows and timers of the link come with its bind; until then nothing but a bind may be said.
        connection = LinkConnection(self, Role.SERVER, SessionSettings())
        self._connections.add(connection)
        asyncio.get_running_loop().call_later(HANDSHAKE_SECONDS + 1.0, self._forget_unopened, connection)
        return connection

    def _forget_unopened(self, connection: LinkConnection) -> None:
        """A TLS handshake that failed tells nobody: its place would stay taken."""
        if not connection.is_opened:
            self._connections.discard(connection)

    def on_bind(self, connection: LinkConnection, event: BindRequested | BindAnswered) -> None:
        """Check who asks; the check of the password is slow, so it runs beside."""
        assert isinstance(event, BindRequested)
        task = asyncio.get_running_loop().create_task(self._answer_bind(connection, event))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def on_closed(self, connection: LinkConnection) -> None:
        self._connections.discard(connection)

    async def _answer_bind(self, connection: LinkConnection, event: BindRequested) -> None:
        link = self._links.get(event.bind.system_id)
        status = await self._refusal(connection, link, event.bind.password)
        if status is None:
            assert link is not None
            connection.bind_accepted(link, self._system_id)
            return
        log.warning("bind refused", system_id=event.bind.system_id, peer=connection.peer, status=status.name)
        await asyncio.sleep(REFUSAL_DELAY_SECONDS)
        connection.bind_refused(status)

    async def _refusal(
        self, connection: LinkConnection, link: Link | None, password: str
    ) -> CommandStatus | None:
        """Why the peer is not let in. One from a foreign address does not even learn that its name is known."""
        if link is None or not _is_allowed(link, connection.peer):
            return CommandStatus.ESME_RINVSYSID
        assert link.settings.password_hash is not None
        if not await self._passwords.is_right(link.settings.password_hash, password):
            return CommandStatus.ESME_RINVPASWD
        if link.bound_count >= link.settings.sessions_most:
            return CommandStatus.ESME_RALYBND
        return None


class _TurnedAway(asyncio.Protocol):
    """A connection too many."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        log.warning("connection refused: as many are open as may be")
        transport.close()


def _is_allowed(link: Link, peer: str) -> bool:
    try:
        address = ip_address(peer)
    except ValueError:
        return False
    return any(address in network for network in link.settings.networks)
