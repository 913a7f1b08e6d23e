"""What answers the peers: requests go to credit control in our words, and its answers back in theirs.

When an account was topped up, or given an allowance, whoever holds a session of it is asked to come again (RAR): a
service that was about to end goes on. When prices change sooner than was known, all are asked. A session whose use
an order to stop has ended is aborted (ASR).
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Coroutine, Iterable
from typing import Any

import structlog

from onecard.charging.actions import CreditControl
from onecard.gateways.diameter.constants import ResultCode
from onecard.gateways.diameter.endpoint import Endpoint
from onecard.gateways.diameter.messages import CreditControlAnswer, CreditControlRequest
from onecard.gateways.diameter.translate import ChargingSettings, read_request, write_answer

log = structlog.get_logger(__name__)

ORIGINS_MOST = 200_000
ASKED_AT_ONCE = 100


class CreditControlDesk:
    """Answers for the endpoint of a node. `endpoint` is set once it exists, to ask for re-authorisation."""

    def __init__(self, control: CreditControl, settings: ChargingSettings) -> None:
        self.endpoint: Endpoint | None = None
        self._control = control
        self._settings = settings
        self._origins: OrderedDict[str, tuple[str, str]] = OrderedDict()
        self._tasks: set[asyncio.Task[None]] = set()
        self._places = asyncio.Semaphore(ASKED_AT_ONCE)

    async def answer(self, request: CreditControlRequest) -> CreditControlAnswer:
        """Answer one request."""
        asked = read_request(request)
        if isinstance(asked, ResultCode):
            return CreditControlAnswer(result_code=asked)
        self._origins[request.session_id] = (request.origin_host, request.origin_realm)
        if len(self._origins) > ORIGINS_MOST:
            self._origins.popitem(last=False)
        return write_answer(request, asked.usage, await self._control.answer(asked), self._settings)

    def reauthorize(self, account_id: int) -> None:
        """Ask all who hold sessions of an account to come again."""
        for session_id in self._control.open_sessions(account_id):
            self._begin(self._reauthorize(session_id))

    def reauthorize_all(self) -> None:
        """Ask all who hold sessions to come again: a price book was imported that their grants do not know of."""
        for account_id in self._control.accounts_in_session():
            self.reauthorize(account_id)

    def abort(self, session_ids: Iterable[str]) -> None:
        """Ask all who hold these sessions to end them; their last report is still taken."""
        for session_id in session_ids:
            self._begin(self._abort(session_id))

    def _begin(self, asking: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(asking)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _reauthorize(self, session_id: str) -> None:
        origin = self._origins.get(session_id)
        if origin is None or self.endpoint is None:
            return  # not one of Diameter's
        async with self._places:
            answer = await self.endpoint.reauthorize(session_id, *origin)
        if answer is None:
            log.warning("re-authorisation was not answered", host=origin[0])

    async def _abort(self, session_id: str) -> None:
        origin = self._origins.get(session_id)
        if origin is None or self.endpoint is None:
            return  # not one of Diameter's
        async with self._places:
            answer = await self.endpoint.abort_session(session_id, *origin)
        if answer is None:
            log.warning("a session was not aborted: it ends with its grant", host=origin[0])
