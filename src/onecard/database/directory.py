"""The directory of an embedded server: what lies where, who owns it, how a second process finds the server.

<directory>/lock       held with flock(2) by the process that owns the server; contains its process id
<directory>/password   of the server's only role, readable by the owner
<directory>/state      where the running server listens, for `attach`
<directory>/log        what PostgreSQL says, bounded
<directory>/postgres   the data directory of PostgreSQL, owned by the account that runs it
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import secrets
import tempfile
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

ROLE = "onecard"
DATABASE = "onecard"
LOCK_POLL_SECONDS = 0.05


class EmbeddedServerError(Exception):
    """The embedded server cannot be used; the message says why and what to do, in one sentence."""


class DirectoryInUse(EmbeddedServerError):
    """Another process owns the server of this directory."""


class DirectoryNotServed(EmbeddedServerError):
    """No running process owns a server of this directory, so there is none to attach to."""


@dataclass(frozen=True, slots=True)
class ServerDirectory:
    """The paths below one directory."""

    root: Path

    @property
    def lock(self) -> Path:
        return self.root / "lock"

    @property
    def password(self) -> Path:
        return self.root / "password"

    @property
    def state(self) -> Path:
        return self.root / "state"

    @property
    def log(self) -> Path:
        return self.root / "log"

    @property
    def data(self) -> Path:
        return self.root / "postgres"

    def create(self) -> None:
        """Make the directory if it is missing.

        Root runs PostgreSQL under another account, which must pass through to its data: hence the x bits.
        """
        mode = 0o711 if os.geteuid() == 0 else 0o700
        try:
            self.root.mkdir(mode=mode, parents=True, exist_ok=True)
        except OSError as error:
            raise EmbeddedServerError(f"cannot create {self.root}: {error.strerror}") from error

    def create_password(self) -> str:
        """Make a password for new data, and keep it before the data is there: data never lacks one."""
        password = secrets.token_urlsafe(24)
        write_whole(self.password, password)
        return password

    def _read_password(self) -> str:
        try:
            return self.password.read_text()
        except OSError as error:
            reason = f"cannot read the database's password from {self.password}: {error.strerror}"
            raise EmbeddedServerError(reason) from error

    def dsn(self, socket_directory: Path, database: str = DATABASE) -> str:
        """The address of the server that listens in `socket_directory`."""
        place = quote(str(socket_directory), safe="/")
        return f"postgresql://{ROLE}:{self._read_password()}@/{database}?host={place}"


def default_directory() -> Path:
    """Where the server's data lies unless somebody says otherwise."""
    if os.geteuid() == 0:
        return Path("/var/lib/onecard")
    home = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    return Path(home) / "onecard"


def write_whole(path: Path, text: str) -> None:
    """Replace a private file at once: a reader sees the old text or the new one, also after a crash."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    Path(name).rename(path)
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Make the names in a directory survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class DirectoryLock:
    """The exclusive right to run a server in a directory. The kernel drops it when its holder dies."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    @classmethod
    async def acquire(cls, directory: ServerDirectory, wait_seconds: float) -> DirectoryLock:
        """Wait a moment for the lock (the owner may be stopping), then raise DirectoryInUse."""
        directory.create()
        loop = asyncio.get_running_loop()
        give_up = loop.time() + wait_seconds
        while (lock := cls._try(directory.lock)) is None:
            if loop.time() >= give_up:
                raise DirectoryInUse(_in_use(directory))
            await asyncio.sleep(LOCK_POLL_SECONDS)
        return lock

    @classmethod
    def _try(cls, path: Path) -> DirectoryLock | None:
        descriptor = _open_lock(path, os.O_RDWR | os.O_CREAT)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        return cls(descriptor)

    def release(self) -> None:
        """Give the directory up. The file stays: removing it would let two owners lock two files."""
        os.close(self._descriptor)


def _open_lock(path: Path, flags: int) -> int:
    try:
        return os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise EmbeddedServerError(f"cannot use the directory {path.parent}: {error.strerror}") from error


def _in_use(directory: ServerDirectory) -> str:
    holder = directory.lock.read_text() or "unknown"
    return f"{directory.root} is in use by process {holder}; stop that process or choose another directory"


def find_owner(directory: ServerDirectory) -> int | None:
    """The process id of the living owner, if there is one.

    Asking takes a shared lock for an instant, which is why `acquire` tries more than once.
    """
    try:
        descriptor = _open_lock(directory.lock, os.O_RDWR)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        written = os.pread(descriptor, 32, 0)
        return int(written) if written.isdigit() else 0  # 0: it has the lock and has not signed yet
    finally:
        os.close(descriptor)
    return None


def write_state(directory: ServerDirectory, socket_directory: Path) -> None:
    """Tell other processes where the server listens."""
    state = {"owner": os.getpid(), "socket_directory": str(socket_directory)}
    write_whole(directory.state, json.dumps(state))


def read_state(directory: ServerDirectory) -> tuple[int, Path] | None:
    """The owner that wrote the state and the server's socket directory; the owner may be long dead."""
    try:
        state = json.loads(directory.state.read_text())
    except FileNotFoundError:
        return None
    return int(state["owner"]), Path(state["socket_directory"])
