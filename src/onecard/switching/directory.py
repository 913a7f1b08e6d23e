"""The directory of lines in memory: a bounded read-through cache that every change of a card empties in part.

Every node tails the `change` table: what it names is forgotten and read again when it is next needed. LISTEN only makes
the tail look sooner, so a lost notification costs a moment, never the truth.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable

from onecard.switching.model import CardEntry
from onecard.values.card import Imsi
from onecard.values.phone import E164

Key = E164 | Imsi
"""A card is asked for by any number of its lines, or by the IMSI of its SIM: digits with a plus sign, or without."""
Load = Callable[[Key], Awaitable[CardEntry | None]]
Activate = Callable[[CardEntry], Awaitable[None]]
"""Activates a card, at its first use on the network."""


class Directory:
    """MSISDN or IMSI -> card with all its lines. At most `cards_most` cards are held; the longest unused goes first."""

    def __init__(self, load: Load, *, cards_most: int = 1_000_000) -> None:
        self._load = load
        self._cards_most = cards_most
        self._card_of: dict[Key, int] = {}
        self._entries: OrderedDict[int, CardEntry] = OrderedDict()
        self._loading: dict[Key, asyncio.Future[CardEntry | None]] = {}
        self._forgotten_count = 0

    def __len__(self) -> int:
        return len(self._entries)

    def peek(self, key: Key) -> CardEntry | None:
        """What is in memory already: the hot path."""
        card_id = self._card_of.get(key)
        if card_id is None:
            return None
        self._entries.move_to_end(card_id)
        return self._entries[card_id]

    async def find(self, key: Key) -> CardEntry | None:
        """The card that has this number as an active line, or this IMSI, from memory or from the database."""
        entry = self.peek(key)
        if entry is not None:
            return entry
        loading = self._loading.get(key)
        if loading is None:
            loading = asyncio.ensure_future(self._read_through(key))
            self._loading[key] = loading
            loading.add_done_callback(lambda _: self._loading.pop(key, None))
        return await asyncio.shield(loading)

    async def _read_through(self, key: Key) -> CardEntry | None:
        """Read until nothing was forgotten meanwhile: what was read before a change must not be kept after it."""
        while True:
            before = self._forgotten_count
            entry = await self._load(key)
            if before == self._forgotten_count:
                break
        if entry is not None:
            self.keep(entry)
        return entry

    def keep(self, entry: CardEntry) -> None:
        """Hold a card that was just read."""
        card_id = entry.card.id
        self.forget(card_id, changed=False)
        self._entries[card_id] = entry
        for key in _keys_of(entry):
            self._card_of[key] = card_id
        if len(self._entries) > self._cards_most:
            self.forget(next(iter(self._entries)), changed=False)

    def forget(self, card_id: int, *, changed: bool = True) -> None:
        """Drop a card; it is read again when it is next needed."""
        self._forgotten_count += changed
        entry = self._entries.pop(card_id, None)
        for key in _keys_of(entry) if entry else ():
            self._card_of.pop(key, None)

    def forget_all(self) -> None:
        """Drop everything: after a loss of the database connection changes may have passed unseen."""
        self._forgotten_count += 1
        self._entries.clear()
        self._card_of.clear()


def _keys_of(entry: CardEntry) -> list[Key]:
    return [entry.card.imsi, *(line.msisdn for line in entry.lines)]
