"""A cable to the database that can be cut, and that can lose the answers to what it carried."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

SOCKET = ".s.PGSQL.5432"


class Cable:
    """Carries connections from a socket of its own to the server's."""

    def __init__(self, far: Path) -> None:
        self.is_cut = False
        self.loses_answers = False
        """What is sent arrives, and is carried out; the connection is lost before the answer."""
        self.lost = asyncio.Event()
        self._far = far
        self._writers: set[asyncio.StreamWriter] = set()

    def cut(self) -> None:
        """Lose all connections, and take no new ones."""
        self.is_cut = True
        for writer in self._writers:
            writer.transport.abort()

    def mend(self) -> None:
        self.is_cut = self.loses_answers = False

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.is_cut:
            writer.transport.abort()
            return
        far_reader, far_writer = await asyncio.open_unix_connection(str(self._far))
        ends = {writer, far_writer}
        self._writers |= ends
        with suppress(ConnectionError):
            await asyncio.gather(self._pass_on(reader, far_writer), self._answer(far_reader, writer))
        self._writers -= ends
        for end in ends:
            end.transport.abort()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
        writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            if self.loses_answers:
                self.cut()
                self.lost.set()
                return
            writer.write(data)
            await writer.drain()
        writer.close()


@asynccontextmanager
async def open_cable(dsn: str, directory: Path) -> AsyncIterator[tuple[Cable, str]]:
    """A cable to the database of `dsn`, and the address of its near end."""
    [host] = parse_qs(urlsplit(dsn).query)["host"]
    cable = Cable(Path(host) / SOCKET)
    server = await asyncio.start_unix_server(cable.carry, str(directory / SOCKET))
    try:
        yield cable, dsn.replace(host, str(directory))
    finally:
        cable.cut()
        server.close()
