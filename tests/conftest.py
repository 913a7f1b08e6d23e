"""What every test may ask for: a database of its own, a directory for a server, other people's programs."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio
from hypothesis import HealthCheck, settings

from onecard.database.embedded import EmbeddedServer
from onecard.database.migrations import migrate
from onecard.database.pool import Database, open_pool

# A slow machine finds no fault that a fast one does not; and a run that decides about a change is the same twice.
settings.register_profile(
    "onecard",
    deadline=None,
    derandomize=bool(os.environ.get("CI")),
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("onecard")

TEMPLATE = "template_onecard"
FAST_AND_UNSAFE = {
    "fsync": "off",
    "full_page_writes": "off",
    "shared_buffers": "128MB",
    "autovacuum": "off",
}
MIGRATED_AT = datetime(2026, 1, 1, tzinfo=UTC)

_numbers = itertools.count(1)


TEMPORARY = "/tmp"  # noqa: S108  # with a short path, for sockets
MEMORY, MEMORY_OCTETS_LEAST = Path("/dev/shm"), 4 << 30  # noqa: S108
"""A database is copied there in a quarter of the time."""


def _fast_place() -> str:
    """In memory, where there is room for what the tests of a whole run leave there for a while."""
    roomy = MEMORY.is_dir() and shutil.disk_usage(MEMORY).free >= MEMORY_OCTETS_LEAST
    return str(MEMORY) if roomy and os.access(MEMORY, os.W_OK) else TEMPORARY


@contextmanager
def _open_directory(place: str = TEMPORARY) -> Iterator[Path]:
    """A temporary directory that other accounts can pass through: pytest's own keep PostgreSQL's out."""
    path = Path(tempfile.mkdtemp(prefix="onecard-test-", dir=place))
    path.chmod(0o711)
    try:
        yield path
    finally:
        shutil.rmtree(path)


@pytest.fixture
def data_directory() -> Iterator[Path]:
    """A fresh place for a server's data (not made yet), with a short path, for root and others alike."""
    with _open_directory() as parent:
        yield parent / "data"


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def _made_directory() -> AsyncIterator[Path]:
    with _open_directory() as parent:
        async with await EmbeddedServer.start(parent / "data", settings=FAST_AND_UNSAFE):
            pass
        yield parent / "data"


@pytest.fixture
def made_directory(_made_directory: Path, data_directory: Path) -> Path:
    """As `data_directory`, with the data of a first start in it: quicker where that is not what is tested."""
    subprocess.run(["cp", "-a", str(_made_directory), str(data_directory)], check=True)
    return data_directory


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def server() -> AsyncIterator[EmbeddedServer]:
    """One server for the whole run. Not to be stopped or killed: tests of that start one of their own."""
    with _open_directory(_fast_place()) as parent:
        async with await EmbeddedServer.start(parent / "data", settings=FAST_AND_UNSAFE) as server:
            yield server


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def template(server: EmbeddedServer) -> str:
    """The name of a migrated database that tests copy."""
    await _execute(server, f"CREATE DATABASE {TEMPLATE}")
    connection = await asyncpg.connect(_address(server, TEMPLATE))
    try:
        await migrate(connection, now=MIGRATED_AT)
    finally:
        await connection.close()
    return TEMPLATE


@pytest.fixture
async def database(server: EmbeddedServer, template: str) -> AsyncIterator[Database]:
    """A migrated database of the test's own, dropped after it."""
    async with (
        _new_database(server, f"TEMPLATE {template} STRATEGY file_copy") as dsn,
        open_pool(dsn) as pool,
    ):
        yield Database(pool, dsn, None)


@pytest.fixture
async def empty_database(server: EmbeddedServer) -> AsyncIterator[Database]:
    """A database of the test's own without any table."""
    async with _new_database(server, "") as dsn, open_pool(dsn) as pool:
        yield Database(pool, dsn, None)


@asynccontextmanager
async def _new_database(server: EmbeddedServer, template: str) -> AsyncIterator[str]:
    name = f"test_{next(_numbers)}"
    await _execute(server, f"CREATE DATABASE {name} {template}")
    yield _address(server, name)
    await _execute(server, f"DROP DATABASE {name} WITH (FORCE)")


async def _execute(server: EmbeddedServer, sql: str) -> None:
    connection = await asyncpg.connect(server.dsn)
    try:
        await connection.execute(sql)
    finally:
        await connection.close()


def _address(server: EmbeddedServer, name: str) -> str:
    return server.dsn.replace("@/onecard?", f"@/{name}?")


@pytest.fixture
def require_program() -> Callable[[str], str]:
    """Call it with the name of a program; it returns the path, or skips the test (fails it under CI)."""
    return _require_program


def _require_program(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        give_up = pytest.fail if os.environ.get("CI") else pytest.skip
        give_up(f"the program {name} is not installed")
    return path
