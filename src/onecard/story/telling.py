"""Tell the story: step after step, until the last one or the first that is not as it should be."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO
from zoneinfo import ZoneInfo

import msgspec

from onecard.database.pool import connection
from onecard.sealing.loading import load_master_key
from onecard.story.act import Act, NotAsExpected
from onecard.story.children import ChildFailed
from onecard.story.place import TIME_ZONE, Place, keep_logs, open_place
from onecard.story.sample import Scale, fill
from onecard.story.stage import CAD, Stage, open_stage, say_money
from onecard.story.steps import BUSINESS, STORY, Step
from onecard.story.summary import Failure, StepSummary, Summary
from onecard.story.timeline import Timeline
from onecard.story.visitors import give_claim_code, let_staff_in
from onecard.values.money import format_micros

VERIFIED, FAILED = 0, 1
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


async def tell(*, as_json: bool, hold: bool, directory: Path | None, sample: int) -> int:
    """Tell the whole story in a directory; see `onecard.story.demo`. Raises OSError where that cannot be used."""
    timeline = Timeline(_stream_for_people(as_json=as_json, hold=hold))
    try:
        with _cancelled_by_signals(), open_place(directory) as place:
            return await _tell_in(place, timeline, as_json=as_json, hold=hold, sample=sample)
    except asyncio.CancelledError:
        sys.stderr.write("onecard: the demonstration was stopped before its end\n")
        return FAILED


async def tell_steps(story: tuple[Step, ...], stage: Stage, timeline: Timeline) -> Summary:
    """Tell and verify step after step; the summary ends with the first that fails."""
    began = time.monotonic()
    timeline.begin()
    told: list[StepSummary] = []
    for number, step in enumerate(story, 1):
        act = Act(began, timeline.show_event)
        step_began = time.monotonic()
        timeline.begin_step(number, step.title)
        try:
            await step.tell(stage, act)
        except Exception as error:
            failure = _explain(error, stage.place)
            timeline.fail_step(act, failure)
            told.append(_summary_of(step, step_began, failure.detail, ok=False))
            return Summary(False, _since(began), told, await _say_balance(stage), stage.check, failure)
        timeline.end_step(act)
        told.append(_summary_of(step, step_began, act.detail, ok=True))
    timeline.end(len(told), _since(began), say_money(stage.expected_micros))
    return Summary(True, _since(began), told, await _say_balance(stage), stage.check)


async def _tell_in(place: Place, timeline: Timeline, *, as_json: bool, hold: bool, sample: int) -> int:
    """Who goes on from here is left an operator in business: then the order does not come."""
    try:
        async with open_stage(place) as stage:
            summary = await tell_steps(BUSINESS if hold else STORY, stage, timeline)
            if summary.ok and hold:
                return await _hold(stage, summary, timeline, sample)
    except ChildFailed as error:  # before the story could begin
        failure = _explain(error, place)
        summary = Summary(False, 0.0, [], None, None, failure)
        timeline.fail_step(Act(time.monotonic()), failure)
    if as_json:
        _write_line(summary)
    return VERIFIED if summary.ok else FAILED


async def _hold(stage: Stage, summary: Summary, timeline: Timeline, sample: int) -> int:
    """Say where everything is, and keep it running until a signal comes, or the node ends by itself."""
    try:
        visitors = await _receive_visitors(stage, timeline, sample)
        timeline.say("Everything keeps running until Ctrl-C or SIGTERM.")
        _write_line({**stage.describe(), **visitors, "story": summary})
        await stage.node.fail_when_ended()
    except asyncio.CancelledError:  # of a signal
        return VERIFIED
    except ChildFailed as error:
        sys.stderr.write(f"onecard: {error}\n")
    return FAILED


async def _receive_visitors(stage: Stage, timeline: Timeline, sample: int) -> dict[str, Any]:
    """Fill the operator with a sample of life, let visitors in, and tell them where to go."""
    master = load_master_key(stage.place.master_key)
    now = datetime.now(UTC)
    if sample:
        timeline.say(f"{sample} subscribers and four weeks of their traffic are made up: that takes a while.")
        zone = ZoneInfo(TIME_ZONE)
        await fill(stage.open_pool, master, now=now, zone=zone, scale=Scale(subscribers=sample))
    async with connection(stage.open_pool) as borrowed:
        sign_ins = await let_staff_in(borrowed, master, now)
        claim_code = await give_claim_code(borrowed, master, now, stage.card)
    timeline.say(f"Self-care: {stage.web_url}/ with the claim code {claim_code}")
    for one in sign_ins:
        timeline.say(
            f"Console: {stage.web_url}/console as {one['login']}, password {one['password']}, "
            f"authenticator {one['authenticator']}"
        )
    console = {"url": f"{stage.web_url}/console", "sign_ins": sign_ins}
    return {"console": console, "claim_code": claim_code}


def _explain(error: Exception, place: Place) -> Failure:
    """What was not as it should be. A bug leaves its traceback with the logs."""
    if isinstance(error, ExceptionGroup):  # of things done at the same time
        return _explain(error.exceptions[0], place)
    if isinstance(error, NotAsExpected):
        return Failure(error.what, repr(error.expected), repr(error.came), str(keep_logs(place)))
    place.log_of("story").write_text("".join(traceback.format_exception(error)))
    return Failure(
        "the step could not be done", "no trouble", str(error) or repr(error), str(keep_logs(place))
    )


def _summary_of(step: Step, began: float, detail: str, *, ok: bool) -> StepSummary:
    return StepSummary(step.name, step.title, ok, detail, _since(began))


def _since(began: float) -> float:
    return round(time.monotonic() - began, 2)


async def _say_balance(stage: Stage) -> dict[str, str] | None:
    """What is available now; None where there is no account, or it cannot be asked for any more."""
    if stage.subscriber is None:
        return None
    with suppress(Exception):
        return {"amount": format_micros(await stage.balance_micros()), "currency": CAD}
    return None


def _stream_for_people(*, as_json: bool, hold: bool) -> TextIO | None:
    """Stdout belongs to the one JSON line wherever there is one."""
    if as_json:
        return None
    return sys.stderr if hold else sys.stdout


def _write_line(document: Any) -> None:
    sys.stdout.write(msgspec.json.encode(document).decode() + "\n")
    sys.stdout.flush()


@contextmanager
def _cancelled_by_signals() -> Iterator[None]:
    """The first signal cancels this task, which then stops what it started; more of them change nothing."""
    loop = asyncio.get_running_loop()
    task = asyncio.current_task()
    assert task is not None
    came: list[int] = []

    def cancel_once() -> None:
        if not came:
            came.append(1)
            task.cancel()

    for number in STOP_SIGNALS:
        loop.add_signal_handler(number, cancel_once)
    try:
        yield
    finally:
        for number in STOP_SIGNALS:
            loop.remove_signal_handler(number)
