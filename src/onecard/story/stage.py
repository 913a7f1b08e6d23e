"""Everything the steps of the story work with: the running operator, its partners, and what is expected of them."""

from __future__ import annotations

import asyncio
import http.client
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeVar

import msgspec

from onecard.cards.model import Card
from onecard.database.embedded import attach
from onecard.database.pool import Pool, connection, open_pool
from onecard.ledger.actions import find_account
from onecard.ledger.model import Account
from onecard.lines.model import Line
from onecard.messages.model import Direction, TextState, Trace
from onecard.messages.store import find_trace, list_traces
from onecard.sealing.passwords import hash_password
from onecard.story.act import Act, NotAsExpected
from onecard.story.bank import Bank
from onecard.story.children import (
    ACTOR,
    NOW,
    WAIT_SECONDS,
    Node,
    Partner,
    run_command,
    run_refused_command,
    start_node,
    start_partner,
)
from onecard.story.place import SPARE_NETWORK, Place
from onecard.story.wire import Listen, Listening
from onecard.switching.model import LinkRole
from onecard.values.money import Currency, Money

CAD = Currency("CAD")
MONEY_IN_HAND = "1000.00"
POLL_SECONDS = 0.01
ID_HIGHEST = 2**63 - 1
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class SignIn:
    """How a partner and onecard know each other on a link."""

    name: str
    role: LinkRole
    system_id: str
    password: str


@dataclass(frozen=True, slots=True)
class Subscriber:
    """The card that was sold, and its owner's name."""

    name: str
    card: Card
    primary: Line
    secondary: Line | None = None

    @property
    def lines(self) -> tuple[Line, ...]:
        return (self.primary, self.secondary) if self.secondary else (self.primary,)


@dataclass(slots=True)
class Stage:
    """The parts that were started, and the balance that the story expects so far."""

    place: Place
    host: Partner
    home: Partner
    bank: Partner
    network: Partner
    sign_ins: dict[str, SignIn]
    host_port: int
    exit_stack: AsyncExitStack
    """What is started later is put on it, and ends with the rest."""
    ahead: timedelta = NOW
    """How far the operator's clock is ahead of the machine's."""
    running: Node | None = None
    running_stack: AsyncExitStack = field(default_factory=AsyncExitStack)
    """Ends the node, and with it the database."""
    pool: Pool | None = None
    database_url: str = ""
    parts: tuple[int, ...] = ()
    subscriber: Subscriber | None = None
    expected_micros: int = 0
    charged_micros: int = 0
    """For texts."""
    used_micros: int = 0
    """For calls and data."""
    fee_micros: int = 0
    """For the plan."""
    own_bank: Bank = field(default_factory=lambda: Bank(MONEY_IN_HAND))
    """That of the operator, which pays refunds."""
    check: dict[str, Any] | None = None
    """What `onecard db check` answered."""

    @property
    def card(self) -> Card:
        assert self.subscriber is not None
        return self.subscriber.card

    @property
    def primary(self) -> str:
        assert self.subscriber is not None
        return self.subscriber.primary.msisdn

    @property
    def secondary(self) -> str:
        assert self.subscriber is not None and self.subscriber.secondary is not None
        return self.subscriber.secondary.msisdn

    @property
    def node(self) -> Node:
        assert self.running is not None
        return self.running

    @property
    def open_pool(self) -> Pool:
        assert self.pool is not None
        return self.pool

    async def start_node(self, ahead: timedelta = NOW) -> None:
        """Run `onecard serve`, in place of the one that runs, and look into its database beside it."""
        await self.running_stack.aclose()
        self.ahead = ahead
        stack = self.running_stack = await self.exit_stack.enter_async_context(AsyncExitStack())
        self.running = await stack.enter_async_context(start_node(self.place, ahead))
        self.database_url = (await attach(self.place.root)).dsn
        self.pool = await stack.enter_async_context(open_pool(self.database_url, connections_most=2))
        async with connection(self.pool) as borrowed:
            self.parts = tuple(
                row["part"] for row in await borrowed.fetch("SELECT part FROM part ORDER BY part")
            )

    async def run(self, *arguments: str, actor: str = ACTOR) -> dict[str, Any]:
        """Run a command by the operator's clock. Raises ChildFailed."""
        return await run_command(self.place, *arguments, actor=actor, ahead=self.ahead)

    async def run_refused(self, *arguments: str, actor: str = ACTOR) -> dict[str, Any]:
        """Run a command that is to be refused; returns the error and the message. Raises ChildFailed."""
        return await run_refused_command(self.place, *arguments, actor=actor, ahead=self.ahead)

    async def bound_links(self) -> dict[str, int]:
        """How many sessions each link has, as the node's own health page says, once each has one."""

        async def find() -> dict[str, int] | None:
            health = await asyncio.to_thread(fetch_json, *self.node.addresses.http_place, "/health")
            links: dict[str, int] = health["links"]
            return links if all(links.values()) else None

        return await come_about(find, "a session on every link")

    async def balance_micros(self) -> int:
        """What is available on the subscriber's account."""
        return (await self.account()).available_micros

    async def account(self) -> Account:
        """The subscriber's account."""
        async with connection(self.open_pool) as borrowed:
            account = await find_account(borrowed, self.card.part, self.card.account_id)
        assert account is not None
        return account

    async def check_balance(self, act: Act, cost_micros: int = 0) -> None:
        """The balance has moved by exactly the cost since the last look; what is held is in it."""
        self.expected_micros -= cost_micros
        self.charged_micros += cost_micros
        account = await self.account()
        balance_micros = account.available_micros + account.held_micros
        act.verify(f"balance {say_money(self.expected_micros)}", balance_micros, self.expected_micros)

    async def check_usage(self, act: Act, cost_micros: int) -> None:
        """A call or data has cost just that."""
        self.used_micros += cost_micros
        self.expected_micros -= cost_micros
        await self.check_balance(act)

    async def check_fee(self, act: Act, fee_micros: int) -> None:
        """The plan has cost just that."""
        self.fee_micros += fee_micros
        self.expected_micros -= fee_micros
        await self.check_balance(act)

    async def check_trace(
        self, act: Act, trace: Trace, line: str, masked: str, cost_micros: int = 0, segments: int = 1
    ) -> None:
        """What may be told of a text: which line, masked, delivered, at what price; and its body is gone."""
        came = (await self._msisdn_of(trace.line_id), trace.far, trace.price_micros, trace.segments)
        act.verify("trace: delivered", trace.state, TextState.DELIVERED)
        act.verify("far number masked", came, (line, masked, cost_micros, segments))

    async def trace_of(self, text_id: int) -> Trace:
        """The trace of a text, once it is over."""

        async def find() -> Trace | None:
            async with connection(self.open_pool) as borrowed:
                trace = await find_trace(borrowed, self.parts, text_id)
            return trace if trace and trace.state.is_final else None

        return await come_about(find, f"the end of text {text_id}")

    async def latest_trace(self, direction: Direction) -> Trace:
        """The trace of the card's latest text of a direction, once it is over."""

        async def find() -> Trace | None:
            found = [trace for trace in await self.traces() if trace.direction is direction]
            return found[0] if found and found[0].state.is_final else None

        return await come_about(find, f"the end of the latest text {direction.name.lower()}")

    async def traces(self) -> list[Trace]:
        """All texts of the card, the latest first."""
        async with connection(self.open_pool) as borrowed:
            return await list_traces(borrowed, self.card.part, self.card.id, before=ID_HIGHEST, most=1000)

    @property
    def web_url(self) -> str:
        """Where a browser on this machine finds the pages."""
        assert self.node.addresses.web is not None  # it is configured
        return f"http://localhost:{self.node.addresses.web.rpartition(':')[2]}"

    def describe(self) -> dict[str, Any]:
        """Addresses and sign-ins, for somebody who goes on from here."""
        assert self.subscriber is not None
        return {
            "http": f"http://{self.node.addresses.http}",
            "web": self.web_url,
            "smpp": self.node.addresses.smpp,
            "diameter": self.node.addresses.diameter,
            "diameter_peer": dict(zip(("host", "realm"), SPARE_NETWORK, strict=True)),
            "links": [self._describe_link(sign_in) for sign_in in self.sign_ins.values()],
            "database_url": self.database_url,
            "subscriber": {
                "name": self.subscriber.name,
                "msisdns": [line.msisdn for line in self.subscriber.lines],
                "iccid": self.card.iccid,
            },
            "configuration": str(self.place.configuration),
            "data": str(self.place.root),
        }

    def _describe_link(self, sign_in: SignIn) -> dict[str, Any]:
        """Where onecard binds, the partner's address belongs to it; the others bind to onecard."""
        link: dict[str, Any] = {
            "name": sign_in.name,
            "role": sign_in.role.value,
            "system_id": sign_in.system_id,
            "password": sign_in.password,
        }
        if sign_in.role is LinkRole.HOST:
            link |= {"host": "127.0.0.1", "port": self.host_port}
        return link

    async def _msisdn_of(self, line_id: int) -> str | None:
        assert self.subscriber is not None
        return next((line.msisdn for line in self.subscriber.lines if line.id == line_id), None)


async def come_about(look: Callable[[], Awaitable[T | None]], what: str) -> T:
    """Look until there is something; raises NotAsExpected when there is nothing in time."""
    give_up = asyncio.get_running_loop().time() + WAIT_SECONDS
    while (found := await look()) is None:
        if asyncio.get_running_loop().time() >= give_up:
            raise NotAsExpected(what, "something", f"nothing within {WAIT_SECONDS:.0f} seconds")
        await asyncio.sleep(POLL_SECONDS)
    return found


def fetch_json(host: str, port: int, path: str) -> dict[str, Any]:
    """Fetch a JSON document. Blocks; raises OSError, http.client.HTTPException."""
    client = http.client.HTTPConnection(host, port, timeout=WAIT_SECONDS)
    try:
        client.request("GET", path)
        document: dict[str, Any] = msgspec.json.decode(client.getresponse().read())
        return document
    finally:
        client.close()


def say_money(micros: int) -> str:
    """Such as `19.90 CAD`."""
    return str(Money(micros, CAD))


def new_sign_ins() -> dict[str, SignIn]:
    """The partners with passwords for this run; SMPP carries 8 letters at most (section 5.2.2)."""
    names = (
        ("host", LinkRole.HOST, "maplebridge"),
        ("home-cn", LinkRole.HOME, "homecn"),
        ("bank", LinkRole.APPLICATION, "bank"),
    )
    return {name: SignIn(name, role, system_id, secrets.token_urlsafe(6)) for name, role, system_id in names}


@asynccontextmanager
async def open_stage(place: Place) -> AsyncIterator[Stage]:
    """Start the partners and write the operator's files; all that is started later ends with the block too."""
    sign_ins = new_sign_ins()
    async with AsyncExitStack() as stack:
        host = await stack.enter_async_context(start_partner("host operator", place))
        home = await stack.enter_async_context(start_partner("home operator", place))
        bank = await stack.enter_async_context(start_partner("bank", place))
        network = await stack.enter_async_context(start_partner("network", place))
        listening = await host.ask(Listen(sign_ins["host"].password), Listening)
        place.write_stock()
        place.write_configuration(
            host_port=listening.port,
            host_password=sign_ins["host"].password,
            home_hash=hash_password(sign_ins["home-cn"].password),
            bank_hash=hash_password(sign_ins["bank"].password),
        )
        yield Stage(place, host, home, bank, network, sign_ins, listening.port, stack)
