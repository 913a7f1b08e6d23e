"""Who makes data keys, and who destroys the keys that wrap them, take turns; and which period it is."""

from __future__ import annotations

from onecard.database.pool import Connection

TAKE_TURN = "SELECT pg_advisory_xact_lock(hashtextextended('data_keys', 0))"
SHARE_TURN = "SELECT pg_advisory_xact_lock_shared(hashtextextended('data_keys', 0))"
PRESENT_PERIOD = "SELECT max(period) FROM key_renewal"


async def join_period(connection: Connection) -> int | None:
    """The period that wraps what is new, which stays so until the caller's transaction ends; None: there is none.

    Without that, a data key might be wrapped by a key that is just being destroyed.
    """
    await connection.execute(SHARE_TURN)
    return await find_present_period(connection)


async def find_present_period(connection: Connection) -> int | None:
    period: int | None = await connection.fetchval(PRESENT_PERIOD)
    return period
