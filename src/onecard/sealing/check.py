"""Tell at the start, not at the first text, that the master key is not this database's."""

from __future__ import annotations

from onecard.database.pool import Connection
from onecard.sealing import body_keys, subscriber_keys
from onecard.sealing.keys import MasterKey


async def check_master_key(connection: Connection, master: MasterKey) -> None:
    """Try the master key on keys of this database, if it has any; raises `WrongMasterKey`."""
    await body_keys.try_master_key(connection, master)
    await subscriber_keys.try_master_key(connection, master)
