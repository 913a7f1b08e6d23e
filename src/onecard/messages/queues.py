"""What waits in memory for each link: texts by urgency, and receipts. No I/O: a callback says 'look again'."""

from __future__ import annotations

import heapq
from collections import OrderedDict, deque
from collections.abc import Callable
from datetime import datetime

from onecard.messages.model import Receipt, Text

Lane = OrderedDict[int, Text]
"""Texts by their ids, in the order of their turns."""


class LinkQueue:
    """Texts and receipts of one link: the texts of banks first, then receipts, then everyone's texts.

    `most` bounds the texts that wait for the link: those here, and those `parked` in the database because no
    session of the link is bound to this node. It bounds the receipts that wait here as well.
    """

    def __init__(self, link: str, *, most: int) -> None:
        self.link = link
        self.most = most
        self.parked = 0
        self.on_ready: list[Callable[[], None]] = []
        """Called when there may be something to take; every bound session of the link adds its own."""
        self._application: Lane = OrderedDict()
        self._other: Lane = OrderedDict()
        self._postponed: Lane = OrderedDict()
        # What is due when; a text that left meanwhile, or was postponed again, has another time in `_due` or none.
        self._wakes: list[tuple[datetime, int]] = []
        self._due: dict[int, datetime] = {}
        self._receipts: deque[Receipt] = deque()

    def __len__(self) -> int:
        """How many texts wait here."""
        return len(self._application) + len(self._other) + len(self._postponed)

    @property
    def is_open(self) -> bool:
        """Whether a session of the link is bound here."""
        return bool(self.on_ready)

    @property
    def waiting(self) -> int:
        """How many texts wait for the link."""
        return len(self) + self.parked

    @property
    def is_full(self) -> bool:
        return self.waiting >= self.most

    @property
    def receipts_room(self) -> int:
        """How many more receipts may wait here; others wait in the database."""
        return max(0, self.most - len(self._receipts))

    def put(self, text: Text) -> None:
        """Let a text wait for the link."""
        self._lane(text)[text.id] = text
        self.tell()

    def put_receipt(self, receipt: Receipt) -> None:
        """Let a receipt wait for the link."""
        self._receipts.append(receipt)
        self.tell()

    def tell(self) -> None:
        """Let every bound session look whether there is something to take."""
        for ready in self.on_ready:
            ready()

    def postpone(self, text: Text, until: datetime) -> None:
        """Let a text wait for its next attempt."""
        self._postponed[text.id] = text
        self._due[text.id] = until
        heapq.heappush(self._wakes, (until, text.id))

    def wake_postponed(self, now: datetime) -> None:
        """Let those whose next attempt is due wait in their lane again."""
        while self._wakes and self._wakes[0][0] <= now:
            until, message_id = heapq.heappop(self._wakes)
            if self._due.get(message_id) == until:
                del self._due[message_id]
                self.put(self._postponed.pop(message_id))

    def take(self) -> Text | Receipt | None:
        """The most urgent of what waits, or None."""
        if self._application:
            return self._application.popitem(last=False)[1]
        if self._receipts:
            return self._receipts.popleft()
        if self._other:
            return self._other.popitem(last=False)[1]
        return None

    def find(self, message_id: int) -> Text | None:
        """A text that waits here."""
        return next((lane[message_id] for lane in self._lanes() if message_id in lane), None)

    def replace(self, text: Text) -> None:
        """Put a text in the place of the one of its id, which waits here."""
        lane = next(lane for lane in self._lanes() if text.id in lane)
        lane[text.id] = text

    def withdraw(self, message_id: int) -> Text | None:
        """Take a text out before its turn; None when it does not wait here."""
        self._due.pop(message_id, None)
        return next((lane.pop(message_id) for lane in self._lanes() if message_id in lane), None)

    def withdraw_expired(self, now: datetime) -> list[Text]:
        """Take out all texts whose validity has ended."""
        late = [text for lane in self._lanes() for text in lane.values() if text.expires_at <= now]
        for text in late:
            self.withdraw(text.id)
        return late

    def drain(self) -> tuple[list[Text], list[Receipt]]:
        """Give up everything, so that another node may claim it."""
        texts = [text for lane in self._lanes() for text in lane.values()]
        receipts = list(self._receipts)
        for waiting in (*self._lanes(), self._wakes, self._due, self._receipts):
            waiting.clear()
        return texts, receipts

    def _lanes(self) -> tuple[Lane, Lane, Lane]:
        return self._application, self._other, self._postponed

    def _lane(self, text: Text) -> Lane:
        return self._application if text.application else self._other


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

    def renew_lease(self, now: datetime, until: datetime) -> None:
        """Go on handing over until then. Who found nothing to take while there was no lease is told to look again."""
        had_run_out = self.lease_until is None or now >= self.lease_until
        self.lease_until = until
        for queue in self._queues.values() if had_run_out else ():
            queue.tell()

    def take(self, link: str, now: datetime) -> Text | Receipt | None:
        """What to hand to a link next; None when nothing waits or the lease has run out."""
        if self.lease_until is None or now >= self.lease_until:
            return None
        return self.of(link).take()
