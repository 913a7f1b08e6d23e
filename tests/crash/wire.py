"""A wire to the database that can be cut when an answer comes back: what was asked is done, and nobody hears so."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

SOCKET = ".s.PGSQL.5432"


class Wire:
    """Stands between the pool and the server, on sockets of its own."""

    def __init__(self, server: Path, directory: Path) -> None:
        self._server = server / SOCKET
        self._own = directory / SOCKET
        self._cut_after: bytes | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def cut_after(self, request: bytes) -> None:
        """Cut the connection that next asks this, when its answer comes."""
        self._cut_after = request

    @property
    def is_cut(self) -> bool:
        """Whether that has happened."""
        return self._cut_after is None

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        listener = await asyncio.start_unix_server(self._connect, self._own)
        try:
            yield
        finally:
            listener.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server_reader, server_writer = await asyncio.open_unix_connection(self._server)
        asked = asyncio.Event()
        for work in (
            self._ask(reader, server_writer, asked),
            self._answer(server_reader, writer, asked),
        ):
            task = asyncio.create_task(work)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _ask(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, asked: asyncio.Event
    ) -> None:
        with suppress(OSError):
            while data := await reader.read(65_536):
                if self._cut_after is not None and self._cut_after in data:
                    asked.set()
                writer.write(data)
        writer.close()

    async def _answer(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, asked: asyncio.Event
    ) -> None:
        with suppress(OSError):
            while data := await reader.read(65_536):
                if asked.is_set():
                    self._cut_after = None
                    break
                writer.write(data)
        writer.close()


def rewired(dsn: str, directory: Path) -> tuple[Path, str]:
    """Where the server of a DSN listens, and the DSN by way of a wire in `directory`."""
    (host,) = parse_qs(urlsplit(dsn).query)["host"]
    return Path(host), dsn.replace(f"host={host}", f"host={directory}")
