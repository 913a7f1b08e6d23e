"""The overview: how the service does just now."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import TypeAlias

from litestar import Response, get
from litestar.di import NamedDependency
from litestar.params import SkipValidation

from onecard.database.pool import Pool, connection
from onecard.staff.model import Permission
from onecard.values.money import Money
from onecard.web.console import store
from onecard.web.console.charts import answer_svg, draw_lines, draw_stacked_bars
from onecard.web.console.desk import GivenDesk, needs
from onecard.web.console.lately import Lately
from onecard.web.console.store import CodeTimes, LinkReport, Traffic
from onecard.web.layout import Page

DAY = timedelta(days=1)
STEP = timedelta(hours=1)
KEEP = timedelta(seconds=10)
"""So old may what is shown be."""
COUNTRIES_SHOWN_MOST = 7
OTHERS = "…"


@dataclass(frozen=True, slots=True)
class LinkState:
    """One link over all nodes."""

    name: str
    is_up: bool
    sessions: int
    waiting: int
    last_error: str


@dataclass(frozen=True, slots=True)
class Figures:
    """The last 24 hours, and now."""

    at: datetime
    since: datetime
    owed: list[Money]
    charges: list[tuple[str, Money]]
    traffic: list[Traffic]
    sessions: list[tuple[str, str, int, int]]
    codes: list[CodeTimes]
    links: list[LinkState]
    applications: int
    waiting: int

    @property
    def texts(self) -> int:
        return sum(one.texts for one in self.traffic)

    @property
    def code_times(self) -> CodeTimes:
        """Of the whole span."""
        return next(one for one in self.codes if one.at is None)

    @property
    def steps(self) -> list[datetime]:
        return [self.since + STEP * step for step in range(DAY // STEP)]

    @property
    def countries(self) -> list[tuple[str, int, int]]:
        """Country, texts, and of them those to cards; the busiest first."""
        names = {one.country for one in self.traffic}
        counts = [
            (
                name,
                sum(one.texts for one in self.traffic if one.country == name),
                sum(one.to_card for one in self.traffic if one.country == name),
            )
            for name in names
        ]
        return sorted(counts, key=lambda count: (-count[1], count[0]))


async def read_figures(pool: Pool, now: datetime) -> Figures:
    """Look at the last 24 whole hours, the current one being the last of them."""
    since = now.replace(minute=0, second=0, microsecond=0) - DAY + STEP
    async with connection(pool) as borrowed:
        applications, waiting = await store.count_queues(borrowed)
        return Figures(
            at=now,
            since=since,
            owed=await store.load_owed(borrowed),
            charges=await store.load_charges(borrowed, since, now),
            traffic=await store.load_traffic(borrowed, since, now, STEP),
            sessions=await store.load_sessions(borrowed, since, now),
            codes=await store.load_code_times(borrowed, since, now, STEP),
            links=join_links(await store.list_links(borrowed), now),
            applications=applications,
            waiting=waiting,
        )


def join_links(reports: list[LinkReport], now: datetime) -> list[LinkState]:
    """Each link over all nodes: up where any node has a session of it."""
    states = []
    for name in sorted({report.link for report in reports}):
        own = [report for report in reports if report.link == name]
        live = [report for report in own if report.is_up(now)]
        states.append(
            LinkState(
                name,
                bool(live),
                sum(report.bound_sessions for report in live),
                sum(report.waiting for report in own if now - report.at < store.FRESH),
                next((report.last_error for report in own if report.last_error), ""),
            )
        )
    return states


GivenFigures: TypeAlias = NamedDependency[SkipValidation[Lately[Figures]]]


def keep_figures(pool: Pool) -> Lately[Figures]:
    """The figures of one node's console."""
    return Lately(partial(read_figures, pool), KEEP)


@get("/console", opt=needs(Permission.SEE_OVERVIEW))
async def show_overview(desk: GivenDesk, figures: GivenFigures) -> Page:
    """The overview; it refreshes itself where scripts may."""
    return desk.page("overview.html", figures=await figures.get(desk.at))


@get("/console/figures", opt=needs(Permission.SEE_OVERVIEW))
async def show_figures(desk: GivenDesk, figures: GivenFigures) -> Page:
    """The part of the overview that changes."""
    return desk.page("figures.html", figures=await figures.get(desk.at))


@get("/console/charts/traffic.svg", opt=needs(Permission.SEE_OVERVIEW))
async def draw_traffic(desk: GivenDesk, figures: GivenFigures) -> Response[bytes]:
    """Texts by country of the line, hour by hour."""
    known = await figures.get(desk.at)
    by_place = {(one.country, one.at): one.texts for one in known.traffic}
    shown = [name for name, _, _ in known.countries[:COUNTRIES_SHOWN_MOST]]
    series = {name: [by_place.get((name, at), 0) for at in known.steps] for name in shown}
    if len(known.countries) > len(shown):
        others = [one for one in known.traffic if one.country not in shown]
        series[OTHERS] = [sum(one.texts for one in others if one.at == at) for at in known.steps]
    return answer_svg(draw_stacked_bars(_label(desk, known), series, ""))


@get("/console/charts/codes.svg", opt=needs(Permission.SEE_OVERVIEW))
async def draw_codes(desk: GivenDesk, figures: GivenFigures) -> Response[bytes]:
    """How fast codes arrived, hour by hour."""
    known = await figures.get(desk.at)
    by_step = {one.at: one for one in known.codes}
    steps = [by_step.get(at) for at in known.steps]
    series = {
        "p50": [one.p50 if one else None for one in steps],
        "p90": [one.p90 if one else None for one in steps],
    }
    return answer_svg(draw_lines(_label(desk, known), series, "s"))


def _label(desk: GivenDesk, figures: Figures) -> list[str]:
    zone = desk.site.operator.zone
    return [f"{at.astimezone(zone):%H:%M}" for at in figures.steps]


ROUTES = (show_overview, show_figures, draw_traffic, draw_codes)
