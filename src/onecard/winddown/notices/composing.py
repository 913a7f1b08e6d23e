"""Put a notice into words, once and for all channels of a language. Pure.

The words are the same for everybody: no name is in them. What is a subscriber's own, as the amount of a refund, stays a
placeholder and is filled in when it is sent.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256

from onecard.messages.commands import write_amount
from onecard.values.alphabet import choose_encoding, count_segments
from onecard.values.gate import Capability
from onecard.values.language import Language
from onecard.values.money import Currency, Money
from onecard.values.table import BadTable, Problem
from onecard.winddown.model import NoticeKind, Plan, Stay
from onecard.winddown.notices.catalogue import PLACEHOLDERS, Catalogue
from onecard.winddown.notices.model import NewNotice, Recipient, Sender, Words
from onecard.winddown.notices.voice import (
    Voice,
    bullets,
    end_of_service,
    last_day,
    stage_that_opens,
    tidy,
)
from onecard.winddown.rules import DatedStage, date_stages

SEGMENTS_MOST = 6
"""Of a text; longer words belong into the e-mail and the letter."""
AMOUNT = "{amount}"
"""Each subscriber's own: it stays in the words until they are sent."""
MAY_BE_EMPTY = frozenset({"facts", "next"})
_PARTS = ("subject", "text", "body")
_SPELLINGS = {"août": "aout"}
"""Of texts: one letter that the GSM alphabet lacks would double their price. The spelling of 1990 has none here."""


def compose(
    notice: NewNotice, plan: Plan, stays: Collection[Stay], sender: Sender, catalogue: Catalogue
) -> Mapping[Language, Words]:
    """The words of every language; raises `BadTable` that names all that is missing, and in which."""
    problems: list[Problem] = []
    composed = {}
    for language in notice.languages:
        voice = Voice(catalogue, language, plan.time_zone)
        composed[language] = _Composing(voice, notice, plan, stays, sender).compose(problems)
    if problems:
        raise BadTable(problems)
    return composed


def count_segments_of(text: str) -> int:
    """How many segments the network carries a text in."""
    data_coding, body = choose_encoding(text)
    return count_segments(body, data_coding, has_udh=False)


def fill(words: Words, recipient: Recipient) -> Words:
    """Put in what is the subscriber's own: the amount of a refund."""
    said = recipient.particulars
    if not said:
        return words
    amount = write_amount(Money(int(said["micros"]), Currency(said["currency"])), recipient.language)
    parts = (words.subject, words.text, words.body)
    return Words(*(part.replace(AMOUNT, amount) for part in parts))


def hash_words(words: str) -> bytes:
    """The SHA-256 of exact words, in UTF-8."""
    return sha256(words.encode()).digest()


@dataclass(frozen=True, slots=True)
class _Composing:
    """One notice on its way into one language."""

    voice: Voice
    notice: NewNotice
    plan: Plan
    stays: Collection[Stay]
    sender: Sender
    _dated: Mapping[str, DatedStage] = field(init=False)

    def __post_init__(self) -> None:
        dated = {one.stage.name: one for one in date_stages(self.plan, self.stays)}
        object.__setattr__(self, "_dated", dated)

    def compose(self, problems: list[Problem]) -> Words:
        short, full = self._values(full=False), self._values(full=True)
        wanted = {name for part in _PARTS for name in PLACEHOLDERS[f"{self.notice.kind}.{part}"]}
        place = f"{self.notice.kind} in {self.voice.language.value}"
        problems += [
            Problem(place, f"there is nothing to put in the place of {{{name}}}")
            for name in sorted(wanted - MAY_BE_EMPTY)
            if not full.get(name)
        ]
        words = Words(self._fill("subject", short), self._text(short), self._fill("body", full))
        segments = count_segments_of(words.text)
        if segments > SEGMENTS_MOST:
            reason = f"the text has {segments} segments: {SEGMENTS_MOST} are allowed"
            problems.append(Problem(place, reason))
        return words

    def _text(self, values: Mapping[str, str]) -> str:
        """Corrections cannot be tried out before: what is too long for a text is left to the page that it names."""
        text = self._fill("text", values)
        if self.notice.kind is NoticeKind.CORRECTION and count_segments_of(text) > SEGMENTS_MOST:
            return self._fill("text", {**values, "changes": ""})
        return text

    def _fill(self, part: str, values: Mapping[str, str]) -> str:
        key = f"{self.notice.kind}.{part}"
        words = tidy(self.voice.say(key, **{name: values.get(name, "") for name in PLACEHOLDERS[key]}))
        for spelling, plain in _SPELLINGS.items() if part == "text" else ():
            words = words.replace(spelling, plain)
        return words

    def _values(self, *, full: bool) -> dict[str, str]:
        """All that can be said of the notice; empty where there is nothing to say."""
        return {
            "operator": self.sender.name,
            "page": self.sender.page or "",
            "phone": self.sender.phone or "",
            "issuer": self.plan.order.issuer,
            "legal_basis": self.plan.order.legal_basis,
            "zone": self.voice.zone(),
            "facts": self.voice.join(self._facts(full=full)),
            "changes": self._changes(full=full),
            **self._dates(full=full),
            **self._of_stage(full=full),
            "amount": AMOUNT,
        }

    def _dates(self, *, full: bool) -> dict[str, str]:
        end = end_of_service(tuple(self._dated.values()))
        day = last_day(self.plan, self.stays, Capability.PORT_OUT)
        return {
            "end": self.voice.moment(end.at, full=full) if end and end.at else "",
            "day": self.voice.day(day, full=full) if day else "",
            "timetable": self.voice.timetable(self._dated.values()),
        }

    def _facts(self, *, full: bool) -> Iterator[str]:
        day = last_day(self.plan, self.stays, Capability.PORT_OUT)
        if day:
            yield self.voice.say("fact.port_out", day=self.voice.day(day, full=full))
        opening = stage_that_opens(self.plan, self.stays, Capability.REFUND)
        if opening and opening.at:
            yield self.voice.say("fact.refund", date=self.voice.moment(opening.at, full=full))

    def _of_stage(self, *, full: bool) -> dict[str, str]:
        dated = self._stage_meant()
        if dated is None or dated.at is None:
            return {}
        later = [one for one in self._dated.values() if one.at and one.at > dated.at]
        timetable = self.voice.timetable(later)
        days = self.notice.days_left
        return {
            "date": self.voice.moment(dated.at, full=full),
            "what": self.voice.describe(dated.stage),
            "list": self.voice.name(dated.stage.closes),
            "next": f"{self.voice.say('next')}\n\n{timetable}" if timetable else "",
            "days_left": self.voice.count("days_left", days),
        }

    def _stage_meant(self) -> DatedStage | None:
        """The stage that a date is told of: of a refund, the one that opens it."""
        if self.notice.kind is NoticeKind.REFUND:
            return stage_that_opens(self.plan, self.stays, Capability.REFUND)
        return self._dated.get(self.notice.stage or "")

    def _changes(self, *, full: bool) -> str:
        said = [self._say_change(name, full=full) for name in self.notice.dates if name in self.notice.was]
        return bullets(said) if full else self.voice.join(said)

    def _say_change(self, name: str, *, full: bool) -> str:
        was, now = self.notice.was[name], self.notice.dates[name]
        dated = self._dated.get(name)
        values = {
            "was": self.voice.moment(was, full=full) if was else "",
            "date": self.voice.moment(now, full=full) if now else "",
            "what": (self.voice.describe(dated.stage) if dated else "") or name,
        }
        key = "change.suspended" if now is None else "change.moved" if was else "change.resumed"
        return self.voice.say(key, **{one: values[one] for one in PLACEHOLDERS[key]})
