"""Links: up or down, what passes over each, and what they answer when texts fail."""

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
from onecard.web.console import store
from onecard.web.console.charts import answer_svg, draw_lines
from onecard.web.console.desk import GivenDesk, needs
from onecard.web.console.lately import Lately
from onecard.web.console.store import LinkError, LinkReport, LinkTraffic
from onecard.web.layout import Page

LINKS = "/console/links"
SPAN = timedelta(hours=1)
STEP = timedelta(minutes=1)
KEEP = timedelta(seconds=10)
LINKS_DRAWN_MOST = 8


@dataclass(frozen=True, slots=True)
class Throughput:
    """The last hour of all links."""

    at: datetime
    since: datetime
    reports: list[LinkReport]
    traffic: list[LinkTraffic]
    errors: list[LinkError]

    @property
    def steps(self) -> list[datetime]:
        return [self.since + STEP * step for step in range(SPAN // STEP)]

    def count(self, link: str) -> tuple[int, int, int]:
        """Texts that came by a link, texts that left by it, and of those the ones that failed."""
        came = sum(one.texts for one in self.traffic if one.source_link == link)
        left = [one for one in self.traffic if one.next_link == link]
        return came, sum(one.texts for one in left), sum(one.failed for one in left)


GivenThroughput: TypeAlias = NamedDependency[SkipValidation[Lately[Throughput]]]


def keep_throughput(pool: Pool) -> Lately[Throughput]:
    """The last hour, as one node's console knows it."""

    async def read(pool: Pool, now: datetime) -> Throughput:
        since = now.replace(second=0, microsecond=0) - SPAN + STEP
        async with connection(pool) as borrowed:
            return Throughput(
                now,
                since,
                await store.list_links(borrowed),
                await store.load_link_traffic(borrowed, since, now, STEP),
                await store.load_link_errors(borrowed, since, now),
            )

    return Lately(partial(read, pool), KEEP)


@get(LINKS, opt=needs(Permission.SEE_LINKS))
async def show_links(desk: GivenDesk, throughput: GivenThroughput) -> Page:
    """All links on all nodes."""
    return desk.page("links.html", throughput=await throughput.get(desk.at), roles=desk.site.roles)


@get("/console/links/table", opt=needs(Permission.SEE_LINKS))
async def show_links_table(desk: GivenDesk, throughput: GivenThroughput) -> Page:
    """The part of that page that changes."""
    return desk.page("links_table.html", throughput=await throughput.get(desk.at), roles=desk.site.roles)


@get("/console/charts/links.svg", opt=needs(Permission.SEE_LINKS))
async def draw_links(desk: GivenDesk, throughput: GivenThroughput) -> Response[bytes]:
    """Texts a minute that left by each link."""
    known = await throughput.get(desk.at)
    names = sorted({one.next_link for one in known.traffic})[:LINKS_DRAWN_MOST]
    counts: dict[tuple[str, datetime], int] = {}
    for one in known.traffic:
        counts[one.next_link, one.at] = counts.get((one.next_link, one.at), 0) + one.texts
    series = {name: [float(counts.get((name, at), 0)) for at in known.steps] for name in names}
    zone = desk.site.operator.zone
    labels = [f"{at.astimezone(zone):%H:%M}" for at in known.steps]
    return answer_svg(draw_lines(labels, series, "/min"))


ROUTES = (show_links, show_links_table, draw_links)
