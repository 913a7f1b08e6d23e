"""Nchf_ConvergedCharging as a plain ASGI application (TS 32.291 section 6.1): one JSON document in, one out.

It is mounted in the application for machines, and reads and writes the messages of ASGI itself: a framework's own
request and response take several times as long as all that is done here.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import structlog
from litestar import asgi
from litestar.handlers import ASGIRouteHandler
from litestar.types import Receive, Scope, Send

from onecard.charging.model import Answer, Operation, Request, Result
from onecard.gateways.nchf.codec import ChargingDataRequest, decode_request, encode
from onecard.gateways.nchf.consumers import Consumer, Consumers, may_notify
from onecard.gateways.nchf.notify import Notifier
from onecard.gateways.nchf.problems import Cause, Problem, bad_request, problem
from onecard.gateways.nchf.references import KEY_BYTES, make_reference, session_id_of, usage_of
from onecard.gateways.nchf.translate import (
    NchfSettings,
    read_request,
    read_usage,
    write_answer,
    write_problem,
)
from onecard.values.clock import Clock

log = structlog.get_logger(__name__)

Charge = Callable[[Request], Awaitable[Answer]]
Headers = list[tuple[bytes, bytes]]

API = "/nchf-convergedcharging/v3"
COLLECTION = f"{API}/chargingdata"
BODY_OCTETS_MOST = 65_536
BODY_SECONDS = 10.0
"""A body that has not come by then will not come."""

JSON = (b"content-type", b"application/json")
PROBLEM_JSON = (b"content-type", b"application/problem+json")
RETRY_LATER = (b"retry-after", b"1")
_MORE_HEADERS: dict[HTTPStatus, Headers] = {
    HTTPStatus.UNAUTHORIZED: [(b"www-authenticate", b'Bearer realm="onecard"')],
    HTTPStatus.METHOD_NOT_ALLOWED: [(b"allow", b"POST")],
    HTTPStatus.TOO_MANY_REQUESTS: [RETRY_LATER],
    HTTPStatus.SERVICE_UNAVAILABLE: [RETRY_LATER],
}
_OPERATIONS = {"update": Operation.UPDATE, "release": Operation.TERMINATE}


class ConsumerLeft(Exception):
    """The connection closed before the request was complete."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer over HTTP."""

    status: HTTPStatus
    headers: Headers
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Target:
    """What a request is directed at: a new session, or one that goes on or ends."""

    operation: Operation
    reference: str = ""


class Nchf:
    """The application. One a node; `charge` answers durably, in our own words."""

    def __init__(
        self,
        charge: Charge,
        consumers: Iterable[Consumer],
        *,
        key: bytes,
        clock: Clock,
        notifier: Notifier,
        settings: NchfSettings | None = None,
    ) -> None:
        assert len(key) == KEY_BYTES
        self._charge = charge
        self._consumers = Consumers(consumers)
        self._key = key
        self._clock = clock
        self._notifier = notifier
        self._settings = settings or NchfSettings()
        self._under_way: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        try:
            reply = await self._reply(scope, receive)
        except ConsumerLeft:
            return
        except Exception:
            log.exception("a charging request failed")
            reply = _reply_with(
                problem(HTTPStatus.INTERNAL_SERVER_ERROR, Cause.SYSTEM_FAILURE, "this is our mistake")
            )
        headers = reply.headers
        if reply.status is not HTTPStatus.NO_CONTENT:
            headers = [*headers, (b"content-length", str(len(reply.body)).encode())]
        await send({"type": "http.response.start", "status": int(reply.status), "headers": headers})
        await send({"type": "http.response.body", "body": reply.body, "more_body": False})

    async def _reply(self, scope: Scope, receive: Receive) -> Reply:
        headers = dict(scope["headers"])
        target = _read_target(str(scope["path"]))
        if isinstance(target, Problem):
            return _reply_with(target)
        consumer = self._consumers.find(headers.get(b"authorization", b""))
        refusal = _check(scope["method"], headers, consumer)  # type: ignore[typeddict-item]
        if refusal is not None:
            return _reply_with(refusal)
        assert consumer is not None
        if self._under_way[consumer.name] >= consumer.requests_most:
            return _reply_with(
                problem(HTTPStatus.TOO_MANY_REQUESTS, Cause.CONGESTION_RISK, "too many requests at once")
            )
        self._under_way[consumer.name] += 1
        try:
            return await self._serve(consumer, target, _root_of(scope, headers), receive)
        finally:
            self._under_way[consumer.name] -= 1

    async def _serve(self, consumer: Consumer, target: Target, root: str, receive: Receive) -> Reply:
        body = await _read_body(receive)
        request = decode_request(body) if isinstance(body, bytes) else body
        if isinstance(request, Problem):
            return _reply_with(request)
        notify_uri = request.notify_uri if consumer.notify_hosts else None
        if notify_uri is not None and not may_notify(consumer, notify_uri):
            return _reply_with(_WRONG_NOTIFY_URI)
        if target.operation is Operation.INITIAL:
            return await self._open(consumer, request, self._settings.api_root or root)
        return await self._go_on(consumer, request, target)

    async def _open(self, consumer: Consumer, request: ChargingDataRequest, root: str) -> Reply:
        """A new session, or a one-time event."""
        usage = read_usage(request)
        if isinstance(usage, Problem):
            return _reply_with(usage)
        reference = make_reference(self._key, consumer.name, usage, request)
        operation = Operation.DEBIT if request.is_event else Operation.INITIAL
        asked = read_request(request, session_id_of(consumer.name, reference), operation, usage)
        if isinstance(asked, Problem):
            return _reply_with(asked)
        answer = await self._charge(asked)
        if answer.result is not Result.SUCCESS:
            return _reply_with(write_problem(answer.result, answer.stage))
        if operation is Operation.INITIAL:
            self._notifier.remember(asked.session_id, consumer, request.notify_uri)
        response = write_answer(request, usage, answer, self._settings, self._clock.now())
        location = (b"location", f"{root}{COLLECTION}/{reference}".encode())
        return Reply(HTTPStatus.CREATED, [JSON, location], encode(response))

    async def _go_on(self, consumer: Consumer, request: ChargingDataRequest, target: Target) -> Reply:
        """An update, or the end of a session."""
        usage = usage_of(target.reference)
        if usage is None:
            return _reply_with(write_problem(Result.UNKNOWN_SESSION))
        session_id = session_id_of(consumer.name, target.reference)
        asked = read_request(request, session_id, target.operation, usage)
        if isinstance(asked, Problem):
            return _reply_with(asked)
        answer = await self._charge(asked)
        if answer.result is not Result.SUCCESS:
            return _reply_with(write_problem(answer.result, answer.stage))
        if target.operation is Operation.TERMINATE:
            self._notifier.forget(session_id)
            return Reply(HTTPStatus.NO_CONTENT, [])
        self._notifier.remember(session_id, consumer, request.notify_uri)
        response = write_answer(request, usage, answer, self._settings, self._clock.now())
        return Reply(HTTPStatus.OK, [JSON], encode(response))


def mount(application: Nchf) -> ASGIRouteHandler:
    """The route handler by which the application for machines takes it in."""
    return asgi(API, is_mount=True, copy_scope=False)(application.__call__)


_WRONG_NOTIFY_URI = bad_request(
    Cause.OPTIONAL_IE_INCORRECT, "is not at a host where this consumer may be notified", "/notifyUri"
)


def _read_target(path: str) -> Target | Problem:
    """What a path names; mounted or not, it may come with or without the name of the service."""
    match path.removeprefix(API).strip("/").split("/"):
        case ["chargingdata"]:
            return Target(Operation.INITIAL)
        case ["chargingdata", reference, ("update" | "release") as verb]:
            return Target(_OPERATIONS[verb], reference)
    return problem(HTTPStatus.NOT_FOUND, Cause.URI_NOT_FOUND, "there is no such resource")


def _check(method: str, headers: dict[bytes, bytes], consumer: Consumer | None) -> Problem | None:
    """Turn away what need not be read."""
    if consumer is None:
        return problem(HTTPStatus.UNAUTHORIZED, None, "give the bearer token of a consumer")
    if method != "POST":
        return problem(HTTPStatus.METHOD_NOT_ALLOWED, None, "only POST is understood here")
    media_type = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
    if media_type != b"application/json":
        return problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, None, "send application/json")
    length = headers.get(b"content-length", b"0")
    if length.isdigit() and int(length[:20]) > BODY_OCTETS_MOST:
        return _TOO_LARGE
    return None


_TOO_LARGE = problem(
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE, None, f"a body has at most {BODY_OCTETS_MOST} octets"
)


async def _read_body(receive: Receive) -> bytes | Problem:
    body: bytes = b""
    try:
        async with asyncio.timeout(BODY_SECONDS):
            while True:
                message: Any = await receive()
                if message["type"] == "http.disconnect":
                    raise ConsumerLeft
                body += message.get("body", b"")
                if len(body) > BODY_OCTETS_MOST:
                    return _TOO_LARGE
                if not message.get("more_body", False):
                    return body
    except TimeoutError:
        return problem(HTTPStatus.REQUEST_TIMEOUT, None, "the body did not come")


def _root_of(scope: Scope, headers: dict[bytes, bytes]) -> str:
    """The root by which the consumer reached us; without a Host header its Location is relative."""
    host = headers.get(b"host", b"").decode("latin-1")
    return f"{scope['scheme']}://{host}" if host else ""


def _reply_with(details: Problem) -> Reply:
    status = HTTPStatus(details.status)
    return Reply(status, [PROBLEM_JSON, *_MORE_HEADERS.get(status, ())], encode(details))
