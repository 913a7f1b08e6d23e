"""Accept a text: what a link brings is decided, charged and stored in one commit, then queued for its next hop.

    accept -> directory -> switching -> batch (charge + rows, one commit) -> queue of the next link

What `accept` answered with an id is durable.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

import msgspec
import structlog
from msgspec.structs import replace

from onecard.cards.model import CardState
from onecard.catalogue.model import ChargeFacts
from onecard.database.batch import BatchWriter, QueueFull, WriterClosed
from onecard.database.pool import DatabaseUnavailable, Pool
from onecard.lines.model import Line
from onecard.messages import store
from onecard.messages.model import (
    Acceptance,
    Arrival,
    Content,
    Direction,
    Envelope,
    ReceiptWish,
    Submitted,
    Text,
    bound_to_text,
)
from onecard.messages.phrases import REASONS, Phrase, say
from onecard.messages.queues import Queues
from onecard.messages.rules import decide_expiry
from onecard.sealing.body_keys import BodyKeys
from onecard.switching.directory import Activate, Directory
from onecard.switching.model import (
    CardEntry,
    Decision,
    FromCard,
    LinkRole,
    TextRefusal,
    ToCard,
    ToServiceCode,
)
from onecard.switching.rules import Setting, decide_text_from_card, decide_text_to_card, show_source
from onecard.values.address import Address, international, unknown
from onecard.values.alphabet import choose_encoding, count_segments, split_segments
from onecard.values.clock import Clock
from onecard.values.gate import Capability, GatesAt
from onecard.values.phone import E164, mask

log = structlog.get_logger(__name__)

Obey = Callable[[CardEntry, Content], Awaitable[str]]
"""Runs a subscriber's command; returns the answer in their language."""

ONECARD = "onecard"
"""Stands in the place of a link where a text is authored here."""
NOTED_MOST = 100_000
SPENT_FOR = timedelta(minutes=1)
DOUBT = timedelta(minutes=1)
"""How long a commit may go on in a database server that was lost from sight."""


@dataclass(frozen=True, slots=True)
class TextLimits:
    """What the operator allows."""

    validity_most: timedelta = timedelta(days=2)
    notice_gap: timedelta = timedelta(minutes=1)
    """A card is told of a refused text at most this often."""
    patience: timedelta = timedelta(seconds=10)
    """A text is refused when the database is away for longer: its sender would not wait for the answer."""


@dataclass(frozen=True, slots=True)
class Doubt:
    """Where a text may be stored that was refused, and until when its commit may still be seen."""

    part: int
    until: datetime


@dataclass(frozen=True, slots=True)
class _Terms:
    """Which way a text goes and what it costs."""

    direction: Direction
    far: str
    rate: str = ""
    price_micros: int = 0
    allowance_account_id: int | None = None
    facts: ChargeFacts | None = None


class TextAcceptor:
    """Takes texts in. One a node; made inside the running event loop."""

    def __init__(
        self,
        pool: Pool,
        parts: Sequence[int],
        queues: Queues,
        *,
        setting: Setting,
        directory: Directory,
        body_keys: BodyKeys,
        clock: Clock,
        gates: GatesAt,
        obey: Obey,
        activate: Activate,
        limits: TextLimits,
    ) -> None:
        self.setting = setting
        """Replaced whole when a price book is imported."""
        self.doubtful: dict[int, Doubt] = {}
        """Texts, by id, whose commit was lost from sight. They were refused, and may be stored all the same: `Upkeep`
        takes them back."""
        self.charged: set[int] = set()
        """Ledger accounts that texts were charged to since somebody last emptied it: are they running low?"""
        self._queues = queues
        self._directory = directory
        self._body_keys = body_keys
        self._clock = clock
        self._gates = gates
        self._obey = obey
        self._activate = activate
        self._limits = limits
        self._ids = store.MessageIds(pool)
        self._reference = 0
        self._told_at: OrderedDict[int, datetime] = OrderedDict()
        self._spent_at: OrderedDict[int, datetime] = OrderedDict()
        patience_seconds = limits.patience.total_seconds()
        self._writers = {
            part: BatchWriter(partial(store.accept_batch, pool, part), away_most_seconds=patience_seconds)
            for part in parts
        }

    async def close(self) -> None:
        """Write all that was begun."""
        for writer in self._writers.values():
            await writer.close()

    async def accept(self, arrival: Arrival) -> int | TextRefusal:
        """Take a text in; returns its id once it is charged, durable and queued, or why it is refused."""
        now = self._clock.now()
        try:
            decision = await self._decide(arrival, now)
            if isinstance(decision, TextRefusal):
                return decision
            if isinstance(decision, ToServiceCode):
                answer = await self._obey(decision.entry, arrival.content)
                return await self.tell(decision.entry, answer)
            return await self._take_in(decision, arrival, now)
        except DatabaseUnavailable as error:
            log.warning("text refused: the database is away", link=arrival.link, reason=str(error))
            return TextRefusal.UNAVAILABLE

    async def tell(self, entry: CardEntry, words: str, line: Line | None = None) -> int | TextRefusal:
        """Send a text of our own to a card, from the service code; returns the id of its last segment.

        It comes by the primary line, or by another of the card's lines, whose slot then stands in the sender. What
        the line bars does not stop it.
        """
        ids = await self.tell_in_segments(entry, words, line)
        return ids if isinstance(ids, TextRefusal) else ids[-1]

    async def tell_in_segments(
        self, entry: CardEntry, words: str, line: Line | None = None
    ) -> tuple[int, ...] | TextRefusal:
        """As `tell`; returns the ids of all segments. Where one is refused, those before it may have been sent."""
        if not self._gates(self._clock.now()).is_open(Capability.SUPPORT):
            return TextRefusal.SUPPORT_ENDED
        link = self.setting.routes.link_for_card(entry.card.imsi)
        if link is None:
            return TextRefusal.NO_ROUTE
        line = line or entry.primary
        source = show_source(line, unknown(self.setting.service_code), self.setting.service_code)
        destination = international(entry.primary.msisdn)
        terms = _Terms(Direction.ANSWER, self.setting.service_code)
        ids: list[int] = []
        self._reference = (self._reference + 1) % 256  # tells these segments from those of the text before
        for content in _contents_of(words, self._reference):
            envelope = Envelope(source, destination, content)
            text = await self._new_text(entry, ONECARD, link, envelope, self._clock.now())
            outcome = await self._store(text, entry, line, terms)
            if isinstance(outcome, TextRefusal):
                return outcome
            ids.append(outcome)
        return tuple(ids)

    # ---- deciding

    async def _decide(self, arrival: Arrival, now: datetime) -> Decision:
        """A text of the host is from a card if it serves the card that has the sender as its primary number.

        Any other sender is far: a secondary number of another card, say, whose text came round by its home operator.
        """
        role = self.setting.routes.role_of(arrival.link)
        sender = await self._find(as_msisdn(arrival.source)) if role is LinkRole.HOST else None
        if sender is not None and self._sends_for(sender, arrival):
            return await self._decide_from_card(sender, arrival, now)
        decision = await self._decide_to_card(role, arrival, now)
        unknown_line = decision is TextRefusal.UNKNOWN_LINE
        return TextRefusal.UNKNOWN_SENDER if unknown_line and sender is not None else decision

    def _sends_for(self, entry: CardEntry, arrival: Arrival) -> bool:
        is_primary = entry.primary.msisdn == as_msisdn(arrival.source)
        return is_primary and self.setting.routes.link_for_card(entry.card.imsi) == arrival.link

    async def _decide_from_card(self, entry: CardEntry, arrival: Arrival, now: datetime) -> Decision:
        gates = self._gates(now)
        if entry.card.state is CardState.SOLD and gates.is_open(Capability.ACTIVATION):
            await self._activate(entry)
        decision = decide_text_from_card(
            entry,
            arrival.destination,
            segments=segments_of(arrival.content),
            setting=self.setting,
            gates=gates,
            at=now,
        )
        if isinstance(decision, TextRefusal):
            await self._tell_refused(entry, arrival.destination, decision, now)
        return decision

    async def _decide_to_card(self, role: LinkRole, arrival: Arrival, now: datetime) -> Decision:
        called = as_msisdn(arrival.destination)
        if role is LinkRole.HOME and not self.setting.routes.serves(arrival.link, called):
            return TextRefusal.NOT_YOUR_NUMBER
        entry = await self._find(called)
        if entry is None:
            return TextRefusal.UNKNOWN_LINE
        return decide_text_to_card(
            entry,
            called,
            arrival.source,
            role=role,
            setting=self.setting,
            gates=self._gates(now),
            at=now,
        )

    async def _find(self, msisdn: E164) -> CardEntry | None:
        return self._directory.peek(msisdn) or await self._directory.find(msisdn)

    async def _tell_refused(
        self, entry: CardEntry, destination: Address, refusal: TextRefusal, now: datetime
    ) -> None:
        """Say to the subscriber why their text was not sent, not more often than the limit."""
        words = REASONS.get(refusal)
        told_at = self._told_at.get(entry.card.id)
        if words is None or (told_at and now - told_at < self._limits.notice_gap):
            return
        self._note(self._told_at, entry.card.id, now)
        far, reason = destination.dialled, words[entry.language]
        await self.tell(entry, say(Phrase.NOT_SENT, entry.language, far=far, reason=reason))

    @staticmethod
    def _note(times: OrderedDict[int, datetime], key: int, now: datetime) -> None:
        """Remember when something was; the oldest is forgotten when there are too many."""
        times[key] = now
        times.move_to_end(key)
        if len(times) > NOTED_MOST:
            times.popitem(last=False)

    # ---- taking in

    async def _take_in(
        self, decision: ToCard | FromCard, arrival: Arrival, now: datetime
    ) -> int | TextRefusal:
        envelope = Envelope(decision.source, decision.destination, arrival.content)
        text = await self._new_text(decision.entry, arrival.link, decision.link, envelope, now, arrival)
        outcome: int | TextRefusal = TextRefusal.CREDIT_EXHAUSTED
        for terms in self._ways_to_pay(decision, now):
            outcome = await self._store(text, decision.entry, decision.line, terms)
            if outcome is not TextRefusal.CREDIT_EXHAUSTED:
                return outcome
            if terms.allowance_account_id is not None:
                self._note(self._spent_at, terms.allowance_account_id, now)
        await self._tell_refused(decision.entry, arrival.destination, TextRefusal.CREDIT_EXHAUSTED, now)
        return outcome

    def _ways_to_pay(self, decision: ToCard | FromCard, now: datetime) -> Iterator[_Terms]:
        """A text is paid whole by one allowance, the first to expire first, or else whole by cash."""
        if isinstance(decision, ToCard):
            yield _Terms(Direction.TO_CARD, decision.far)
            return
        price, why = decision.price_micros, decision.explanation.as_text()
        may_use_cash = True
        for allowance in decision.entry.text_allowances if price else ():
            if not allowance.covers(decision.line, now):
                continue
            may_use_cash = may_use_cash and allowance.overage
            if not self._is_spent(allowance.account_id, now):
                why_free = f"paid by an allowance, instead of {why}"
                facts = replace(decision.facts, is_paid_by_allowance=True)
                yield _Terms(Direction.FROM_CARD, decision.far, why_free, 0, allowance.account_id, facts)
        if may_use_cash:
            yield _Terms(Direction.FROM_CARD, decision.far, why, price, facts=decision.facts)

    def _is_spent(self, account_id: int, now: datetime) -> bool:
        """An allowance that could not pay is asked again only after a while: a text that failed may give back."""
        spent_at = self._spent_at.get(account_id)
        return spent_at is not None and now - spent_at < SPENT_FOR

    async def _new_text(
        self,
        entry: CardEntry,
        source_link: str,
        next_link: str,
        envelope: Envelope,
        now: datetime,
        arrival: Arrival | None = None,
    ) -> Text:
        wish = arrival.receipt_wanted if arrival else ReceiptWish.NEVER
        return Text(
            entry.card.part,
            await self._ids.next(),
            source_link,
            next_link,
            arrival is not None and self.setting.routes.role_of(source_link) is LinkRole.APPLICATION,
            wish,
            now,
            decide_expiry(arrival.expires_at if arrival else None, now, self._limits.validity_most),
            envelope,
            Submitted(arrival.source, arrival.destination) if arrival and wish else None,
        )

    async def _store(self, text: Text, entry: CardEntry, line: Line, terms: _Terms) -> int | TextRefusal:
        """Write a text, charge it, queue it: from here on it is ours."""
        queue = self._queues.of(text.next_link)
        if queue.is_full:
            return TextRefusal.QUEUE_FULL
        node = self._queues.node if queue.is_open else None
        row = await self._row(text, entry, line, terms, node)
        try:
            status = await self._writers[text.part].submit(row)
        except (QueueFull, WriterClosed):
            return TextRefusal.QUEUE_FULL
        except DatabaseUnavailable:
            self.doubtful[text.id] = Doubt(text.part, self._clock.now() + DOUBT)
            raise
        if status not in (store.ACCEPTED, store.REPEATED):
            return TextRefusal.CREDIT_EXHAUSTED
        if row.allowance_account_id is not None or row.price_micros:
            self.charged.add(row.allowance_account_id or row.account_id)
        if node:
            queue.put(text)
        else:
            queue.parked += 1
        return text.id

    async def _row(
        self, text: Text, entry: CardEntry, line: Line, terms: _Terms, node: str | None
    ) -> Acceptance:
        assert text.envelope is not None
        day = text.accepted_at.date()
        key = self._body_keys.cached(day) or await self._body_keys.of(day)
        bound_to = bound_to_text(text.id)
        return Acceptance(
            text.id,
            entry.card.account_id,
            entry.card.id,
            line.id,
            terms.direction,
            text.application,
            text.source_link,
            text.next_link,
            node,
            mask(terms.far),
            segments_of(text.envelope.content),
            terms.price_micros,
            terms.rate,
            text.receipt_wanted,
            text.accepted_at,
            text.expires_at,
            key.seal(msgspec.msgpack.encode(text.envelope), bound_to),
            key.seal(msgspec.msgpack.encode(text.submitted), bound_to) if text.submitted else None,
            terms.allowance_account_id,
            terms.facts,
        )


def as_msisdn(address: Address) -> E164:
    """The E.164 form of an MSISDN, which SMPP peers write with and without its plus sign."""
    return E164(f"+{address.digits.removeprefix('+')}")


def segments_of(content: Content) -> int:
    """How many segments the network will carry, and so how many are paid."""
    return count_segments(content.body, content.data_coding, has_udh=content.has_udh)


def _contents_of(words: str, reference: int) -> list[Content]:
    """The segments of a text of our own."""
    data_coding, _ = choose_encoding(words)
    return [
        Content(segment.udh + segment.body, data_coding, has_udh=bool(segment.udh))
        for segment in split_segments(words, reference)
    ]
