"""What a node does for the end by itself: balances are recorded when refunds open, books are reconciled once a day."""

from __future__ import annotations

from datetime import date, datetime
from zoneinfo import ZoneInfo

import structlog

from onecard import audit
from onecard.database.pool import Connection
from onecard.values.gate import Capability, GatesAt
from onecard.winddown.closing.actions import take_snapshot
from onecard.winddown.closing.model import Snapshot
from onecard.winddown.closing.store import find_snapshot
from onecard.winddown.reconciliation.actions import reconcile
from onecard.winddown.store import load_in_force

log = structlog.get_logger(__name__)

ACTOR = "onecard"
TOLD_MOST = 10
"""Differences that are logged; `onecard payout reconcile` shows more."""


class Bookkeeper:
    """Works while an order is in force. Any node may do it: what one has done, the others find done."""

    def __init__(self, gates: GatesAt, zone: ZoneInfo) -> None:
        self._gates = gates
        self._zone = zone
        self._has_snapshot = False
        self._reconciled_on: date | None = None

    async def work(self, borrowed: Connection, now: datetime) -> None:
        """Do what is due; not to be called in a transaction."""
        if not self._gates(now).is_open(Capability.REFUND):
            return
        if not self._has_snapshot:
            self._has_snapshot = await self._take_snapshot(borrowed, now)
        if self._reconciled_on != now.date():
            await self._reconcile(borrowed, now)
            self._reconciled_on = now.date()

    async def _take_snapshot(self, borrowed: Connection, now: datetime) -> bool:
        found = await find_snapshot(borrowed)
        if found is not None and found.completed_at is not None:
            return True
        taken = await take_snapshot(borrowed, now, actor=ACTOR, gates=self._gates(now), zone=self._zone)
        return isinstance(taken, Snapshot)

    async def _reconcile(self, borrowed: Connection, now: datetime) -> None:
        last = await audit.list_records(borrowed, "payouts", most=1)
        if last and last[0].at.date() == now.date():
            return  # another node has, or somebody at a desk
        file = await load_in_force(borrowed)
        assert file is not None  # refunds are open
        books = await reconcile(borrowed, now, actor=ACTOR, zone=self._zone, policies=file.plan.refunds)
        for one in books.differences[:TOLD_MOST]:
            log.error("books do not agree", kind=one.kind, subject=one.subject, what=one.sentence)
        for funding in books.funding:
            if not funding.is_covered:
                log.error("money is missing", currency=funding.currency, micros=-funding.spare.micros)
