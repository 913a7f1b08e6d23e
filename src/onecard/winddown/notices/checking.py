"""Try every notice of a plan before its time: whether its words are whole, and how long its texts are. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from onecard.values.language import Language
from onecard.values.table import BadTable, Problem
from onecard.winddown.model import CUT_BY_THE_HOST, NoticeKind, Plan, Stage, Stay
from onecard.winddown.notices.catalogue import Catalogue
from onecard.winddown.notices.composing import compose, count_segments_of
from onecard.winddown.notices.model import NewNotice, Sender, Words
from onecard.winddown.notices.rules import check_told_in_time, plan_notice
from onecard.winddown.rules import date_stages

_SAMPLE = "a sample"


@dataclass(frozen=True, slots=True)
class Tried:
    """A notice as it would be told in one language."""

    kind: NoticeKind
    stage: str | None
    at: datetime | None
    """By the plan's clock; None: told when there is cause, and this is an example of it."""
    language: Language
    words: Words

    @property
    def segments(self) -> int:
        """Of its text."""
        return count_segments_of(self.words.text)


def try_notices(
    plan: Plan, stays: Collection[Stay], sender: Sender, catalogue: Catalogue
) -> tuple[list[Tried], list[Problem]]:
    """Every notice in every language, and all that keeps notices from being told."""
    tried: list[Tried] = []
    problems = list(check_told_in_time(plan))
    for at, new, of in (*_planned(plan, stays), *_samples(plan, stays)):
        try:
            composed = compose(new, of, stays, sender, catalogue)
        except BadTable as bad:
            problems += bad.problems
            continue
        tried += [Tried(new.kind, new.stage, at, language, words) for language, words in composed.items()]
    return tried, list(dict.fromkeys(problems))


def _planned(plan: Plan, stays: Collection[Stay]) -> Iterator[tuple[datetime | None, NewNotice, Plan]]:
    for notice in plan.notices:
        yield notice.at, plan_notice(plan, stays, notice), plan


def _samples(plan: Plan, stays: Collection[Stay]) -> Iterator[tuple[datetime | None, NewNotice, Plan]]:
    """What may have to be told one day: a correction of all dates, a cut by the host, refunds."""
    dates = {one.stage.name: one.at for one in date_stages(plan, stays)}
    day = timedelta(days=1)
    was = {name: at - day if at else None for name, at in dates.items()}
    yield None, NewNotice(_SAMPLE, NoticeKind.CORRECTION, None, dates, was=was), plan
    last = max(stage.at for stage in plan.stages)
    cut = Stage(_SAMPLE, last, closes=CUT_BY_THE_HOST, is_by_host=True)
    yield None, NewNotice(_SAMPLE, NoticeKind.HOST_CUT, cut.name, {}), _with(plan, [cut])
    for kind in (NoticeKind.REFUND_PAID, NoticeKind.REFUND_RETURNED):
        yield None, NewNotice(_SAMPLE, kind, None, {}), plan


def _with(plan: Plan, stages: Sequence[Stage]) -> Plan:
    return replace(plan, stages=(*plan.stages, *stages))
