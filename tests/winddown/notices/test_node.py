"""Notices by text, through a running node, to the phone and back."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

import shop
from onecard.database.pool import Database, connection
from onecard.gateways.smpp.constants import MessageState
from onecard.story.peers import MessageCentre
from onecard.values.alphabet import decode_text, split_udh
from onecard.values.clock import MovedClock
from onecard.winddown.rules import to_instant
from town import PASSWORD, Town, open_town, sell_card_with_two_lines, stock_up
from winddown.notices.post import ANNOUNCEMENT, PAGE, PHONE, TORONTO, Post, local, make_plan, open_mail_server

NOTICES = {"page": PAGE, "phone": PHONE}


async def wait_for(post: Post, town: Town, state: tuple[str, str]) -> None:
    """Let the node work until the one recipient of notice 1 is in a state; fails after ten seconds."""
    for _ in range(200):
        post.clock.move(timedelta(seconds=10))
        await town.node.post.tick()
        if await post.states(1) == [state]:
            return
        await asyncio.sleep(0.05)
    raise AssertionError(await post.attempts(1))


def words_of(host: MessageCentre) -> str:
    """What the phone shows of the segments it got."""
    bodies = [split_udh(one.body)[1] if one.esm_class & 0x40 else one.body for one in host.texts]
    return "".join(decode_text(body, host.texts[0].data_coding) or "" for body in bodies)


@pytest.mark.parametrize(
    ("report", "state", "attempts"),
    [
        (MessageState.DELIVERED, ("reached", "text"), [("text", "delivered", "")]),
        (
            MessageState.UNDELIVERABLE,
            ("reached", "email"),
            [("text", "refused", ""), ("email", "accepted", "250")],
        ),
    ],
)
async def test_a_text_reaches_somebody_when_the_phone_has_all_of_it(
    database: Database, report: MessageState, state: tuple[str, str], attempts: list[tuple[str, str, str]]
) -> None:
    async with connection(database.pool) as borrowed:
        await stock_up(borrowed)
        await sell_card_with_two_lines(borrowed)
    clock = MovedClock(shop.AT + timedelta(days=1))
    host = MessageCentre(PASSWORD, report=report)
    async with open_mail_server() as mail:
        mail_config = {
            "host": "127.0.0.1", "port": mail.port, "security": "none", "sender": "notices@maple.example"
        }  # fmt: skip
        changes: dict[str, Any] = {"mail": mail_config, "notices": NOTICES}
        async with open_town(database, clock=clock, host=host, **changes) as town:
            post = Post(database, clock, mail)
            await post.start(make_plan(ANNOUNCEMENT))
            clock.move_to(to_instant(local("2026-05-01T13:00"), TORONTO))
            await town.settle(lambda: len(host.texts) == 2, "the text on the phone")
            await wait_for(post, town, state)
            assert await post.attempts(1) == attempts
            assert words_of(host).startswith("Maple Bridge奉命终止服务，自2026年9月1日起停止。")
            assert words_of(host).endswith(PAGE)
            await town.proved()
