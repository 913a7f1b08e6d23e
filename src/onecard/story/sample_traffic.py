"""The traffic of a sample life: texts both ways, codes of banks, calls and data, hour by hour."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from functools import partial

from onecard.catalogue.model import ChargeFacts, Tariff, UsageKind, Use
from onecard.catalogue.rules import explain, facts_of, find_rate
from onecard.catalogue.store import load_tariff
from onecard.charging.actions import CreditControl
from onecard.charging.model import Ask, Operation, Request, Result
from onecard.database.pool import Pool, connection
from onecard.lines.model import Line
from onecard.messages.model import Acceptance, Direction, Progress, ReceiptWish, TextState
from onecard.messages.store import ID_BLOCK, accept_batch, progress_batch
from onecard.node.node import load_card
from onecard.sealing.body_keys import BodyKeys
from onecard.sealing.keys import MasterKey
from onecard.story.sample import CAD, CN, Life, Someone
from onecard.switching.directory import Directory
from onecard.switching.model import CardEntry
from onecard.switching.rules import Routes, Setting
from onecard.values.clock import MovedClock
from onecard.values.gate import NO_ORDER
from onecard.values.phone import E164, mask

HOUR = timedelta(hours=1)
BUSY = (1, 1, 1, 1, 1, 2, 4, 7, 9, 9, 9, 9, 9, 8, 8, 8, 9, 10, 11, 11, 10, 8, 5, 2)
"""How busy each hour of the day is."""
FAR = {"CA": "+16045550{:03d}", "CN": "+8613800138{:03d}", "HK": "+85261234{:03d}", "GB": "+447400123{:03d}"}
MEGABYTE = 1_000_000


async def send_traffic(pool: Pool, master: MasterKey, life: Life) -> None:
    """Everything from the first sale until now. What an account cannot pay is refused, as in life."""
    async with connection(pool) as borrowed:
        parts = [row["part"] for row in await borrowed.fetch("SELECT part FROM part ORDER BY part")]
        tariff = await load_tariff(borrowed)
    clock = MovedClock(life.began)
    directory = Directory(partial(load_card, pool))
    control = CreditControl(
        pool,
        parts,
        setting=lambda: Setting("12583", Routes(()), tariff),
        directory=directory,
        body_keys=BodyKeys(pool, master),
        clock=clock,
        gates=lambda _: NO_ORDER,
        activate=_leave_active,
    )
    try:
        while clock.now() + HOUR <= life.now:
            await _send_texts(pool, life, tariff, clock)
            await _use_sessions(control, life, clock)
            clock.move_to(_next_hour(clock.now()))
    finally:
        await control.close()


async def _leave_active(_: CardEntry) -> None:
    """All these cards are active already."""


def _next_hour(at: datetime) -> datetime:
    return at.replace(minute=0, second=0, microsecond=0) + HOUR


def _in_use(life: Life, at: datetime) -> Sequence[Someone]:
    return [someone for someone in life.people if someone.since <= at]


def _how_many(life: Life, at: datetime, a_day: float) -> int:
    """How often something happens in an hour: `a_day` times a day for each who is there, more by day than by night."""
    share = BUSY[at.astimezone(life.zone).hour] / sum(BUSY)
    expected = len(_in_use(life, at)) * a_day * share
    return int(expected) + (life.chance.random() < expected % 1)


async def _send_texts(pool: Pool, life: Life, tariff: Tariff, clock: MovedClock) -> None:
    count = _how_many(life, clock.now(), life.scale.texts_a_day)
    if not count:
        return
    people = _in_use(life, clock.now())
    chosen: dict[int, list[Someone]] = {}
    for _ in range(count):
        someone = life.chance.choice(people)
        chosen.setdefault(someone.card.part, []).append(someone)
    for part, theirs in chosen.items():
        at = clock.now() + timedelta(seconds=life.chance.uniform(0, 3000))
        async with connection(pool) as borrowed:
            first = await borrowed.fetchval("SELECT nextval('message_id_block')") - ID_BLOCK + 1
        made = [_make_text(life, tariff, someone, first + place, at) for place, someone in enumerate(theirs)]
        await _carry(pool, life, part, [row for row in made if row])


async def _carry(pool: Pool, life: Life, part: int, rows: Sequence[Acceptance]) -> None:
    """Accept texts of one part, hand them over, and let most of them arrive."""
    if not rows:
        return
    statuses = await accept_batch(pool, part, rows)
    accepted = [row for row, status in zip(rows, statuses, strict=True) if status == 0]
    if not accepted:
        return
    life.texts += len(accepted)
    at = rows[0].accepted_at + timedelta(seconds=life.chance.uniform(0.05, 0.9))
    handed = [Progress(row.id, TextState.HANDED_OVER, at, 1, at, f"r{row.id}") for row in accepted]
    await progress_batch(pool, part, handed)
    for is_application in (True, False):
        done_at = at + timedelta(
            seconds=min(40, life.chance.lognormvariate(0.5 if is_application else 1.2, 0.7))
        )
        over = [_end(life.chance, row, done_at) for row in accepted if row.application is is_application]
        if over:
            await progress_batch(pool, part, over)


def _end(chance: random.Random, row: Acceptance, at: datetime) -> Progress:
    states = (TextState.DELIVERED, TextState.FAILED, TextState.EXPIRED, TextState.UNKNOWN)
    state = chance.choices(states, (97, 1.2, 1, 0.8))[0]
    status = {TextState.FAILED: 0x0000_000B, TextState.EXPIRED: 0x0000_0058}.get(state)
    return Progress(row.id, state, at, 1, status=status)


def _make_text(life: Life, tariff: Tariff, someone: Someone, text_id: int, at: datetime) -> Acceptance | None:
    """A code of a bank, a text from a friend, or one to a friend; None where no rate covers it."""
    kind = life.chance.choices(("code", "in", "out"), (45, 25, 30))[0]
    line = life.chance.choice(someone.lines)
    far = FAR.get(line.country, FAR["CN"]).format(life.chance.randrange(1000))
    if kind == "out":
        return _make_own_text(life, tariff, someone, line, far, text_id, at)
    is_code = kind == "code"
    return _accept(
        someone,
        line,
        text_id,
        at,
        direction=Direction.TO_CARD,
        source="bank" if is_code else _link_of(line),
        following="host",
        far="95588" if is_code else far,
    )


def _make_own_text(
    life: Life, tariff: Tariff, someone: Someone, line: Line, far: str, text_id: int, at: datetime
) -> Acceptance | None:
    segments = life.chance.choices((1, 2, 3), (80, 15, 5))[0]
    listed = find_rate(tariff, Use(UsageKind.TEXT, CAD, line.country, line.time_zone, far), at)
    if listed is None:
        return None
    why = explain(listed, segments)
    return _accept(
        someone,
        line,
        text_id,
        at,
        direction=Direction.FROM_CARD,
        source="host",
        following=_link_of(line),
        far=far,
        segments=segments,
        price_micros=why.price_micros,
        rate=why.as_text(),
        facts=facts_of(listed, segments),
    )


def _link_of(line: Line) -> str:
    return "home-cn" if line.country == CN else "host"


def _accept(
    someone: Someone,
    line: Line,
    text_id: int,
    at: datetime,
    *,
    direction: Direction,
    source: str,
    following: str,
    far: str,
    segments: int = 1,
    price_micros: int = 0,
    rate: str = "",
    facts: ChargeFacts | None = None,
) -> Acceptance:
    return Acceptance(
        id=text_id,
        account_id=someone.card.account_id,
        card_id=someone.card.id,
        line_id=line.id,
        direction=direction,
        application=source == "bank",
        source_link=source,
        next_link=following,
        node=None,
        far=mask(far),
        segments=segments,
        price_micros=price_micros,
        rate=rate,
        receipt_wanted=ReceiptWish.NEVER,
        accepted_at=at,
        expires_at=at + timedelta(days=2),
        sealed_body=b"",  # gone as soon as it is handed over
        sealed_addresses=None,
        facts=facts,
    )


async def _use_sessions(control: CreditControl, life: Life, clock: MovedClock) -> None:
    """Calls and data: opened together, used for a while, closed."""
    asked = [*_make_requests(life, clock.now(), _how_many(life, clock.now(), life.scale.sessions_a_day))]
    answers = await asyncio.gather(*(control.answer(request) for request, _ in asked))
    clock.move(timedelta(seconds=life.chance.randint(120, 1500)))
    ends = [
        _end_of(request, min(used, answer.grants[0].units))
        for (request, used), answer in zip(asked, answers, strict=True)
        if answer.result is Result.SUCCESS and answer.grants and answer.grants[0].result is Result.SUCCESS
    ]
    await asyncio.gather(*(control.answer(end) for end in ends))
    life.sessions += len(ends)


def _make_requests(life: Life, at: datetime, count: int) -> Iterator[tuple[Request, int]]:
    people = _in_use(life, at)
    for number in range(count):
        someone = life.chance.choice(people)
        session_id = f"sample;{int(at.timestamp())};{number}"
        primary = someone.lines[0].msisdn
        chinese = [line.msisdn for line in someone.lines if line.country == CN]
        if chinese and life.chance.random() < 0.4:
            yield (
                _call(session_id, primary, chinese[0], FAR["CN"].format(life.chance.randrange(1000))),
                (life.chance.randint(20, 900)),
            )
        else:
            used = life.chance.randint(1, 60) * MEGABYTE
            asks = (Ask(wanted=60 * MEGABYTE),)
            yield Request(session_id, 0, Operation.INITIAL, UsageKind.DATA, asks, primary), used


def _call(session_id: str, msisdn: E164, line: E164, far: str) -> Request:
    return Request(
        session_id, 0, Operation.INITIAL, UsageKind.CALL_OUT, (Ask(wanted=900),), msisdn, line=line, far=far
    )


def _end_of(request: Request, used: int) -> Request:
    return Request(
        request.session_id,
        1,
        Operation.TERMINATE,
        request.usage,
        (Ask(used=used, wants=False),),
        request.msisdn,
        line=request.line,
        far=request.far,
    )
