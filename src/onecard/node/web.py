"""Serve the pages of one node."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from ipaddress import ip_network
from pathlib import Path
from zoneinfo import ZoneInfo

from litestar import Litestar

from onecard.database.pool import Pool
from onecard.gateways.http.server import TlsFiles, serve_http
from onecard.messages.accept import TextAcceptor
from onecard.node.config import Config, Web, parse_address
from onecard.node.ports import load_port_terms
from onecard.sealing.keys import MasterKey
from onecard.switching.directory import Directory
from onecard.values.clock import Clock
from onecard.web import public
from onecard.web.app import make_web
from onecard.web.console.rooms import make_console
from onecard.web.selfcare.routes import ROUTES as SELFCARE
from onecard.web.site import OperatorFacts, PayoutTerms, Site
from onecard.winddown.gatekeeper import Gatekeeper


def make_site(
    config: Config,
    web: Web,
    pool: Pool,
    parts: Sequence[int],
    master: MasterKey,
    clock: Clock,
    gatekeeper: Gatekeeper,
    acceptor: TextAcceptor,
    directory: Directory,
) -> Site:
    """What pages are made from, of the parts of a node."""
    operator, payouts = config.operator, config.payouts
    return Site(
        pool=pool,
        parts=tuple(parts),
        master=master,
        clock=clock,
        gates_at=gatekeeper.at,
        plan_in_force=lambda: gatekeeper.in_force,
        port_terms=partial(load_port_terms, config=config),
        payee_cooling_off=payouts.cooling_off,
        tariff=lambda: acceptor.setting.tariff,
        tell=acceptor.tell,
        forget_card=directory.forget,
        operator=OperatorFacts(
            name=operator.name,
            country=operator.country,
            currency=operator.money,
            zone=ZoneInfo(operator.time_zone),
            service_code=operator.service_code,
            limits=operator.line_limits,
            phone=config.notices.phone,
            wording=config.notices.wording_directory,
        ),
        roles={link.name: link.role for link in config.links},
        url=web.address,
        payouts=PayoutTerms(
            debtor=payouts.paid_from.debtor if payouts.paid_from else None,
            amount_most_micros=payouts.limit(operator.money).micros,
            payments_most=payouts.run_most,
            remittance=payouts.remittance,
        ),
        proxies=tuple(ip_network(network) for network in web.proxies),
    )


def make_pages(site: Site) -> Litestar:
    """All pages of the site."""
    return make_web(site, ["selfcare", "console"], [*public.ROUTES, *SELFCARE, make_console(site)])


@asynccontextmanager
async def run_web(web: Web, app: Litestar) -> AsyncIterator[tuple[str, str | None]]:
    """Serve the pages; yields the addresses of the plain listener and of that with TLS."""
    async with AsyncExitStack() as stack:
        address = await stack.enter_async_context(serve_http(app, *parse_address(web.listen)))
        if web.tls is None:
            yield address, None
            return
        files = TlsFiles(Path(web.tls.certificate), Path(web.tls.key))
        serving = serve_http(app, *parse_address(web.tls.listen), files)
        yield address, await stack.enter_async_context(serving)
