"""Tell consumers to ask again, or to stop charging (TS 32.291 section 6.1.5): POST to the notifyUri of a session.

When an account was topped up, or given an allowance, whoever holds a session of it is asked to come again: a service
that was about to end goes on. A node notifies for the sessions that it has answered.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import httpx
import structlog

from onecard.gateways.nchf.codec import ChargingNotifyRequest, NotificationType, encode
from onecard.gateways.nchf.consumers import Consumer

log = structlog.get_logger(__name__)

ADDRESSES_MOST = 200_000
NOTICES_MOST = 10_000
"""Under way at once, waiting ones included."""
CONNECTIONS_MOST = 50
SESSION_IS_GONE = (httpx.codes.NOT_FOUND, httpx.codes.GONE)
TRY_AGAIN = (httpx.codes.REQUEST_TIMEOUT, httpx.codes.TOO_MANY_REQUESTS)


@dataclass(frozen=True, slots=True)
class Patience:
    """How long and how often a consumer is tried."""

    answer_seconds: float = 5.0
    delays_seconds: tuple[float, ...] = (0.5, 2.0)
    """Before the second try, the third, ..."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where the holder of a session is told something."""

    uri: str
    http2: bool
    consumer: str


class Notifier:
    """Tells consumers. One a node; `open_sessions` names the open sessions of an account."""

    def __init__(
        self, open_sessions: Callable[[int], tuple[str, ...]], patience: Patience | None = None
    ) -> None:
        self._open_sessions = open_sessions
        self._patience = patience or Patience()
        self._addresses: OrderedDict[str, Address] = OrderedDict()
        self._tasks: set[asyncio.Task[None]] = set()
        self._clients = {http2: self._client(http2=http2) for http2 in (True, False)}

    def _client(self, *, http2: bool) -> httpx.AsyncClient:
        """HTTP/2 alone means, without TLS, by prior knowledge. Redirects are not followed: they were not allowed."""
        return httpx.AsyncClient(
            http1=not http2,
            http2=http2,
            timeout=self._patience.answer_seconds,
            limits=httpx.Limits(max_connections=CONNECTIONS_MOST),
            trust_env=False,
        )

    @property
    def under_way(self) -> int:
        """Notices that were not answered yet."""
        return len(self._tasks)

    async def close(self) -> None:
        """Give up what was not told yet."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for client in self._clients.values():
            await client.aclose()

    def remember(self, session_id: str, consumer: Consumer, uri: str | None) -> None:
        """Who holds a session, if it may be notified. The address was checked (`consumers.may_notify`)."""
        if uri is None or not consumer.notify_hosts:
            return
        self._addresses[session_id] = Address(uri, consumer.notify_http2, consumer.name)
        self._addresses.move_to_end(session_id)
        if len(self._addresses) > ADDRESSES_MOST:
            self._addresses.popitem(last=False)

    def forget(self, session_id: str) -> None:
        """A session is over."""
        self._addresses.pop(session_id, None)

    def reauthorize(self, account_id: int) -> None:
        """Ask all who hold sessions of an account to come again."""
        self._tell_all(self._open_sessions(account_id), NotificationType.REAUTHORIZATION)

    def abort(self, session_ids: Iterable[str]) -> None:
        """Tell all who hold these sessions to end them."""
        self._tell_all(session_ids, NotificationType.ABORT_CHARGING)

    def _tell_all(self, session_ids: Iterable[str], kind: NotificationType) -> None:
        for session_id in session_ids:
            address = self._addresses.get(session_id)
            if address is None:
                continue  # not one of ours, or its holder is not notified
            if self.under_way >= NOTICES_MOST:
                log.warning("consumers are not notified: too many notices are under way", kind=kind.value)
                return
            task = asyncio.get_running_loop().create_task(self._tell(session_id, address, kind))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _tell(self, session_id: str, address: Address, kind: NotificationType) -> None:
        body = encode(ChargingNotifyRequest(kind))
        for delay_seconds in (0.0, *self._patience.delays_seconds):
            await asyncio.sleep(delay_seconds)
            status = await self._post(address, body)
            if status in SESSION_IS_GONE:
                self.forget(session_id)
            if status is not None and status < httpx.codes.INTERNAL_SERVER_ERROR and status not in TRY_AGAIN:
                break
        if status is None or not httpx.codes.is_success(status):
            log.warning(
                "a consumer was not notified", consumer=address.consumer, kind=kind.value, status=status
            )

    async def _post(self, address: Address, body: bytes) -> int | None:
        """The status of the answer, whose body is not read; None if there is none."""
        request = self._clients[address.http2].stream(
            "POST", address.uri, content=body, headers={"content-type": "application/json"}
        )
        try:
            async with request as answer:
                return answer.status_code
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            log.debug("a notice failed", consumer=address.consumer, reason=repr(error))
            return None
