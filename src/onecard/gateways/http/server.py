"""Serve an ASGI application in this process: HTTP/1.1 and HTTP/2 on one port, plain or with TLS."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from granian.constants import Interfaces, SSLProtocols
from granian.server.embed import Server


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """A certificate and its key, in PEM files."""

    certificate: Path
    key: Path


@asynccontextmanager
async def serve_http(app: Any, host: str, port: int, tls: TlsFiles | None = None) -> AsyncIterator[str]:
    """Serve until the end of the block; yields host:port, the port chosen by the system where 0 was asked for.

    With TLS, HTTP/2 is negotiated (ALPN); without it, a client that knows may speak it at once.
    """
    port = port or _free_port(host)
    server = Server(
        app,
        address=host,
        port=port,
        interface=Interfaces.ASGINL,
        log_enabled=False,
        websockets=False,
        ssl_cert=tls.certificate if tls else None,
        ssl_key=tls.key if tls else None,
        ssl_protocol_min=SSLProtocols.tls12,
    )
    serving = asyncio.ensure_future(server.serve())
    try:
        await _until_reachable(serving, host, port)
        yield f"{host}:{port}"
    finally:
        server.stop()  # type: ignore[no-untyped-call]
        await asyncio.wait([serving], timeout=5)


def _free_port(host: str) -> int:
    with socket.create_server((host, 0)) as probe:
        return int(probe.getsockname()[1])


async def _until_reachable(serving: asyncio.Future[None], host: str, port: int) -> None:
    """The server does not say when it listens, so try; OSError if it never does."""
    for _ in range(100):
        if serving.done():
            break
        try:
            _, writer = await asyncio.open_connection(host, port)
        except OSError:
            await asyncio.sleep(0.05)
        else:
            writer.close()
            return
    raise OSError(f"the HTTP server does not listen on {host}:{port}: is the port taken?")
