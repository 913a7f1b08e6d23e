"""Credit control a second over Diameter, each request durable before its answer.

The nodes are `onecard serve`, one a core, on one embedded PostgreSQL (fsync on); this process sends CCRs over TCP as
networks would: whole sessions (initial, two updates, terminate), then only updates of sessions that stay open.
Requests are patched into encoded templates and answers are read by their Result-Code, so that the load costs little
beside what is measured. The reference is the same money moved one transaction a request, on the same server.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import struct
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import cast
from uuid import uuid4

from bench import Figure
from bench.operator import Operator, free_port, open_operator
from onecard.database.embedded import attach
from onecard.database.pool import Pool, connection, open_pool
from onecard.gateways.diameter.codec import encode_message
from onecard.gateways.diameter.constants import (
    ApplicationId,
    CommandCode,
    Flag,
    RequestType,
    SubscriptionIdType,
)
from onecard.gateways.diameter.messages import (
    CapabilitiesExchangeRequest,
    CreditControlRequest,
    ImsInformation,
    Message,
    RequestedUnits,
    ServiceInformation,
    ServiceRequest,
    SubscriptionId,
    UsedUnits,
)
from onecard.values.phone import E164

HOST, REALM = "network.example", "example"
SESSION_ID = "network.example;1;00000000"
PLACE = SESSION_ID.encode()
RESULT_CODE = struct.pack(">IBBH", 268, 0x40, 0, 12)
GROUP_RESULT_CODE = struct.pack(">I", 2001)
REQUEST_NUMBER = struct.pack(">IBBH", 415, 0x40, 0, 12)
NODES = os.cpu_count() or 1
WINDOW = 300  # sessions at once, a node
UPDATES = 2
SECONDS = 12.0
WARM_UP_SECONDS = 3.0
CLIENTS = 16
REFERENCE_ACCOUNTS = 400
STATE = bytes(400)
MAKE_REFERENCE = """
CREATE TABLE reference_account (id bigint PRIMARY KEY, available bigint NOT NULL, held bigint NOT NULL);
CREATE TABLE reference_entry (account_id bigint, event_id uuid, available bigint, PRIMARY KEY (account_id, event_id));
CREATE TABLE reference_session (id text PRIMARY KEY, number bigint NOT NULL, state bytea NOT NULL);
INSERT INTO reference_account SELECT i, 1000000000000, 0 FROM generate_series(1, 400) i"""
MOVE_REFERENCE = "UPDATE reference_account SET available = available + $2, held = held + $3 WHERE id = $1"
JOURNAL_REFERENCE = "INSERT INTO reference_entry VALUES ($1, $2, $3)"
SESSION_REFERENCE = """
INSERT INTO reference_session VALUES ($1, $2, $3)
ON CONFLICT (id) DO UPDATE SET number = excluded.number, state = excluded.state"""
CONFIG = """
[smpp]
listen = "127.0.0.1:{smpp}"
[http]
listen = "127.0.0.1:{http}"
[diameter]
host = "ocs.onecard.example"
realm = "onecard.example"
listen = "127.0.0.1:{diameter}"
[[diameter.peers]]
host = "network.example"
requests_most = 10000
"""


async def measure() -> list[Figure]:
    """Whole sessions and updates with the window full, then updates at half of that for the delays."""
    async with open_operator() as operator:
        ports = [{name: free_port() for name in ("smpp", "http", "diameter")} for _ in range(NODES)]
        nodes = [(CONFIG.format(**each), each["diameter"]) for each in ports]
        async with operator.run_nodes(*nodes):
            addresses = [each["diameter"] for each in ports]
            sessions = await _run(operator, addresses, forever=False)
            updates = await _run(operator, addresses, forever=True)
            half = await _run(operator, addresses, forever=True, a_second=updates.a_second / 2)
            balanced = await operator.is_balanced()
            reference = await _measure_reference(operator)
    nodes_say = f"{NODES} nodes"
    return [
        Figure(f"CCR of whole sessions, {nodes_say}", sessions.a_second, "CCR/s"),
        Figure(f"sessions, {nodes_say}", sessions.a_second / (UPDATES + 2), "sessions/s"),
        Figure(f"single updates, {nodes_say}", updates.a_second, "CCR/s"),
        Figure("at half that: CCR to its CCA, p50", half.percentile(50), "ms"),
        Figure("at half that: CCR to its CCA, p99", half.percentile(99), "ms"),
        Figure(f"reference: one transaction a request, {CLIENTS} connections", reference, "requests/s"),
        Figure("single updates to the reference", updates.a_second / reference, "times"),
        Figure("answers that were not 2001", sessions.failed + updates.failed + half.failed, "answers"),
        Figure("charges found wrong by the ledger check", 0 if balanced else 1, "violations"),
    ]


async def _measure_reference(operator: Operator) -> float:
    """What an update does to the database, without batches: lock, move the money, journal, session, commit."""
    server = await attach(operator.directory / "data")
    async with open_pool(server.dsn, connections_most=CLIENTS) as pool:
        async with connection(pool) as borrowed:
            await borrowed.execute(MAKE_REFERENCE)
        begun = time.perf_counter()
        stop_at = begun + SECONDS
        counts = await asyncio.gather(*(_transact(pool, client, stop_at) for client in range(CLIENTS)))
        return sum(counts) / (time.perf_counter() - begun)


async def _transact(pool: Pool, client: int, stop_at: float) -> int:
    count = 0
    async with connection(pool) as borrowed:
        while time.perf_counter() < stop_at:
            count += 1
            account = 1 + (client * 1009 + count * 7) % REFERENCE_ACCOUNTS
            async with borrowed.transaction():
                await borrowed.fetchrow(
                    "SELECT available FROM reference_account WHERE id = $1 FOR UPDATE", account
                )
                await borrowed.execute(MOVE_REFERENCE, account, -30_000, 0)
                await borrowed.execute(JOURNAL_REFERENCE, account, uuid4(), -30_000)
                await borrowed.execute(SESSION_REFERENCE, f"network.example;{client};{account}", count, STATE)
    return count


@dataclass(frozen=True, slots=True)
class Measured:
    """What one run gave."""

    a_second: float
    failed: int
    seconds: list[float]

    def percentile(self, percent: int) -> float:
        """In milliseconds."""
        return statistics.quantiles(self.seconds, n=100)[percent - 1] * 1000


_sessions = iter(range(0, 100_000_000, 1_000_000))


async def _run(
    operator: Operator, ports: list[int], *, forever: bool, a_second: float | None = None
) -> Measured:
    async with AsyncExitStack() as stack:
        loads = [
            await stack.enter_async_context(_open_load(operator, port, forever, a_second, len(ports)))
            for port in ports
        ]
        await asyncio.sleep(WARM_UP_SECONDS)
        for load in loads:
            load.reset()
        begun = time.perf_counter()
        await asyncio.sleep(SECONDS)
        lasted = time.perf_counter() - begun
        seconds = [second for load in loads for second in load.seconds]
        return Measured(len(seconds) / lasted, sum(load.failed for load in loads), seconds)


@asynccontextmanager
async def _open_load(
    operator: Operator, port: int, forever: bool, a_second: float | None, loads: int
) -> AsyncIterator[Load]:
    kinds = (RequestType.INITIAL, RequestType.UPDATE, RequestType.TERMINATION)
    templates = {kind: [make_template(kind, msisdn) for msisdn in operator.primaries] for kind in kinds}
    pace = a_second / loads if a_second else None
    load = Load(templates, UPDATES, forever=forever, a_second=pace, first_session=next(_sessions))
    await asyncio.get_running_loop().create_connection(lambda: load, "127.0.0.1", port)
    await load.opened.wait()
    for _ in range(WINDOW):
        load.start()
    load.flush()
    pacing = asyncio.ensure_future(load.pace()) if pace else None
    try:
        yield load
    finally:
        load.stop()
        if pacing:
            await pacing
        await load.end()


@dataclass(slots=True)
class Template:
    """An encoded CCR, and where its session, number and ids are to be written."""

    frame: bytes
    session_at: int = 0
    number_at: int = 0

    def __post_init__(self) -> None:
        self.session_at = self.frame.index(PLACE)
        self.number_at = self.frame.index(REQUEST_NUMBER) + 8

    def fill(self, session: int, number: int, hop_by_hop: int) -> bytes:
        frame = bytearray(self.frame)
        struct.pack_into(">II", frame, 12, hop_by_hop, hop_by_hop)
        frame[self.session_at + 18 : self.session_at + 26] = b"%08d" % session
        struct.pack_into(">I", frame, self.number_at, number)
        return bytes(frame)


def make_template(kind: RequestType, msisdn: E164) -> Template:
    """A voice call of one rating group: 30 s asked for, 30 s used."""
    asked = RequestedUnits(time_seconds=30)
    used = (UsedUnits(time_seconds=30),)
    service = ServiceRequest(
        rating_group=1,
        requested=None if kind is RequestType.TERMINATION else asked,
        used=() if kind is RequestType.INITIAL else used,
    )
    request = CreditControlRequest(
        SESSION_ID,
        HOST,
        REALM,
        "onecard.example",
        ApplicationId.CREDIT_CONTROL,
        "32260@3gpp.org",
        kind,
        0,
        event_timestamp=datetime.now(UTC),
        subscription_ids=(SubscriptionId(SubscriptionIdType.E164, msisdn.removeprefix("+")),),
        services=(service,),
        service_information=ServiceInformation(ims=ImsInformation(called_party="tel:+16047771234")),
    )
    flags = Flag.REQUEST | Flag.PROXIABLE
    return Template(
        encode_message(
            Message(CommandCode.CREDIT_CONTROL, flags, ApplicationId.CREDIT_CONTROL, 0, 0, request)
        )
    )


@dataclass(slots=True)
class Load(asyncio.Protocol):
    """One connection that keeps a window of sessions busy."""

    templates: dict[RequestType, list[Template]]
    updates: int
    """How many updates a session has; 0 with `forever`: it is never ended."""
    forever: bool = False
    a_second: float | None = None
    answered: int = 0
    failed: int = 0
    seconds: list[float] = field(default_factory=list)
    first_session: int = 0
    _next_session: int = 0
    _next_id: int = 1
    _asked: dict[int, tuple[int, int, float]] = field(default_factory=dict)
    _idle: deque[tuple[int, int]] = field(default_factory=deque)
    _buffer: bytes = b""
    _transport: asyncio.Transport | None = None
    _stopped: bool = False
    _output: list[bytes] = field(default_factory=list)
    opened: asyncio.Event = field(default_factory=asyncio.Event)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        hello = CapabilitiesExchangeRequest(HOST, REALM, 0, "bench", auth_application_ids=(4,))
        frame = encode_message(Message(CommandCode.CAPABILITIES_EXCHANGE, Flag.REQUEST, 0, 1, 1, hello))
        self._transport.write(frame)

    def data_received(self, data: bytes) -> None:
        data = self._buffer + data
        position = 0
        while len(data) - position >= 4:
            end = position + (int.from_bytes(data[position : position + 4], "big") & 0xFFFFFF)
            if end > len(data):
                break
            self._take(data[position:end])
            position = end
        self._buffer = data[position:]
        self.flush()

    def _take(self, frame: bytes) -> None:
        if not self.opened.is_set():
            self.opened.set()
            return
        hop_by_hop = int.from_bytes(frame[12:16], "big")
        asked = self._asked.pop(hop_by_hop, None)
        if asked is None:
            return
        session, number, sent_at = asked
        self.answered += 1
        self.seconds.append(time.perf_counter() - sent_at)
        if frame[frame.index(RESULT_CODE) + 8 :][:4] != GROUP_RESULT_CODE:
            self.failed += 1
        self._go_on(session, number + 1)

    def _go_on(self, session: int, number: int) -> None:
        if self._stopped:
            return
        if self.a_second is not None:
            self._idle.append((session, number))
        elif number > self.updates + 1 and not self.forever:
            self.start()
        else:
            self.ask(session, number)

    def start(self) -> None:
        """Begin another session."""
        self._next_session += 1
        self.ask(self.first_session + self._next_session, 0)

    def ask(self, session: int, number: int) -> None:
        """Send the next request of a session."""
        if number > self.updates + 1 and not self.forever:
            self.start()
            return
        kind = RequestType.UPDATE
        if number == 0:
            kind = RequestType.INITIAL
        elif number == self.updates + 1 and not self.forever:
            kind = RequestType.TERMINATION
        self._next_id += 1
        self._asked[self._next_id] = (session, number, time.perf_counter())
        templates = self.templates[kind]
        self._output.append(templates[session % len(templates)].fill(session, number, self._next_id))

    def flush(self) -> None:
        assert self._transport is not None
        if self._output:
            self._transport.write(b"".join(self._output))
            self._output.clear()

    async def pace(self) -> None:
        """Send at even intervals whatever is idle."""
        assert self.a_second is not None
        begun, sent = time.perf_counter(), 0
        while not self._stopped:
            due = int((time.perf_counter() - begun) * self.a_second)
            while sent < due and self._idle:
                self.ask(*self._idle.popleft())
                sent += 1
            self.flush()
            await asyncio.sleep(0.001)

    def reset(self) -> None:
        self.answered = self.failed = 0
        self.seconds.clear()

    def stop(self) -> None:
        """Send nothing more."""
        self._stopped = True

    async def end(self) -> None:
        """Wait for the last answers and leave."""
        while self._asked:
            await asyncio.sleep(0.01)
        assert self._transport is not None
        self._transport.close()
