"""Random sessions over many accounts, with updates, repeats, crashes, top-ups and silence, beside an auditor.

The auditor is plain Python and has its own prices: it predicts every answer's cost, and each balance and hold.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest

import shop
from charging.desk import Desk, run_desk
from onecard.catalogue.model import UsageKind
from onecard.charging.model import Answer, Ask, Operation, Result
from onecard.database.pool import Database, connection
from onecard.lines.store import list_lines
from onecard.values.clock import MovedClock
from town import sell_card_with_two_lines

STEPS = 500
CARDS = 5
NODES = 2
GRANT_HOURS = 1
GRACE = timedelta(minutes=5)
KINDS = {
    # Usage: micros of so many units, the first block, every other block; units wanted at most.
    UsageKind.CALL_OUT: (60_000, 60, 60, 1, 400),
    UsageKind.DATA: (10_000, 1_000_000, 1000, 1000, 9_000_000),
}


def cost_of(usage: UsageKind, units: int) -> int:
    """What so many units cost, counted block by block."""
    micros, per, first, further, _ = KINDS[usage]
    if units == 0:
        return 0
    blocks = 0 if units <= first else (units - first + further - 1) // further
    paid = first + blocks * further
    return (paid * micros + per - 1) // per


@dataclass
class Service:
    """What the auditor knows of one rating group."""

    used: int = 0
    granted: int = 0
    unpaid: int = 0
    held: int = 0


@dataclass
class Call:
    """What the auditor knows of one session."""

    name: str
    card: int
    usage: UsageKind
    services: dict[int | None, Service]
    number: int = 0
    silent_at: timedelta = timedelta()
    last: tuple[Operation, tuple[Ask, ...], Answer] | None = None


@dataclass
class Auditor:
    """Predicts balances in micros."""

    balances: list[int]
    calls: list[Call] = field(default_factory=list)
    ended: list[Call] = field(default_factory=list)
    now: timedelta = timedelta()

    def held(self, card: int) -> int:
        return sum(s.held for call in self.calls if call.card == card for s in call.services.values())

    def settle(self, call: Call, group: int | None, used: int) -> None:
        """Used units are paid out of what was held, then out of the balance, as far as it goes."""
        service = call.services.setdefault(group, Service())
        cost = cost_of(call.usage, service.used + used) - cost_of(call.usage, service.used)
        self.balances[call.card] += service.held
        service.held = 0
        paid = min(cost, self.balances[call.card])
        self.balances[call.card] -= paid
        service.unpaid += cost - paid
        service.used += used

    def hold(self, call: Call, group: int | None, wanted: int, granted: int, is_last: bool) -> None:
        """The grant has to be what is wanted, or the most that can be paid."""
        service = call.services[group]
        before = cost_of(call.usage, service.used)

        def price(units: int) -> int:
            return cost_of(call.usage, service.used + units) - before

        assert 0 <= granted <= wanted
        assert price(granted) <= self.balances[call.card]
        if granted < wanted:
            assert price(granted + 1) > self.balances[call.card]
        assert is_last is (0 < granted < wanted)
        service.granted, service.held = granted, price(granted)
        self.balances[call.card] -= service.held

    def end(self, call: Call) -> None:
        for service in call.services.values():
            self.balances[call.card] += service.held
            service.held = 0
        self.calls.remove(call)
        self.ended.append(call)

    def cost(self, call: Call) -> int:
        return sum(cost_of(call.usage, s.used) - s.unpaid for s in call.services.values())


class World:
    """Nodes on one database, and the auditor beside them."""

    def __init__(self, database: Database, seed: int) -> None:
        self.database = database
        self.dice = random.Random(seed)  # noqa: S311  (a game of chance)
        self.clock = MovedClock(shop.AT + timedelta(days=20))
        self.begun_at = self.clock.now()
        self.names = 0
        self.nodes: list[list[Desk]] = []
        self.stack = AsyncExitStack()
        self.auditor = Auditor([self.dice.choice([0, 70_000, 400_000, 3_000_000]) for _ in range(CARDS)])

    @asynccontextmanager
    async def open(self) -> AsyncIterator[World]:
        async with connection(self.database.pool) as borrowed:
            await shop.open_shop(borrowed, sims=CARDS, canadian=CARDS, chinese=CARDS)
            self.cards = []
            for balance in self.auditor.balances:
                card = await sell_card_with_two_lines(borrowed, f"{balance / 1e6 + 0.01:.6f}")
                self.cards.append((card, await list_lines(borrowed, card.part, card.id)))
        self.auditor.balances = [balance + 10_000 for balance in self.auditor.balances]
        async with self.stack:
            for _ in range(NODES):
                self.nodes.append(await self.start_node())
            yield self

    async def start_node(self) -> list[Desk]:
        """A desk a card on one credit control."""
        card, lines = self.cards[0]
        first = await self.stack.enter_async_context(
            run_desk(self.database, card, lines[0].msisdn, lines[1].msisdn, clock=self.clock)
        )
        return [
            replace(first, card=card, primary=lines[0].msisdn, secondary=lines[1].msisdn)
            for card, lines in self.cards
        ]

    def desk(self, card: int) -> Desk:
        return self.dice.choice(self.nodes)[card]

    async def step(self) -> None:
        """One thing happens."""
        auditor, dice = self.auditor, self.dice
        self.clock.move(timedelta(seconds=dice.randrange(1, 90)))
        auditor.now = self.clock.now() - self.begun_at
        choice = dice.random()
        if choice < 0.25 or not auditor.calls:
            await self.begin()
        elif choice < 0.65:
            await self.go_on(dice.choice(auditor.calls), ends=dice.random() < 0.3)
        elif choice < 0.75:
            await self.repeat(dice.choice([*auditor.calls, *auditor.ended[-3:]]))
        elif choice < 0.80:
            await self.come_late(dice.choice(auditor.calls))
        elif choice < 0.87:
            card = dice.randrange(CARDS)
            await self.desk(card).top_up("0.15")
            auditor.balances[card] += 150_000
            if dice.random() < 0.5:
                self.desk(card).control.forget_account(self.desk(card).card.account_id)
        elif choice < 0.94:
            self.nodes[dice.randrange(NODES)] = await self.start_node()  # a crash: nothing is closed
        else:
            await self.fall_silent()

    def asks(self, call: Call, *, ends: bool, is_new: bool = False) -> tuple[Ask, ...]:
        asks = []
        for group, service in call.services.items():
            used = 0
            if not is_new:
                most = service.granted + (service.granted // 5 if self.dice.random() < 0.3 else 0)
                used = self.dice.choice([0, service.granted, self.dice.randint(0, most)])
            wanted = None if ends else self.dice.randint(1, KINDS[call.usage][4])
            asks.append(Ask(group, used, wants=not ends, wanted=wanted))
        return tuple(asks)

    async def begin(self) -> None:
        self.names += 1
        usage = self.dice.choice(list(KINDS))
        groups = [None] if usage is UsageKind.CALL_OUT else self.dice.choice([[1], [1, 2], [1, 2, 3]])
        card = self.dice.randrange(CARDS)
        call = Call(f"s{self.names}", card, usage, {group: Service() for group in groups})
        asks = self.asks(call, ends=False, is_new=True)
        answer = await self.say(call, Operation.INITIAL, asks)
        if answer.result is Result.CREDIT_EXHAUSTED:
            cheapest = cost_of(usage, 1)
            assert self.auditor.balances[card] < cheapest
            return
        assert answer.result is Result.SUCCESS
        self.auditor.calls.append(call)
        self.take(call, asks, answer)

    async def say(self, call: Call, operation: Operation, asks: tuple[Ask, ...]) -> Answer:
        answer = await self.desk(call.card).say(call.name, call.number, operation, *asks, usage=call.usage)
        call.last = operation, asks, answer
        return answer

    def take(self, call: Call, asks: tuple[Ask, ...], answer: Answer) -> None:
        """What the answer grants has to be what the auditor would."""
        grants = {grant.rating_group: grant for grant in answer.grants}
        for ask in asks:
            self.auditor.settle(call, ask.rating_group, ask.used)
            grant = grants.get(ask.rating_group)
            if grant is not None:
                assert ask.wanted is not None
                assert (grant.result is Result.SUCCESS) is (grant.units > 0)
                self.auditor.hold(call, ask.rating_group, ask.wanted, grant.units, grant.is_last)
        assert answer.cost_micros == self.auditor.cost(call)
        call.silent_at = self.auditor.now + timedelta(hours=GRANT_HOURS) + GRACE

    async def go_on(self, call: Call, *, ends: bool) -> None:
        call.number += self.dice.choice([1, 1, 1, 2])
        operation = Operation.TERMINATE if ends else Operation.UPDATE
        asks = self.asks_in_time(call, ends=ends)
        answer = await self.say(call, operation, asks)
        assert answer.result is Result.SUCCESS, answer
        self.take(call, asks, answer)
        if ends:
            self.auditor.end(call)

    def asks_in_time(self, call: Call, *, ends: bool) -> tuple[Ask, ...]:
        """A call lasts no longer than the clock says: what is beyond is another test's."""
        if call.usage is UsageKind.CALL_OUT:
            self.clock.move(timedelta(seconds=call.services[None].granted * 2))
            self.auditor.now = self.clock.now() - self.begun_at
        return self.asks(call, ends=ends)

    async def repeat(self, call: Call) -> None:
        """The last request comes again, to whichever node."""
        assert call.last is not None
        operation, asks, answer = call.last
        again = await self.desk(call.card).say(call.name, call.number, operation, *asks, usage=call.usage)
        assert again == answer

    async def come_late(self, call: Call) -> None:
        """A request older than the last of its session, to a node that has to look."""
        if call.number == 0:
            return
        node = await self.start_node()
        late = await node[call.card].say(
            call.name, call.number - 1, Operation.UPDATE, Ask(None, 50), usage=call.usage
        )
        assert late == Answer(Result.OUT_OF_ORDER)

    async def fall_silent(self) -> None:
        """Some time passes; who said nothing for too long is ended."""
        self.clock.move(self.dice.choice([timedelta(minutes=20), timedelta(minutes=66)]))
        self.auditor.now = self.clock.now() - self.begun_at
        silent = [call for call in self.auditor.calls if call.silent_at <= self.auditor.now]
        assert await self.dice.choice(self.nodes)[0].control.expire() == len(silent)
        for call in silent:
            self.auditor.end(call)
            answer = await self.desk(call.card).say(
                call.name, call.number + 1, Operation.UPDATE, Ask(None, 5), usage=call.usage
            )
            assert answer == Answer(Result.UNKNOWN_SESSION)
            call.last = None
        self.auditor.ended = [call for call in self.auditor.ended if call.last]

    async def check(self) -> None:
        for place in range(CARDS):
            seen = await self.nodes[0][place].balance()
            assert seen == (self.auditor.balances[place], self.auditor.held(place))


@pytest.mark.parametrize("seed", range(6))
async def test_an_auditor_predicts_what_sessions_leave(database: Database, seed: int) -> None:
    async with World(database, seed).open() as world:
        for _ in range(STEPS):
            await world.step()
            await world.check()
        for call in list(world.auditor.calls):
            await world.go_on(call, ends=True)
        await world.check()
        assert all(world.auditor.held(card) == 0 for card in range(CARDS))
        await world.nodes[0][0].proved()
