"""Play a story to the operator and the auditor side by side, and find where they disagree."""

from __future__ import annotations

import asyncio
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from onecard.database.pool import Connection, Pool, connection
from onecard.ledger.actions import check_ledger
from onecard.lines.model import Line
from onecard.lines.store import list_lines
from onecard.messages.model import Trace
from onecard.messages.store import find_trace
from onecard.switching.model import TextRefusal
from onecard.values.address import Address, international, unknown
from simulation.audited import AuditedOperator, open_operator
from simulation.auditor import Auditor, Prediction
from simulation.story import HOST, Change, Command, Event, Moment, Story, TextIn, TextOut


class Disagreement(AssertionError):
    """The operator did what the auditor did not expect; the message tells the story of the card it is about."""


@dataclass(slots=True)
class Audit:
    """One day of both."""

    operator: AuditedOperator
    auditor: Auditor
    accepted: dict[int, tuple[int, int]] = field(default_factory=dict)
    """Texts by ident: message id and line id."""
    digits: defaultdict[int, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    """What the answers to balance commands must hold, by card."""
    refusals: Counter[str] = field(default_factory=Counter)

    def expect(self, card: int, what: str, predicted: object, found: object) -> None:
        if predicted != found:
            raise Disagreement(
                f"seed {self.operator.story.seed}, card {card}, {what}: the auditor predicted {predicted!r},"
                f" the operator did {found!r}\n{tell_card(self.operator.story, card)}"
            )

    # ---- the day

    async def play(self) -> None:
        for moment in self.operator.story.moments:
            await self.operator.begin(moment)
            self.auditor.begin(moment)
            cards: defaultdict[int, list[Event]] = defaultdict(list)
            for event in moment.events:
                cards[event.card].append(event)
            await asyncio.gather(*(self._play_card(events) for events in cards.values()))
            await self.operator.drain()
            self.auditor.attempt_all()

    async def _play_card(self, events: list[Event]) -> None:
        """The events of one card in their order; those of other cards go on beside, in the same batches."""
        for event in events:
            if self.auditor.can_happen(event):
                await self._play_event(event)

    async def _play_event(self, event: Event) -> None:
        match event:
            case TextIn():
                await self._text_in(event)
            case TextOut():
                await self._text_out(event)
            case Command():
                await self._command(event)
            case Change():
                await self._change(event)

    async def _text_in(self, event: TextIn) -> None:
        called = self.auditor.called_number(event)
        told = self.auditor.text_in(event)
        text = event.text
        outcome = await self.operator.accept(
            event.link, _address(event.sender), international(called), text.words, text
        )
        self._compare(event, told, outcome)

    async def _text_out(self, event: TextOut) -> None:
        dialled, _ = self.auditor.dialled(event)
        told = self.auditor.text_out(event)
        outcome = await self.operator.accept(
            HOST, self._primary(event.card), _dialled_address(dialled), event.text.words, event.text
        )
        self._compare(event, told, outcome)

    def _compare(self, event: TextIn | TextOut, told: Prediction, outcome: int | TextRefusal) -> None:
        refusal = outcome.value if isinstance(outcome, TextRefusal) else None
        self.expect(event.card, f"whether {event} is accepted", told.refusal, refusal)
        self.refusals[refusal or "accepted"] += 1
        if not isinstance(outcome, TextRefusal):
            line = self.operator.lines[event.card][told.slot]
            self.accepted[event.text.ident] = outcome, line.id

    async def _command(self, event: Command) -> None:
        digits = self.auditor.command(event)
        if digits is not None:
            self.digits[event.card][digits] += 1
        outcome = await self.operator.accept(
            HOST, self._primary(event.card), unknown("12583"), event.words, None
        )
        self.expect(event.card, f"whether {event} is obeyed", False, isinstance(outcome, TextRefusal))

    async def _change(self, event: Change) -> None:
        before = {line.msisdn for line in self.operator.lines[event.card].values()}
        refusal = await self.operator.change(event)
        after = {line.msisdn for line in self.operator.lines[event.card].values()}
        number = next(iter(after - before), None)
        self.expect(event.card, f"the outcome of {event}", self.auditor.change(event, number), refusal)

    def _primary(self, card: int) -> Address:
        return international(self.operator.lines[card][0].msisdn)

    # ---- what must be so in the end

    async def close_the_books(self) -> None:
        async with connection(self.operator.pool) as borrowed:
            for ident, told in self.auditor.texts.items():
                message_id, line_id = self.accepted[ident]
                trace = await find_trace(borrowed, self.operator.parts, message_id)
                assert trace is not None
                self._compare_trace(ident, told, trace, line_id)
            for place in range(len(self.operator.cards)):
                await self._compare_card(borrowed, place)
            await self._compare_inventory(borrowed)
            assert await borrowed.fetchval("SELECT count(*) FROM delivery") == 0, "work was left over"
            report = await check_ledger(borrowed)
            assert not report.violations, report.violations

    def _compare_trace(self, ident: int, told: Prediction, trace: Trace, line_id: int) -> None:
        def expect(what: str, predicted: object, found: object) -> None:
            self.expect(told.card, f"{what} of t{ident}", predicted, found)

        attempts = self.operator.attempts[ident]
        expect("the state", told.state, trace.state.name.lower())
        expect("the price", told.price, trace.price_micros)
        expect("the segments", told.segments, trace.segments)
        expect("the line", line_id, trace.line_id)
        expect("the source link", told.source, trace.source_link)
        expect("the next link", told.next_link, trace.next_link)
        expect("the attempts", told.attempts, len(attempts))
        for link, source, destination in attempts:
            expect("the link", told.next_link, link)
            expect("the destination", told.destination, destination)
            if source not in told.shown:
                expect("the sender shown", set(told.shown), source)
        expect("the receipts", told.receipts, self.operator.receipts[told.source, trace.id])

    async def _compare_card(self, borrowed: Connection, place: int) -> None:
        card, told = self.operator.cards[place], self.auditor.cards[place]
        balance = await borrowed.fetchval(
            "SELECT available FROM account WHERE part = $1 AND id = $2", card.part, card.account_id
        )
        self.expect(place, "the balance", told.balance, balance)
        rows = await borrowed.fetch(
            "SELECT k.name, e.available FROM entry e JOIN entry_kind k USING (kind) WHERE part = $1"
            " AND account_id = $2",
            card.part,
            card.account_id,
        )
        self.expect(place, "the entries", self.auditor.entries(place), Counter(tuple(row) for row in rows))
        state = await borrowed.fetchval(
            "SELECT state FROM card WHERE part = $1 AND id = $2", card.part, card.id
        )
        self.expect(place, "the card", "active" if told.used else "sold", state)
        self._compare_lines(place, await list_lines(borrowed, card.part, card.id))
        await self._compare_answers(borrowed, place)

    def _compare_lines(self, place: int, lines: Iterable[Line]) -> None:
        found = {line.slot: (line.msisdn, line.switched_on, line.bar_texts_in) for line in lines}
        told = {
            slot: (line.number, line.on, line.barred)
            for slot, line in self.auditor.cards[place].lines.items()
        }
        self.expect(place, "the lines", told, found)

    async def _compare_answers(self, borrowed: Connection, place: int) -> None:
        """No answer comes unasked, none is missing, each has the right balance. A long one is several texts."""
        card, told = self.operator.cards[place], self.auditor.cards[place]
        answered = await borrowed.fetchval(
            "SELECT count(*) FROM message WHERE part = $1 AND card_id = $2 AND direction = 3",
            card.part,
            card.id,
        )
        primary = self.operator.lines[place][0].msisdn
        words = self.operator.answers[primary]
        self.expect(place, "the answers that arrived", answered, len(words))
        self.expect(place, "the answers", told.answers, self.operator.answer_count[primary])
        missing = self.digits[place] - Counter(re.sub(r"\D", "", one) for one in words)
        self.expect(place, "the balances told", Counter(), missing)

    async def _compare_inventory(self, borrowed: Connection) -> None:
        rows = await borrowed.fetch("SELECT state, count(*) FROM number GROUP BY 1")
        found = {row["state"]: row["count"] for row in rows}
        told = {"assigned": self.auditor.assigned(), "quarantined": self.auditor.quarantined}
        self.expect(0, "the numbers", {k: v for k, v in told.items() if v}, _without(found, "free"))


def _without(counts: dict[str, int], state: str) -> dict[str, int]:
    return {key: count for key, count in counts.items() if key != state}


def _address(sender: str) -> Address:
    if sender.startswith("+"):
        return international(sender)
    return unknown(sender) if sender.isdigit() else Address(5, 0, sender)


def _dialled_address(dialled: str) -> Address:
    return international(dialled) if dialled.startswith("+") else unknown(dialled)


def tell_card(story: Story, card: int) -> str:
    """The least of a story that shows what became of a card: no card's fate depends on another's."""
    return "\n".join(
        [
            f"day {story.day}, language {story.languages[card]}, balance {story.balances[card]},"
            f" secondaries {story.secondaries[card]}",
            *_tell_moments(story.moments, card),
        ]
    )


def _tell_moments(moments: tuple[Moment, ...], card: int) -> Iterator[str]:
    for moment in moments:
        for event in moment.events:
            if event.card == card:
                away = f" (away: {', '.join(sorted(moment.away))})" if moment.away else ""
                yield f"  minute {moment.minute}{away}: {event}"


async def audit(pool: Pool, story: Story) -> Audit:
    """Play a story on an empty migrated database; raises Disagreement."""
    async with open_operator(pool, story) as operator:
        audit = Audit(operator, Auditor(story, operator.numbers()))
        await audit.play()
        await audit.close_the_books()
    return audit
