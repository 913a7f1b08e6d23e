"""What waits in memory for each link: texts by urgency, and receipts. No I/O: a callback says 'look again'."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable
from datetime import datetime

from onecard.messages.model import Receipt, Text


class LinkQueue:
    """Texts and receipts of one link: the texts of banks first, then receipts, then everyone's texts.

    `most` bounds the texts that wait for the link: those here, and those `parked` in the database because no
    session of the link is bound to this node.
    """

    def __init__(self, link: str, *, most: int) -> None:
        self.link = link
        self.most = most
        self.parked = 0
        self.on_ready: list[Callable[[], None]] = []
        """Called when there may be something to take; every bound session of the link adds its own."""
        # Lanes hold ids; a text that was withdrawn is missing from `_texts` and passed over at its turn.
        self._texts: dict[int, Text] = {}
        self._application: deque[int] = deque()
        self._other: deque[int] = deque()
        self._postponed: list[tuple[datetime, int]] = []
        self._receipts: deque[Receipt] = deque()

    def __len__(self) -> int:
        """How many texts wait here."""
        return len(self._texts)

    @property
    def is_open(self) -> bool:
        """Whether a session of the link is bound here."""
        return bool(self.on_ready)

    @property
    def waiting(self) -> int:
        """How many texts wait for the link."""
        return len(self._texts) + self.parked

    @property
    def is_full(self) -> bool:
        return self.waiting >= self.most

    def put(self, text: Text) -> None:
        """Let a text wait for the link."""
        self._texts[text.id] = text
        self._lane(text).append(text.id)
        self._tell()

    def put_receipt(self, receipt: Receipt) -> None:
        """Let a receipt wait for the link."""
        self._receipts.append(receipt)
        self._tell()

    def put_back(self, item: Text | Receipt) -> None:
        """Return what was taken and could not be sent, before all others of its lane."""
        if isinstance(item, Receipt):
            self._receipts.appendleft(item)
        else:
            self._texts[item.id] = item
            self._lane(item).appendleft(item.id)

    def postpone(self, text: Text, until: datetime) -> None:
        """Let a text wait for its next attempt."""
        self._texts[text.id] = text
        heapq.heappush(self._postponed, (until, text.id))

    def wake_postponed(self, now: datetime) -> None:
        """Let those whose next attempt is due wait in their lane again."""
        while self._postponed and self._postponed[0][0] <= now:
            text = self._texts.get(heapq.heappop(self._postponed)[1])
            if text is not None:
                self._lane(text).append(text.id)
                self._tell()

    def take(self) -> Text | Receipt | None:
        """The most urgent of what waits, or None."""
        text = self._take_from(self._application)
        if text is not None:
            return text
        if self._receipts:
            return self._receipts.popleft()
        return self._take_from(self._other)

    def withdraw(self, message_id: int) -> Text | None:
        """Take a text out before its turn; None when it does not wait here."""
        return self._texts.pop(message_id, None)

    def withdraw_expired(self, now: datetime) -> list[Text]:
        """Take out all texts whose validity has ended."""
        late = [text for text in self._texts.values() if text.expires_at <= now]
        for text in late:
            del self._texts[text.id]
        return late

    def drain(self) -> tuple[list[Text], list[Receipt]]:
        """Give up everything, so that another node may claim it."""
        texts, receipts = list(self._texts.values()), list(self._receipts)
        for lane in (self._texts, self._application, self._other, self._postponed, self._receipts):
            lane.clear()
        return texts, receipts

    def _lane(self, text: Text) -> deque[int]:
        return self._application if text.application else self._other

    def _take_from(self, lane: deque[int]) -> Text | None:
        while lane:
            text = self._texts.pop(lane.popleft(), None)
            if text is not None:
                return text
        return None

    def _tell(self) -> None:
        for ready in self.on_ready:
            ready()


class Queues:
    """The queues of all links on this node, from which something is handed over while the node's lease lasts.

    A node that could not renew its lease hands nothing over: another node may have taken its claims.
    """

    def __init__(self, node: str, *, most: int = 10_000) -> None:
        self.node = node
        self.lease_until: datetime | None = None
        self._most = most
        self._queues: dict[str, LinkQueue] = {}

    def of(self, link: str) -> LinkQueue:
        """What waits for a link."""
        queue = self._queues.get(link)
        if queue is None:
            queue = self._queues[link] = LinkQueue(link, most=self._most)
        return queue

    def all(self) -> list[LinkQueue]:
        """Every queue that something ever waited in."""
        return list(self._queues.values())

    def take(self, link: str, now: datetime) -> Text | Receipt | None:
        """What to hand to a link next; None when nothing waits or the lease has run out."""
        if self.lease_until is None or now >= self.lease_until:
            return None
        return self.of(link).take()
