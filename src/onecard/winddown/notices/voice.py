"""Say a plan's dates and effects in the words of one language. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from babel import Locale
from babel.dates import format_date, format_time, get_timezone_name
from babel.lists import format_list

from onecard.values.gate import Capability
from onecard.values.language import Language
from onecard.winddown.model import LocalTime, Plan, Stage, Stay
from onecard.winddown.notices.catalogue import CLOSED_TO_THE_GOOD, OPENED, STOPPED, Catalogue
from onecard.winddown.rules import DatedStage, date_stages

_SPACES = str.maketrans({"\u00a0": " ", "\u202f": " ", "\u2019": "'"})
_SERVED = frozenset({Capability.DATA, Capability.VOICE, Capability.TEXTS})


@dataclass(frozen=True, slots=True)
class Voice:
    """One language, with a plan's clock."""

    catalogue: Catalogue
    language: Language
    time_zone: ZoneInfo

    @property
    def locale(self) -> Locale:
        return Locale.parse(self.language.value, sep="-")

    @property
    def is_chinese(self) -> bool:
        return self.language in (Language.CHINESE_SIMPLIFIED, Language.CHINESE_TRADITIONAL)

    def say(self, key: str, **values: str) -> str:
        return self.catalogue.say(self.language, key, values)

    def count(self, key: str, number: int) -> str:
        return self.catalogue.count(self.language, key, number)

    def zone(self) -> str:
        """What people call the time zone."""
        return _plain(get_timezone_name(self.time_zone, "long", locale=self.locale))

    def day(self, day: date, *, full: bool) -> str:
        words = _plain(format_date(day, "full" if full else "medium", self.locale))
        if self.language is Language.FRENCH and day.day == 1:
            return re.sub(r"\b1\b", "1er", words, count=1)
        return words.replace(" ", "") if self.is_chinese else words

    def moment(self, at: LocalTime, *, full: bool) -> str:
        """A day, with the time unless it is when the day begins."""
        day = self.day(at, full=full)
        if at.time() == datetime.min.time():
            return day
        return self.say("moment", date=day, time=_plain(format_time(at, "short", locale=self.locale)))

    def name(self, capabilities: Collection[Capability]) -> str:
        """What stops, one after another."""
        names = [self.say(f"stops.{one}") for one in STOPPED if one in capabilities]
        return format_list(names, locale=self.locale) if names else ""

    def join(self, sentences: Iterable[str]) -> str:
        return ("" if self.is_chinese else " ").join(sentence for sentence in sentences if sentence)

    def describe(self, stage: Stage) -> str:
        """What a stage means to a subscriber; empty if nothing."""
        stopped = self.name(stage.closes)
        good = [
            one for one in CLOSED_TO_THE_GOOD if one in stage.closes and not _ends_anyway(one, stage.closes)
        ]
        return self.join(
            [
                self.say("stops", list=stopped) if stopped else "",
                *(self.say(f"closes.{one}") for one in good),
                *(self.say(f"opens.{one}") for one in OPENED if one in stage.opens),
                *(self.say(f"voids.{one}") for one in sorted(stage.voids)),
            ]
        )

    def item(self, dated: DatedStage) -> str:
        """A stage as one line of a timetable; empty if it means nothing to a subscriber."""
        what = self.describe(dated.stage)
        if not what:
            return ""
        if dated.at is None:
            return self.say("item.undated", what=what)
        return self.say("item.dated", date=self.moment(dated.at, full=True), what=what)

    def timetable(self, stages: Iterable[DatedStage]) -> str:
        return bullets(self.item(dated) for dated in stages)


def _ends_anyway(good: Capability, closed: Collection[Capability]) -> bool:
    """Whether what becomes free of charge stops in the same moment."""
    return Capability.RENEWAL in closed if good is Capability.RENEWAL_FEE else bool(_SERVED & set(closed))


def bullets(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines if line)


def tidy(words: str) -> str:
    """Leave no gap where nothing was filled in."""
    return re.sub(r" {2,}", " ", re.sub(r"\n{3,}", "\n\n", words)).strip()


def _plain(words: str) -> str:
    """Signs that leave a text in the GSM alphabet if they can."""
    return words.translate(_SPACES)


# What a plan says of itself


def stage_that_opens(plan: Plan, stays: Collection[Stay], capability: Capability) -> DatedStage | None:
    return next((one for one in date_stages(plan, stays) if capability in one.stage.opens), None)


def last_day(plan: Plan, stays: Collection[Stay], capability: Capability) -> date | None:
    """The last whole or partial day on which something can be had; None: it has none, or it is not known."""
    closing = next((one for one in date_stages(plan, stays) if capability in one.stage.closes), None)
    if closing is None or closing.at is None:
        return plan.last_days.get(capability)
    return (closing.at - timedelta(microseconds=1)).date()


def end_of_service(dated: Sequence[DatedStage]) -> DatedStage | None:
    """The stage after which a card is of no use: the last that stops data, calls or texts, else the last."""
    with_date = [one for one in dated if one.at is not None]
    serving = [one for one in with_date if _SERVED & one.stage.closes]
    found = serving or with_date
    return found[-1] if found else None
