"""A day of an operator, told by a seed: who does what when, and how next hops behave. Plain values only.

Times are minutes since the day began. Cards are places 0, 1, 2 ..; a line is a card and a slot, and both the operator
and the auditor find out for themselves which line that is when its moment comes.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import UTC, datetime

HOST, HOME, BANK = "host", "cn-home", "bank"
CODE = "12583"
CARDS = 16
KEEN = 0
"""A card whose subscriber applies for numbers again and again."""
DAY_MINUTES = 24 * 60
NOON_MINUTES = 12 * 60
STEP_MINUTES = 4
"""Moments are so far apart, or a multiple of it, that no limit of the service ends exactly at one."""
AFTERWARDS_MINUTES = 54 * 60
"""Long enough for every validity and every wait for a receipt to end."""
DAYS = (
    datetime(2026, 6, 15, 7, tzinfo=UTC),
    datetime(2026, 11, 1, 7, tzinfo=UTC),  # the clocks of Vancouver go back
    datetime(2027, 3, 14, 8, tzinfo=UTC),  # and forward
)
LANGUAGES = ("en", "fr", "zh-Hans", "zh-Hant")

FIRST_PRICES = {
    ("CA", "1"): 50_000,
    ("CA", "1604"): 40_000,
    ("CA", "86"): 120_000,
    ("CA", ""): 250_000,
    ("CN", "86"): 100_000,
    ("CN", "8610"): 80_000,
    ("CN", ""): 300_000,
    ("CN", "short"): 20_000,
}
SECOND_PRICES = {
    ("CA", "1"): 60_000,
    ("CA", "12"): 70_000,
    ("CA", ""): 200_000,
    ("CN", "86"): 90_000,
    ("CN", "8613"): 110_000,
    ("CN", "1"): 280_000,
    ("CN", "short"): 30_000,
}
"""From noon on. Nothing but ``1`` is served abroad from a Chinese line any more."""

OUTSIDERS = ("+8613911112222", "+8613922223333", "+8613933334444", "+16045550177", "+16045550188")
NAMES = ("ICBC", "PayApp")
DIALLED = {
    "CA": (
        ("6045550199", "+16045550199"),
        ("+8613900001111", "+8613900001111"),
        ("0118613900001111", "+8613900001111"),
        ("12125550123", "+12125550123"),
        ("72346", "72346"),
        ("0", None),
    ),
    "CN": (
        ("13900001111", "+8613900001111"),
        ("01062550100", "+861062550100"),
        ("0016045550199", "+16045550199"),
        ("95588", "95588"),
        ("0", None),
    ),
}
"""What is dialled after the slot on a line of a country, and what it means there (None: nothing)."""


@dataclass(frozen=True, slots=True)
class Report:
    """The receipt of a next hop: after so many minutes, so many times, perhaps before the answer to the text."""

    state: str
    minutes: int = 0
    copies: int = 1
    overtakes: bool = False


@dataclass(frozen=True, slots=True)
class Script:
    """What the next hop says to each attempt (the last holds for all further ones), and what it reports."""

    answers: tuple[str, ...] = ("take",)
    report: Report | None = field(default_factory=lambda: Report("delivered"))


@dataclass(frozen=True, slots=True)
class Text:
    """What every text has. `ident` is in its words, so that a next hop knows its script."""

    ident: int
    words: str
    receipt: str
    """never, always or on_failure"""
    valid_minutes: float | None
    script: Script


@dataclass(frozen=True, slots=True)
class TextIn:
    """Somebody texts a number; `slot` None is a number that nobody has."""

    card: int
    link: str
    slot: int | None
    sender: str
    text: Text


@dataclass(frozen=True, slots=True)
class TextOut:
    """A card texts: `slot` None is without the service code. `choice` picks what is dialled on that line."""

    card: int
    slot: int | None
    choice: int
    text: Text


@dataclass(frozen=True, slots=True)
class Command:
    """A card texts the service code."""

    card: int
    words: str
    kind: str
    slot: int = 0


@dataclass(frozen=True, slots=True)
class Change:
    """Staff change something of a line, or of the card: what it is stands in `kind`."""

    card: int
    kind: str
    slot: int = 0
    value: object = None


Event = TextIn | TextOut | Command | Change


@dataclass(frozen=True, slots=True)
class Window:
    """A window of a schedule: days (1 is Monday) and minutes of the day; one that ends early runs past midnight."""

    days: tuple[int, ...]
    begin: int
    end: int


@dataclass(frozen=True, slots=True)
class Moment:
    """What happens in one instant, in order for each card."""

    minute: int
    events: tuple[Event, ...] = ()
    away: frozenset[str] = frozenset()
    """Links whose peer is not bound."""


@dataclass(frozen=True, slots=True)
class Story:
    seed: int
    day: datetime
    languages: tuple[str, ...]
    balances: tuple[int, ...]
    """What each card is topped up with at first, in micros; whole cents."""
    secondaries: tuple[tuple[str, ...], ...]
    """The countries of each card's secondary lines."""
    moments: tuple[Moment, ...]


def tell_story(seed: int, moments: int = 70) -> Story:
    """Make up a day."""
    return _Teller(random.Random(seed)).tell(seed, moments)  # noqa: S311 (chance, not secrecy)


class _Teller:
    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.idents = 0
        self.secondaries = [
            tuple(chance.choices(("CN", "CA"), (4, 1), k=chance.choice((0, 1, 1, 2, 3))))
            for _ in range(CARDS)
        ]

    def tell(self, seed: int, moments: int) -> Story:
        chance = self.chance
        minutes = sorted(chance.sample(range(STEP_MINUTES, DAY_MINUTES, STEP_MINUTES), moments))
        outages = {link: self._outage() for link in (HOST, HOME, BANK)}
        told = [Moment(minute, self._events(), _away(outages, minute)) for minute in minutes]
        after = [Moment(DAY_MINUTES + hour * 60 + 1) for hour in range(0, AFTERWARDS_MINUTES // 60, 3)]
        return Story(
            seed,
            chance.choice(DAYS),
            tuple(chance.choice(LANGUAGES) for _ in range(CARDS)),
            tuple(chance.choice((0, 10, 100, 1000)) * 10_000 for _ in range(CARDS)),
            tuple(self.secondaries),
            (*told, *after),
        )

    def _outage(self) -> range:
        begin = self.chance.randrange(DAY_MINUTES)
        return range(begin, begin + self.chance.choice((0, 30, 180)))

    def _events(self) -> tuple[Event, ...]:
        events = [self._event() for _ in range(self.chance.randint(2, 16))]
        senders = [
            event.card for event in events if isinstance(event, TextOut) and self.chance.random() < 0.2
        ]
        return (*events, *(self._text_out(card) for card in senders))  # in the same breath

    def _event(self) -> Event:
        makers = (self._text_in, self._text_out, self._command, self._change)
        return self.chance.choices(makers, (45, 35, 6, 25))[0](self.chance.randrange(CARDS))

    def _text_in(self, card: int) -> TextIn:
        chance = self.chance
        link = chance.choices((BANK, HOME, HOST), (3, 3, 2))[0]
        sender = chance.choice((*NAMES, "95588", *OUTSIDERS) if link == BANK else OUTSIDERS)
        slot = None if chance.random() < 0.05 else self._slot(card)
        return TextIn(card, link, slot, sender, self._text(may_want=True))

    def _slot(self, card: int) -> int:
        """Mostly one that the card has at the beginning; the first secondary above all."""
        slots = 4 if self.chance.random() < 0.1 else 1 + len(self.secondaries[card])
        return self.chance.choices((0, 1, 2, 3)[:slots], (3, 6, 2, 2)[:slots])[0]

    def _text_out(self, card: int) -> TextOut:
        slot = None if self.chance.random() < 0.25 else self._slot(card)
        return TextOut(
            card, slot, self.chance.randrange(100), self._text(may_want=self.chance.random() < 0.3)
        )

    def _text(self, *, may_want: bool) -> Text:
        chance = self.chance
        self.idents += 1
        words = f"t{self.idents} "
        if chance.random() < 0.2:
            words += "x" * chance.choice((150, 160, 200, 310))
        elif chance.random() < 0.2:
            words += "短信" * chance.choice((1, 30, 40, 70))
        receipt = chance.choice(("never", "always", "always", "on_failure")) if may_want else "never"
        return Text(
            self.idents, words, receipt, chance.choice((None, None, 5.5, 90.5, 600.5)), self._script()
        )

    def _script(self) -> Script:
        chance = self.chance
        waits = tuple(chance.choice(("busy", "lost")) for _ in range(chance.choice((0, 0, 0, 1, 2, 5))))
        end = chance.choices(("take", "never", "busy"), (85, 10, 5))[0]
        return Script((*waits, end), self._report())

    def _report(self) -> Report | None:
        chance = self.chance
        if chance.random() < 0.08:
            return None
        state = chance.choices(("delivered", "failed", "expired", "unknown"), (85, 7, 5, 3))[0]
        minutes = chance.choice((0, 0, 0, 1, 20, 400))
        return Report(
            state, minutes, chance.choice((1, 1, 2)), overtakes=minutes == 0 and chance.random() < 0.5
        )

    def _command(self, card: int) -> Command:
        words, kind, slot = self.chance.choice(
            (
                ("BAL", "balance", 0),
                ("solde", "balance", 0),
                ("余额", "balance", 0),
                ("餘額", "balance", 0),
                ("lines", "lines", 0),
                ("aide", "help", 0),
                ("LINE 1 OFF", "off", 1),
                ("副号1开", "on", 1),
                ("line 1 on", "on", 1),
                ("ligne 2 off", "off", 2),
                ("開副號2", "on", 2),
                ("good morning", "none", 0),
            )
        )
        return Command(card, words, kind, slot)

    def _change(self, card: int) -> Change:
        kinds = (
            "switch",
            "bar",
            "schedule",
            "block",
            "unblock",
            "allow",
            "disallow",
            "top_up",
            "apply",
            "ask_end",
        )
        if card == KEEN and self.chance.random() < 0.5:
            return Change(card, "apply", value=self._value("apply"))
        kind = self.chance.choices((*kinds, "confirm_end"), (10, 5, 14, 9, 4, 4, 5, 10, 5, 4, 4))[0]
        return Change(card, kind, self._slot(card), self._value(kind))

    def _value(self, kind: str) -> object:
        chance = self.chance
        match kind:
            case "switch" | "bar":
                return chance.random() < (0.7 if kind == "switch" else 0.5)
            case "schedule":
                return tuple(self._window() for _ in range(chance.randint(0, 2)))
            case "block" | "unblock" | "allow" | "disallow":
                return chance.choice((*OUTSIDERS, "+8613*", "+1604*", "payapp"))
            case "top_up":
                return chance.choice((5, 50, 500)) * 10_000
            case "apply":
                outcome = chance.choices(
                    ("match", "mismatch", "five_number_limit", "time_out"), (7, 1, 1, 1)
                )[0]
                return chance.choices(("CN", "CA"), (4, 1))[0], outcome
        return None

    def _window(self) -> Window:
        days = tuple(sorted(self.chance.sample(range(1, 8), self.chance.randint(1, 7))))
        return Window(days, self.chance.randrange(24) * 60, self.chance.randrange(24) * 60 + 30)


def _away(outages: dict[str, range], minute: int) -> frozenset[str]:
    return frozenset(link for link, times in outages.items() if minute in times)
