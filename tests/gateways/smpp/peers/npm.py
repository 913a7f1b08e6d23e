"""Peers made with the npm package smpp: node processes that are driven by JSON lines."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
ANSWER_SECONDS = 10.0

Line = dict[str, Any]


class NpmPeer:
    """One node process: what is asked of it, what it answered, and what happened to it."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.events: list[Line] = []
        self._process = process
        self._ids = itertools.count(1)
        self._answers: dict[int, asyncio.Future[Line]] = {}
        self._arrived = asyncio.Condition()
        self._reading = asyncio.ensure_future(self._read())

    def tell(self, do: str, **arguments: object) -> None:
        """Let it do something."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": do, **arguments}).encode() + b"\n")

    async def request(self, command: str, **fields: object) -> Line:
        """Let it send a request; returns the response of the other side as it reads it."""
        number = next(self._ids)
        answer: asyncio.Future[Line] = asyncio.get_running_loop().create_future()
        self._answers[number] = answer
        self.tell("request", id=number, command=command, fields=fields)
        return await asyncio.wait_for(answer, ANSWER_SECONDS)

    async def seen(self, event: str, count: int = 1) -> Line:
        """Wait until something happened to it `count` times; returns the last of them."""
        async with asyncio.timeout(ANSWER_SECONDS), self._arrived:
            await self._arrived.wait_for(lambda: len(self.all(event)) >= count)
        return self.all(event)[count - 1]

    def all(self, event: str) -> list[Line]:
        """Everything of this kind that happened to it so far."""
        return [line for line in self.events if line["event"] == event]

    async def end(self) -> None:
        """It ends with its stdin; a process that does not is killed."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), ANSWER_SECONDS)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
        await self._reading

    async def _read(self) -> None:
        assert self._process.stdout is not None
        async for raw in self._process.stdout:
            line = json.loads(raw)
            if "id" in line:
                self._answers.pop(line["id"]).set_result(line["pdu"])
            else:
                async with self._arrived:
                    self.events.append(line)
                    self._arrived.notify_all()


@asynccontextmanager
async def run_npm_peer(
    require_program: Callable[[str], str], script: str, *arguments: str
) -> AsyncIterator[NpmPeer]:
    """Run one of the scripts beside this file; skips the test (fails it under CI) where npm's part is missing."""
    node = require_program("node")
    if not (HERE / "node_modules" / "smpp").is_dir():
        give_up = pytest.fail if os.environ.get("CI") else pytest.skip
        give_up("the npm package smpp is not installed: make peers")
    process = await asyncio.create_subprocess_exec(
        node,
        str(HERE / script),
        *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=1 << 20,
    )
    peer = NpmPeer(process)
    try:
        yield peer
    finally:
        await peer.end()


def octets(value: bytes) -> dict[str, str]:
    """Octets as the scripts write them."""
    return {"hex": value.hex()}
