"""Put the parts together into one running node, and take them apart in order."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from pathlib import Path

import structlog

from onecard.cards.actions import activate_card
from onecard.catalogue.model import Tariff
from onecard.catalogue.store import load_tariff
from onecard.charging.actions import CreditControl
from onecard.charging.allowances import list_text_allowances
from onecard.database.migrations import pending
from onecard.database.parts import list_parts
from onecard.database.pool import Connection, Database, Pool, connection
from onecard.gateways.http.app import make_app
from onecard.gateways.http.payments import PaymentRoutes
from onecard.gateways.http.portability import PortRoutes
from onecard.gateways.http.server import TlsFiles, serve_http
from onecard.gateways.nchf.notify import Notifier
from onecard.gateways.nchf.server import mount
from onecard.gateways.smpp.link import Exchange
from onecard.gateways.smpp.link import Link as SmppLink
from onecard.gateways.smpp.server import SmppServer
from onecard.lines.store import find_card_with_lines, find_card_with_lines_by_sim
from onecard.messages.accept import TextAcceptor, TextLimits
from onecard.messages.commands import CommandDesk
from onecard.messages.handover import Handover
from onecard.messages.queues import Queues
from onecard.messages.upkeep import Upkeep
from onecard.node.changes import ChangeTail
from onecard.node.config import Config, Tls, parse_address, passwords, provider_secrets
from onecard.node.diameter import run_diameter
from onecard.node.jobs import Jobs
from onecard.node.mail import Mailer
from onecard.node.name import NodeName
from onecard.node.nchf import make_nchf
from onecard.node.notice_post import NoticePost
from onecard.node.ports import PortPinDesk, load_port_terms
from onecard.node.smpp import bind_to_peers, make_settings
from onecard.node.vouchers import VoucherDesk
from onecard.node.web import make_pages, make_site, run_web
from onecard.sealing.body_keys import BodyKeys
from onecard.sealing.check import check_master_key
from onecard.sealing.keys import MasterKey
from onecard.sealing.passwords import PasswordCheck
from onecard.switching.directory import Directory, Key
from onecard.switching.model import CardEntry
from onecard.switching.rules import Routes, Setting
from onecard.values.card import Imsi
from onecard.values.clock import Clock, SystemClock
from onecard.values.phone import E164
from onecard.winddown.gatekeeper import Gatekeeper
from onecard.winddown.rules import check_told
from onecard.winddown.store import load_in_force

log = structlog.get_logger(__name__)


class NotReady(Exception):
    """The node cannot start; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where a node listens, with the ports that the system chose where 0 was configured."""

    smpp: str
    smpp_tls: str | None
    http: str
    http_tls: str | None = None
    diameter: str | None = None
    web: str | None = None
    web_tls: str | None = None


@dataclass(frozen=True, slots=True)
class Node:
    """A running node."""

    config: Config
    database: Database
    addresses: Addresses
    directory: Directory
    acceptor: TextAcceptor
    handover: Handover
    queues: Queues
    upkeep: Upkeep
    links: Mapping[str, SmppLink]
    control: CreditControl
    gatekeeper: Gatekeeper
    post: NoticePost


@asynccontextmanager
async def run_node(
    config: Config,
    database: Database,
    master: MasterKey,
    *,
    clock: Clock | None = None,
    environment: Mapping[str, str] | None = None,
) -> AsyncIterator[Node]:
    """Run a node on an open database. Raises NotReady, ConfigError, SealingError, DatabaseError."""
    clock = clock or SystemClock()
    peer_passwords = passwords(config, environment)
    async with AsyncExitStack() as stack:
        parts = await _check_database(database.pool, master)
        name = await _take_name(database.dsn, config.node)
        stack.push_async_callback(name.release)
        gatekeeper = Gatekeeper()
        exchange, directory, upkeep, control, tail = await _assemble(
            config, database.pool, parts, master, clock, gatekeeper, stack
        )
        links = {link.name: SmppLink(make_settings(link), exchange) for link in config.links}
        jobs = Jobs(database.pool, parts, config, links, exchange, control, name, gatekeeper.at)
        tail.on_account.append(jobs.look_at)
        check = PasswordCheck()
        routes = exchange.acceptor.setting.routes
        notifier = Notifier(control.open_sessions)
        stack.push_async_callback(notifier.close)
        tail.on_account.append(notifier.reauthorize)
        tail.on_tariff.append(partial(_notify_all, notifier, control))
        jobs.on_amendment.append(partial(_notify_all, notifier, control))
        jobs.on_stage.append(notifier.abort)
        nchf = make_nchf(config.charging, control, notifier, master, clock)
        ports = PortRoutes(config.portability.operators, master, partial(load_port_terms, config=config))
        clients = {client.token_hash: client.name for client in config.payments.clients}
        payments = PaymentRoutes(
            provider_secrets(config, environment), clients, master, config.payouts.cooling_off
        )
        app = make_app(
            database.pool, links, routes, check, clock, gatekeeper.at, ports, payments, [mount(nchf)]
        )
        http_tls = None
        web_address = await stack.enter_async_context(serve_http(app, *parse_address(config.http.listen)))
        if config.http.tls is not None:
            _tls_context(config.http.tls, "http.tls")  # to say now what is wrong with the files
            tls_files = TlsFiles(Path(config.http.tls.certificate), Path(config.http.tls.key))
            serving = serve_http(app, *parse_address(config.http.tls.listen), tls_files)
            http_tls = await stack.enter_async_context(serving)
        server = SmppServer(
            config.smpp.system_id,
            {
                link.settings.system_id: link
                for link in links.values()
                if not config.connects(link.settings.name)
            },
            check,
            connections_most=config.smpp.connections_most,
        )
        stack.push_async_callback(server.close)
        addresses = replace(await _listen(config, server, web_address), http_tls=http_tls)
        if config.diameter is not None:
            tls = _tls_context(config.diameter.tls, "diameter.tls") if config.diameter.tls else None
            running = run_diameter(config.diameter, config.charging, control, tls=tls)
            diameter, desk = await stack.enter_async_context(running)
            addresses = replace(addresses, diameter=diameter)
            tail.on_account.append(desk.reauthorize)
            tail.on_tariff.append(desk.reauthorize_all)
            jobs.on_amendment.append(desk.reauthorize_all)
            jobs.on_stage.append(desk.abort)
        if config.web is not None:
            if config.web.tls is not None:
                _tls_context(config.web.tls, "web.tls")
            site = make_site(
                config,
                config.web,
                database.pool,
                parts,
                master,
                clock,
                gatekeeper,
                exchange.acceptor,
                directory,
            )
            web, web_tls = await stack.enter_async_context(run_web(config.web, make_pages(site)))
            addresses = replace(addresses, web=web, web_tls=web_tls)
        bind_to_peers(config, links, peer_passwords, stack)
        post = _make_post(config, database.pool, parts, master, exchange, environment)
        await stack.enter_async_context(_running(upkeep.run(), jobs.run(), post.run()))
        log.info(
            "onecard is up",
            node=config.node,
            smpp=addresses.smpp,
            http=addresses.http,
            diameter=addresses.diameter,
            web=addresses.web,
        )
        yield Node(
            config,
            database,
            addresses,
            directory,
            exchange.acceptor,
            exchange.handover,
            exchange.queues,
            upkeep,
            links,
            control,
            gatekeeper,
            post,
        )


def _make_post(
    config: Config,
    pool: Pool,
    parts: list[int],
    master: MasterKey,
    exchange: Exchange,
    environment: Mapping[str, str] | None,
) -> NoticePost:
    mailer = None
    if config.mail is not None:
        password = config.mail.password(os.environ if environment is None else environment)
        mailer = Mailer(config.mail, password, name=config.operator.name)
    tell = exchange.acceptor.tell_in_segments
    return NoticePost(pool, parts, config, master, exchange.clock, tell=tell, mailer=mailer)


def _notify_all(notifier: Notifier, control: CreditControl) -> None:
    for account_id in control.accounts_in_session():
        notifier.reauthorize(account_id)


async def _check_database(pool: Pool, master: MasterKey) -> list[int]:
    async with connection(pool) as borrowed:
        if await pending(borrowed):
            raise NotReady("the database is not up to date: run `onecard db migrate`")
        parts = await list_parts(borrowed)
        if not parts:
            raise NotReady("the database has no parts yet: run `onecard db init`")
        await check_master_key(borrowed, master)
    return parts


async def _take_name(dsn: str, node: str) -> NodeName:
    name = NodeName(dsn, node)
    if not await name.take():
        raise NotReady(f"a node named {node} is running on this database: give this one another `node` name")
    return name


async def _assemble(
    config: Config,
    pool: Pool,
    parts: list[int],
    master: MasterKey,
    clock: Clock,
    gatekeeper: Gatekeeper,
    stack: AsyncExitStack,
) -> tuple[Exchange, Directory, Upkeep, CreditControl, ChangeTail]:
    """Make the parts that texts and charging go through; each is closed after those that use it."""
    directory = Directory(partial(load_card, pool), cards_most=config.directory_cards_most)
    body_keys = BodyKeys(pool, master)
    queues = Queues(config.node, most=config.texts.queue_most)
    service_code = config.operator.service_code
    vouchers = VoucherDesk(pool, master, clock, gates=gatekeeper.at, service_code=service_code)
    ports = PortPinDesk(pool, master, clock, gates=gatekeeper.at, config=config)
    desk = CommandDesk(
        pool,
        directory,
        clock,
        redeem=vouchers.redeem,
        issue_port_pin=ports.issue,
        service_code=service_code,
    )
    limits = TextLimits(validity_most=timedelta(hours=config.texts.validity_hours))
    acceptor = TextAcceptor(
        pool,
        parts,
        queues,
        setting=Setting(service_code, Routes(tuple(link.route for link in config.links)), Tariff()),
        directory=directory,
        body_keys=body_keys,
        clock=clock,
        gates=gatekeeper.at,
        obey=desk.obey,
        activate=partial(_activate, pool, directory, clock, gatekeeper),
        limits=limits,
    )
    control = CreditControl(
        pool,
        parts,
        setting=lambda: acceptor.setting,
        directory=directory,
        body_keys=body_keys,
        clock=clock,
        gates=gatekeeper.at,
        activate=partial(_activate, pool, directory, clock, gatekeeper),
    )
    stack.push_async_callback(control.close)
    tail = ChangeTail(pool, directory, partial(_load_tariff, acceptor))
    tail.on_account.append(control.forget_account)
    tail.on_winddown.append(partial(_load_order, gatekeeper))
    await tail.begin()
    async with connection(pool) as borrowed:
        await _load_tariff(acceptor, borrowed)
        await _load_order(gatekeeper, borrowed)
    await stack.enter_async_context(_running(tail.run()))
    handover = Handover(pool, parts, queues, body_keys=body_keys, clock=clock)
    stack.push_async_callback(handover.close)
    stack.push_async_callback(acceptor.close)
    upkeep = Upkeep(
        pool,
        parts,
        queues,
        acceptor,
        handover,
        body_keys=body_keys,
        clock=clock,
        trace_days=config.texts.trace_days,
        validity_most=limits.validity_most,
    )
    await upkeep.begin()
    return Exchange(acceptor, handover, queues, clock), directory, upkeep, control, tail


async def load_card(pool: Pool, key: Key) -> CardEntry | None:
    """The card of a number or an IMSI, as switching needs it."""
    async with connection(pool) as borrowed:
        if key.startswith("+"):
            found = await find_card_with_lines(borrowed, E164(key))
        else:
            found = await find_card_with_lines_by_sim(borrowed, imsi=Imsi(key))
        if found is None or not found.lines:
            return None
        allowances = await list_text_allowances(borrowed, found.card.part, found.card.account_id)
    return CardEntry(*found, allowances)


async def _load_tariff(acceptor: TextAcceptor, borrowed: Connection) -> None:
    acceptor.setting = replace(acceptor.setting, tariff=await load_tariff(borrowed))


async def _load_order(gatekeeper: Gatekeeper, borrowed: Connection) -> None:
    file = await load_in_force(borrowed)
    gatekeeper.put_in_force(file)
    if file is None:
        return
    log.info("an order to stop is in force", plan=file.plan.name, version=file.plan.version)
    for alarm in check_told(file.plan):
        log.warning("subscribers are told too late of a cut", version=file.plan.version, reason=alarm.reason)


async def _activate(
    pool: Pool, directory: Directory, clock: Clock, gatekeeper: Gatekeeper, entry: CardEntry
) -> None:
    """Note a card's first use; a second node that notes it at the same time is told so and that is all."""
    now = clock.now()
    async with connection(pool) as borrowed:
        await activate_card(
            borrowed,
            now,
            actor="onecard",
            gates=gatekeeper.at(now),
            part=entry.card.part,
            card_id=entry.card.id,
        )
    directory.forget(entry.card.id)


async def _listen(config: Config, server: SmppServer, http: str) -> Addresses:
    host, port = parse_address(config.smpp.listen)
    smpp = f"{host}:{await server.listen(host, port)}"
    if config.smpp.tls is None:
        return Addresses(smpp, None, http)
    tls_host, tls_port = parse_address(config.smpp.tls.listen)
    context = _tls_context(config.smpp.tls, "smpp.tls")
    return Addresses(smpp, f"{tls_host}:{await server.listen(tls_host, tls_port, context)}", http)


def _tls_context(tls: Tls, place: str) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(tls.certificate, tls.key)
    except (ssl.SSLError, OSError) as error:
        raise NotReady(f"{place}: the certificate or its key cannot be used: {error}") from None
    return context


@asynccontextmanager
async def _running(*work: Awaitable[None]) -> AsyncIterator[None]:
    """Run work beside, and cancel it at the end."""
    tasks = [asyncio.ensure_future(one) for one in work]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
