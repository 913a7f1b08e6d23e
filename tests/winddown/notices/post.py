"""An operator under an order, with a mail server on loopback, and phones that hear or do not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from aiosmtpd.smtp import SMTP, Envelope, Session

import shop
from onecard.database.pool import Connection, Database, connection
from onecard.node.config import Mail, MailSecurity
from onecard.node.mail import Mailer
from onecard.node.notice_post import NoticePost
from onecard.switching.model import CardEntry, TextRefusal
from onecard.values.clock import MovedClock
from onecard.values.gate import Capability
from onecard.values.language import Language
from onecard.winddown import actions
from onecard.winddown.model import (
    Extension,
    HostCut,
    Notice,
    NoticeKind,
    Order,
    Plan,
    RefundPolicy,
    Stage,
    Stay,
    ValueKind,
    Version,
)
from onecard.winddown.notices.model import MadeNotice
from onecard.winddown.notices.store import list_notices
from onecard.winddown.reading import PlanFile
from onecard.winddown.rules import to_instant
from onecard.winddown.writing import write_plan
from town import make_config

TORONTO = ZoneInfo("America/Toronto")
PARTS = (1, 2, 3, 4)
ALL = tuple(Language)
PAGE, PHONE = "https://maple.example/notice", "1-800-555-0100"
T = TypeVar("T")


def local(text: str) -> datetime:
    return datetime.fromisoformat(text)


SALES_END = Stage(
    "sales end",
    local("2026-06-01"),
    closes=frozenset({Capability.SALE, Capability.TOP_UP, Capability.RENEWAL_FEE}),
    opens=frozenset({Capability.REFUND}),
)
SERVICE_ENDS = Stage(
    "service ends",
    local("2026-09-01"),
    closes=frozenset({Capability.VOICE, Capability.TEXTS, Capability.DATA, Capability.PORT_OUT}),
)
ANNOUNCEMENT = Notice("sales end", local("2026-05-01T13:00"), ALL, NoticeKind.ANNOUNCEMENT)


def make_plan(*notices: Notice, **changes: Any) -> Plan:
    plan = Plan(
        1,
        "Maple Bridge",
        TORONTO,
        Order("The Governor in Council", "Investment Canada Act", date(2026, 3, 1), "0a" * 32),
        (SALES_END, SERVICE_ENDS),
        {Capability.PORT_OUT: date(2026, 8, 31)},
        dict.fromkeys(ValueKind, RefundPolicy.FULL),
        notices,
    )
    return replace(plan, **changes)


@dataclass
class MailServer:
    """A real SMTP server; it answers as told for an address."""

    received: list[EmailMessage] = field(default_factory=list)
    answers: dict[str, str] = field(default_factory=dict)
    """What RCPT TO is answered, by address; taken otherwise."""
    port: int = 0

    async def handle_RCPT(  # noqa: N802  # aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: Sequence[str]
    ) -> str:
        if address in self.answers:
            return self.answers[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        assert isinstance(envelope.content, bytes)
        message = message_from_bytes(envelope.content, policy=SMTP_POLICY)
        assert isinstance(message, EmailMessage)
        self.received.append(message)
        return "250 OK"


@asynccontextmanager
async def open_mail_server() -> AsyncIterator[MailServer]:
    handler = MailServer()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(handler, loop=loop), "127.0.0.1", 0)
    handler.port = int(server.sockets[0].getsockname()[1])
    yield handler
    server.close()


def words_of(message: EmailMessage) -> str:
    """Subject and body as they were written."""
    return f"{message['Subject']}\n\n{message.get_content().replace(chr(13), '').removesuffix(chr(10))}"


@dataclass
class Post:
    """A post with its clock, and who hears its texts."""

    database: Database
    clock: MovedClock
    mail: MailServer
    posts: list[NoticePost] = field(default_factory=list)
    heard: list[tuple[int, str]] = field(default_factory=list)
    """Cards and words."""
    refusal: TextRefusal | None = None
    """What the network says to texts instead of taking them."""

    def open_node(self, *, mail: bool = True, **changes: Any) -> NoticePost:
        """One more node on the same database."""
        notices: dict[str, Any] = {
            "page": PAGE,
            "phone": PHONE,
            "texts_a_second": 1000,
            "emails_a_second": 1000,
        }
        config = make_config(1, notices=notices | changes)
        server = Mail(
            "127.0.0.1",
            "notices@maple.example",
            port=self.mail.port,
            security=MailSecurity.NONE,
            timeout_seconds=5,
        )
        mailer = Mailer(server, "", name="Maple Bridge") if mail else None
        post = NoticePost(
            self.database.pool, PARTS, config, shop.MASTER, self.clock, tell=self._hear, mailer=mailer
        )
        self.posts.append(post)
        return post

    async def _hear(self, entry: CardEntry, words: str) -> tuple[int, ...] | TextRefusal:
        if self.refusal is not None:
            return self.refusal
        self.heard.append((entry.card.id, words))
        return (1_000_000 + len(self.heard),)

    async def tick(self, **by: float) -> None:
        """Let time go by, and every node do what is due."""
        self.clock.move(timedelta(**by) if by else timedelta(seconds=10))
        for post in self.posts:
            await post.prepare(self.clock.now())
            await post.tick()

    async def move_to(self, time: str) -> None:
        """Go forward by the plan's clock, and let every node do what is due."""
        self.clock.move_to(to_instant(local(time), TORONTO))
        await self.tick(seconds=0)

    async def notices(self) -> tuple[MadeNotice, ...]:
        async with connection(self.database.pool) as borrowed:
            return await list_notices(borrowed)

    async def fetch(self, sql: str, *arguments: object) -> list[dict[str, Any]]:
        async with connection(self.database.pool) as borrowed:
            return [dict(row) for row in await borrowed.fetch(sql, *arguments)]

    async def states(self, notice_id: int) -> list[tuple[str, str]]:
        """State and channel of each recipient, by subscriber."""
        rows = await self.fetch(
            "SELECT state, channel FROM notice_recipient WHERE notice_id = $1 ORDER BY subscriber_id, occasion",
            notice_id,
        )
        return [(row["state"], row["channel"]) for row in rows]

    async def attempts(self, notice_id: int) -> list[tuple[str, str, str]]:
        rows = await self.fetch(
            "SELECT channel, result, detail FROM notice_attempt WHERE notice_id = $1 ORDER BY subscriber_id, number",
            notice_id,
        )
        return [(row["channel"], row["result"], row["detail"]) for row in rows]

    # ---- the order

    async def start(self, plan: Plan) -> None:
        """Draft, approve and start an order."""
        async with connection(self.database.pool) as borrowed:
            drafted = await actions.draft_plan(
                borrowed, self.clock.now(), actor="staff:alice", text=write_plan(PlanFile(plan, ()))
            )
            version = await self._approve(borrowed, drafted)
            await actions.start(borrowed, self.clock.now(), actor="staff:alice")
            assert version

    async def amend(self, amendment: Extension | HostCut) -> None:
        async with connection(self.database.pool) as borrowed:
            proposed = await actions.amend(
                borrowed, self.clock.now(), actor="staff:alice", amendment=amendment
            )
            await self._approve(borrowed, proposed)

    async def stay(self, stay: Stay) -> None:
        async with connection(self.database.pool) as borrowed:
            proposed = await actions.stay_order(borrowed, self.clock.now(), actor="staff:alice", stay=stay)
            await self._approve(borrowed, proposed)

    async def lift(self, until: str) -> None:
        async with connection(self.database.pool) as borrowed:
            proposed = await actions.lift(
                borrowed, self.clock.now(), actor="staff:alice", until=local(until), since=None
            )
            await self._approve(borrowed, proposed)

    async def _approve(self, borrowed: Connection, proposed: object) -> int:
        assert isinstance(proposed, Version), proposed
        for actor in ("staff:alice", "staff:bob"):
            approved = await actions.approve_version(
                borrowed, self.clock.now(), actor=actor, number=proposed.number
            )
            assert isinstance(approved, Version), approved
        return proposed.number


@asynccontextmanager
async def open_post(database: Database, *, cards: int = 2, **changes: Any) -> AsyncIterator[Post]:
    """An operator with some cards sold, and one node; `changes` are of its [notices]."""
    async with connection(database.pool) as borrowed:
        await shop.open_shop(borrowed)
        for _ in range(cards):
            await shop.sell(borrowed)
    async with open_mail_server() as mail:
        post = Post(database, MovedClock(shop.AT + timedelta(days=1)), mail)
        post.open_node(**changes)
        yield post
