"""Connections to the database: the pool, transactions, and what to do when the database is away.

DatabaseError
├── DatabaseUnavailable    it cannot be reached just now; whether the last work was committed is not known
└── DatabaseUnsuitable     it can be reached and is not one that onecard runs on
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import asyncpg
import asyncpg.pool
import msgspec
import structlog

from onecard.database.embedded import EmbeddedServer, attach_or_start

VERSION_LEAST = 15
CONNECT_SECONDS = 10.0
CLOSE_SECONDS = 10.0
RETRY_DELAY_LEAST_SECONDS = 0.05
RETRY_DELAY_MOST_SECONDS = 1.0

log = structlog.get_logger(__name__)
Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"
Connection: TypeAlias = (
    "asyncpg.Connection[asyncpg.Record] | asyncpg.pool.PoolConnectionProxy[asyncpg.Record]"
)
T = TypeVar("T")


class DatabaseError(Exception):
    """The database cannot be used."""


class DatabaseUnavailable(DatabaseError):
    """The database is away. What was under way may have been committed: repeat it by its event id."""


class DatabaseUnsuitable(DatabaseError):
    """The database is not one that onecard runs on; the message says why."""


_AWAY = (
    OSError,  # refused, reset, no such socket, timed out
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,  # starting, recovering or stopping
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
    asyncpg.InternalClientError,  # what a connection that is lost in the middle of a message may say
)
_REFUSED = (asyncpg.InvalidAuthorizationSpecificationError, asyncpg.InvalidCatalogNameError)


@dataclass(frozen=True, slots=True)
class Database:
    """An open database. `server` is there when this process owns an embedded one."""

    pool: Pool
    dsn: str
    server: EmbeddedServer | None


@asynccontextmanager
async def open_database(
    url: str | None = None,
    directory: Path | None = None,
    *,
    connections_most: int = 10,
    settings: Mapping[str, str] | None = None,
) -> AsyncIterator[Database]:
    """Open the database at `url`, or the embedded one of `directory` (attached to, or started and owned).

    `settings` are for an embedded server that is started here. Raises DatabaseError or EmbeddedServerError.
    """
    if url is not None:
        async with open_pool(url, connections_most=connections_most) as pool:
            yield Database(pool, url, None)
        return
    server = await attach_or_start(directory, settings=settings)
    try:
        async with open_pool(server.dsn, connections_most=connections_most) as pool:
            yield Database(pool, server.dsn, server if isinstance(server, EmbeddedServer) else None)
    finally:
        await server.stop()


@asynccontextmanager
async def open_pool(dsn: str, *, connections_most: int = 10) -> AsyncIterator[Pool]:
    """A pool of connections to a PostgreSQL that is recent enough."""
    pool = await _create_pool(dsn, connections_most)
    try:
        async with connection(pool) as first:
            _check_version(first)
        yield pool
    except BaseException:
        pool.terminate()  # work that was cut off may still sit on its connection; do not wait for it
        raise
    await _close(pool)


async def _close(pool: Pool) -> None:
    try:
        await asyncio.wait_for(pool.close(), CLOSE_SECONDS)
    except TimeoutError:  # somebody kept a connection, or the server does not answer
        pool.terminate()


def _create_pool(dsn: str, connections_most: int) -> Pool:
    """A pool that begins empty: with a least size it would connect by itself, and log each failure to."""
    return asyncpg.create_pool(
        dsn,
        min_size=0,
        max_size=connections_most,
        init=_set_codecs,
        reset=_keep_session,
        timeout=CONNECT_SECONDS,
    )


async def _keep_session(_: asyncpg.Connection[asyncpg.Record]) -> None:
    """Spare the round trip of RESET ALL on every return.

    In exchange no session state may be left on a pooled connection: SET LOCAL only, and LISTEN and advisory
    locks of a session only on a connection of their own. An open transaction is rolled back all the same.
    """


def _check_version(first: Connection) -> None:
    version = first.get_server_version()
    if version.major < VERSION_LEAST:
        raise DatabaseUnsuitable(
            f"onecard needs PostgreSQL {VERSION_LEAST} or later; this is {version.major}.{version.minor}"
        )


async def _set_codecs(fresh: asyncpg.Connection[asyncpg.Record]) -> None:
    """Let jsonb be Python values."""
    await fresh.set_type_codec(
        "jsonb", schema="pg_catalog", encoder=_encode_jsonb, decoder=_decode_jsonb, format="binary"
    )


def _encode_jsonb(value: Any) -> bytes:
    return b"\x01" + msgspec.json.encode(value)  # 1: the version of jsonb's binary format


def _decode_jsonb(data: bytes) -> Any:
    return msgspec.json.decode(memoryview(data)[1:])


@asynccontextmanager
async def connection(pool: Pool) -> AsyncIterator[Connection]:
    """Borrow a connection outside a transaction: each statement commits by itself.

    Raises DatabaseUnavailable when the connection cannot be had or is lost.
    """
    borrowed = await _borrow(pool)
    try:
        yield borrowed
    except Exception as error:
        if is_away(error):
            raise DatabaseUnavailable(f"the connection to the database is lost: {error}") from error
        raise
    finally:
        await _give_back(pool, borrowed)


async def _borrow(pool: Pool) -> Connection:
    try:
        return await pool.acquire()
    except _AWAY as error:
        raise DatabaseUnavailable(f"the database cannot be reached: {error}") from error
    except _REFUSED as error:
        raise DatabaseUnsuitable(f"the database refuses us: {error}") from error
    except asyncpg.ClientConfigurationError as error:
        raise DatabaseUnsuitable(f"the address of the database is not understood: {error}") from error


async def _give_back(pool: Pool, borrowed: Any) -> None:
    """A connection that cannot be reset is thrown away by the pool; the work on it is over, well or badly."""
    try:
        await pool.release(borrowed)
    except Exception as error:
        log.debug("a connection was thrown away", reason=str(error))


@asynccontextmanager
async def transaction(pool: Pool) -> AsyncIterator[Connection]:
    """Borrow a connection in a transaction: committed at the end of the block, rolled back on an exception.

    Raises DatabaseUnavailable when the database is away; the work may then have been committed or not.
    """
    async with connection(pool) as borrowed, borrowed.transaction():
        yield borrowed


def is_away(error: Exception) -> bool:
    """Whether an error from work on a connection means that the database is away.

    Unlike while connecting, a time-out or a missing file inside the work is not the database's.
    """
    if isinstance(error, asyncpg.InterfaceError):
        said = str(error)  # there is no class for it: closed under us, or taken back by the pool
        return "connection is closed" in said or "released back to the pool" in said
    if isinstance(error, OSError):
        return isinstance(error, ConnectionError)
    return isinstance(error, (DatabaseUnavailable, *_AWAY))


async def retrying(operation: Callable[[], Awaitable[T]], *, total_seconds: float = 30.0) -> T:
    """Do idempotent work, and when the database is away do it again until it is back.

    After `total_seconds` the last DatabaseUnavailable is raised.
    """
    give_up = asyncio.get_running_loop().time() + total_seconds
    delay_seconds = RETRY_DELAY_LEAST_SECONDS
    while True:
        try:
            return await operation()
        except DatabaseUnavailable:
            if asyncio.get_running_loop().time() + delay_seconds > give_up:
                raise
        await asyncio.sleep(delay_seconds)
        delay_seconds = min(2 * delay_seconds, RETRY_DELAY_MOST_SECONDS)
