"""The embedded PostgreSQL: initialised, started, watched and stopped by onecard.

The process that starts it owns it and holds the lock of its directory; other processes attach. When
PostgreSQL dies it is started again under the same address. When its owner is killed, the next owner stops
what was left and starts its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import asyncpg
import structlog

from onecard.database.binaries import Binaries, check_reachable, choose_account, command_of, find_binaries
from onecard.database.directory import (
    DATABASE,
    ROLE,
    DirectoryInUse,
    DirectoryLock,
    DirectoryNotServed,
    EmbeddedServerError,
    ServerDirectory,
    default_directory,
    find_owner,
    read_state,
    sync_directory,
    write_state,
    write_whole,
)

__all__ = [
    "AttachedServer",
    "DirectoryInUse",
    "DirectoryNotServed",
    "EmbeddedServer",
    "EmbeddedServerError",
    "attach",
    "attach_or_start",
    "default_directory",
]

POLL_SECONDS = 0.02
STALL_SECONDS = 300.0  # a start that says nothing for so long is given up; recovery speaks every 10 s
STOP_SECONDS = (
    60.0  # a fast shutdown writes a checkpoint; after this it is cut short and recovered at the next start
)
START_ATTEMPTS = 6
RESTART_DELAY_MOST_SECONDS = 10.0
STEADY_SECONDS = 60.0  # a server that ran so long is not in a loop of crashes
LOG_CHECK_SECONDS = 60.0
LOG_MOST_BYTES = 16 * 1024 * 1024
SOCKET_PATH_MOST_BYTES = 100  # sun_path holds 104 to 108

log = structlog.get_logger(__name__)
T = TypeVar("T")


def default_settings() -> dict[str, str]:
    """Settings of PostgreSQL for a small machine that runs onecard beside it."""
    memory_mebibytes = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2**20
    return {
        "shared_buffers": f"{min(1024, max(128, memory_mebibytes // 8))}MB",
        "max_connections": "100",
        "wal_buffers": "16MB",
        "min_wal_size": "256MB",
        "max_wal_size": "2GB",
        "checkpoint_timeout": "15min",
        "random_page_cost": "1.1",
        "max_parallel_workers_per_gather": "0",  # cores are few and queries short
        "jit": "off",
        "timezone": "UTC",
        "log_timezone": "UTC",
        "log_checkpoints": "off",
        "log_startup_progress_interval": "10s",  # what tells a long recovery from one that hangs
        "log_error_verbosity": "terse",  # a log holds no numbers and no contents: no DETAIL,
        "log_min_error_statement": "panic",  # and no statements
    }


@dataclass(frozen=True, slots=True)
class AttachedServer:
    """A running server that another process owns."""

    dsn: str

    async def stop(self) -> None:
        """Nothing to stop: the owner does that."""


class EmbeddedServer:
    """A running server that this process owns. Made by `start`; an async context manager that stops it."""

    def __init__(
        self,
        directory: ServerDirectory,
        lock: DirectoryLock,
        binaries: Binaries,
        socket_directory: Path,
        settings: Mapping[str, str],
    ) -> None:
        self.directory = directory.root
        self.dsn = directory.dsn(socket_directory)
        self._paths = directory
        self._lock = lock
        self._binaries = binaries
        self._socket_directory = socket_directory
        self._settings = settings
        self._child: _Child | None = None
        self._supervisor: asyncio.Task[None] | None = None

    @classmethod
    async def start(
        cls,
        directory: Path | None = None,
        *,
        settings: Mapping[str, str] | None = None,
        wait_seconds: float = 1.0,
    ) -> Self:
        """Start the server of a directory, making its data first where there is none.

        `settings` go over `default_settings()`. `wait_seconds` is how long an owner that is just stopping is
        waited for. Raises DirectoryInUse, or EmbeddedServerError with the reason.
        """
        paths = _find_paths(directory)
        lock = await DirectoryLock.acquire(paths, wait_seconds)
        try:
            return await cls._start_locked(paths, lock, {**default_settings(), **(settings or {})})
        except BaseException:
            lock.release()
            raise

    @classmethod
    async def _start_locked(
        cls, paths: ServerDirectory, lock: DirectoryLock, settings: Mapping[str, str]
    ) -> Self:
        binaries = await _in_thread(lambda: _prepare(paths, sync=settings.get("fsync") != "off"))
        await _stop_leftover(paths)
        server = cls(paths, lock, binaries, _make_socket_directory(binaries), settings)
        try:
            await server._launch_patiently()
            await server._create_database()
            write_state(paths, server._socket_directory)
        except BaseException:
            await server._stop_child()
            server._remove_socket_directory()
            raise
        server._supervisor = asyncio.create_task(server._supervise(), name="embedded PostgreSQL")
        return server

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    @property
    def process_id(self) -> int:
        """Of the server's main process; another one after a crash."""
        assert self._child is not None
        return self._child.process.pid

    async def stop(self) -> None:
        """Shut the server down: sessions are ended, what was committed is on disk."""
        if self._supervisor is None:
            return
        self._supervisor.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._supervisor
        self._supervisor = None
        try:
            await self._stop_child()
        finally:
            self._paths.state.unlink(missing_ok=True)
            self._remove_socket_directory()
            self._lock.release()

    async def _supervise(self) -> None:
        loop = asyncio.get_running_loop()
        delay_seconds = 0.1
        while True:
            started = loop.time()
            code = await self._wait_for_end()
            log.error("the database server ended unexpectedly", exit_code=code)
            if loop.time() - started > STEADY_SECONDS:
                delay_seconds = 0.1
            delay_seconds = await self._restart(delay_seconds)

    async def _wait_for_end(self) -> int:
        assert self._child is not None
        while not await self._child.wait(LOG_CHECK_SECONDS):
            with contextlib.suppress(OSError):  # no room for the copy: look again later
                _bound_log(self._paths.log)
        return self._child.process.returncode

    async def _restart(self, delay_seconds: float) -> float:
        """Start again until it works; returns the delay that the next crash in a row begins with."""
        while True:
            await asyncio.sleep(delay_seconds)
            delay_seconds = min(2 * delay_seconds, RESTART_DELAY_MOST_SECONDS)
            try:
                await self._launch()
            except (EmbeddedServerError, OSError) as error:  # a full disk, say: try until it is not
                log.error("the database server does not start", reason=str(error))
                continue
            log.warning("the database server runs again", server_process=self.process_id)
            return delay_seconds

    async def _launch_patiently(self) -> None:
        """Try more than once: after a kill -9 the old sessions may hold the shared memory a moment longer."""
        for attempt in range(1, START_ATTEMPTS + 1):
            try:
                return await self._launch()
            except EmbeddedServerError as error:
                if attempt == START_ATTEMPTS or "shared memory block" not in str(error):
                    raise
                await asyncio.sleep(0.1 * 2**attempt)
        return None

    async def _launch(self) -> None:
        _remove_stale_pid_file(self._paths)
        _empty(self._socket_directory)
        _bound_log(self._paths.log)
        begin = _size(self._paths.log)
        self._child = self._spawn()
        await self._wait_until_ready(self._child, begin)

    def _spawn(self) -> _Child:
        settings = {**self._settings, "listen_addresses": "", "unix_socket_permissions": "0700"}
        arguments = [f"-c{name}={value}" for name, value in settings.items()]
        with open(self._paths.log, "ab", opener=_open_private) as output:
            place = ("-D", str(self._paths.data), "-k", str(self._socket_directory))
            return _Child(self._binaries.start("postgres", *place, *arguments, output=output))

    async def _wait_until_ready(self, child: _Child, log_begin: int) -> None:
        """Wait as long as the server makes progress: recovery after a crash may take minutes."""
        loop = asyncio.get_running_loop()
        size, heard = log_begin, loop.time()
        while not await child.wait(POLL_SECONDS):
            if _ready_process(self._paths) == child.process.pid:
                return
            if (now_size := _size(self._paths.log)) != size:
                size, heard = now_size, loop.time()
            if loop.time() - heard > STALL_SECONDS:
                await child.stop()
                break
        raise EmbeddedServerError(f"PostgreSQL did not start: {_last_words(self._paths.log, log_begin)}")

    async def _create_database(self) -> None:
        connection = await asyncpg.connect(self._paths.dsn(self._socket_directory, "postgres"))
        try:
            if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", DATABASE):
                await connection.execute(f"CREATE DATABASE {DATABASE}")
        finally:
            await connection.close()

    async def _stop_child(self) -> None:
        if self._child is not None:
            await self._child.stop()

    def _remove_socket_directory(self) -> None:
        shutil.rmtree(self._socket_directory, ignore_errors=True)


class _Child:
    """PostgreSQL's main process, and a thread that waits for its end.

    A thread, because uvloop starts no process under another account and so cannot be the one to wait for it.
    """

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self._loop = asyncio.get_running_loop()
        self._ended = asyncio.Event()
        threading.Thread(target=self._watch, name="embedded PostgreSQL", daemon=True).start()

    def _watch(self) -> None:
        self.process.wait()
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(self._ended.set)

    async def wait(self, seconds: float) -> bool:
        """Whether the process ended within so many seconds."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._ended.wait(), seconds)
        return self._ended.is_set()

    async def stop(self) -> None:
        """Fast shutdown; where that does not end, immediate shutdown, which the next start recovers from."""
        for number in (signal.SIGINT, signal.SIGQUIT):
            self.process.send_signal(number)
            if await self.wait(STOP_SECONDS):
                return
        raise EmbeddedServerError(f"PostgreSQL (process {self.process.pid}) does not stop")


async def attach(directory: Path | None = None, *, wait_seconds: float = 30.0) -> AttachedServer:
    """Find the running server of a directory, waiting for an owner that is still starting it.

    Raises DirectoryNotServed where no process owns the directory.
    """
    paths = _find_paths(directory)
    loop = asyncio.get_running_loop()
    give_up = loop.time() + wait_seconds
    while (owner := find_owner(paths)) is not None:
        state = _read_state_allowed(paths)
        if state is not None and state[0] == owner:
            return AttachedServer(paths.dsn(state[1]))
        if loop.time() >= give_up:
            raise EmbeddedServerError(f"process {owner} owns {paths.root} but its server is not ready")
        await asyncio.sleep(0.05)
    raise DirectoryNotServed(f"no server runs in {paths.root}")


def _find_paths(directory: Path | None) -> ServerDirectory:
    """Without symbolic links: a leftover server is known by the path it was started with."""
    return ServerDirectory((directory or default_directory()).resolve())


def _read_state_allowed(paths: ServerDirectory) -> tuple[int, Path] | None:
    try:
        return read_state(paths)
    except PermissionError as error:
        raise EmbeddedServerError(f"{paths.root} belongs to another account") from error


async def attach_or_start(
    directory: Path | None = None, *, settings: Mapping[str, str] | None = None
) -> EmbeddedServer | AttachedServer:
    """The server of a directory: the one that runs, else one of our own."""
    while True:
        try:
            return await attach(directory)
        except DirectoryNotServed:
            pass
        try:
            return await EmbeddedServer.start(directory, settings=settings, wait_seconds=0.2)
        except DirectoryInUse:  # another process was quicker: attach to its server
            continue


async def _in_thread(work: Callable[[], T]) -> T:
    """Run blocking work in a thread; when cancelled, wait for its end all the same: it needs the lock."""
    running = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait([running])
        raise


def _prepare(paths: ServerDirectory, *, sync: bool) -> Binaries:
    """Everything before the first start: account, programs, data."""
    account = choose_account(paths.data)
    check_reachable(account, paths.root)
    binaries = find_binaries(account)
    if not paths.data.exists():
        _initialise(paths, binaries, sync=sync)
    _check_version(paths.data, binaries)
    return binaries


def _check_version(data: Path, binaries: Binaries) -> None:
    written = (data / "PG_VERSION").read_text().strip()
    if written != (ours := binaries.major_version()):
        raise EmbeddedServerError(
            f"{data} was written by PostgreSQL {written} and this onecard brings {ours}: "
            f"dump it with the older onecard and restore it with this one"
        )


def _initialise(paths: ServerDirectory, binaries: Binaries, *, sync: bool) -> None:
    """Make the data beside its place and move it there whole, so that a crash leaves nothing half made."""
    for leftover in paths.root.glob("initialising-*"):
        shutil.rmtree(leftover)
    scratch = Path(tempfile.mkdtemp(dir=paths.root, prefix="initialising-"))
    secret = scratch / "password"
    write_whole(secret, paths.create_password())
    _give(binaries, secret, scratch)
    arguments = ["--no-instructions", *([] if sync else ["--no-sync"])]
    binaries.run("initdb", "-D", str(scratch / "data"), "--pwfile", str(secret), *_INITDB, *arguments)
    (scratch / "data").rename(paths.data)
    sync_directory(paths.root)  # else a power cut might take the data back
    shutil.rmtree(scratch)


_INITDB = (
    f"--username={ROLE}",
    "--auth=scram-sha-256",
    "--encoding=UTF8",
    "--locale=C",  # of the C library, whose C.UTF-8 is not everywhere
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
    "--data-checksums",
)


def _give(binaries: Binaries, *paths: Path) -> None:
    if binaries.account is not None:
        for path in paths:
            os.chown(path, binaries.account.number, binaries.account.group)


def _make_socket_directory(binaries: Binaries) -> Path:
    """A short directory of the server's own: a socket's path holds about 100 bytes."""
    directory = Path(tempfile.mkdtemp(prefix="onecard-", dir=_runtime_directory()))
    _give(binaries, directory)
    return directory


def _runtime_directory() -> Path:
    wanted = "/run" if os.geteuid() == 0 else os.environ.get("XDG_RUNTIME_DIR", "")
    path = Path(wanted)
    usable = wanted and path.is_dir() and os.access(path, os.W_OK) and path.stat().st_uid == os.geteuid()
    short = len(wanted) + len("/onecard-12345678/.s.PGSQL.5432.lock") <= SOCKET_PATH_MOST_BYTES
    return path if usable and short else Path("/tmp")  # noqa: S108 (mkdtemp makes it private)


async def _stop_leftover(paths: ServerDirectory) -> None:
    """Stop the server of an owner that was killed, and remove its socket directory.

    We hold the lock, so its owner is dead. Only a process that runs postgres on this directory is touched.
    """
    process = _server_process(paths)
    if process is not None and _runs_postgres_here(process, paths):
        log.warning("stopping the database server of an owner that died", server_process=process)
        await _stop_stranger(process, paths)
    _remove_stale_pid_file(paths)
    state = read_state(paths)
    if state is not None and state[1].name.startswith("onecard-"):
        shutil.rmtree(state[1], ignore_errors=True)
    paths.state.unlink(missing_ok=True)


async def _stop_stranger(process: int, paths: ServerDirectory) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGQUIT):
        os.kill(process, number)
        give_up = loop.time() + STOP_SECONDS
        while loop.time() < give_up:
            if not _runs_postgres_here(process, paths):
                return
            await asyncio.sleep(POLL_SECONDS)
    raise EmbeddedServerError(f"PostgreSQL (process {process}) of an owner that died does not stop")


def _remove_stale_pid_file(paths: ServerDirectory) -> None:
    """Process ids are used again, in containers soon; PostgreSQL would take such a stranger for its rival."""
    process = _server_process(paths)
    if process is not None and not _runs_postgres_here(process, paths):
        (paths.data / "postmaster.pid").unlink(missing_ok=True)


def _empty(directory: Path) -> None:
    """A socket's lock file holds a process id too, with the same trap."""
    for leftover in directory.iterdir():
        leftover.unlink()


def _pid_file_lines(paths: ServerDirectory) -> list[str]:
    try:
        return (paths.data / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return []


def _server_process(paths: ServerDirectory) -> int | None:
    lines = _pid_file_lines(paths)
    return int(lines[0]) if lines and lines[0].isdigit() else None


def _ready_process(paths: ServerDirectory) -> int | None:
    """The process id that PostgreSQL wrote, once line 8 of its file says that it takes connections."""
    lines = _pid_file_lines(paths)
    return int(lines[0]) if len(lines) >= 8 and lines[7].strip() == "ready" else None


def _runs_postgres_here(process: int, paths: ServerDirectory) -> bool:
    command = command_of(process)
    return Path(command[0]).name == "postgres" and str(paths.data) in command if command else False


def _open_private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _bound_log(path: Path) -> None:
    """Keep one older log. Copied and emptied, not moved: PostgreSQL goes on appending to the file it has."""
    if _size(path) > LOG_MOST_BYTES:
        shutil.copyfile(path, path.with_name("log.1"))
        os.truncate(path, 0)


def _last_words(path: Path, begin: int) -> str:
    """What PostgreSQL said since `begin` that names a failure, else its last lines."""
    with path.open("rb") as file:
        file.seek(begin)
        lines = file.read(64 * 1024).decode(errors="replace").splitlines()
    failures = [line for line in lines if "FATAL" in line or "PANIC" in line or "ERROR" in line]
    return " / ".join((failures or lines)[-3:]) or "it said nothing"
