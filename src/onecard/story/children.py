"""The programs that the story starts: partners, a node, commands. None of them outlives it.

Each has a session of its own, so that Ctrl-C at the terminal reaches the story alone, which ends them in order.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from onecard.database.directory import EmbeddedServerError
from onecard.database.embedded import EmbeddedServer
from onecard.gateways.smpp.pdus import ShortMessage
from onecard.story.place import Place
from onecard.story.wire import (
    AskedAgain,
    Done,
    Errand,
    Failed,
    Order,
    Outcome,
    Received,
    read_report,
    write_line,
)

ONECARD = (sys.executable, "-c", "from onecard.cli import main; main()")
ONECARD_AHEAD = (sys.executable, "-m", "onecard.cli.later")
LATER = (sys.executable, "-m", "onecard.story.later")
PARTNER = (sys.executable, "-m", "onecard.story.partner")
TEXTS_KEPT_MOST = 1000
LINE_OCTETS_MOST = 1 << 20
WAIT_SECONDS = 20.0
"""For anything that takes milliseconds on a machine that is not overloaded."""
START_SECONDS = 60.0
STOP_SECONDS = 90.0
COMMAND_SECONDS = 120.0
ACTOR = "staff:demo"
NOW = timedelta(0)
"""The clock of a program is the machine's."""
REFUSED = 1
"""The exit code of a command that was refused."""

O = TypeVar("O", bound=Outcome)  # noqa: E741
T = TypeVar("T")


class ChildFailed(Exception):
    """A program that the story started did not do what it was to do; the message says what it said."""


class Partner:
    """An operator's, a bank's or a network's program, from the story's side."""

    def __init__(self, name: str, child: Process) -> None:
        self.name = name
        self.child = child
        self._texts: deque[ShortMessage] = deque(maxlen=TEXTS_KEPT_MOST)
        self._asked_again: deque[str] = deque(maxlen=TEXTS_KEPT_MOST)
        self._came = asyncio.Event()
        self._waiting: dict[int, asyncio.Future[Outcome]] = {}
        self._number = 0
        self._reading = asyncio.create_task(self._read())

    async def ask(self, errand: Errand, wanted: type[O]) -> O:
        """Order an errand and wait for its outcome. Raises ChildFailed."""
        if self._reading.done():
            raise ChildFailed(f"the program of the {self.name} has ended")
        self._number += 1
        outcome: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._waiting[self._number] = outcome
        assert self.child.stdin is not None
        self.child.stdin.write(write_line(Order(self._number, errand)))
        came = await self._in_time(outcome, "did not answer an order")
        if isinstance(came, Failed):
            raise ChildFailed(f"the {self.name} could not do its errand: {came.reason}")
        assert isinstance(came, wanted), came
        return came

    async def next_text(self) -> ShortMessage:
        """The next text or receipt that arrived at the partner. Raises ChildFailed when none comes."""
        return await self._next(self._texts, "was sent no text")

    async def next_asked_again(self) -> str:
        """The next session that the partner was asked to authorise anew. Raises ChildFailed when none comes."""
        return await self._next(self._asked_again, "was asked for no session again")

    @property
    def unread(self) -> Sequence[ShortMessage]:
        """The texts that arrived and nobody asked for."""
        return tuple(self._texts)

    async def close(self) -> None:
        """End the program: it goes when its orders end."""
        assert self.child.stdin is not None
        self.child.stdin.close()
        await stop(self.child)
        await self._reading

    async def _next(self, arrived: deque[T], fault: str) -> T:
        while not arrived:
            if self._reading.done():
                raise ChildFailed(f"the program of the {self.name} has ended")
            self._came.clear()
            await self._in_time(self._came.wait(), fault)
        return arrived.popleft()

    async def _in_time(self, awaited: Any, fault: str) -> Any:
        try:
            return await asyncio.wait_for(awaited, WAIT_SECONDS)
        except TimeoutError:
            raise ChildFailed(f"the {self.name} {fault} within {WAIT_SECONDS:.0f} seconds") from None

    async def _read(self) -> None:
        assert self.child.stdout is not None
        while line := await self.child.stdout.readline():
            match read_report(line):
                case Done(number=number, outcome=outcome):
                    self._finish(self._waiting.pop(number), outcome)
                case Received(message=message):
                    self._texts.append(message)
                    self._came.set()
                case AskedAgain(session_id=session_id):
                    self._asked_again.append(session_id)
                    self._came.set()
        for waiting in self._waiting.values():
            self._finish(waiting, Failed("its program has ended"))
        asyncio.get_running_loop().call_soon(self._came.set)  # once `_reading` is done

    def _finish(self, waiting: asyncio.Future[Outcome], outcome: Outcome) -> None:
        """Whoever waited may have given up."""
        if not waiting.done():
            waiting.set_result(outcome)


@asynccontextmanager
async def start_partner(name: str, place: Place) -> AsyncIterator[Partner]:
    """Start a partner's program; it is ended with the block."""
    partner = Partner(name, await _start(PARTNER, place.log_of(name.replace(" ", "-")), stdout=PIPE))
    try:
        yield partner
    finally:
        await partner.close()


class Addresses(msgspec.Struct, frozen=True):
    """Where the node says that it listens."""

    smpp: str
    http: str
    diameter: str
    web: str | None = None

    @property
    def smpp_place(self) -> tuple[str, int]:
        return _split(self.smpp)

    @property
    def http_place(self) -> tuple[str, int]:
        return _split(self.http)

    @property
    def diameter_place(self) -> tuple[str, int]:
        return _split(self.diameter)


@dataclass(frozen=True, slots=True)
class Node:
    """A running `onecard serve`."""

    addresses: Addresses
    child: Process
    log: Path

    def read_errors(self) -> list[str]:
        """The events that it logged as errors so far."""
        lines = (msgspec.json.decode(line, type=_LogLine) for line in self.log.read_bytes().splitlines())
        return [line.event for line in lines if line.level == "error"]

    async def fail_when_ended(self) -> None:
        """Wait for its end, which nobody wished for. Raises ChildFailed."""
        code = await self.child.wait()
        raise ChildFailed(f"`onecard serve` ended with exit code {code}")


class _LogLine(msgspec.Struct, frozen=True):
    event: str
    level: str


@asynccontextmanager
async def start_node(place: Place, ahead: timedelta = NOW) -> AsyncIterator[Node]:
    """Run `onecard serve`, with the database in the place; it is ended with the block, and the database with it."""
    log = place.log_of("onecard-serve" if ahead == NOW else f"onecard-serve-{ahead.days}-days-later")
    child = await _start((*_onecard(ahead), *arguments_of(place), "serve", "--json"), log)
    try:
        yield Node(await _wait_until_up(child, log), child, log)
    finally:
        if await stop(child, signal.SIGTERM) != 0:
            await _stop_leftover_database(place)


@asynccontextmanager
async def start_later_node(place: Place, ahead: timedelta) -> AsyncIterator[Node]:
    """Run a second node on the database of the first, with its clock ahead; it is ended with the block."""
    log = place.log_of("onecard-later")
    seconds = str(int(ahead.total_seconds()))
    child = await _start((*LATER, str(place.configuration), str(place.root), seconds), log)
    try:
        yield Node(await _wait_until_up(child, log), child, log)
    finally:
        assert child.stdin is not None
        child.stdin.close()
        await stop(child)


async def run_command(
    place: Place, *arguments: str, actor: str = ACTOR, ahead: timedelta = NOW
) -> dict[str, Any]:
    """Run `onecard` as a person would, and return the JSON document that it answers. Raises ChildFailed.

    A command is short; when the story is ended meanwhile, it is let finish, so that it leaves nothing half done.
    """
    code, document = await _run_to_its_end(place, arguments, actor, ahead)
    if code != 0:
        raise ChildFailed(f"`onecard {' '.join(arguments[:2])}` ended with exit code {code}: {document}")
    return document


async def run_refused_command(
    place: Place, *arguments: str, actor: str = ACTOR, ahead: timedelta = NOW
) -> dict[str, Any]:
    """Run `onecard` where it is to refuse; returns the error and the message. Raises ChildFailed if it does not."""
    code, document = await _run_to_its_end(place, arguments, actor, ahead)
    if code != REFUSED:
        raise ChildFailed(f"`onecard {' '.join(arguments[:2])}` ended with exit code {code}: {document}")
    return document


async def _run_to_its_end(
    place: Place, arguments: Sequence[str], actor: str, ahead: timedelta
) -> tuple[int, dict[str, Any]]:
    running = asyncio.create_task(_run_command(place, arguments, actor, ahead))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait([running])
        raise


async def _run_command(
    place: Place, arguments: Sequence[str], actor: str, ahead: timedelta
) -> tuple[int, dict[str, Any]]:
    with place.log_of("commands").open("ab") as log:
        child = await asyncio.create_subprocess_exec(
            *_onecard(ahead),
            *arguments_of(place, actor),
            *arguments,
            "--json",
            stdin=asyncio.subprocess.DEVNULL,
            stdout=PIPE,
            stderr=log,
            env=_environment(),
            start_new_session=True,
        )
    try:
        said, _ = await asyncio.wait_for(child.communicate(), COMMAND_SECONDS)
    finally:
        await stop(child, signal.SIGKILL)
    assert child.returncode is not None
    try:
        return child.returncode, msgspec.json.decode(said or b"{}", type=dict[str, Any])
    except msgspec.DecodeError:
        raise ChildFailed(f"`onecard {' '.join(arguments[:2])}` answered {said.decode()!r}") from None


def _onecard(ahead: timedelta) -> tuple[str, ...]:
    """The command line, by the machine's clock or by one that is ahead of it."""
    return ONECARD if ahead == NOW else (*ONECARD_AHEAD, str(int(ahead.total_seconds())))


def arguments_of(place: Place, actor: str = ACTOR) -> tuple[str, ...]:
    """What every command is told of the place."""
    return ("--config", str(place.configuration), "--data", str(place.root), "--actor", actor)


async def stop(child: Process, number: signal.Signals | None = None) -> int:
    """Send a signal, wait for the end, kill what does not end; returns the exit code, at once where it has ended."""
    with suppress(ProcessLookupError):
        if number is not None and child.returncode is None:
            child.send_signal(number)
    try:
        return await asyncio.wait_for(child.wait(), STOP_SECONDS)
    except TimeoutError:
        with suppress(ProcessLookupError):
            child.kill()
        return await child.wait()


async def _start(command: Sequence[str], log: Path, stdout: int | None = None) -> Process:
    """Start a program; when cancelled meanwhile, end it again: nobody else knows of it yet."""
    starting = asyncio.create_task(_spawn(command, log, stdout))
    try:
        return await asyncio.shield(starting)
    except asyncio.CancelledError:
        await stop(await starting, signal.SIGTERM)
        raise


async def _spawn(command: Sequence[str], log: Path, stdout: int | None) -> Process:
    with log.open("ab") as output:
        return await asyncio.create_subprocess_exec(
            *command,
            stdin=PIPE,
            stdout=output if stdout is None else stdout,
            stderr=output,
            env=_environment(),
            limit=LINE_OCTETS_MOST,
            start_new_session=True,
        )


def _environment() -> Mapping[str, str]:
    """Ours without settings of another onecard: the story must not touch somebody's database."""
    return {name: value for name, value in os.environ.items() if not name.startswith("ONECARD_")}


async def _wait_until_up(child: Process, log: Path) -> Addresses:
    """The node says in its log where it listens: with port 0 the system has chosen."""
    loop = asyncio.get_running_loop()
    give_up = loop.time() + START_SECONDS
    while loop.time() < give_up:
        if (addresses := _find_addresses(log)) is not None:
            return addresses
        if child.returncode is not None:
            raise ChildFailed(f"`onecard serve` ended with exit code {child.returncode}")
        await asyncio.sleep(0.02)
    raise ChildFailed(f"`onecard serve` was not up within {START_SECONDS:.0f} seconds")


def _find_addresses(log: Path) -> Addresses | None:
    said = (line for line in log.read_bytes().splitlines() if b'"onecard is up"' in line)
    line = next(said, None)
    return None if line is None else msgspec.json.decode(line, type=Addresses)


async def _stop_leftover_database(place: Place) -> None:
    """A node that was killed leaves its database running; the next owner of the directory stops it."""
    with suppress(EmbeddedServerError):
        async with await EmbeddedServer.start(place.root):
            pass


def _split(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host, int(port)
