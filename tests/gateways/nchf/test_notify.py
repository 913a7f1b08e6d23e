"""Notices to consumers: over both versions of HTTP, tried again, bounded, and to nobody who is not to be told."""

from __future__ import annotations

import pytest

from onecard.gateways.nchf import notify
from onecard.gateways.nchf.consumers import Consumer
from onecard.gateways.nchf.notify import Notifier
from onecard.gateways.nchf.server import COLLECTION

from .golden import HEAD, OPENED
from .partners import (
    LOOPBACK,
    QUICK,
    SMF,
    Callback,
    Till,
    call,
    open_callback,
    open_office,
    path_of,
    reference_in,
    until,
)
from .specification import assert_valid

ACCOUNT = 7
H1 = Consumer("h1", "", frozenset({LOOPBACK}), notify_http2=False)


def notifier_of(*session_ids: str) -> Notifier:
    return Notifier(lambda account: session_ids if account == ACCOUNT else (), QUICK)


def remember(notifier: Notifier, session_id: str, callback: Callback, consumer: Consumer = SMF) -> None:
    notifier.remember(session_id, consumer, f"http://{callback.address}/notify")


@pytest.mark.parametrize(("consumer", "version"), [(SMF, "2"), (H1, "1.1")])
async def test_holders_of_a_session_are_asked_to_come_again_or_to_stop(
    consumer: Consumer, version: str
) -> None:
    notifier = notifier_of("s1", "of Diameter")
    async with open_callback(204) as callback:
        remember(notifier, "s1", callback, consumer)
        notifier.reauthorize(ACCOUNT)
        await callback.until_came(1)
        notifier.abort(["s1", "of Diameter"])
        await callback.until_came(2)
        await notifier.close()
    assert [came[0] for came in callback.came] == [version, version]
    kinds = [came[1]["notificationType"] for came in callback.came]
    assert kinds == ["REAUTHORIZATION", "ABORT_CHARGING"]
    for _, document in callback.came:
        assert_valid(document, "ChargingNotifyRequest")


async def test_an_account_without_sessions_tells_nobody() -> None:
    notifier = notifier_of("s1")
    async with open_callback(204) as callback:
        remember(notifier, "s1", callback)
        notifier.reauthorize(ACCOUNT + 1)
        notifier.reauthorize(ACCOUNT)
        await callback.until_came(1)
        await notifier.close()
    assert len(callback.came) == 1


@pytest.mark.parametrize(
    ("statuses", "tries"),
    [((500, 503, 204), 3), ((429, 200), 2), ((503,), 3), ((400,), 1), ((404,), 1), ((307,), 1)],
)
async def test_a_consumer_that_cannot_now_is_tried_again_but_not_for_ever(
    statuses: tuple[int, ...], tries: int
) -> None:
    notifier = notifier_of("s1")
    async with open_callback(*statuses) as callback:
        remember(notifier, "s1", callback)
        notifier.reauthorize(ACCOUNT)
        await callback.until_came(tries)
        await until(lambda: notifier.under_way == 0)
        assert len(callback.came) == tries
        await notifier.close()


async def test_a_session_that_its_holder_does_not_know_is_not_told_of_again() -> None:
    notifier = notifier_of("s1")
    async with open_callback(404, 204) as callback:
        remember(notifier, "s1", callback)
        for _ in range(2):
            notifier.reauthorize(ACCOUNT)
            await until(lambda: notifier.under_way == 0)
        assert len(callback.came) == 1
        await notifier.close()


async def test_nobody_at_the_address_is_no_harm() -> None:
    notifier = notifier_of("s1")
    notifier.remember("s1", SMF, f"http://{LOOPBACK}:1/notify")
    notifier.reauthorize(ACCOUNT)
    await until(lambda: notifier.under_way == 0)
    await notifier.close()


async def test_notices_under_way_and_addresses_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notify, "NOTICES_MOST", 2)
    monkeypatch.setattr(notify, "ADDRESSES_MOST", 3)
    notifier = notifier_of(*(f"s{number}" for number in range(5)))
    async with open_callback(204) as callback:
        for number in range(5):
            remember(notifier, f"s{number}", callback)
        notifier.reauthorize(ACCOUNT)
        assert notifier.under_way == 2
        await callback.until_came(2)
        await until(lambda: notifier.under_way == 0)
        assert len(callback.came) == 2
        await notifier.close()


async def test_a_session_is_told_of_while_it_lasts() -> None:
    till = Till()

    def open_sessions(_account: int) -> tuple[str, ...]:
        return tuple({asked.session_id for asked in till.asked})

    notifier = Notifier(open_sessions, QUICK)
    async with (
        open_callback(204) as callback,
        open_office(notifier=notifier, till=till) as office,
        call(office) as client,
    ):
        opened = {**OPENED, "notifyUri": f"http://{callback.address}/notify"}
        reference = reference_in(await client.post(COLLECTION, json=opened))
        notifier.reauthorize(ACCOUNT)
        await callback.until_came(1)
        await client.post(path_of(reference, "release"), json={**HEAD, "invocationSequenceNumber": 2})
        notifier.reauthorize(ACCOUNT)
        assert notifier.under_way == 0
