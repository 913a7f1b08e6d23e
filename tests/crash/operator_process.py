"""onecard in a process of its own, on a directory of its own, to be killed."""

from __future__ import annotations

import asyncio
import base64
import os
import random
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import asyncpg
import msgspec

import shop
from onecard.database.directory import ServerDirectory
from onecard.database.embedded import EmbeddedServer, attach
from onecard.database.migrations import migrate
from onecard.database.pool import Connection, DatabaseUnavailable, connection, open_pool, retrying
from onecard.node.config import Config
from town import PASSWORD, sell_card_with_two_lines, stock_up

RUN_SERVE = Path(__file__).with_name("run_serve.py")
CARDS = 3
BALANCE = "1000.00"


@dataclass(frozen=True, slots=True)
class CardNumbers:
    """The two numbers of one card."""

    primary: str
    secondary: str


async def prepare(directory: Path) -> list[CardNumbers]:
    """Stock a fresh directory and sell the cards; returns their numbers."""
    async with await EmbeddedServer.start(directory, settings={"fsync": "off"}) as server:
        fresh = await asyncpg.connect(server.dsn)
        await migrate(fresh, now=shop.AT)
        await fresh.close()
        async with open_pool(server.dsn) as pool, connection(pool) as borrowed:
            await stock_up(borrowed)
            for _ in range(CARDS):
                await sell_card_with_two_lines(borrowed, BALANCE)
            rows = await borrowed.fetch("SELECT msisdn FROM line ORDER BY card_id, slot")
    numbers = [row["msisdn"] for row in rows]
    return [CardNumbers(*pair) for pair in zip(numbers[::2], numbers[1::2], strict=True)]


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class OperatorProcess:
    """Starts onecard, kills it and its database server, and starts it again."""

    def __init__(self, directory: Path, config: Config) -> None:
        self._directory = directory
        self._config_file = directory.with_name("config.json")
        self._config_file.write_bytes(msgspec.json.encode(config))
        self._log = directory.with_name("onecard.log").open("ab")
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start it; it may not be up yet when this returns."""
        key = base64.b64encode(bytes(range(32))).decode()
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            str(RUN_SERVE),
            str(self._config_file),
            str(self._directory),
            env={**os.environ, "HOST_PASSWORD": PASSWORD, "ONECARD_MASTER_KEY": key},
            stdout=self._log,
            stderr=self._log,
        )

    @property
    def is_alive(self) -> bool:
        """Whether the process runs."""
        return self._process is not None and self._process.returncode is None

    async def kill(self) -> None:
        """kill -9 of onecard alone: its database server survives it."""
        assert self._process is not None
        self._process.kill()
        await self._process.wait()

    def kill_server(self) -> None:
        """kill -9 of the main process of PostgreSQL."""
        pid_file = ServerDirectory(self._directory.resolve()).data / "postmaster.pid"
        os.kill(int(pid_file.read_text().splitlines()[0]), signal.SIGKILL)

    async def kill_backend(self, chance: random.Random) -> None:
        """kill -9 of one process of PostgreSQL that works for onecard: PostgreSQL then throws out all the others."""
        async with self.database() as borrowed:
            rows = await borrowed.fetch(
                "SELECT pid FROM pg_stat_activity"
                " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
            )
            os.kill(chance.choice(rows)["pid"], signal.SIGKILL)

    async def stop(self) -> None:
        """End it as an operator would, and its server with it."""
        assert self._process is not None
        if self._process.returncode is None:
            self._process.terminate()
            await asyncio.wait_for(self._process.wait(), 30)
        self._log.close()

    @asynccontextmanager
    async def database(self) -> AsyncIterator[Connection]:
        """A connection to the database of the running process, once it takes one."""
        server = await attach(self._directory)
        beside = await retrying(partial(_connect, server.dsn))
        try:
            yield beside
        finally:
            beside.terminate()

    def last_words(self) -> str:
        """The end of its log."""
        self._log.flush()
        return self._directory.with_name("onecard.log").read_text(errors="replace")[-6000:]


async def _connect(dsn: str) -> asyncpg.Connection[asyncpg.Record]:
    try:
        return await asyncpg.connect(dsn)
    except (OSError, asyncpg.CannotConnectNowError) as error:  # it restarts, or recovers
        raise DatabaseUnavailable(str(error)) from error
