"""What a command that works on the database is given."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from zoneinfo import ZoneInfo

from onecard.cli.failures import Failure
from onecard.cli.options import NO_CONFIG, Options
from onecard.database.directory import ServerDirectory
from onecard.database.migrations import pending
from onecard.database.parts import list_parts
from onecard.database.pool import Connection, Pool, open_database
from onecard.database.pool import connection as borrow
from onecard.node.config import Config, ConfigError
from onecard.sealing.files import create_key_file
from onecard.sealing.keys import MasterKey
from onecard.sealing.loading import load_master_key
from onecard.sealing.signing import SigningKey, load_signing_key
from onecard.values.gate import NO_ORDER, Gates
from onecard.winddown.gatekeeper import Gatekeeper
from onecard.winddown.store import load_in_force

CONNECTIONS_MOST = 5
PARTS_AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class Desk:
    """An open database, who acts, and when. One command does its work here."""

    connection: Connection
    options: Options
    at: datetime
    config_found: Config | None
    pool: Pool
    gates: Gates = NO_ORDER
    """What the order in force leaves open, at `at`; an action that a gate stands before is handed them."""

    @property
    def actor(self) -> str:
        return self.options.actor

    @property
    def config(self) -> Config:
        """The configuration; raises ConfigError where there is none."""
        if self.config_found is None:
            raise ConfigError([NO_CONFIG])
        return self.config_found

    @property
    def zone(self) -> ZoneInfo:
        """The operator's time zone; UTC where there is no configuration."""
        return ZoneInfo(self.config_found.operator.time_zone if self.config_found else "UTC")

    @asynccontextmanager
    async def borrow_beside(self) -> AsyncIterator[list[Connection]]:
        """More connections, for work that goes through several parts at once."""
        async with AsyncExitStack() as stack:
            yield [await stack.enter_async_context(borrow(self.pool)) for _ in range(PARTS_AT_ONCE - 1)]

    def load_master_key(self) -> MasterKey:
        """The master key; raises BadMasterKey."""
        return load_master_key(self.options.master_key_file(self.config_found))

    def load_signing_key(self) -> SigningKey:
        """The key that signs statements and certificates, made if there is none yet; raises BadSigningKey."""
        file = self.options.signing_key_file(self.config_found)
        create_key_file(file)
        return load_signing_key(file)


@asynccontextmanager
async def open_desk(options: Options) -> AsyncIterator[Desk]:
    """Open a database that is ready for use, for one command."""
    check_made(options)
    async with open_bare_desk(options) as desk:
        await _check_ready(desk.connection)
        yield replace(desk, gates=Gatekeeper(await load_in_force(desk.connection)).at(desk.at))


@asynccontextmanager
async def open_bare_desk(options: Options) -> AsyncIterator[Desk]:
    """Open the database as it is: its server is attached to, or started for the moment."""
    config = options.find_config()
    async with (
        open_database(options.database_url, options.data, connections_most=CONNECTIONS_MOST) as database,
        borrow(database.pool) as connection,
    ):
        yield Desk(connection, options, options.clock.now(), config, database.pool)


def check_made(options: Options) -> None:
    """Start no server on nothing: it would make an empty database in a place that may be a slip of the pen."""
    if options.database_url is None and not ServerDirectory(options.directory).data.exists():
        raise Failure(
            "no_database",
            f"there is no database in {options.directory}: make one with `onecard db init`, "
            "or name another place with --data",
        )


async def _check_ready(connection: Connection) -> None:
    if await pending(connection):
        raise Failure("not_migrated", "the database is not up to date: run `onecard db migrate`")
    if not await list_parts(connection):
        raise Failure("no_parts", "the database has no parts yet: run `onecard db init`")
