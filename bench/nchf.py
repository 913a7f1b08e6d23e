"""5G charging a second over HTTP/1.1: one-time events of Nchf, each durable before its answer.

One process is `onecard serve` on its embedded PostgreSQL (fsync on); this one posts ready-made documents over a
number of connections, one request at a time on each.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import cast

from bench import Figure
from bench.operator import free_port, open_operator
from onecard.gateways.nchf.consumers import hash_token
from onecard.values.phone import E164

TOKEN = "bench"  # noqa: S105  (a made-up one)
CONNECTIONS = 64
SECONDS = 10.0
WARM_UP_SECONDS = 2.0
CONFIG = """
[smpp]
listen = "127.0.0.1:{smpp}"
[http]
listen = "127.0.0.1:{http}"
[[charging.consumers]]
name = "bench"
token_hash = "{token_hash}"
requests_most = 10000
"""
PATH = "/nchf-convergedcharging/v3/chargingdata"


async def measure() -> list[Figure]:
    """Post as fast as answers come."""
    async with open_operator() as operator:
        ports = {name: free_port() for name in ("smpp", "http")}
        configuration = CONFIG.format(**ports, token_hash=hash_token(TOKEN))
        async with operator.run_nodes((configuration, ports["http"])):
            posters = [Poster(operator.primaries, number) for number in range(CONNECTIONS)]
            for poster in posters:
                await _connect(poster, ports["http"])
            await asyncio.sleep(WARM_UP_SECONDS)
            for poster in posters:
                poster.reset()
            begun = time.perf_counter()
            await asyncio.sleep(SECONDS)
            lasted = time.perf_counter() - begun
            seconds = [second for poster in posters for second in poster.seconds]
            failed = sum(poster.failed for poster in posters)
            for poster in posters:
                poster.stop()
            balanced = await operator.is_balanced()
    percentiles = statistics.quantiles(seconds, n=100)
    return [
        Figure(f"one-time events over {CONNECTIONS} connections", len(seconds) / lasted, "requests/s"),
        Figure("request to its answer, p50", percentiles[49] * 1000, "ms"),
        Figure("request to its answer, p99", percentiles[98] * 1000, "ms"),
        Figure("answers that were not 201", failed, "answers"),
        Figure("charges found wrong by the ledger check", 0 if balanced else 1, "violations"),
    ]


async def _connect(poster: Poster, port: int) -> None:
    await asyncio.get_running_loop().create_connection(lambda: poster, "127.0.0.1", port)


@dataclass(slots=True)
class Poster(asyncio.Protocol):
    """One connection: a request, its answer, the next request."""

    primaries: Sequence[E164]
    number: int
    seconds: list[float] = field(default_factory=list)
    failed: int = 0
    _count: int = 0
    _sent_at: float = 0.0
    _buffer: bytes = b""
    _transport: asyncio.Transport | None = None
    _stopped: bool = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._post()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, parted, body = self._buffer.partition(b"\r\n\r\n")
        if not parted or len(body) < _content_length(head):
            return
        self._buffer = b""
        self.seconds.append(time.perf_counter() - self._sent_at)
        self.failed += not head.startswith(b"HTTP/1.1 201")
        if not self._stopped:
            self._post()

    def reset(self) -> None:
        self.seconds.clear()
        self.failed = 0

    def stop(self) -> None:
        self._stopped = True

    def _post(self) -> None:
        self._count += 1
        msisdn = self.primaries[(self.number + self._count * CONNECTIONS) % len(self.primaries)]
        document = {
            "nfConsumerIdentification": {"nodeFunctionality": "SMSF"},
            "invocationTimeStamp": datetime.now(UTC).isoformat(),
            "invocationSequenceNumber": self._count,
            "oneTimeEvent": True,
            "oneTimeEventType": "IEC",
            "subscriberIdentifier": f"msisdn-{msisdn.removeprefix('+')}",
            "sMSChargingInformation": {
                "recipientInfo": [{"recipientGPSI": f"msisdn-1604777{self.number:04d}"}]
            },
        }
        body = json.dumps(document).encode()
        head = (
            f"POST {PATH} HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {TOKEN}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        assert self._transport is not None
        self._sent_at = time.perf_counter()
        self._transport.write(head.encode() + body)


def _content_length(head: bytes) -> int:
    lines = head.lower().split(b"\r\n")
    return next((int(line[15:]) for line in lines if line.startswith(b"content-length:")), 0)
