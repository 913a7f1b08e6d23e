"""The independent auditor: predicts what must become of every event of a story, in plain Python.

Written from what the service promises, not from how onecard does it: its own longest prefix, its own schedules, its
own back-off, its own money in whole micros. It imports nothing of onecard.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from simulation.story import (
    BANK,
    CODE,
    DIALLED,
    FIRST_PRICES,
    HOME,
    HOST,
    NOON_MINUTES,
    SECOND_PRICES,
    Change,
    Command,
    Event,
    Moment,
    Script,
    Story,
    Text,
    TextIn,
    TextOut,
    Window,
)

ZONES = {"CA": "America/Vancouver", "CN": "Asia/Shanghai"}
CALLING_CODES = {"CA": "1", "CN": "86"}
ABROAD = {"CA": "011", "CN": "00"}
LONGEST_VALIDITY = timedelta(hours=48)
RECEIPT_GRACE = timedelta(hours=1)
ALWAYS, NEVER = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
TOLD = {"no_line_in_slot", "line_off", "bad_destination", "no_rate", "credit_exhausted"}
"""Refusals of which the subscriber is told by a text, at most once a minute."""


@dataclass(slots=True)
class Line:
    number: str
    country: str
    on: bool = True
    barred: bool = False
    blocked: list[str] = field(default_factory=list)
    allowed: list[str] = field(default_factory=list)
    windows: tuple[Window, ...] = ()
    ending_until: datetime | None = None


@dataclass(slots=True)
class Card:
    balance: int
    lines: dict[int, Line]
    used: bool = False
    applications: int = 0
    answers: int = 0
    told_at: datetime | None = None
    entries: list[tuple[str, int]] = field(default_factory=list)
    ended: dict[int, str] = field(default_factory=dict)
    """The number that was in a slot last."""


@dataclass(slots=True)
class Prediction:
    """What becomes of one text."""

    card: int
    source: str
    slot: int = 0
    refusal: str | None = None
    price: int = 0
    segments: int = 1
    next_link: str = ""
    shown: frozenset[str] = frozenset()
    """The forms in which the sender may be shown to the next hop."""
    destination: str = ""
    state: str = "waiting"
    attempts: int = 0
    receipts: int = 0
    expires_at: datetime = NEVER
    next_at: datetime = ALWAYS
    text: Text | None = None
    due_reports: list[tuple[datetime, str]] = field(default_factory=list)


class Auditor:
    """Follows the story beside the operator. `numbers` is what it cannot know: which number an application got."""

    def __init__(self, story: Story, numbers: list[dict[int, tuple[str, str]]]) -> None:
        self.story = story
        self.now = story.day
        self.noon = story.day + timedelta(minutes=NOON_MINUTES)
        self.away: frozenset[str] = frozenset()
        self.texts: dict[int, Prediction] = {}
        self.quarantined = 0
        self.refused_applications = 0
        self.cards = [
            Card(balance, {slot: Line(*line) for slot, line in numbers[place].items()})
            for place, balance in enumerate(story.balances)
        ]
        for card in self.cards:
            if card.balance:
                card.entries.append(("top_up", card.balance))

    # ---- time

    def begin(self, moment: Moment) -> None:
        """What happens by itself before the events of a moment: receipts, ends of validity, next attempts."""
        self.now = self.story.day + timedelta(minutes=moment.minute)
        self.away = moment.away
        for text in self.texts.values():
            self._take_reports(text)
            self._expire(text)
        self.attempt_all()

    def attempt_all(self) -> None:
        """Every text whose link is there and whose time has come is tried."""
        for text in self.texts.values():
            if text.state == "waiting" and text.next_link not in self.away and text.next_at <= self.now:
                self._attempt(text)

    def _take_reports(self, text: Prediction) -> None:
        if text.next_link in self.away:
            return
        due = [report for report in text.due_reports if report[0] <= self.now]
        text.due_reports = [report for report in text.due_reports if report[0] > self.now]
        for _, state in due:
            self._end(text, state)

    def _expire(self, text: Prediction) -> None:
        if text.state == "waiting" and text.expires_at <= self.now:
            self._end(text, "expired")
        if text.state == "handed_over" and text.expires_at + RECEIPT_GRACE <= self.now:
            self._end(text, "unknown")

    def _attempt(self, text: Prediction) -> None:
        assert text.text is not None
        answers = text.text.script.answers
        answer = answers[min(text.attempts, len(answers) - 1)]
        text.attempts += 1
        if answer == "take":
            self._taken(text, text.text.script)
        elif answer == "never":
            self._end(text, "failed")
        else:
            text.next_at = self.now + timedelta(seconds=min(2**text.attempts, 900))
            if text.next_at >= text.expires_at:
                self._end(text, "expired")

    def _taken(self, text: Prediction, script: Script) -> None:
        if text.next_link != HOST:  # the home operator reports nothing
            self._end(text, "delivered")
            return
        text.state = "handed_over"
        if script.report is not None and script.report.minutes == 0:
            self._end(text, script.report.state)
        elif script.report is not None:
            text.due_reports.append(
                (self.now + timedelta(minutes=script.report.minutes), script.report.state)
            )

    def _end(self, text: Prediction, state: str) -> None:
        """A text is over once; who failed to deliver it returns what it cost."""
        if text.state not in ("waiting", "handed_over"):
            return
        text.state = state
        if state in ("failed", "expired") and text.price:
            self._post(self.cards[text.card], "text_refund", text.price)
        assert text.text is not None
        wanted = text.text.receipt
        text.receipts = int(wanted == "always" or (wanted == "on_failure" and state != "delivered"))

    def _post(self, card: Card, kind: str, amount: int) -> None:
        card.balance += amount
        assert card.balance >= 0
        card.entries.append((kind, amount))

    # ---- events

    def can_happen(self, event: Event) -> bool:
        """Whether the one who acts is there, and what it is about exists."""
        card = self.cards[event.card]
        if isinstance(event, TextIn):
            return event.link not in self.away and (event.slot is None or self._number(event) is not None)
        if isinstance(event, (TextOut, Command)):
            return HOST not in self.away
        return event.kind in ("top_up", "apply") or event.slot in card.lines

    def _number(self, event: TextIn) -> str | None:
        card = self.cards[event.card]
        assert event.slot is not None
        line = card.lines.get(event.slot)
        return line.number if line else card.ended.get(event.slot)

    def called_number(self, event: TextIn) -> str:
        return "+8613800999999" if event.slot is None else self._number(event) or ""

    def text_in(self, event: TextIn) -> Prediction:
        called = self.called_number(event)
        told = Prediction(event.card, event.link)
        if event.link == HOME and not called.startswith("+86"):
            told.refusal = "not_your_number"
            return told
        card = self.cards[event.card]
        found = [(slot, line) for slot, line in card.lines.items() if line.number == called]
        if not found:
            told.refusal = "unknown_line"
            return told
        told.slot, line = found[0]
        told.refusal = self._refusal_in(line, event.sender, unstoppable=event.link == BANK)
        if told.refusal is None:
            told.next_link = HOST
            told.shown = _shown(event.sender, told.slot, line.country)
            told.destination = card.lines[0].number
            self._accept(told, event.text)
        return told

    def _refusal_in(self, line: Line, sender: str, *, unstoppable: bool) -> str | None:
        if not unstoppable and (
            _listed(line.blocked, sender) or (line.allowed and not _listed(line.allowed, sender))
        ):
            return "sender_blocked"
        if line.barred:
            return "texts_barred"
        if not unstoppable and not line.on:
            return "line_off"
        if not unstoppable and not self._within(line):
            return "outside_schedule"
        return None

    def _within(self, line: Line) -> bool:
        local = self.now.astimezone(ZoneInfo(ZONES[line.country]))
        minute, today = local.hour * 60 + local.minute, local.isoweekday()
        yesterday = 7 if today == 1 else today - 1
        for window in line.windows:
            if window.begin < window.end:
                if today in window.days and window.begin <= minute < window.end:
                    return True
            elif (today in window.days and minute >= window.begin) or (
                yesterday in window.days and minute < window.end
            ):
                return True
        return not line.windows

    def dialled(self, event: TextOut) -> tuple[str, str | None]:
        """What the card dials, and what that means on the line it names."""
        line = self.cards[event.card].lines.get(event.slot or 0)
        choices = DIALLED[line.country if line else "CN"]
        digits, meaning = choices[event.choice % len(choices)]
        return (digits if event.slot is None else f"{CODE}{event.slot}{digits}"), meaning

    def text_out(self, event: TextOut) -> Prediction:
        card = self.cards[event.card]
        card.used = True
        _, meaning = self.dialled(event)
        told = Prediction(event.card, HOST, event.slot or 0, segments=_segments(event.text.words))
        told.refusal = self._refusal_out(card, told, meaning)
        if told.refusal is None:
            line = card.lines[told.slot]
            assert meaning is not None
            told.next_link = HOME if line.country == "CN" else HOST
            told.shown, told.destination = frozenset({line.number}), meaning
            self._post(card, "text_charge", -told.price)
            self._accept(told, event.text)
        elif told.refusal in TOLD and not (card.told_at and self.now - card.told_at < timedelta(minutes=1)):
            card.told_at = self.now
            card.answers += 1
        return told

    def _refusal_out(self, card: Card, told: Prediction, meaning: str | None) -> str | None:
        line = card.lines.get(told.slot)
        if line is None:
            return "no_line_in_slot"
        if not line.on:
            return "line_off"
        if meaning is None:
            return "bad_destination"
        price = self._price(line.country, meaning)
        if price is None:
            return "no_rate"
        told.price = price * told.segments
        return "credit_exhausted" if told.price > card.balance else None

    def _price(self, country: str, destination: str) -> int | None:
        book = FIRST_PRICES if self.now < self.noon else SECOND_PRICES
        if not destination.startswith("+"):
            return book.get((country, "short"))
        fitting = [prefix for of, prefix in book if of == country and destination[1:].startswith(prefix)]
        return book[country, max(fitting, key=len)] if fitting else None

    def _accept(self, told: Prediction, text: Text) -> None:
        valid = LONGEST_VALIDITY if text.valid_minutes is None else timedelta(minutes=text.valid_minutes)
        told.expires_at = self.now + valid
        told.segments = _segments(text.words)
        told.text = text
        self.texts[text.ident] = told

    def command(self, event: Command) -> str | None:
        """Obey; returns digits that the answer must hold, where the auditor knows them."""
        card = self.cards[event.card]
        card.used = True
        card.answers += 1
        line = card.lines.get(event.slot)
        if event.kind in ("on", "off") and line is not None:
            line.on = event.kind == "on"
        return f"{card.balance // 10_000:03d}" if event.kind == "balance" else None

    def change(self, event: Change, number: str | None) -> str | None:
        """Change what staff changed; returns why it is refused. `number` is what an application got."""
        card = self.cards[event.card]
        match event.kind:
            case "top_up":
                assert isinstance(event.value, int)
                self._post(card, "top_up", event.value)
                return None
            case "apply":
                return self._apply(card, event.value, number)
            case "ask_end" if event.slot == 0:
                return "primary_line"
            case "ask_end":
                card.lines[event.slot].ending_until = self.now + timedelta(minutes=30)
                return None
            case "confirm_end":
                return self._confirm_end(card, event.slot, card.lines[event.slot])
        _set(card.lines[event.slot], event.kind, event.value)
        return None

    def _apply(self, card: Card, value: object, number: str | None) -> str | None:
        assert isinstance(value, tuple)
        country, outcome = value
        if len(card.lines) > 3:
            return "too_many_secondaries"
        if card.applications >= 3:
            return "too_many_applications"
        card.applications += 1
        if outcome == "match":
            assert number is not None
            slot = min({1, 2, 3} - set(card.lines))
            card.lines[slot] = Line(number, country)
        else:
            self.refused_applications += 1
        return None

    def _confirm_end(self, card: Card, slot: int, line: Line) -> str | None:
        if line.ending_until is None:
            return "not_ending"
        if self.now > line.ending_until:
            return "confirmation_too_late"
        card.ended[slot] = card.lines.pop(slot).number
        self.quarantined += 1
        return None

    # ---- what must be so in the end

    def assigned(self) -> int:
        return sum(len(card.lines) for card in self.cards)

    def entries(self, place: int) -> Counter[tuple[str, int]]:
        return Counter(self.cards[place].entries)


def _set(line: Line, kind: str, value: object) -> None:
    """Set what staff set for a line; a list has an entry once."""
    match kind:
        case "switch":
            line.on = bool(value)
        case "bar":
            line.barred = bool(value)
        case "schedule":
            assert isinstance(value, tuple)
            line.windows = value
        case "block" | "allow":
            entries = line.blocked if kind == "block" else line.allowed
            entries[:] = [*(entry for entry in entries if entry != value), str(value)]
        case "unblock" | "disallow":
            entries = line.blocked if kind == "unblock" else line.allowed
            entries[:] = [entry for entry in entries if entry != value]


def _shown(sender: str, slot: int, country: str) -> frozenset[str]:
    """On a secondary line the service code and slot stand before a number, so that it can be dialled back there."""
    if slot == 0 or not sender.removeprefix("+").isdigit():
        return frozenset({sender})
    before = f"{CODE}{slot}"
    if not sender.startswith("+"):
        return frozenset({before + sender})
    digits = sender[1:]
    own = CALLING_CODES[country]
    if digits.startswith(own):
        return frozenset({before + digits.removeprefix(own)})
    return frozenset({before + digits, before + ABROAD[country] + digits})


def _listed(entries: list[str], sender: str) -> bool:
    name = sender.lower()
    return any(
        name.startswith(entry[:-1]) if entry.endswith("*") else name == entry.lower() for entry in entries
    )


def _segments(words: str) -> int:
    one, many = (160, 153) if words.isascii() else (70, 67)
    return 1 if len(words) <= one else -(-len(words) // many)
