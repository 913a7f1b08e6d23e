"""We bind to peers: one task a connection, which binds again whenever it is lost, after a growing delay."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress
from dataclasses import dataclass

import structlog

from onecard.gateways.smpp.events import BindAnswered, BindMode, BindRequested
from onecard.gateways.smpp.link import Link, LinkConnection
from onecard.gateways.smpp.pdus import Bind
from onecard.gateways.smpp.states import Role

log = structlog.get_logger(__name__)

DELAY_LEAST_SECONDS = 0.5
DELAY_MOST_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Peer:
    """Where and as whom to bind."""

    host: str
    port: int
    mode: BindMode
    password: str
    tls: ssl.SSLContext | None = None
    tls_name: str | None = None


class SmppClient:
    """Keeps one connection of a link bound."""

    def __init__(self, link: Link, peer: Peer) -> None:
        self._link = link
        self._peer = peer
        self._connection: LinkConnection | None = None
        self._bound = False
        self._task = asyncio.get_running_loop().create_task(self._run(), name=f"bind {link.settings.name}")

    async def close(self) -> None:
        """Unbind and stay away."""
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task
        if self._connection is not None and not self._connection.ended.is_set():
            await self._connection.close()

    async def _run(self) -> None:
        delay_seconds = DELAY_LEAST_SECONDS
        while True:
            self._bound = False
            await self._connect_and_wait()
            delay_seconds = DELAY_LEAST_SECONDS if self._bound else min(2 * delay_seconds, DELAY_MOST_SECONDS)
            await asyncio.sleep(delay_seconds)

    async def _connect_and_wait(self) -> None:
        """Connect, bind, and return when the connection is over."""
        try:
            _, connection = await asyncio.get_running_loop().create_connection(
                self._new_connection,
                self._peer.host,
                self._peer.port,
                ssl=self._peer.tls,
                server_hostname=self._peer.tls_name if self._peer.tls else None,
            )
        except OSError as error:  # ssl.SSLError is one
            self._note(f"cannot connect: {error}")
            return
        self._connection = connection
        try:
            connection.bind(self._peer.mode, Bind(self._link.settings.system_id, self._peer.password))
        except ValueError:  # says which octets do not fit: not for the log
            self._note("our name or password cannot be written in SMPP")
            await connection.close()
        await connection.ended.wait()

    def _new_connection(self) -> LinkConnection:
        return LinkConnection(self, Role.CLIENT, self._link.settings.session)

    def on_bind(self, connection: LinkConnection, event: BindRequested | BindAnswered) -> None:
        """The peer answered: bound, or refused."""
        assert isinstance(event, BindAnswered)
        if event.status != 0:
            self._note(f"the peer refused our bind with status {event.status:#x}")
            return
        self._bound = True
        connection.attach(self._link)
        log.info("bound", link=self._link.settings.name, mode=self._peer.mode.name.lower())

    def on_closed(self, connection: LinkConnection) -> None:
        """The task that made it waits for this by itself."""

    def _note(self, error: str) -> None:
        self._link.last_error = error
        log.warning("smpp", link=self._link.settings.name, error=error)
