"""Write in batches: while one batch is in flight the next one collects. No linger timer.

The writer of a partition turns many small requests into few calls of the database, each one commit. A request
that was answered is durable; one that got DatabaseUnavailable may be durable or not, and is to be repeated
with the same event id.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

import structlog

from onecard.database.pool import (
    RETRY_DELAY_LEAST_SECONDS,
    RETRY_DELAY_MOST_SECONDS,
    DatabaseUnavailable,
    is_away,
)

Request = TypeVar("Request")
Answer = TypeVar("Answer")

log = structlog.get_logger(__name__)


class QueueFull(Exception):
    """As many requests wait as may; answer 'busy'."""


class WriterClosed(Exception):
    """The writer takes no more requests: onecard is stopping."""


class BatchWriter(Generic[Request, Answer]):
    """Collects requests and hands them to `write`, one batch at a time, in the order they came.

    `write` gets 1 to `most` requests and returns one answer for each, in order. It must be idempotent: when
    the database is away (`is_away`, or any OSError, as it speaks to nobody else), the same batch is written
    again until the database is back, or until it has been away for `away_most_seconds`; then the batch's
    futures get DatabaseUnavailable, and so do those of later batches at their first failure, until the
    database is back. Any other exception of `write` goes to the futures of that batch alone.

    To be made inside the running event loop, and closed with `close`.
    """

    def __init__(
        self,
        write: Callable[[Sequence[Request]], Awaitable[Sequence[Answer]]],
        *,
        most: int = 1000,
        queue_most: int = 20_000,
        away_most_seconds: float = 30.0,
    ) -> None:
        assert 0 < most <= queue_most
        self._write = write
        self._most = most
        self._queue_most = queue_most
        self._away_most_seconds = away_most_seconds
        self._away_since: float | None = None
        self._requests: list[Request] = []
        self._answers: list[asyncio.Future[Answer]] = []
        self._closing = False
        self._loop = asyncio.get_running_loop()
        self._wake = asyncio.Event()
        self._task = self._loop.create_task(self._run(), name="batch writer")

    @property
    def waiting(self) -> int:
        """How many requests wait for the next batches; without the batch in flight."""
        return len(self._requests)

    def submit_nowait(self, request: Request) -> asyncio.Future[Answer]:
        """Put a request into the next batch. Raises QueueFull or WriterClosed at once.

        Cancelling the future, or the task that waits for it, does not take the request back.
        """
        if len(self._requests) >= self._queue_most:
            raise QueueFull
        if self._closing:
            raise WriterClosed
        if not self._requests:
            self._wake.set()
        answer: asyncio.Future[Answer] = self._loop.create_future()
        self._requests.append(request)
        self._answers.append(answer)
        return answer

    async def submit(self, request: Request) -> Answer:
        """Write a request and wait for its answer. Raises as `submit_nowait` and as `write` does."""
        return await self.submit_nowait(request)

    async def close(self) -> None:
        """Take no more requests, write those that wait, and end."""
        self._closing = True
        self._wake.set()
        await asyncio.shield(self._task)

    async def _run(self) -> None:
        try:
            while await self._some_wait():
                requests, answers = self._take()
                try:
                    await self._settle(requests, answers)
                finally:
                    _cancel(answers)  # those without an answer yet: only when the writer itself is cancelled
        finally:
            self._closing = True
            _cancel(self._answers)

    async def _some_wait(self) -> bool:
        if not self._requests and not self._closing:
            self._wake.clear()
            await self._wake.wait()
        return bool(self._requests)

    def _take(self) -> tuple[list[Request], list[asyncio.Future[Answer]]]:
        requests, answers, most = self._requests, self._answers, self._most
        self._requests, self._answers = requests[most:], answers[most:]
        del requests[most:], answers[most:]
        return requests, answers

    async def _settle(self, requests: list[Request], answers: list[asyncio.Future[Answer]]) -> None:
        try:
            results = await self._write_until_back(requests)
        except Exception as error:  # whatever it is, it is the answer to this batch
            _fail(answers, error)
            return
        for answer, result in zip(answers, results, strict=True):
            if not answer.done():  # cancelled by the one who waited
                answer.set_result(result)

    async def _write_until_back(self, requests: list[Request]) -> Sequence[Answer]:
        delay_seconds = RETRY_DELAY_LEAST_SECONDS
        while True:
            try:
                results = await self._write(requests)
            except Exception as error:
                if not (is_away(error) or isinstance(error, OSError)):
                    raise
                self._check_patience(error)
            else:
                self._away_since = None
                assert len(results) == len(requests), "one answer for each request"
                return results
            await asyncio.sleep(delay_seconds)
            delay_seconds = min(2 * delay_seconds, RETRY_DELAY_MOST_SECONDS)

    def _check_patience(self, error: Exception) -> None:
        """Give a batch up when the database has been away too long."""
        if self._away_since is None:
            self._away_since = self._loop.time()
            log.warning("the database is away; the batch will be written again", reason=str(error))
        if self._loop.time() - self._away_since >= self._away_most_seconds:
            raise DatabaseUnavailable(f"the database is away: {error}") from error


def _fail(answers: list[asyncio.Future[Answer]], error: Exception) -> None:
    for answer in answers:
        if not answer.done():
            answer.set_exception(error)


def _cancel(answers: list[asyncio.Future[Answer]]) -> None:
    for answer in answers:
        answer.cancel()
