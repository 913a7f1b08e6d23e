"""The operator under audit: the parts of `messages` on a real PostgreSQL, a moved clock, next hops that follow scripts.

No sockets: what a gateway would bring is given to `accept`, what it would send is taken from the queues.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, time, timedelta
from functools import partial
from typing import TypedDict
from zoneinfo import ZoneInfo

import shop
from onecard.cards.actions import activate_card
from onecard.cards.model import Card
from onecard.catalogue.actions import import_price_book
from onecard.catalogue.model import PriceBook, Tariff
from onecard.catalogue.reading import read_csv_price_list
from onecard.catalogue.store import load_tariff
from onecard.database.parts import list_parts
from onecard.database.pool import Connection, Pool, connection
from onecard.ledger.actions import top_up
from onecard.lines import actions as line_actions
from onecard.lines.model import Application, Line, LineLimits, LineRefusal, Usage, Verification
from onecard.lines.model import Window as LineWindow
from onecard.lines.store import find_card_with_lines, list_lines
from onecard.messages.accept import TextAcceptor, TextLimits
from onecard.messages.commands import CommandDesk, words_of
from onecard.messages.handover import Handover, ReceiptLimits
from onecard.messages.model import Arrival, Content, Envelope, Receipt, ReceiptWish, TextState
from onecard.messages.model import Text as QueuedText
from onecard.messages.queues import Queues
from onecard.messages.upkeep import Upkeep
from onecard.node.vouchers import VoucherDesk
from onecard.sales.actions import sell_card_to_newcomer
from onecard.sealing.body_keys import BodyKeys
from onecard.switching.directory import Directory
from onecard.switching.model import CardEntry, LinkRole, Route, TextRefusal
from onecard.switching.rules import Routes, Setting
from onecard.values.address import Address, unknown
from onecard.values.alphabet import choose_encoding
from onecard.values.clock import MovedClock
from onecard.values.gate import NO_ORDER, Closed
from onecard.values.hours import Hours
from onecard.values.language import Language
from onecard.values.money import Money
from onecard.values.phone import E164, Country
from onecard.winddown.gatekeeper import Gatekeeper
from simulation.story import (
    BANK,
    CARDS,
    CODE,
    FIRST_PRICES,
    HOME,
    HOST,
    NOON_MINUTES,
    SECOND_PRICES,
    Change,
    Moment,
    Script,
    Story,
    Text,
    Window,
)

ROUTES = Routes(
    (
        Route(HOST, LinkRole.HOST, ("+1",), ("302990",)),
        Route(HOME, LinkRole.HOME, ("+86",)),
        Route(BANK, LinkRole.APPLICATION),
    )
)
LIMITS = LineLimits()
ZONE = ZoneInfo("America/Vancouver")
PREPARED_BEFORE = timedelta(days=40)
BUSY, NEVER = 0x58, 0x0B
WISHES = {
    "never": ReceiptWish.NEVER,
    "always": ReceiptWish.ALWAYS,
    "on_failure": ReceiptWish.ON_FAILURE,
}


async def _no_port_pin(_: CardEntry) -> str:
    raise AssertionError("nobody asks for one in this town")


class TickingClock(MovedClock):
    """Moved from moment to moment; a microsecond goes by at each look, since no two instants of a life are equal."""

    def now(self) -> datetime:
        self.move(timedelta(microseconds=1))
        return super().now()


class AuditedOperator:
    """Does what the story says, and keeps what its next hops and senders saw."""

    def __init__(self, pool: Pool, story: Story, parts: list[int]) -> None:
        self.pool = pool
        self.story = story
        self.parts = parts
        self.clock = TickingClock(story.day)
        self.cards: list[Card] = []
        self.lines: list[dict[int, Line]] = []
        self.away: frozenset[str] = frozenset()
        self.attempts: defaultdict[int, list[tuple[str, str, str]]] = defaultdict(list)
        """By the ident of a text: link, source and destination of each attempt."""
        self.receipts: Counter[tuple[str, int]] = Counter()
        """Receipts by source link and message id."""
        self.answers: defaultdict[str, list[str]] = defaultdict(list)
        """Words that cards got from the service code, by primary number."""
        self.answer_count: Counter[str] = Counter()
        """The same, with the segments of an answer counted as one."""
        self._scripts: dict[int, Script] = {}
        self._reports: list[tuple[int, str, str, TextState]] = []  # due minute, link, remote id, state
        self._copies: set[asyncio.Task[bool]] = set()
        self._topped_up = 0
        self._assemble()

    def _assemble(self) -> None:
        body_keys = BodyKeys(self.pool, shop.MASTER)
        self.queues = Queues("audited")
        self.directory = Directory(partial(_load_card, self.pool))
        gates = Gatekeeper().at
        vouchers = VoucherDesk(self.pool, shop.MASTER, self.clock, gates=gates, service_code=CODE)
        desk = CommandDesk(
            self.pool,
            self.directory,
            self.clock,
            redeem=vouchers.redeem,
            issue_port_pin=_no_port_pin,
            service_code=CODE,
        )
        self.acceptor = TextAcceptor(
            self.pool,
            self.parts,
            self.queues,
            setting=Setting(CODE, ROUTES, Tariff()),
            directory=self.directory,
            body_keys=body_keys,
            clock=self.clock,
            gates=gates,
            obey=desk.obey,
            activate=self._activate,
            limits=TextLimits(),
        )
        self.handover = Handover(
            self.pool,
            self.parts,
            self.queues,
            body_keys=body_keys,
            clock=self.clock,
            limits=ReceiptLimits(early_seconds=0.2),
        )
        self.upkeep = Upkeep(
            self.pool,
            self.parts,
            self.queues,
            self.acceptor,
            self.handover,
            body_keys=body_keys,
            clock=self.clock,
            trace_days=90,
            validity_most=TextLimits().validity_most,
        )

    async def _activate(self, entry: CardEntry) -> None:
        card = entry.card
        async with connection(self.pool) as borrowed:
            await activate_card(
                borrowed, self.clock.now(), actor="onecard", gates=NO_ORDER, part=card.part, card_id=card.id
            )
        self.directory.forget(card.id)

    async def close(self) -> None:
        await asyncio.gather(*self._copies)
        await self.acceptor.close()
        await self.handover.close()

    # ---- before the day

    async def prepare(self) -> None:
        """Sell the cards of the story with their lines, and publish both price books."""
        at = self.story.day - PREPARED_BEFORE
        async with connection(self.pool) as borrowed:
            for prices, minutes in ((FIRST_PRICES, 0), (SECOND_PRICES, NOON_MINUTES)):
                begin = self.story.day + timedelta(minutes=minutes)
                price_list = read_csv_price_list(
                    _price_table(prices), name=f"from {begin:%H:%M}", currency=shop.CAD, effective_from=begin
                )
                book = await import_price_book(borrowed, at, actor=shop.STAFF, prices=price_list)
                assert isinstance(book, PriceBook), book
            tariff = await load_tariff(borrowed)
            self.acceptor.setting = replace(self.acceptor.setting, tariff=tariff)
            for place in range(CARDS):
                await self._sell(borrowed, place)

    async def _sell(self, borrowed: Connection, place: int) -> None:
        at = self.story.day - PREPARED_BEFORE
        card = await sell_card_to_newcomer(
            borrowed,
            at,
            actor=shop.STAFF,
            gates=NO_ORDER,
            master=shop.MASTER,
            contact=shop.WANG,
            language=Language(self.story.languages[place]),
            currency=shop.CAD,
            country=shop.CA,
        )
        assert isinstance(card, Card), card
        self.cards.append(card)
        for country in self.story.secondaries[place]:
            await self._apply(borrowed, card, (country, "match"), at)
        if self.story.balances[place]:
            await self._top_up(borrowed, card, self.story.balances[place], at)
        self.lines.append(await self._read_lines(borrowed, card))

    async def _read_lines(self, borrowed: Connection, card: Card) -> dict[int, Line]:
        return {line.slot: line for line in await list_lines(borrowed, card.part, card.id)}

    def numbers(self) -> list[dict[int, tuple[str, str]]]:
        """The number and country in each slot of each card."""
        return [{slot: (line.msisdn, line.country) for slot, line in lines.items()} for lines in self.lines]

    # ---- time

    async def begin(self, moment: Moment) -> None:
        """Go to a moment, and let happen what is due."""
        self.clock.move_to(self.story.day + timedelta(minutes=moment.minute))
        self.away = moment.away
        for link in (HOST, HOME, BANK):
            self.queues.of(link).on_ready[:] = [] if link in moment.away else [_nothing]
        await self._give_reports(moment.minute)
        await self.settle()
        await self.upkeep.tick()
        await self.drain()

    async def drain(self) -> None:
        """Hand over all that waits for links that are there, and the receipts that this gives rise to."""
        for _ in range(2):
            for link in {HOST, HOME, BANK} - self.away:
                await self._drain(link)
            await self.settle()

    async def settle(self) -> None:
        """Wait until all steps so far are written: the writers keep the order, so one more step tells."""
        address = unknown(CODE)
        envelope = Envelope(address, address, Content(b""))
        now = self.clock.now()
        for part in self.parts:
            last = QueuedText(part, 0, HOST, HOST, False, ReceiptWish.NEVER, now, now, envelope, None)
            await self.handover.expire(last)

    async def _drain(self, link: str) -> None:
        while (item := self.queues.take(link, self.clock.now())) is not None:
            if isinstance(item, Receipt):
                self.receipts[link, item.id] += 1
                self.handover.receipt_delivered(item)
            else:
                await self._attempt(link, item)

    async def _attempt(self, link: str, text: QueuedText) -> None:
        assert text.envelope is not None
        source, destination = text.envelope.source.dialled, text.envelope.destination.dialled
        words = words_of(text.envelope.content)
        match = re.match(r"t(\d+) ", words)
        if source == CODE or match is None:
            self.answers[destination].append(words)
            self.answer_count[destination] += _begins_an_answer(text.envelope.content)
            await self._take(link, text, Script())
            return
        ident = int(match[1])
        script = self._scripts[ident]
        answer = script.answers[min(len(self.attempts[ident]), len(script.answers) - 1)]
        self.attempts[ident].append((link, source, destination))
        if answer == "take":
            await self._take(link, text, script)
        elif answer == "never":
            self.handover.fail(text, NEVER)
        else:
            self.handover.postpone(text, BUSY if answer == "busy" else None)

    async def _take(self, link: str, text: QueuedText, script: Script) -> None:
        report = script.report
        if link != HOST:
            self.handover.handed_over(text, None)
            return
        remote_id = f"h{text.id}"
        if report is None:
            self.handover.handed_over(text, remote_id)
            return
        state = TextState[report.state.upper()]
        if report.minutes:
            self.handover.handed_over(text, remote_id)
            due = self._minute() + report.minutes
            self._reports += [(due, link, remote_id, state)] * report.copies
            return
        if not report.overtakes:
            self.handover.handed_over(text, remote_id)
        reported = [self._report(link, remote_id, state) for _ in range(report.copies)]
        if report.overtakes:
            await asyncio.sleep(0.005)  # the receipt is asked for in the database, and waits
            self.handover.handed_over(text, remote_id)
        await reported[0]

    def _report(self, link: str, remote_id: str, state: TextState) -> asyncio.Task[bool]:
        task = asyncio.create_task(self.handover.receive_receipt(link, remote_id, state, 0))
        self._copies.add(task)
        task.add_done_callback(self._copies.discard)
        return task

    async def _give_reports(self, minute: int) -> None:
        due = [one for one in self._reports if one[0] <= minute and one[1] not in self.away]
        self._reports = [one for one in self._reports if one not in due]
        given: dict[str, asyncio.Task[bool]] = {}
        for _, link, remote_id, state in due:
            task = self._report(link, remote_id, state)
            given.setdefault(remote_id, task)
        await asyncio.gather(*given.values())

    def _minute(self) -> int:
        return int((self.clock.now() - self.story.day).total_seconds()) // 60

    # ---- what the story does

    async def accept(
        self, link: str, source: Address, destination: Address, words: str, text: Text | None
    ) -> int | TextRefusal:
        """A link brings a text."""
        expires_at = None
        if text is not None:
            self._scripts[text.ident] = text.script
            if text.valid_minutes is not None:
                expires_at = self.clock.now() + timedelta(minutes=text.valid_minutes)
        data_coding, body = choose_encoding(words)
        wish = WISHES[text.receipt] if text else ReceiptWish.NEVER
        arrival = Arrival(link, source, destination, Content(body, data_coding), wish, expires_at)
        return await self.acceptor.accept(arrival)

    async def change(self, change: Change) -> str | None:
        """Staff change something; returns why it is refused."""
        card = self.cards[change.card]
        now = self.clock.now()
        async with connection(self.pool) as borrowed:
            if change.kind == "top_up":
                assert isinstance(change.value, int)
                await self._top_up(borrowed, card, change.value, now)
                outcome: object = None
            elif change.kind == "apply":
                outcome = await self._apply(borrowed, card, change.value, now)
            else:
                line = self.lines[change.card][change.slot]
                outcome = await self._change_line(borrowed, change, line)
            self.lines[change.card] = await self._read_lines(borrowed, card)
        self.directory.forget(card.id)
        return outcome.value if isinstance(outcome, LineRefusal) else None

    async def _top_up(self, borrowed: Connection, card: Card, micros: int, at: datetime) -> None:
        self._topped_up += 1
        await top_up(
            borrowed,
            at,
            actor=shop.STAFF,
            part=card.part,
            account_id=card.account_id,
            amount=Money(micros, shop.CAD),
            event=f"top-up {self._topped_up}",
        )

    async def _apply(
        self, borrowed: Connection, card: Card, value: object, at: datetime
    ) -> Application | LineRefusal | Closed:
        assert isinstance(value, tuple)
        country, outcome = value
        application = await line_actions.apply_for_line(
            borrowed,
            at,
            actor=shop.STAFF,
            gates=NO_ORDER,
            part=card.part,
            card_id=card.id,
            country=Country(country),
            limits=LIMITS,
            operator_time_zone=ZONE,
        )
        if not isinstance(application, Application):
            return application
        return await line_actions.decide_on_application(
            borrowed,
            at,
            actor="operator:home",
            gates=NO_ORDER,
            part=card.part,
            application_id=application.id,
            verification=Verification(outcome),
        )

    async def _change_line(self, borrowed: Connection, change: Change, line: Line) -> Line | LineRefusal:
        kind, value = change.kind, change.value
        ask = _Ask(actor=shop.STAFF, part=line.part, line_id=line.id)
        now = self.clock.now()
        match kind:
            case "switch":
                return await line_actions.switch_line(borrowed, now, **ask, on=bool(value))
            case "bar":
                usage = Usage.TEXTS
                return await line_actions.bar_line(borrowed, now, **ask, usage=usage, barred=bool(value))
            case "schedule":
                assert isinstance(value, tuple)
                windows = tuple(_window(window) for window in value)
                return await line_actions.set_schedule(borrowed, now, **ask, schedule=windows)
            case "block":
                return await line_actions.block_sender(borrowed, now, **ask, entry=str(value), limits=LIMITS)
            case "unblock":
                return await line_actions.unblock_sender(borrowed, now, **ask, entry=str(value))
            case "allow":
                return await line_actions.allow_sender(borrowed, now, **ask, entry=str(value), limits=LIMITS)
            case "disallow":
                return await line_actions.disallow_sender(borrowed, now, **ask, entry=str(value))
            case "ask_end":
                return await line_actions.ask_to_end_line(borrowed, now, **ask, limits=LIMITS)
        assert kind == "confirm_end"
        return await line_actions.confirm_end_of_line(borrowed, now, **ask, limits=LIMITS)


class _Ask(TypedDict):
    actor: str
    part: int
    line_id: int


@asynccontextmanager
async def open_operator(pool: Pool, story: Story) -> AsyncIterator[AuditedOperator]:
    """An operator with the cards of the story, on an empty migrated database."""
    async with connection(pool) as borrowed:
        await shop.open_shop(borrowed, sims=CARDS, canadian=2 * CARDS + 50, chinese=6 * CARDS)
        parts = await list_parts(borrowed)
    operator = AuditedOperator(pool, story, parts)
    try:
        await operator.prepare()
        yield operator
    finally:
        await operator.close()


async def _load_card(pool: Pool, msisdn: E164) -> CardEntry | None:
    async with connection(pool) as borrowed:
        found = await find_card_with_lines(borrowed, msisdn)
    return CardEntry(*found) if found and found.lines else None


def _price_table(prices: Mapping[tuple[str, str], int]) -> list[str]:
    """A price book as the CSV file that an operator imports."""
    rows = [
        f"text,{country},{prefix},{micros / 1_000_000:.6f},segment\n"
        for (country, prefix), micros in prices.items()
    ]
    return ["usage,line_country,prefix,price,per\n", *rows]


def _window(window: Window) -> LineWindow:
    begin, end = (time(minutes // 60, minutes % 60) for minutes in (window.begin, window.end))
    return LineWindow(Usage.TEXTS, Hours(frozenset(window.days), begin, end))


def _begins_an_answer(content: Content) -> bool:
    """Whether a text is an answer whole, or its first segment: the part number ends the header of 6 octets."""
    return not content.has_udh or content.body[5] == 1


def _nothing() -> None:
    """A session of a link that looks by itself."""
