"""Serve an ASGI application in this process: HTTP/1.1 and HTTP/2 by prior knowledge on one port."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from granian.constants import Interfaces
from granian.server.embed import Server


@asynccontextmanager
async def serve_http(app: Any, host: str, port: int) -> AsyncIterator[str]:
    """Serve until the end of the block; yields host:port, the port chosen by the system where 0 was asked for."""
    port = port or _free_port(host)
    server = Server(
        app, address=host, port=port, interface=Interfaces.ASGINL, log_enabled=False, websockets=False
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
