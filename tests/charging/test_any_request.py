"""Whatever a network says, it is answered, nothing fails, and the ledger stays whole."""

from __future__ import annotations

import asyncio
import random
from datetime import timedelta

import pytest

from charging.desk import Desk, open_desk, run_other
from onecard.catalogue.model import UsageKind
from onecard.charging.model import Answer, Ask, Operation, Request
from onecard.database.pool import Database

UNITS = (0, 0, 1, 59, 300, 10**6, 2**32 - 1, 2**63, 2**64 - 1)
NUMBERS = (0, 0, 1, 2, 3, 2**32 - 1)
FAR = (
    "6045550199",
    "12583113912345678",
    "12583",
    "125839",
    "+",
    "",
    "\0",
    "anonymous",
    "٣",
    "9" * 400,
    "110",
    "*123#",
)
NETWORKS = ("", "302990", "46000", "0", "999999", "x\0")
SESSIONS = (*(f"s{place}" for place in range(12)), "", "\0", "x" * 600, "é" * 500)


def make_request(chance: random.Random, desk: Desk) -> Request:
    asks = tuple(
        Ask(
            chance.choice((None, 0, 1, 1, 2, 2**32 - 1)),
            chance.choice(UNITS),
            chance.choice(UNITS),
            chance.random() < 0.8,
            chance.choice((None, *UNITS)),
        )
        for _ in range(chance.choice((0, 1, 1, 2, 4)))
    )
    return Request(
        chance.choice(SESSIONS),
        chance.choice(NUMBERS),
        chance.choice(tuple(Operation)),
        chance.choice(tuple(UsageKind)),
        asks,
        chance.choice((desk.primary, desk.primary, desk.secondary, None)),
        chance.choice((desk.card.imsi, None)),
        chance.choice((desk.secondary, None)),
        chance.choice(FAR),
        chance.choice(NETWORKS),
    )


@pytest.mark.parametrize("seed", range(4))
async def test_any_request_is_answered(database: Database, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311  (chance, not secrecy)
    async with open_desk(database, "50.00") as desk, run_other(desk) as other:
        for _ in range(30):
            desk.clock.move(timedelta(seconds=chance.choice((0, 1, 300, 4000))))
            asked = [
                chance.choice((desk, other)).control.answer(make_request(chance, desk)) for _ in range(12)
            ]
            answers = await asyncio.gather(*asked)
            assert all(isinstance(answer, Answer) for answer in answers)
            await chance.choice((desk, other)).control.expire()
        desk.clock.move(timedelta(hours=2))
        await desk.control.expire()
        assert (await desk.account()).held.micros == 0
        await desk.proved()
