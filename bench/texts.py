"""Texts a second from one end to the other, with everything on this machine.

One process is `onecard serve` on its embedded PostgreSQL (fsync on). Another is both the load generator, an ESME of the
host that submits texts of cards and wants receipts, and the next hop, a message centre that takes every text and
reports it delivered. A text counts when its receipt is back at the ESME: by then it was accepted, charged,
made durable, handed over, receipted, and its receipt made durable and delivered.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

from bench import Figure
from bench.operator import Operator, free_port, open_operator
from onecard.gateways.smpp.constants import CommandId, CommandStatus
from onecard.gateways.smpp.pdus import ShortMessage
from onecard.gateways.smpp.session import SessionSettings
from onecard.sealing.passwords import hash_password
from onecard.story.peers import Esme, MessageCentre, PeerConnection, bind_esme
from onecard.values.address import international, unknown

SESSIONS = 2
WINDOW = 500
SECONDS = 15.0
WARM_UP_TEXTS = 3000
BODY = b"Meet me at the usual place at half past six, and bring the umbrella."
CONFIG = """
[smpp]
listen = "127.0.0.1:{smpp}"
[http]
listen = "127.0.0.1:{http}"
[[links]]
name = "host"
role = "host"
system_id = "host"
password_hash = "{hash}"
cards = ["302990"]
window_in = {window}
window_out = {window}
[[links]]
name = "carrier"
role = "home"
system_id = "onecard"
numbers = ["+1"]
window_in = {window}
window_out = {window}
connect = {{ address = "127.0.0.1:{carrier}" }}
"""


async def measure() -> list[Figure]:
    """Fill the window for the most, then send at half of that at even intervals for the delays."""
    async with _bench() as bench:
        await bench.send(WARM_UP_TEXTS, a_second=None)
        most = await bench.send_for(SECONDS, a_second=None)
        half = await bench.send_for(SECONDS, a_second=most.a_second / 2)
        balanced = await bench.operator.is_balanced()
    return [
        Figure("texts end to end, window full", most.a_second, "texts/s"),
        Figure("of those refused", most.refused, "texts"),
        Figure("at half that: submit_sm to its answer, p50", half.percentile(half.answer_seconds, 50), "ms"),
        Figure("at half that: submit_sm to its answer, p99", half.percentile(half.answer_seconds, 99), "ms"),
        Figure(
            "at half that: submit_sm to its receipt, p50", half.percentile(half.receipt_seconds, 50), "ms"
        ),
        Figure(
            "at half that: submit_sm to its receipt, p99", half.percentile(half.receipt_seconds, 99), "ms"
        ),
        Figure("charges found wrong by the ledger check", 0 if balanced else 1, "violations"),
    ]


@dataclass(slots=True)
class Run:
    """What one run measured."""

    started: float
    sent_at: dict[str, float] = field(default_factory=dict)
    early_receipts: dict[str, float] = field(default_factory=dict)
    answer_seconds: list[float] = field(default_factory=list)
    receipt_seconds: list[float] = field(default_factory=list)
    refused: int = 0
    ended: float = 0.0

    @property
    def a_second(self) -> float:
        return len(self.receipt_seconds) / (self.ended - self.started)

    @staticmethod
    def percentile(seconds: list[float], percent: int) -> float:
        """In milliseconds."""
        return statistics.quantiles(seconds, n=100)[percent - 1] * 1000


@dataclass(slots=True)
class Bench:
    """The running node, and the load around it."""

    operator: Operator
    esmes: list[Esme] = field(default_factory=list)
    run: Run = field(default_factory=lambda: Run(0.0))
    next_text: int = 0

    def on_receipt(self, _: PeerConnection, message: ShortMessage) -> tuple[CommandStatus, str]:
        """A receipt came back: its text is done."""
        message_id = message.body[3 : message.body.index(b" ")].decode()
        now = time.perf_counter()
        sent_at = self.run.sent_at.pop(message_id, None)
        if sent_at is None:
            self.run.early_receipts[message_id] = now
        else:
            self.run.receipt_seconds.append(now - sent_at)
        return CommandStatus.ESME_ROK, ""

    async def send_for(self, seconds: float, *, a_second: float | None) -> Run:
        """Send for a time, then wait for the last receipt."""
        self.run = Run(time.perf_counter())
        stop_at = self.run.started + seconds
        senders = [self._fill(esme, stop_at=stop_at, a_second=a_second) for esme in self.esmes]
        await asyncio.gather(*senders)
        await self._drain()
        return self.run

    async def send(self, count: int, *, a_second: float | None) -> Run:
        """Send a number of texts, then wait for the last receipt."""
        self.run = Run(time.perf_counter())
        share = count // len(self.esmes)
        await asyncio.gather(*(self._fill(esme, count=share, a_second=a_second) for esme in self.esmes))
        await self._drain()
        return self.run

    async def _fill(
        self, esme: Esme, *, a_second: float | None, stop_at: float = float("inf"), count: int = sys.maxsize
    ) -> None:
        """Keep the window full, or keep to the pace."""
        pace = a_second / len(self.esmes) if a_second else None
        begun = time.perf_counter()
        sent = 0
        while sent < count and (now := time.perf_counter()) < stop_at:
            due = count if pace is None else min(count, int((now - begun) * pace) + 1)
            while sent < due and esme.connection.session.window_open:
                self._submit(esme)
                sent += 1
            await asyncio.sleep(0.001)

    def _submit(self, esme: Esme) -> None:
        self.next_text += 1
        primary = self.operator.primaries[self.next_text % len(self.operator.primaries)]
        far = f"1604777{self.next_text % 10_000:04d}"
        sent_at = time.perf_counter()
        answer = esme.connection.send_nowait(
            ShortMessage(
                CommandId.SUBMIT_SM, international(primary), unknown(far), BODY, registered_delivery=1
            )
        )
        answer.add_done_callback(
            lambda done: self._on_answer(done.result().status, done.result().message_id, sent_at)
        )

    def _on_answer(self, status: int, message_id: str, sent_at: float) -> None:
        now = time.perf_counter()
        if status:
            self.run.refused += 1
            return
        self.run.answer_seconds.append(now - sent_at)
        early = self.run.early_receipts.pop(message_id, None)
        if early is None:
            self.run.sent_at[message_id] = sent_at
        else:
            self.run.receipt_seconds.append(early - sent_at)

    async def _drain(self) -> None:
        """Wait until every text is receipted: the time it takes is part of the measure."""
        give_up = time.perf_counter() + 60
        while any(esme.connection.session.unanswered for esme in self.esmes) or self.run.sent_at:
            if time.perf_counter() > give_up:
                raise TimeoutError(f"{len(self.run.sent_at)} texts have no receipt")
            await asyncio.sleep(0.01)
        self.run.ended = time.perf_counter()


@asynccontextmanager
async def _bench() -> AsyncIterator[Bench]:
    async with AsyncExitStack() as stack:
        carrier = MessageCentre("", settings=SessionSettings(incoming_window=10_000, outgoing_window=WINDOW))
        await carrier.listen()
        stack.push_async_callback(carrier.close)
        operator = await stack.enter_async_context(open_operator())
        ports = {"smpp": free_port(), "http": free_port(), "carrier": carrier.port}
        configuration = CONFIG.format(hash=hash_password("bench"), window=2 * WINDOW, **ports)
        await stack.enter_async_context(operator.run_nodes((configuration, ports["smpp"])))
        bench = Bench(operator)
        for _ in range(SESSIONS):
            esme = await _bind(bench, ports["smpp"])
            stack.push_async_callback(esme.connection.close)
            bench.esmes.append(esme)
        while not carrier.connections:
            await asyncio.sleep(0.05)
        yield bench


async def _bind(bench: Bench, port: int) -> Esme:
    settings = SessionSettings(incoming_window=10_000, outgoing_window=WINDOW)
    return await bind_esme("127.0.0.1", port, "host", "bench", on_text=bench.on_receipt, settings=settings)
