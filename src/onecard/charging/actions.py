"""Answer credit control: find the line and its rates, decide, write, and answer once it is durable.

    request -> directory -> switching (whose line) -> rates -> rules (settle, grant) -> batch (money + session)

A decision is first made on what this node remembers of the account. When it would not be a full grant, or the ledger
finds that the account cannot pay, it is made again on what the account really has. Two requests of one session are
decided one after the other; a node that was overtaken by another notices it by the session's version.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Generic, TypeVar

import msgspec
import structlog
from msgspec.structs import replace

from onecard.cards.model import CardState
from onecard.catalogue.model import HOME, ListedRate, UsageKind, Use
from onecard.catalogue.rules import find_rate, next_change, price, zone_of
from onecard.charging import rules, store
from onecard.charging.model import (
    Allowance,
    Answer,
    Ask,
    Grant,
    Movement,
    Operation,
    Purse,
    Request,
    Result,
    Session,
    Written,
)
from onecard.charging.store import ChargeStatus
from onecard.database.batch import BatchWriter, QueueFull, WriterClosed
from onecard.database.pool import DatabaseUnavailable, Pool
from onecard.ledger.model import EntryKind
from onecard.sealing.body_keys import BodyKeys
from onecard.sealing.keys import SealingError
from onecard.switching.directory import Activate, Directory
from onecard.switching.gates import gates_before, rate_under
from onecard.switching.model import CardEntry
from onecard.switching.rules import Setting
from onecard.switching.usage import Charged, Emergency, UsageRefusal, decide_usage
from onecard.values.clock import Clock
from onecard.values.gate import NO_ORDER, Capability, Closed, GatesAt, find_closing
from onecard.values.phone import is_emergency

log = structlog.get_logger(__name__)

TRIES = 5
"""A decision that keeps being overtaken by others is given up: the network is told that we are busy."""
REMEMBERED_MOST = 200_000
EXPIRED_AT_ONCE = 500
OPENING = (Operation.INITIAL, Operation.DEBIT, Operation.REFUND)
ONE_TIME = (Operation.DEBIT, Operation.REFUND, Operation.PRICE, Operation.BALANCE)
SESSION_ID_MOST = 512
"""Characters. What PostgreSQL cannot index, nor write, must not spoil the batch of others."""

K = TypeVar("K")
V = TypeVar("V")


class Memory(OrderedDict[K, V], Generic[K, V]):
    """A bounded memory: the longest unset goes first. All that is in it is in the database too."""

    def remember(self, key: K, value: V) -> None:
        self[key] = value
        self.move_to_end(key)
        if len(self) > REMEMBERED_MOST:
            self.popitem(last=False)


@dataclass(frozen=True, slots=True)
class Known:
    """A session as this node last saw it: `session` is None when it is over."""

    session: Session | None
    number: int
    answer: Answer


@dataclass(frozen=True, slots=True)
class Plan:
    """A decision, ready to be written."""

    session: Session
    is_open: bool
    answer: Answer
    movements: tuple[Movement, ...]
    grants: tuple[Grant, ...]
    cause: str


class CreditControl:
    """Answers the networks. One a node; made inside the running event loop."""

    def __init__(
        self,
        pool: Pool,
        parts: Sequence[int],
        *,
        setting: Callable[[], Setting],
        directory: Directory,
        body_keys: BodyKeys,
        clock: Clock,
        gates: GatesAt,
        activate: Activate,
    ) -> None:
        self.charged: set[int] = set()
        """Ledger accounts that moved since somebody last emptied it: are they running low?"""
        self._pool = pool
        self._parts = tuple(parts)
        self._setting = setting
        self._directory = directory
        self._body_keys = body_keys
        self._clock = clock
        self._gates = gates
        self._activate = activate
        self._sessions: Memory[str, Known] = Memory()
        self._available: Memory[int, int] = Memory()
        self._allowances: Memory[int, tuple[Allowance, ...]] = Memory()
        self._open_of: Memory[int, set[str]] = Memory()
        self._forgotten_count = 0
        self._turns: dict[str, asyncio.Event] = {}
        self._writers = {
            part: BatchWriter(partial(self._write_batch, part), most=500) for part in self._parts
        }

    async def close(self) -> None:
        """Write all that was begun."""
        for writer in self._writers.values():
            await writer.close()

    def forget_account(self, account_id: int) -> None:
        """An account was topped up, or given an allowance, by somebody else."""
        self._forgotten_count += 1
        self._available.pop(account_id, None)
        self._allowances.pop(account_id, None)

    def open_sessions(self, account_id: int) -> tuple[str, ...]:
        """The open sessions of an account that this node has answered: those to ask anew when it was topped up."""
        return tuple(self._open_of.get(account_id, ()))

    def accounts_in_session(self) -> tuple[int, ...]:
        """The accounts that have open sessions which this node has answered."""
        return tuple(self._open_of)

    def sessions_ended_by_order(self) -> tuple[str, ...]:
        """The open sessions that this node has answered and whose use an order to stop has ended meanwhile."""
        gates = self._gates(self._clock.now())
        known = (self._sessions.get(session_id) for ids in self._open_of.values() for session_id in ids)
        sessions = (each.session for each in known if each is not None)
        return tuple(one.id for one in sessions if one is not None and gates.find_closed(*_gates_of(one)))

    # ---- requests

    async def answer(self, request: Request) -> Answer:
        """Answer a request; what it did is durable when this returns."""
        if len(request.session_id) > SESSION_ID_MOST or "\0" in request.session_id:
            return Answer(Result.BAD_REQUEST)
        if request.usage is UsageKind.CALL_OUT and is_emergency(request.far):
            return Answer(Result.NOT_APPLICABLE)  # also when the database is away, or the card has ended
        try:
            async with self._turn(request.session_id):
                return await self._answer(request)
        except (QueueFull, WriterClosed, DatabaseUnavailable) as error:
            log.warning("a charging request was turned away", reason=repr(error))
            return Answer(Result.BUSY)

    async def _answer(self, request: Request) -> Answer:
        must_look = False
        for attempt in range(TRIES):
            # A session that opens is new in all likelihood: if it is not, its version tells, and it is looked up.
            is_new = attempt == 0 and request.operation in OPENING
            known = self._sessions.get(request.session_id) if is_new else await self._find(request.session_id)
            if known is not None and (settled := _answer_from(known, request)):
                return settled
            plan = await self._plan(request, known.session if known else None, must_look=must_look)
            if isinstance(plan, Answer):
                if is_new and await self._find(request.session_id):
                    continue  # it was opened before, by a node that is no more: what it was answered stands
                return plan
            status = await self._write(plan)
            if status is ChargeStatus.WRITTEN:
                return plan.answer
            if status is ChargeStatus.NO_ACCOUNT and must_look:
                return Answer(Result.UNKNOWN_SUBSCRIBER)
            if status is ChargeStatus.NO_ACCOUNT:
                self.forget_account(plan.session.account_id)  # an allowance may have ended that is remembered
            must_look = status in (ChargeStatus.INSUFFICIENT, ChargeStatus.NO_ACCOUNT)
            self._sessions.pop(request.session_id, None)
        return Answer(Result.BUSY)

    async def expire(self) -> int:
        """End sessions that were silent for too long and give back what they hold; returns how many."""
        count = 0
        for part in self._parts:
            for session_id in await store.list_expired(self._pool, part, self._clock.now(), EXPIRED_AT_ONCE):
                async with self._turn(session_id):
                    count += await self._end_silent(session_id)
        return count

    async def _end_silent(self, session_id: str) -> bool:
        """End one, unless it went on since it was listed: here, or at another node."""
        now = self._clock.now()
        stored = await store.find_session(self._pool, self._parts, session_id)
        if stored is None or stored.expires_at > now:
            return False
        try:
            known = await self._open_stored(session_id, stored)
        except SealingError as error:
            # We were away for longer than keys are kept. Others are to end all the same.
            log.error("a session cannot be opened and holds on", session=session_id, reason=str(error))
            return False
        if known.session is None:
            return False
        ended, outcomes = rules.decide_session(
            known.session, (), Purse(None), self._rates(known.session, now), now, ends=True
        )
        movements = rules.decide_movements(known.session, ended, outcomes)
        plan = Plan(ended, False, known.answer, movements, (), "expired")
        return await self._write(plan) is ChargeStatus.WRITTEN

    # ---- deciding

    async def _plan(self, request: Request, session: Session | None, *, must_look: bool) -> Plan | Answer:
        now = self._clock.now()
        opened = await self._move(session, request, now) if session else await self._open(request, now)
        if isinstance(opened, Answer):
            return opened
        purse = await self._purse(opened, now, look=must_look)
        plan = self._decide(request, session, opened, purse, now)
        if not must_look and not (isinstance(plan, Plan) and _holds(plan)):
            return await self._plan(request, session, must_look=True)
        return plan

    async def _open(self, request: Request, now: datetime) -> Session | Answer:
        """A new session, with nothing held yet."""
        if request.operation in (Operation.UPDATE, Operation.TERMINATE):
            return Answer(Result.UNKNOWN_SESSION)
        entry = await self._find_card(request)
        if entry is None:
            return Answer(Result.UNKNOWN_SUBSCRIBER)
        # What was taken is given back whatever has ended.
        gates = NO_ORDER if request.operation is Operation.REFUND else self._gates(now)
        if entry.card.state is CardState.SOLD and gates.is_open(Capability.ACTIVATION):
            await self._activate(entry)
        setting = self._setting()
        charged = decide_usage(
            entry,
            request.usage,
            request.line or request.msisdn,
            request.far,
            service_code=setting.service_code,
            gates=gates,
            at=now,
        )
        if not isinstance(charged, Charged):
            return _refuse(charged)
        line = charged.line
        zone = self._zone_of(entry, request.network, now)
        use = Use(request.usage, entry.currency, line.country, line.time_zone, charged.far, zone)
        card = entry.card
        return Session(
            request.session_id,
            0,
            request.number,
            card.part,
            card.account_id,
            card.id,
            line.id,
            use,
            now,
            network=request.network,
            is_secondary=not line.is_primary,
        )

    async def _move(self, session: Session, request: Request, now: datetime) -> Session:
        """A card that has come to another network is rated there, for what it is granted from here on."""
        if not request.network or request.network == session.network:
            return session
        entry = await self._find_card(request)
        if entry is None:
            return session
        zone = self._zone_of(entry, request.network, now)
        return replace(session, network=request.network, use=replace(session.use, zone=zone))

    def _zone_of(self, entry: CardEntry, network: str, now: datetime) -> str:
        if entry.card.imsi.startswith(network):  # an IMSI begins with the MCC and MNC of its own network
            return HOME
        return zone_of(self._setting().tariff, entry.currency, network, now)

    async def _find_card(self, request: Request) -> CardEntry | None:
        for key in (request.msisdn, request.imsi):
            if key is not None and (entry := await self._directory.find(key)):
                return entry
        return None

    def _decide(
        self, request: Request, before: Session | None, session: Session, purse: Purse, now: datetime
    ) -> Plan | Answer:
        rates = self._rates(session, now)
        asks = rules.merge_asks(request.asks) if len(request.asks) > 1 else request.asks or (Ask(),)
        if request.operation in ONE_TIME and rules.is_too_much(asks, session.use.usage):
            return Answer(Result.BAD_REQUEST)
        match request.operation:
            case Operation.PRICE | Operation.BALANCE:
                return _quote(request.operation, session, asks, purse, rates, now)
            case Operation.REFUND:
                return _refund(session, asks, rates, now)
            case Operation.DEBIT:
                decided = rules.decide_debit(session, asks, purse, rates, now)
                if isinstance(decided, Result):
                    return Answer(decided)
            case _:
                ends = request.operation is Operation.TERMINATE
                decided = rules.decide_session(session, asks, purse, rates, now, ends=ends)
        after, outcomes = decided
        grants = tuple(outcome.grant for outcome in outcomes)
        refused = _refusal_of_all(grants) if before is None else None
        if refused:
            return Answer(refused)
        return _plan_of(request, before, after, outcomes, grants)

    def _rates(self, session: Session, now: datetime) -> rules.Rates:
        tariff, gates = self._setting().tariff, _gates_of(session)

        def at(moment: datetime) -> ListedRate | None:
            listed = find_rate(tariff, session.use, moment)
            return None if listed is None else rate_under(self._gates(moment), listed)

        def change(moment: datetime) -> datetime | None:
            """When other rates hold, or none is charged any more; what is free already stays so."""
            if not self._gates(moment).is_open(Capability.CHARGING):
                return None
            changes = next_change(tariff, session.use, moment), self._closing(moment, Capability.CHARGING)
            return min((each for each in changes if each is not None), default=None)

        is_closed = self._gates(now).find_closed(*gates) is not None
        return rules.Rates(at, change, is_closed, self._closing(now, *gates))

    def _closing(self, after: datetime, *gates: Capability) -> datetime | None:
        """When one of the gates closes, if that is while a grant made at an instant is good."""
        return find_closing(self._gates, gates, after, after + rules.VALIDITY)

    async def _purse(self, session: Session, now: datetime, *, look: bool) -> Purse:
        """What the account can pay with: as remembered, or as it is."""
        is_free = not self._gates(now).is_open(
            Capability.CHARGING
        )  # no allowance is used up by what costs nothing
        allowances = () if is_free else await self._allowances_of(session)
        covering = [allowance for allowance in allowances if _covers(allowance, session, now)]
        accounts = [allowance.account_id for allowance in covering]
        if look:
            wanted = [session.account_id, *accounts]
            found = await store.read_available(self._pool, session.part, wanted)
            for account_id, available in found.items():
                self._available.remember(account_id, available)
        known = self._known_available
        cash = known(session.account_id) if all(one.overage for one in covering) else 0
        return Purse(cash, tuple((account, known(account)) for account in accounts))

    async def _allowances_of(self, session: Session) -> tuple[Allowance, ...]:
        allowances = self._allowances.get(session.account_id)
        if allowances is None:
            before = self._forgotten_count
            allowances = await store.list_allowances(self._pool, session.part, session.account_id)
            if before == self._forgotten_count:  # else one may have been given since they were read
                self._allowances.remember(session.account_id, allowances)
        return allowances

    def _known_available(self, account_id: int) -> int | None:
        """As remembered, and never less than nothing.

        What was written just before it was read, and is remembered just after, is taken off twice: too little is
        looked at again, so it does no harm.
        """
        available = self._available.get(account_id)
        return None if available is None else max(0, available)

    # ---- memory and writing

    async def _find(self, session_id: str) -> Known | None:
        known = self._sessions.get(session_id)
        if known is not None:
            return known
        stored = await store.find_session(self._pool, self._parts, session_id)
        if stored is None:
            return None
        known = await self._open_stored(session_id, stored)
        self._sessions.remember(session_id, known)
        return known

    async def _open_stored(self, session_id: str, stored: store.StoredSession) -> Known:
        """A session as it was when it was sealed."""
        session = None
        if stored.is_open:
            assert stored.sealed_state is not None
            plain = await self._body_keys.open(stored.sealed_state, _bound_to(session_id))
            session = replace(msgspec.msgpack.decode(plain, type=Session), version=stored.version)
        return Known(session, stored.number, msgspec.msgpack.decode(stored.answer, type=Answer))

    async def _write(self, plan: Plan) -> ChargeStatus:
        now = self._clock.now()
        session = plan.session
        state = None
        if plan.is_open:
            key = self._body_keys.cached(now.date()) or await self._body_keys.of(now.date())
            state = key.seal(msgspec.msgpack.encode(session), _bound_to(session.id))
        written = Written(
            session,
            plan.is_open,
            rules.expires_at(plan.grants, now),
            state,
            msgspec.msgpack.encode(plan.answer),
            plan.movements,
            () if plan.is_open else rules.records_of(session, plan.cause),
        )
        status = await self._writers[session.part].submit(written)
        if status is ChargeStatus.WRITTEN:
            self._remember(plan)
        return status

    def _remember(self, plan: Plan) -> None:
        session = replace(plan.session, version=plan.session.version + 1)
        self._sessions.remember(
            session.id, Known(session if plan.is_open else None, session.number, plan.answer)
        )
        self._note_open(session, plan.is_open)
        for movement in plan.movements:
            self.charged.add(movement.account_id)
            known = self._available.get(movement.account_id)
            if known is not None:
                self._available.remember(movement.account_id, known + movement.available)

    def _note_open(self, session: Session, is_open: bool) -> None:
        ids = self._open_of.get(session.account_id)
        if is_open and ids is None:
            self._open_of.remember(session.account_id, {session.id})
        elif is_open and ids is not None:
            ids.add(session.id)
        elif ids is not None:
            ids.discard(session.id)
            if not ids:
                del self._open_of[session.account_id]

    async def _write_batch(self, part: int, batch: Sequence[Written]) -> list[ChargeStatus]:
        return await store.charge_batch(self._pool, part, self._clock.now(), batch)

    @asynccontextmanager
    async def _turn(self, session_id: str) -> AsyncIterator[None]:
        """One request of a session at a time, in the order they came."""
        before = self._turns.get(session_id)
        done = self._turns[session_id] = asyncio.Event()
        try:
            if before is not None:
                await before.wait()
            yield
        finally:
            if self._turns.get(session_id) is done:
                del self._turns[session_id]
            done.set()


def _bound_to(session_id: str) -> bytes:
    return b"charging_session:" + session_id.encode()


def _covers(allowance: Allowance, session: Session, now: datetime) -> bool:
    return (
        allowance.usage is session.use.usage
        and allowance.expires_at > now
        and (not allowance.line_countries or session.use.line_country in allowance.line_countries)
        and (not allowance.zones or session.use.zone in allowance.zones)
    )


def _gates_of(session: Session) -> tuple[Capability, ...]:
    return gates_before(session.use.usage, is_secondary=session.is_secondary)


def _refuse(decided: Emergency | UsageRefusal | Closed) -> Answer:
    """What a network is answered whose request opens no session."""
    match decided:
        case Emergency():
            return Answer(Result.NOT_APPLICABLE)
        case Closed():
            return Answer(Result.ENDED_BY_ORDER, stage=decided.stage)
        case UsageRefusal():
            return Answer(Result.SERVICE_DENIED)


def _answer_from(known: Known, request: Request) -> Answer | None:
    """The answer to a repeat, or to a request that its session does not wait for; None: go on."""
    if request.number == known.number:
        return known.answer
    if request.number < known.number:
        return Answer(Result.OUT_OF_ORDER)
    if known.session is None:
        return Answer(Result.UNKNOWN_SESSION)
    return Answer(Result.BAD_REQUEST) if request.operation in OPENING else None


def _holds(plan: Plan) -> bool:
    """Whether a decision may stand that was made on remembered balances: nothing was cut short."""
    return all(grant.result is Result.SUCCESS and not grant.is_last for grant in plan.grants) and not any(
        service.unpaid_micros for service in plan.session.services
    )


def _refusal_of_all(grants: Sequence[Grant]) -> Result | None:
    """Why a new session is not opened: none of its services is granted anything."""
    if any(grant.result is Result.SUCCESS for grant in grants):
        return None
    return grants[0].result if grants else Result.BAD_REQUEST


def _plan_of(
    request: Request,
    before: Session | None,
    after: Session,
    outcomes: Sequence[rules.Outcome],
    grants: tuple[Grant, ...],
) -> Plan:
    after = replace(after, number=request.number)
    is_open = request.operation in (Operation.INITIAL, Operation.UPDATE)
    answer = Answer(
        Result.SUCCESS,
        () if request.operation is Operation.TERMINATE else grants,
        rules.cost_of(after),
        after.use.currency,
    )
    movements = rules.decide_movements(before, after, outcomes)
    return Plan(after, is_open, answer, movements, grants, request.cause or request.operation.value)


def _quote(
    operation: Operation,
    session: Session,
    asks: Sequence[Ask],
    purse: Purse,
    rates: rules.Rates,
    now: datetime,
) -> Answer:
    """Say what it would cost, or whether it could be paid; nothing is written."""
    listed = rates.at(now)
    if listed is None:
        return Answer(Result.RATING_FAILED)
    cost = sum(price(listed.rate, rules.units_of(ask)) for ask in asks)
    if operation is Operation.PRICE:
        return Answer(Result.SUCCESS, cost_micros=cost, currency=session.use.currency)
    decided = rules.decide_debit(session, asks, purse, rates, now)
    return Answer(Result.SUCCESS, can_pay=not isinstance(decided, Result), currency=session.use.currency)


def _refund(session: Session, asks: Sequence[Ask], rates: rules.Rates, now: datetime) -> Plan | Answer:
    """Give back what the units cost."""
    listed = rates.at(now)
    if listed is None:
        return Answer(Result.RATING_FAILED)
    cost = sum(price(listed.rate, rules.units_of(ask)) for ask in asks)
    movements = (Movement(session.account_id, EntryKind.USAGE_REFUND, cost, 0),) if cost else ()
    grants = tuple(Grant(ask.rating_group, Result.SUCCESS, rules.units_of(ask)) for ask in asks)
    answer = Answer(Result.SUCCESS, grants, -cost, session.use.currency)
    return Plan(session, False, answer, movements, grants, "refund")
