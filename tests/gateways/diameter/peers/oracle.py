"""python-diameter as a client: a node of its own with threads of its own, asked from asyncio."""

from __future__ import annotations

import asyncio
import queue
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from diameter.message import Message as TheirMessage  # type: ignore[import-untyped]
from diameter.message.commands import CreditControlRequest as TheirRequest  # type: ignore[import-untyped]
from diameter.node import Node as TheirNode  # type: ignore[import-untyped]
from diameter.node.application import SimpleThreadingApplication  # type: ignore[import-untyped]

from onecard.gateways.diameter.codec import encode_message
from onecard.gateways.diameter.messages import Message

CREDIT_CONTROL = 4
READY_SECONDS = 20
ANSWER_SECONDS = 10


class Oracle:
    """A client that is connected."""

    def __init__(self, application: Any) -> None:
        self._application = application
        self.asked: queue.Queue[Any] = queue.Queue()
        """What it was asked itself: RAR."""

    async def ask(self, message: Message) -> Any:
        """Have it read a request of ours, write it its own way, and send it; returns its answer as it reads it."""
        theirs = TheirMessage.from_bytes(encode_message(message))
        assert isinstance(theirs, TheirRequest)
        theirs.header.hop_by_hop_identifier = 0  # it numbers what it sends by itself
        return await asyncio.to_thread(self._application.send_request, theirs, ANSWER_SECONDS)

    async def next_asked(self) -> Any:
        """The next request that it got."""
        return await asyncio.to_thread(self.asked.get, timeout=ANSWER_SECONDS)


@asynccontextmanager
async def run_oracle(
    host: str, realm: str, *, peer_host: str, peer_realm: str, port: int, realms: list[str] | None = None
) -> AsyncIterator[Oracle]:
    """Connect as `host` to a peer on this machine, through which the `realms` are to be reached too."""

    def answer_request(application: Any, message: Any) -> Any:
        oracle.asked.put(message)
        return application.generate_answer(message, result_code=2002)

    node = TheirNode(host, realm, ip_addresses=["127.0.0.1"], vendor_ids=[10415])
    node.wakeup_interval = 1  # it stops no sooner than it wakes up
    peer = node.add_peer(
        f"aaa://{peer_host}:{port};transport=tcp", peer_realm, ip_addresses=["127.0.0.1"], is_persistent=True
    )
    application = SimpleThreadingApplication(
        CREDIT_CONTROL, is_auth_application=True, request_handler=answer_request
    )
    # It takes a request only for a realm that it would ask this peer for.
    node.add_application(application, [peer], [realm, *(realms or [])])
    oracle = Oracle(application)
    await asyncio.to_thread(node.start)
    try:
        await asyncio.to_thread(application.wait_for_ready, READY_SECONDS)
        yield oracle
    finally:
        await asyncio.to_thread(node.stop, 1)
