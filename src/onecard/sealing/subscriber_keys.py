"""The key of one subscriber's contact details: to delete its row is to erase them."""

from __future__ import annotations

from collections.abc import Sequence

from onecard.database.pool import Connection
from onecard.sealing.keys import KeyDestroyed, MasterKey, SealingKey
from onecard.sealing.turns import join_period

INSERT = "INSERT INTO subscriber_key (part, subscriber_id, wrapped) VALUES ($1, $2, $3)"
INSERT_SOME = """
INSERT INTO subscriber_key (part, subscriber_id, wrapped)
SELECT $1, id, wrapped FROM unnest($2::bigint[], $3::bytea[]) q(id, wrapped)"""
FIND = "SELECT wrapped FROM subscriber_key WHERE part = $1 AND subscriber_id = $2"
FIND_SOME = "SELECT subscriber_id, wrapped FROM subscriber_key WHERE part = $1 AND subscriber_id = ANY ($2)"
DESTROY = "DELETE FROM subscriber_key WHERE part = $1 AND subscriber_id = $2"


async def create_subscriber_key(
    connection: Connection, master: MasterKey, part: int, subscriber_id: int
) -> SealingKey:
    """Make a subscriber's key and store it wrapped, in a transaction of the caller's."""
    period = await join_period(connection)
    key, wrapped = master.new_key(bound_to(part, subscriber_id), period)
    await connection.execute(INSERT, part, subscriber_id, wrapped)
    return key


async def create_subscriber_keys(
    connection: Connection, master: MasterKey, part: int, subscriber_ids: Sequence[int]
) -> None:
    """Make the keys of many subscribers at once, in a transaction of the caller's."""
    period = await join_period(connection)
    wrapped = [master.new_key(bound_to(part, one), period)[1] for one in subscriber_ids]
    await connection.execute(INSERT_SOME, part, subscriber_ids, wrapped)


async def get_subscriber_key(
    connection: Connection, master: MasterKey, part: int, subscriber_id: int
) -> SealingKey:
    """Fetch a subscriber's key; raises `KeyDestroyed` once they were erased, `WrongMasterKey`."""
    wrapped = await connection.fetchval(FIND, part, subscriber_id)
    if wrapped is None:
        raise KeyDestroyed("the contact details of this subscriber were erased")
    return master.unwrap(wrapped, bound_to(part, subscriber_id))


async def get_subscriber_keys(
    connection: Connection, master: MasterKey, part: int, subscriber_ids: Sequence[int]
) -> dict[int, SealingKey]:
    """The keys of many subscribers, without those who were erased; raises `WrongMasterKey`."""
    rows = await connection.fetch(FIND_SOME, part, subscriber_ids)
    return {
        row["subscriber_id"]: master.unwrap(row["wrapped"], bound_to(part, row["subscriber_id"]))
        for row in rows
    }


async def destroy_subscriber_key(connection: Connection, part: int, subscriber_id: int) -> None:
    """Erase all that the key sealed."""
    await connection.execute(DESTROY, part, subscriber_id)


async def try_master_key(connection: Connection, master: MasterKey) -> None:
    """Unwrap any one subscriber's key, if there is one; raises `WrongMasterKey`."""
    row = await connection.fetchrow("SELECT part, subscriber_id, wrapped FROM subscriber_key LIMIT 1")
    if row is not None:
        master.unwrap(row["wrapped"], bound_to(row["part"], row["subscriber_id"]))


def bound_to(part: int, subscriber_id: int) -> bytes:
    """What the wrapped key of a subscriber is bound to."""
    return b"subscriber_key:%d:%d" % (part, subscriber_id)
