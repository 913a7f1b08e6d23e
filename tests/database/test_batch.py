"""The batch writer: it collects while a batch is in flight, keeps order, and isolates failures."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from onecard.database.batch import BatchWriter, QueueFull, WriterClosed
from onecard.database.pool import Database, DatabaseUnavailable, open_database, transaction


class Recorder:
    """A write that keeps its batches and can be held, and told to fail."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.open = asyncio.Event()
        self.open.set()
        self.failures: list[Exception] = []

    async def write(self, requests: Sequence[int]) -> list[int]:
        self.batches.append(list(requests))
        await self.open.wait()
        if self.failures:
            raise self.failures.pop(0)
        return [10 * request for request in requests]


@pytest.fixture
async def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
async def writer(recorder: Recorder) -> AsyncIterator[BatchWriter[int, int]]:
    made = BatchWriter(recorder.write, most=4, queue_most=8, away_most_seconds=0.3)
    yield made
    recorder.open.set()
    await made.close()


async def test_a_request_gets_its_own_answer(writer: BatchWriter[int, int]) -> None:
    assert await asyncio.gather(*(writer.submit(number) for number in range(8))) == list(range(0, 80, 10))


async def test_a_lone_request_is_written_at_once(writer: BatchWriter[int, int], recorder: Recorder) -> None:
    assert await writer.submit(1) == 10
    assert recorder.batches == [[1]]


async def test_requests_collect_while_a_batch_is_in_flight(
    writer: BatchWriter[int, int], recorder: Recorder
) -> None:
    recorder.open.clear()
    answers = [writer.submit_nowait(0)]
    await asyncio.sleep(0)
    answers += [writer.submit_nowait(number) for number in range(1, 7)]
    await asyncio.sleep(0)
    assert recorder.batches == [[0]]
    assert writer.waiting == 6
    recorder.open.set()
    await asyncio.gather(*answers)
    assert recorder.batches == [[0], [1, 2, 3, 4], [5, 6]]


async def test_a_full_queue_refuses_at_once(writer: BatchWriter[int, int], recorder: Recorder) -> None:
    recorder.open.clear()
    first = writer.submit_nowait(0)
    await asyncio.sleep(0)
    answers = [writer.submit_nowait(number) for number in range(1, 9)]
    with pytest.raises(QueueFull):
        writer.submit_nowait(9)
    with pytest.raises(QueueFull):
        await writer.submit(9)
    recorder.open.set()
    assert await asyncio.gather(first, *answers) == list(range(0, 90, 10))
    assert await writer.submit(9) == 90


async def test_a_failure_is_the_answer_of_its_batch_alone(
    writer: BatchWriter[int, int], recorder: Recorder
) -> None:
    recorder.failures = [ValueError("no")]
    results = await asyncio.gather(*(writer.submit(number) for number in range(6)), return_exceptions=True)
    assert [type(result) for result in results] == [ValueError] * 4 + [int] * 2


async def test_a_write_that_answers_too_little_fails_its_batch(recorder: Recorder) -> None:
    async def write(requests: Sequence[int]) -> list[int]:
        return [] if 1 in requests else list(requests)

    writer = BatchWriter(write, most=1, queue_most=8)
    results = await asyncio.gather(writer.submit(1), writer.submit(2), return_exceptions=True)
    await writer.close()
    assert isinstance(results[0], AssertionError)
    assert results[1] == 2


async def test_a_waiter_that_is_cancelled_disturbs_no_other(
    writer: BatchWriter[int, int], recorder: Recorder
) -> None:
    recorder.open.clear()
    tasks = [asyncio.create_task(writer.submit(number)) for number in range(3)]
    await asyncio.sleep(0.01)
    tasks[1].cancel()
    recorder.open.set()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [results[0], results[2]] == [0, 20]
    assert isinstance(results[1], asyncio.CancelledError)


@pytest.mark.parametrize("lost", [DatabaseUnavailable(), ConnectionResetError(), FileNotFoundError()])
async def test_a_batch_is_written_again_when_the_connection_is_lost(
    writer: BatchWriter[int, int], recorder: Recorder, lost: Exception
) -> None:
    recorder.failures = [lost, lost]
    assert await asyncio.gather(*(writer.submit(number) for number in (1, 2))) == [10, 20]
    assert recorder.batches == [[1, 2]] * 3


async def test_a_database_that_stays_away_is_told_and_one_that_is_back_is_used(
    writer: BatchWriter[int, int], recorder: Recorder
) -> None:
    recorder.failures = [DatabaseUnavailable("gone")] * 100
    with pytest.raises(DatabaseUnavailable, match="the database is away: gone"):
        await writer.submit(1)
    written = len(recorder.batches)
    assert written > 2
    with pytest.raises(DatabaseUnavailable):
        await writer.submit(2)
    assert len(recorder.batches) == written + 1  # patience is spent: one attempt, no waiting
    recorder.failures = []
    assert await writer.submit(3) == 30
    recorder.failures = [DatabaseUnavailable("gone again")]
    assert await writer.submit(4) == 40


async def test_close_writes_what_waits_and_takes_no_more(recorder: Recorder) -> None:
    writer = BatchWriter(recorder.write, most=4, queue_most=20)
    recorder.open.clear()
    answers = [writer.submit_nowait(number) for number in range(10)]
    closing = asyncio.create_task(writer.close())
    await asyncio.sleep(0.01)
    with pytest.raises(WriterClosed):
        writer.submit_nowait(99)
    recorder.open.set()
    await closing
    assert [answer.result() for answer in answers] == list(range(0, 100, 10))
    await writer.close()


async def test_those_who_wait_are_cancelled_with_the_writer(recorder: Recorder) -> None:
    writer = BatchWriter(recorder.write, most=1, queue_most=8)
    recorder.open.clear()
    answers = [writer.submit_nowait(number) for number in range(3)]
    await asyncio.sleep(0.01)
    (task,) = (task for task in asyncio.all_tasks() if task.get_name() == "batch writer")
    task.cancel()
    await asyncio.wait([task, *answers])
    assert all(answer.cancelled() for answer in answers)
    with pytest.raises(WriterClosed):
        writer.submit_nowait(9)


async def test_every_answered_request_is_in_a_database_that_is_killed_under_load(
    made_directory: Path,
) -> None:
    settings = {"shared_buffers": "128MB", "fsync": "off"}
    async with open_database(None, made_directory, settings=settings) as database:
        assert database.server is not None
        await database.pool.execute("CREATE TABLE event (id integer PRIMARY KEY, repeats integer DEFAULT 0)")
        writer: BatchWriter[int, int] = BatchWriter(lambda ids: _insert(database, ids), most=100)
        answered = 0

        async def client(first: int) -> None:
            nonlocal answered
            for number in range(first, 4000, 20):
                assert await writer.submit(number) == number
                answered += 1

        clients = asyncio.gather(*(client(first) for first in range(20)))
        async with asyncio.timeout(60):
            for goal in (1000, 2000):
                while answered < goal:  # noqa: ASYNC110 (the clients know nothing of their test)
                    await asyncio.sleep(0.001)
                os.kill(database.server.process_id, signal.SIGKILL)
            await clients
        await writer.close()
        assert await database.pool.fetchval("SELECT count(*) FROM event") == answered == 4000


async def _insert(database: Database, ids: Sequence[int]) -> Sequence[int]:
    async with transaction(database.pool) as connection:
        await connection.execute(
            "INSERT INTO event SELECT unnest($1::integer[]) ON CONFLICT DO NOTHING", list(ids)
        )
    return ids
