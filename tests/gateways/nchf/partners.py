"""Network functions for the tests, and the application served on a real socket with a till of the test behind it."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from litestar import Litestar, Request, post
from litestar.response import Response

from onecard.charging.model import Answer, Ask, Grant, Result
from onecard.charging.model import Request as Asked
from onecard.gateways.http.server import serve_http
from onecard.gateways.nchf.consumers import Consumer, hash_token, make_token
from onecard.gateways.nchf.notify import Notifier, Patience
from onecard.gateways.nchf.server import COLLECTION, Charge, Nchf, mount
from onecard.values.clock import MovedClock

from .golden import AT

LOOPBACK = "127.0.0.1"
KEY = bytes(range(32))
TOKEN, OTHER_TOKEN, QUIET_TOKEN = make_token(), make_token(), make_token()
SMF = Consumer("smf", hash_token(TOKEN), frozenset({LOOPBACK, "smf.example"}), requests_most=4)
OTHER = Consumer("other", hash_token(OTHER_TOKEN))
QUIET = Consumer("quiet", hash_token(QUIET_TOKEN), requests_most=1000)
JSON = "application/json"


@dataclass(slots=True)
class Till:
    """Grants what is asked for, or answers with `result`; keeps what it was asked."""

    asked: list[Asked] = field(default_factory=list)
    result: Result = Result.SUCCESS
    error: Exception | None = None
    open: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.open.set()

    async def charge(self, request: Asked) -> Answer:
        self.asked.append(request)
        await self.open.wait()
        if self.error is not None:
            raise self.error
        if self.result is not Result.SUCCESS:
            return Answer(self.result)
        return Answer(self.result, tuple(_grant(ask) for ask in request.asks))


def _grant(ask: Ask) -> Grant:
    units = 1_000_000 if ask.wanted is None else ask.wanted
    return Grant(ask.rating_group, Result.SUCCESS, units if ask.wants else 0, 3600)


@dataclass(frozen=True, slots=True)
class Office:
    """The application on its socket."""

    address: str
    till: Till
    notifier: Notifier


@asynccontextmanager
async def open_office(
    charge: Charge | None = None, notifier: Notifier | None = None, till: Till | None = None
) -> AsyncIterator[Office]:
    """Serve the application, mounted as it is in the node."""
    till = till or Till()
    notifier = notifier or Notifier(lambda _account: ())
    nchf = Nchf(
        charge or till.charge,
        (SMF, OTHER, QUIET),
        key=KEY,
        clock=MovedClock(AT),
        notifier=notifier,
    )
    application = Litestar([mount(nchf)], openapi_config=None)
    try:
        async with serve_http(application, LOOPBACK, 0) as address:
            yield Office(address, till, notifier)
    finally:
        await notifier.close()


@contextmanager
def open_office_beside() -> Iterator[str]:
    """The same in a thread with a loop of its own, for clients that block; yields its root."""
    roots: list[str] = []
    ready, over = threading.Event(), threading.Event()

    async def run() -> None:
        async with open_office() as office:
            roots.append(f"http://{office.address}")
            ready.set()
            await asyncio.to_thread(over.wait)

    thread = threading.Thread(target=asyncio.run, args=(run(),))
    thread.start()
    try:
        assert ready.wait(30)
        yield roots[0]
    finally:
        over.set()
        thread.join(30)


@asynccontextmanager
async def call(
    office: Office, token: str | None = TOKEN, *, http2: bool = True
) -> AsyncIterator[httpx.AsyncClient]:
    """A consumer: HTTP/2 by prior knowledge, or HTTP/1.1."""
    headers = {"authorization": f"Bearer {token}"} if token else {}
    async with httpx.AsyncClient(
        base_url=f"http://{office.address}", headers=headers, http1=not http2, http2=http2, trust_env=False
    ) as client:
        yield client


def path_of(reference: str, verb: str) -> str:
    return f"{COLLECTION}/{reference}/{verb}"


def reference_in(answer: httpx.Response) -> str:
    """The ChargingDataRef that a consumer was given."""
    assert answer.status_code == 201, answer.text
    location = answer.headers["location"]
    assert location.startswith(f"http://{answer.url.netloc.decode()}{COLLECTION}/")
    return str(location.rpartition("/")[2])


def assert_problem(answer: httpx.Response, status: int, cause: str | None = None) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    document: dict[str, Any] = answer.json()
    assert document["status"] == status
    assert document.get("cause") == cause
    return document


@dataclass(slots=True)
class Callback:
    """Where a consumer is notified: answers with these statuses in turn, the last one for ever."""

    statuses: list[int]
    came: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    address: str = ""

    async def until_came(self, count: int) -> None:
        await until(lambda: len(self.came) >= count)


async def until(comes_true: Callable[[], bool]) -> None:
    """Wait for something that happens elsewhere."""
    for _ in range(1000):
        if comes_true():
            return
        await asyncio.sleep(0.01)
    pytest.fail("it did not happen")


@asynccontextmanager
async def open_callback(*statuses: int) -> AsyncIterator[Callback]:
    """A consumer's server."""
    callback = Callback(list(statuses))

    @post("/notify")
    async def take(request: Request[Any, Any, Any]) -> Response[bytes]:
        callback.came.append((str(request.scope["http_version"]), json.loads(await request.body())))
        status = callback.statuses.pop(0) if len(callback.statuses) > 1 else callback.statuses[0]
        return Response(b"", status_code=status, headers={"location": f"http://{callback.address}/notify"})

    async with serve_http(Litestar([take], openapi_config=None), LOOPBACK, 0) as address:
        callback.address = address
        yield callback


QUICK = Patience(answer_seconds=5.0, delays_seconds=(0.01, 0.01))
