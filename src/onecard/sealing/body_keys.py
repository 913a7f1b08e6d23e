"""The keys of the bodies of texts: one a day, made when first needed, destroyed when its last text is over.

A sealed body begins with its day (four bytes, big-endian: `datetime.date.toordinal`), which names its key.
"""

from __future__ import annotations

import asyncio
from datetime import date

from onecard.database.pool import Connection, Pool, connection
from onecard.sealing.keys import KeyDestroyed, MasterKey, SealBroken, SealingKey
from onecard.sealing.turns import join_period

CREATE = "INSERT INTO body_key (day, wrapped) VALUES ($1, $2) ON CONFLICT DO NOTHING"
FIND = "SELECT wrapped FROM body_key WHERE day = $1"
DESTROY = "DELETE FROM body_key WHERE day < $1 RETURNING day"

_DAY_BYTES = 4
CACHED_MOST = 64
"""More days than a text may wait; the oldest is forgotten first."""


class BodyKey:
    """The key of one day, as the hot path holds it."""

    __slots__ = ("_day_bytes", "_key", "day")

    def __init__(self, day: date, key: SealingKey) -> None:
        self.day = day
        self._day_bytes = day.toordinal().to_bytes(_DAY_BYTES, "big")
        self._key = key

    def seal(self, body: bytes, bound_to: bytes) -> bytes:
        """Seal a body for the row that `bound_to` names."""
        return self._day_bytes + self._key.seal(body, self._day_bytes + bound_to)

    def open(self, sealed: bytes, bound_to: bytes) -> bytes:
        """Open a body that was sealed on this key's day; raises `SealBroken`."""
        return self._key.open(sealed[_DAY_BYTES:], self._day_bytes + bound_to)


def day_of(sealed: bytes) -> date:
    """The day whose key opens a sealed body; raises `SealBroken`."""
    try:
        return date.fromordinal(int.from_bytes(sealed[:_DAY_BYTES], "big"))
    except (ValueError, OverflowError):
        raise SealBroken("this is not the sealed body of a text") from None


class BodyKeys:
    """The body keys of the last days, read from the database once each."""

    def __init__(self, pool: Pool, master: MasterKey) -> None:
        self._pool = pool
        self._master = master
        self._keys: dict[date, BodyKey] = {}
        self._loading = asyncio.Lock()

    def cached(self, day: date) -> BodyKey | None:
        """The key of a day if it is in memory: the hot path asks this first."""
        return self._keys.get(day)

    async def of(self, day: date) -> BodyKey:
        """The key to seal with on a day, made if it is the first time."""
        key = self._keys.get(day)
        if key is None:
            # Loaded once; those that wait go on in the order they came, and so do their texts.
            async with self._loading:
                key = self._keys.get(day) or await self._make(day)
        return key

    async def _make(self, day: date) -> BodyKey:
        async with connection(self._pool) as borrowed:
            return self._remember(day, await get_or_create_body_key(borrowed, self._master, day))

    async def open(self, sealed: bytes, bound_to: bytes) -> bytes:
        """Open a body; raises `KeyDestroyed` or `SealBroken`."""
        day = day_of(sealed)
        key = self._keys.get(day)
        if key is None:
            async with connection(self._pool) as borrowed:
                key = self._remember(day, await get_body_key(borrowed, self._master, day))
        return key.open(sealed, bound_to)

    def forget(self, before: date) -> None:
        """Drop the keys of earlier days from memory, when they are destroyed."""
        self._keys = {day: key for day, key in self._keys.items() if day >= before}

    def _remember(self, day: date, key: SealingKey) -> BodyKey:
        while len(self._keys) >= CACHED_MOST:
            del self._keys[min(self._keys)]
        return self._keys.setdefault(day, BodyKey(day, key))


async def get_or_create_body_key(connection: Connection, master: MasterKey, day: date) -> SealingKey:
    """Fetch the key of a day, making it first if need be; nodes that make it at once get the same one."""
    wrapped = await connection.fetchval(FIND, day)
    if wrapped is None:
        async with connection.transaction():
            period = await join_period(connection)
            await connection.execute(CREATE, day, master.new_key(bound_to(day), period)[1])
    return await get_body_key(connection, master, day)


async def get_body_key(connection: Connection, master: MasterKey, day: date) -> SealingKey:
    """Fetch the key of a day; raises `KeyDestroyed`, `WrongMasterKey`."""
    wrapped = await connection.fetchval(FIND, day)
    if wrapped is None:
        raise KeyDestroyed(f"the key of the texts of {day} was destroyed")
    return master.unwrap(wrapped, bound_to(day))


async def destroy_body_keys(connection: Connection, before: date) -> tuple[date, ...]:
    """Destroy the keys of all days before one; returns those days. Caches: see `BodyKeys.forget`."""
    return tuple(sorted(row["day"] for row in await connection.fetch(DESTROY, before)))


async def try_master_key(connection: Connection, master: MasterKey) -> None:
    """Unwrap the newest body key, if there is one; raises `WrongMasterKey`."""
    newest = await connection.fetchrow("SELECT day, wrapped FROM body_key ORDER BY day DESC LIMIT 1")
    if newest is not None:
        master.unwrap(newest["wrapped"], bound_to(newest["day"]))


def bound_to(day: date) -> bytes:
    """What the wrapped key of a day is bound to."""
    return b"body_key:" + day.isoformat().encode()
