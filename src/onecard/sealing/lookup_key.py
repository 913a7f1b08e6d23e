"""The key of the hashes by which names are looked up: to delete its row is to make them worthless, in backups too.

Were it derived from the master key, whoever has that and an old backup could test for ever whom it holds.
"""

from __future__ import annotations

from onecard.database.pool import Connection
from onecard.sealing.keys import MasterKey
from onecard.sealing.turns import TAKE_TURN, join_period

BOUND_TO = b"lookup_key"

FIND = "SELECT wrapped FROM lookup_key"
CREATE = "INSERT INTO lookup_key (wrapped) VALUES ($1) ON CONFLICT DO NOTHING"
DESTROY_UNUSED = "DELETE FROM lookup_key WHERE NOT EXISTS (SELECT FROM subscriber_name) RETURNING id"


async def find_lookup_key(connection: Connection, master: MasterKey) -> bytes | None:
    """The key, of 32 bytes; None: nobody's name is kept. Raises `KeyDestroyed`, `WrongMasterKey`."""
    wrapped = await connection.fetchval(FIND)
    return None if wrapped is None else master.open_wrapped(wrapped, BOUND_TO)


async def get_or_create_lookup_key(connection: Connection, master: MasterKey) -> bytes:
    """The key, made if it is the first time, which stays until the caller's transaction ends."""
    period = await join_period(connection)
    found = await find_lookup_key(connection, master)
    if found is None:
        await connection.execute(CREATE, master.new_key(BOUND_TO, period)[1])
        found = await find_lookup_key(connection, master)
    assert found is not None
    return found


async def destroy_unused_lookup_key(connection: Connection) -> bool:
    """Destroy the key when nobody's name is kept any more, in a transaction of the caller's; whether it was."""
    await connection.execute(TAKE_TURN)
    return await connection.fetchval(DESTROY_UNUSED) is not None
