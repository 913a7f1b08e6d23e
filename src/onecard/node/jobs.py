"""What happens by itself as days pass, and what a node tells of its links."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import structlog

from onecard.charging.actions import CreditControl
from onecard.charging.allowances import end_expired_allowances
from onecard.charging.notices import look_at_accounts, tidy_notices, warn_of_expiry
from onecard.charging.records import purge_records
from onecard.charging.store import purge_sessions
from onecard.charging.subscription_store import call_up_those_of_ended_cards
from onecard.charging.subscriptions import renew_due
from onecard.database.pool import Connection, DatabaseUnavailable, Pool, connection
from onecard.gateways.smpp.link import Exchange, Link
from onecard.legal_holds.store import is_held
from onecard.lines.actions import refuse_expired_applications, release_numbers
from onecard.node.books import Bookkeeper
from onecard.node.config import Config
from onecard.node.name import NodeName
from onecard.node.notices import NoticeTeller
from onecard.portability.store import list_late_ports
from onecard.values.gate import Gates, GatesAt
from onecard.web.ceremony import tidy_challenges
from onecard.web.selfcare.codes import tidy_codes
from onecard.web.sessions import tidy_sessions
from onecard.web.throttle import tidy_attempts

log = structlog.get_logger(__name__)

TICK_SECONDS = 3.0
LOOKED_AT_MOST = 10_000
LATE_PORTS_TOLD_EVERY = timedelta(hours=1)
NOTICES_AGE = timedelta(days=90)
SESSIONS_AGE = timedelta(days=2)
"""How long a session that is over can still answer a repeat of its last request."""
CHANGES_AGE = timedelta(days=1)
"""No node is behind by more: one that was away starts with an empty memory."""
STATUS = """
    INSERT INTO link_status (link, node, bound_sessions, waiting, texts_in, texts_refused, texts_out, texts_failed,
                             receipts_in, receipts_out, last_error, at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
    ON CONFLICT (link, node) DO UPDATE SET
        bound_sessions = excluded.bound_sessions, waiting = excluded.waiting, texts_in = excluded.texts_in,
        texts_refused = excluded.texts_refused, texts_out = excluded.texts_out, texts_failed = excluded.texts_failed,
        receipts_in = excluded.receipts_in, receipts_out = excluded.receipts_out, last_error = excluded.last_error,
        at = excluded.at"""


class Jobs:
    """The jobs of one node. Any node may do each of them: they are safe to do twice."""

    def __init__(
        self,
        pool: Pool,
        parts: Sequence[int],
        config: Config,
        links: Mapping[str, Link],
        exchange: Exchange,
        control: CreditControl,
        name: NodeName,
        gates: GatesAt,
    ) -> None:
        self._pool = pool
        self._parts = tuple(parts)
        self._config = config
        self._links = links
        self._exchange = exchange
        self._control = control
        self._name = name
        self._gates = gates
        self._zone = ZoneInfo(config.operator.time_zone)
        self._books = Bookkeeper(gates, self._zone)
        self._teller = NoticeTeller(pool, parts, exchange.acceptor.tell, exchange.clock, self._zone)
        self.on_stage: list[Callable[[Sequence[str]], None]] = []
        """Called with the open sessions whose use a stage of an order to stop has ended."""
        self.on_amendment: list[Callable[[], None]] = []
        """Called when the next stage is another, or comes at another time, than was known before."""
        self._gates_told: Gates | None = None
        self._looked_at: set[int] = set()
        self._tidied_on: date | None = None
        self._told_late_at: datetime | None = None

    def look_at(self, account_id: int) -> None:
        """An account was topped up, or given an allowance: is it still low?"""
        self._looked_at.add(account_id)

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            try:
                await self.tick()
            except DatabaseUnavailable as error:
                log.warning("jobs wait for the database", reason=str(error))
            except Exception:
                log.exception("a job failed; the others go on at the next turn")
            await asyncio.sleep(TICK_SECONDS)

    async def tick(self) -> None:
        """Do all that is due."""
        now = self._exchange.clock.now()
        self._tell_gates(now)
        await self._name.keep()
        async with connection(self._pool) as borrowed:
            await self._tell_status(borrowed)
            while await refuse_expired_applications(borrowed, now, actor="onecard"):
                pass
            await self._control.expire()
            await release_numbers(borrowed, now, actor="onecard")
            await borrowed.execute("DELETE FROM change WHERE at < $1", now - CHANGES_AGE)
            await self._look_at_accounts(borrowed, now)
            await self._tidy_daily(borrowed, now)
            await self._tell_late_ports(borrowed, now)
            await self._books.work(borrowed, now)
        for part in self._parts:
            await self._move_on(part, now)
        await self._teller.tell_due()

    def _tell_gates(self, now: datetime) -> None:
        """Tell those who hold what was granted before: of a stage that came, and of one that nobody expected."""
        gates, told = self._gates(now), self._gates_told
        self._gates_told = gates
        if told is None or gates == told:
            return
        for end in self.on_stage:
            end(self._control.sessions_ended_by_order())
        if told.until is None or now < told.until:
            for tell in self.on_amendment:
                tell()

    async def _look_at_accounts(self, borrowed: Connection, now: datetime) -> None:
        """Warn of what runs low on the accounts that this node charged, or heard of, since the last look."""
        sources = self._looked_at, self._exchange.acceptor.charged, self._control.charged
        accounts = sorted(set().union(*sources))
        for source in sources:
            source.clear()
        for first in range(0, len(accounts), LOOKED_AT_MOST):
            some = accounts[first : first + LOOKED_AT_MOST]
            for part in self._parts:
                await look_at_accounts(borrowed, part, now, some, self._config.operator.low)

    async def _move_on(self, part: int, now: datetime) -> None:
        """What the time brings to plans and allowances of one part."""
        async with connection(self._pool) as borrowed:
            await warn_of_expiry(borrowed, part, now)
            await end_expired_allowances(borrowed, part, now)
        tariff = self._exchange.acceptor.setting.tariff
        await renew_due(self._pool, part, tariff, self._zone, now, gates=self._gates)

    async def _tidy_daily(self, borrowed: Connection, now: datetime) -> None:
        """Forget what is kept long enough, and call up plans of cards that have ended."""
        if self._tidied_on == now.date():
            return
        for part in self._parts:
            await self._forget_old(borrowed, part, now)
            await purge_sessions(borrowed, part, now - SESSIONS_AGE)
            await call_up_those_of_ended_cards(borrowed, part, now)
            await tidy_codes(borrowed, part, now)
        await tidy_sessions(borrowed, now)
        await tidy_challenges(borrowed, now)
        await tidy_attempts(borrowed, now)
        self._tidied_on = now.date()

    async def _forget_old(self, borrowed: Connection, part: int, now: datetime) -> None:
        """Delete what is kept long enough, unless a legal hold is in force."""
        async with borrowed.transaction():
            if not await is_held(borrowed):
                await tidy_notices(borrowed, part, now, NOTICES_AGE)
                await purge_records(borrowed, part, now - timedelta(days=self._config.charging.usage_days))

    async def _tell_late_ports(self, borrowed: Connection, now: datetime) -> None:
        """Raise the alarm, hourly, while a number is not with its new operator in time."""
        if self._told_late_at is not None and now - self._told_late_at < LATE_PORTS_TOLD_EVERY:
            return
        late = await list_late_ports(borrowed, now)
        if late:
            log.warning(
                "port-outs are late: see `onecard port list --late`", ports=[port.id for port in late]
            )
        self._told_late_at = now

    async def _tell_status(self, borrowed: Connection) -> None:
        now = self._exchange.clock.now()
        rows = []
        for name, link in self._links.items():
            counts = link.counts
            rows.append(
                (
                    name,
                    self._config.node,
                    link.bound_count,
                    self._exchange.queues.of(name).waiting,
                    counts.texts_in,
                    counts.texts_refused,
                    counts.texts_out,
                    counts.texts_failed,
                    counts.receipts_in,
                    counts.receipts_out,
                    link.last_error,
                    now,
                )
            )
        await borrowed.executemany(STATUS, rows)
