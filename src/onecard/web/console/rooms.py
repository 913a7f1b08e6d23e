"""All pages of the console, as one router."""

from __future__ import annotations

from asyncio import Lock
from collections.abc import Sequence

from litestar import Router
from litestar.di import Provide
from litestar.handlers import HTTPRouteHandler

from onecard.sealing.passwords import PasswordCheck
from onecard.web.console import (
    applications,
    audit,
    bank,
    books,
    exports,
    links,
    me,
    overview,
    passkeys,
    prices,
    refunds,
    signin,
    stock,
    subscribers,
    team,
    traces,
    winddown,
)
from onecard.web.console.desk import Forbidden, NotSignedIn, open_desk, say_forbidden, send_to_sign_in
from onecard.web.site import Site

PUBLIC_ROUTES: Sequence[HTTPRouteHandler] = (*signin.PUBLIC_ROUTES, *passkeys.PUBLIC_ROUTES)
ROUTES: Sequence[HTTPRouteHandler] = (
    *signin.ROUTES,
    *me.ROUTES,
    *passkeys.ROUTES,
    *overview.ROUTES,
    *subscribers.ROUTES,
    *applications.ROUTES,
    *stock.ROUTES,
    *prices.ROUTES,
    *links.ROUTES,
    *traces.ROUTES,
    *refunds.ROUTES,
    *bank.ROUTES,
    *books.ROUTES,
    *winddown.ROUTES,
    *audit.ROUTES,
    *exports.ROUTES,
    *team.ROUTES,
)
"""Each says by `opt` which permission it takes."""


def make_console(site: Site) -> Router:
    """The console of one node."""
    figures = overview.keep_figures(site.pool)
    counts = stock.keep_counts(site.pool)
    tariff = prices.keep_tariff(site.pool)
    progress = winddown.keep_progress(site)
    tally = refunds.keep_tally(site.pool)
    funding = books.keep_funding(site)
    turn = Lock()
    throughput = links.keep_throughput(site.pool)
    check = PasswordCheck()
    return Router(
        "/",
        route_handlers=[*PUBLIC_ROUTES, *ROUTES],
        dependencies={
            "desk": Provide(open_desk),
            "figures": Provide(lambda: figures, sync_to_thread=False),
            "counts": Provide(lambda: counts, sync_to_thread=False),
            "tariff": Provide(lambda: tariff, sync_to_thread=False),
            "progress": Provide(lambda: progress, sync_to_thread=False),
            "tally": Provide(lambda: tally, sync_to_thread=False),
            "funding": Provide(lambda: funding, sync_to_thread=False),
            "turn": Provide(lambda: turn, sync_to_thread=False),
            "throughput": Provide(lambda: throughput, sync_to_thread=False),
            "check": Provide(lambda: check, sync_to_thread=False),
        },
        exception_handlers={NotSignedIn: send_to_sign_in, Forbidden: say_forbidden},
    )
