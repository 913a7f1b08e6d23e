"""The calendar of a wind-down as a picture: which gate is open when, and the stages that change it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from onecard.values.gate import Capability
from onecard.winddown.reading import PlanFile
from onecard.winddown.rules import date_stages, gates_at

LEFT, WIDTH = 150, 1000
TOP, ROW = 96, 22
MARGIN = timedelta(days=10)
NAME_GAP = 9
LEVELS = 5
"""Names of stages that lie close together are written at so many heights, in turn."""


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of a row."""

    x: float
    width: float
    is_open: bool


@dataclass(frozen=True, slots=True)
class Row:
    """One gate."""

    name: str
    y: int
    spans: Sequence[Span]


@dataclass(frozen=True, slots=True)
class Mark:
    """An instant with its name: a stage, a month, or now."""

    x: float
    y: int
    name: str


@dataclass(frozen=True, slots=True)
class Calendar:
    """All there is to draw."""

    width: int
    height: int
    rows: Sequence[Row]
    stages: Sequence[Mark]
    months: Sequence[Mark]
    now: float | None
    """None: it lies outside."""


def lay_out(file: PlanFile, now: datetime) -> Calendar:
    """The calendar of a plan with its stays. Gates that no stage ever changes are left out."""
    dated = [one for one in date_stages(file.plan, file.stays) if one.instant is not None]
    instants = sorted({one.instant for one in dated if one.instant is not None})
    if not instants:
        return Calendar(WIDTH, TOP, (), (), (), None)
    begin, end = min(instants[0] - MARGIN, max(now - MARGIN, instants[0] - 6 * MARGIN)), instants[-1] + MARGIN
    scale = _Scale(begin, end)
    gates = _list_gates(file)
    edges = [begin, *instants, end]
    rows = [
        Row(gate.replace("_", " "), TOP + ROW * place, list(_spans(file, gate, edges, scale)))
        for place, gate in enumerate(gates)
    ]
    stages = [
        Mark(scale.x(one.instant), 14 + 15 * (place % LEVELS), one.stage.name)
        for place, one in enumerate(dated)
        if one.instant is not None
    ]
    is_within = begin <= now <= end
    height = TOP + ROW * len(rows) + 24
    return Calendar(
        WIDTH,
        height,
        rows,
        stages,
        list(_months(begin, end, file.plan.time_zone, scale)),
        scale.x(now) if is_within else None,
    )


@dataclass(frozen=True, slots=True)
class _Scale:
    begin: datetime
    end: datetime

    def x(self, instant: datetime) -> float:
        share = (instant - self.begin) / (self.end - self.begin)
        return round(LEFT + share * (WIDTH - LEFT - NAME_GAP), 1)


def _list_gates(file: PlanFile) -> list[Capability]:
    changed = frozenset().union(*(stage.closes | stage.opens for stage in file.plan.stages))
    return [gate for gate in Capability if gate in changed]


def _spans(file: PlanFile, gate: Capability, edges: Sequence[datetime], scale: _Scale) -> Iterator[Span]:
    for since, until in pairwise(edges):
        is_open = gates_at(file.plan, file.stays, since).is_open(gate)
        yield Span(scale.x(since), round(scale.x(until) - scale.x(since), 1), is_open)


def _months(begin: datetime, end: datetime, zone: ZoneInfo, scale: _Scale) -> Iterator[Mark]:
    """The first of each month, by the plan's clock."""
    local = begin.astimezone(zone)
    year, month = local.year, local.month
    while True:
        year, month = (year, month + 1) if month < 12 else (year + 1, 1)
        first = datetime(year, month, 1, tzinfo=zone).astimezone(UTC)
        if first >= end:
            return
        yield Mark(scale.x(first), 0, f"{year}-{month:02d}")
