"""Figures that cost a look at many rows are read once for all who look within some seconds."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Generic, TypeVar

T = TypeVar("T")


class Lately(Generic[T]):
    """What was read of late. Of those that ask at once when it is old, one reads and the others wait."""

    def __init__(self, read: Callable[[datetime], Awaitable[T]], keep: timedelta) -> None:
        self._read = read
        self._keep = keep
        self._reading = asyncio.Lock()
        self._known: tuple[datetime, T] | None = None

    async def get(self, now: datetime) -> T:
        """What is known, read anew where it is older than it may be."""
        async with self._reading:
            if self._known is None or not timedelta(0) <= now - self._known[0] < self._keep:
                self._known = (now, await self._read(now))
            return self._known[1]

    def forget(self) -> None:
        """Read anew when next asked: this node has just changed it."""
        self._known = None
