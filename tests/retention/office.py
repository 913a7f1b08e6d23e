"""An office that destroys what its shop has kept, over an open database and the keys beside it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import shop
from onecard.cards.model import Card
from onecard.database.parts import list_parts
from onecard.database.pool import Connection
from onecard.lines.model import LineLimits
from onecard.retention import actions
from onecard.retention.model import DataClass, PurgeRefusal, PurgeRun, Span, Spans
from onecard.sales.actions import end_card
from onecard.sealing.keys import MasterKey
from onecard.sealing.periods import PeriodKeys
from onecard.sealing.renewal import Renewal
from onecard.subscribers.actions import open_contact
from onecard.subscribers.model import Contact
from onecard.values.clock import MovedClock
from onecard.values.gate import Closed, Gates

OPEN = Gates({})
LEAST, MOST = timedelta(days=30), timedelta(days=400)
SPAN = Span(LEAST, MOST)
SPANS: Spans = dict.fromkeys(DataClass, SPAN)
AFTER = LEAST + timedelta(seconds=1)


@dataclass(slots=True)
class Office:
    """What is asked for here is asked in the name of staff, at the clock's time."""

    borrowed: Connection
    master: MasterKey
    periods: PeriodKeys
    clock: MovedClock = field(default_factory=lambda: MovedClock(shop.AT))

    def now(self) -> datetime:
        return self.clock.now()

    async def end(self, card: Card) -> None:
        ended = await end_card(
            self.borrowed,
            self.now(),
            actor=shop.STAFF,
            part=card.part,
            card_id=card.id,
            limits=LineLimits(),
        )
        assert isinstance(ended, Card), ended

    async def begin(
        self, data_class: DataClass, gates: Gates = OPEN, *, stayed: bool = False
    ) -> PurgeRun | PurgeRefusal | Closed:
        return await actions.begin_purge(
            self.borrowed,
            self.now(),
            actor=shop.STAFF,
            gates=gates,
            stayed=stayed,
            data_class=data_class,
            span=SPAN,
        )

    async def batch(self, run: PurgeRun, part: int) -> int | PurgeRefusal:
        return await actions.purge_batch(self.borrowed, self.now(), master=self.master, run=run, part=part)

    async def purge(self, data_class: DataClass) -> PurgeRun:
        """A whole run of a class."""
        run = await self.begin(data_class)
        assert isinstance(run, PurgeRun), run
        for part in await list_parts(self.borrowed):
            while await self.batch(run, part):
                pass
        return await actions.end_purge(self.borrowed, self.now(), actor=shop.STAFF, run=run)

    async def renew(self) -> Renewal:
        """A whole renewal, to a key that is made for it."""
        self.periods.create_next()
        begun = await actions.begin_renewal(self.borrowed, self.now(), actor=shop.STAFF, periods=self.periods)
        assert isinstance(begun, Renewal), begun
        for part in await list_parts(self.borrowed):
            after: int | None = 0
            while after is not None:
                after = await actions.move_keys(
                    self.borrowed, master=self.master, begun=begun, part=part, after=after
                )
        ended = await self.end_renewal(begun)
        assert isinstance(ended, Renewal), ended
        return ended

    async def end_renewal(self, begun: Renewal) -> Renewal | PurgeRefusal:
        return await actions.end_renewal(
            self.borrowed,
            self.now(),
            actor=shop.STAFF,
            master=self.master,
            periods=self.periods,
            begun=begun,
        )

    async def certify(self, run: PurgeRun) -> dict[str, Any] | PurgeRefusal:
        return await actions.certify_purge(
            self.borrowed, self.now(), run_id=run.id, operator="Maple Bridge", spans=SPANS
        )

    async def contact(self, card: Card, borrowed: Connection | None = None) -> Contact:
        return await open_contact(borrowed or self.borrowed, self.master, card.part, card.subscriber_id)

    async def is_erased(self, card: Card) -> bool:
        erased: bool = await self.borrowed.fetchval(
            "SELECT erased_at IS NOT NULL AND sealed_contact IS NULL FROM subscriber WHERE part = $1 AND id = $2",
            card.part,
            card.subscriber_id,
        )
        return erased
