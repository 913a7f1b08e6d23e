"""The purge: what is old enough goes, class by class, what is owed or held stays, and it is certified exactly."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest

import shop
from onecard.audit import list_records
from onecard.cards.model import Card
from onecard.database.pool import Database, transaction
from onecard.legal_holds.actions import add_hold, lift_hold
from onecard.legal_holds.model import LegalHold
from onecard.legal_holds.store import is_held
from onecard.payments.payees import open_payee
from onecard.payments.refunds.actions import read_payee
from onecard.payments.refunds.model import Approve, Refund, Reject, Verify
from onecard.retention import store
from onecard.retention.actions import begin_renewal, tally_classes
from onecard.retention.model import KEPT_WHOLE, ClassTally, DataClass, PurgeRefusal, PurgeRun
from onecard.retention.rules import is_stayed
from onecard.sealing.keys import SealBroken
from onecard.sealing.renewal import Renewal
from onecard.sealing.signing import SigningKey, sign_document, verify_document
from onecard.sealing.subscriber_keys import get_subscriber_key
from onecard.subscribers.claims import issue_claim_code
from onecard.values.gate import NO_ORDER, Capability, Closed
from onecard.winddown.model import Stay
from payments.treasury import WANG, Treasury
from retention.office import AFTER, LEAST, MOST, SPANS, Office

Keep = Callable[[Office, Treasury, Card], Awaitable[object]]


@pytest.fixture
def treasury(office: Office, database: Database) -> Treasury:
    return Treasury(database, office.borrowed, office.clock)


async def tally(office: Office, data_class: DataClass) -> ClassTally:
    tallies = await tally_classes(office.borrowed, office.now(), SPANS)
    return next(one for one in tallies if one.data_class is data_class)


# Contact details


async def test_contact_details_go_when_all_is_over_for_long_enough(office: Office) -> None:
    ended, alive = await shop.sell(office.borrowed), await shop.sell(office.borrowed)
    await office.end(ended)
    office.clock.move(LEAST)
    assert (await office.purge(DataClass.CONTACTS)).rows == 0
    office.clock.move(timedelta(seconds=1))
    assert (await tally(office, DataClass.CONTACTS)).ready == 1
    run = await office.purge(DataClass.CONTACTS)
    assert (run.rows, run.keys, run.oldest, run.newest) == (1, 1, shop.AT, shop.AT)
    assert await office.is_erased(ended)
    assert await office.contact(alive) == shop.WANG
    assert await office.borrowed.fetchval("SELECT count(*) FROM subscriber_key") == 1
    owners = await office.borrowed.fetch("SELECT DISTINCT subscriber_id FROM subscriber_name")
    assert [row["subscriber_id"] for row in owners] == [alive.subscriber_id]
    latest, *_ = await list_records(office.borrowed, f"subscriber:{ended.subscriber_id}")
    assert latest.action == "purge_contact"


async def owe(office: Office, treasury: Treasury, card: Card) -> None:
    await treasury.pay_in(card, 5_000_000)
    await office.end(card)


async def leave_active(office: Office, treasury: Treasury, card: Card) -> None:
    """The card has not ended."""


async def leave_refund_open(office: Office, treasury: Treasury, card: Card) -> None:
    await treasury.pay_in(card, 5_000_000)
    await treasury.request(card)
    await office.end(card)


async def end_later(office: Office, treasury: Treasury, card: Card) -> None:
    office.clock.move(timedelta(seconds=2))
    await office.end(card)


@pytest.mark.parametrize("keep", [owe, leave_active, leave_refund_open, end_later])
async def test_contact_details_stay_while_they_are_needed(
    office: Office, treasury: Treasury, keep: Keep
) -> None:
    card = await shop.sell(office.borrowed)
    await keep(office, treasury, card)
    office.clock.move_to(shop.AT + AFTER)
    run = await office.purge(DataClass.CONTACTS)
    assert (run.rows, run.keys) == (0, 0)
    assert await office.contact(card) == shop.WANG
    found = await tally(office, DataClass.CONTACTS)
    assert (found.kept, found.ready) == (1, 0)


# Payees


async def refund(treasury: Treasury, card: Card) -> Refund:
    """A refund that is over, with its payee."""
    await treasury.pay_in(card, 5_000_000)
    asked = await treasury.request(card)
    return await treasury.do(asked, Reject("account closed"))


async def test_a_payee_outlasts_the_contact_details_under_a_key_of_its_own(
    office: Office, treasury: Treasury
) -> None:
    card = await shop.sell(office.borrowed)
    place = (card.part, card.subscriber_id)
    over = await refund(treasury, card)
    await office.borrowed.execute("UPDATE account SET available = 0 WHERE id = $1", card.account_id)
    await office.end(card)
    former = await get_subscriber_key(office.borrowed, office.master, *place)
    sealed_before = (await treasury.get(over)).sealed_payee
    assert sealed_before is not None
    assert open_payee(former, sealed_before, *place) == WANG

    office.clock.move(AFTER)
    run = await office.purge(DataClass.CONTACTS)
    assert (run.rows, run.keys) == (1, 2)  # the subscriber's, and that of look-ups: nobody's name is left
    assert await office.is_erased(card)
    kept = await treasury.get(over)
    payee = await read_payee(
        office.borrowed,
        office.now(),
        actor=shop.STAFF,
        master=office.master,
        refund=kept,
        reason="tax",
    )
    assert payee == WANG
    assert kept.sealed_payee is not None
    with pytest.raises(SealBroken):
        open_payee(former, kept.sealed_payee, *place)

    run = await office.purge(DataClass.PAYEES)
    assert (run.rows, run.keys) == (1, 1)
    assert await office.borrowed.fetchval("SELECT count(*) FROM subscriber_key") == 0
    assert (await treasury.get(over)).sealed_payee is None


async def test_payees_of_open_and_of_recent_refunds_stay(office: Office, treasury: Treasury) -> None:
    open_card, recent_card, old_card = [await shop.sell(office.borrowed) for _ in range(3)]
    await treasury.pay_in(open_card, 5_000_000)
    asked = await treasury.request(open_card)
    old = await refund(treasury, old_card)
    office.clock.move(AFTER)
    recent = await refund(treasury, recent_card)
    run = await office.purge(DataClass.PAYEES)
    assert (run.rows, run.keys, run.oldest) == (1, 0, shop.AT)  # the contact details still need the key
    assert (await treasury.get(old)).sealed_payee is None
    assert (await treasury.get(asked)).sealed_payee is not None
    assert (await treasury.get(recent)).sealed_payee is not None


async def test_payees_go_from_payouts_too_and_what_is_left_gets_a_new_key(
    office: Office, treasury: Treasury
) -> None:
    card = await shop.sell(office.borrowed)
    await treasury.pay_in(card, 5_000_000)
    asked = await treasury.request(card)
    await treasury.do(asked, Verify("claim code"))
    await treasury.do(asked, Approve(), "staff:bob")
    await treasury.pay_out()
    await office.borrowed.execute("UPDATE refund SET state = 'settled', closed_at = $1", office.now())
    await office.borrowed.execute("UPDATE account SET available = 0, held = 0 WHERE id = $1", card.account_id)
    await office.end(card)
    office.clock.move(AFTER)
    await office.purge(DataClass.CONTACTS)
    key = await get_subscriber_key(office.borrowed, office.master, card.part, card.subscriber_id)
    of_payout = await office.borrowed.fetchval("SELECT sealed_payee FROM payout_order")
    assert open_payee(key, of_payout, card.part, card.subscriber_id) == WANG
    await office.purge(DataClass.PAYEES)
    left = await office.borrowed.fetchval("SELECT count(*) FROM payout_order WHERE sealed_payee IS NOT NULL")
    assert left == 0


# Rows that go by their age


TRACE = """
INSERT INTO message (part, id, account_id, card_id, line_id, direction, application, source_link, next_link, far,
                     segments, price_micros, rate, state, accepted_at, done_at)
VALUES ($1, $2, 1, 1, 1, 1, false, 'a', 'b', '+86138********', 1, 0, '', 3, $3, $3)"""
USAGE = """
INSERT INTO usage_record (part, id, account_id, card_id, line_id, session_id, usage, far, zone, started_at, ended_at,
                          units, allowance_units, price_micros, unpaid_micros, cause, explanation)
VALUES ($1, $2, 1, 1, 1, 's', 'call', '+86', 'CA', $3, $3, 1, 0, 0, 0, 'ended', '[]')"""
NOTICE = """
INSERT INTO notice (part, id, card_id, kind, parameters, written_at, due_at, closed_at)
VALUES ($1, $2, 1, 'low_balance', '{}', $3, $3, $3)"""
ATTEMPT = """
INSERT INTO notice_attempt (part, subscriber_id, notice_id, occasion, number, channel, language, at, result, result_at,
                            detail, message_ids)
VALUES ($1, $2, 1, 0, 1, 'text', 'en', $3, 'reached', $3, '', '{}')"""
RECIPIENT = """
INSERT INTO notice_recipient (part, subscriber_id, notice_id, language, is_urgent, state, channel, due_at, done_at)
VALUES ($1, $2, 1, 'en', false, 'reached', 'text', $3, $3)"""
ROWS = [
    (DataClass.TRACES, "message", "id", TRACE),
    (DataClass.USAGE, "usage_record", "id", USAGE),
    (DataClass.NOTICES, "notice", "id", NOTICE),
    (DataClass.NOTICES, "notice_attempt", "subscriber_id", ATTEMPT),
    (DataClass.NOTICES, "notice_recipient", "subscriber_id", RECIPIENT),
]


@pytest.mark.parametrize(("data_class", "table", "key", "insert"), ROWS)
async def test_what_is_older_than_the_least_time_goes_and_nothing_else(
    office: Office, data_class: DataClass, table: str, key: str, insert: str
) -> None:
    now = office.now()
    ages = [LEAST - timedelta(seconds=1), LEAST, LEAST + timedelta(seconds=1), MOST + timedelta(seconds=1)]
    rows = [(part, number, now - age) for part in (1, 2) for number, age in enumerate(ages, start=1)]
    await office.borrowed.executemany(insert, rows)
    found = await tally(office, data_class)
    assert (found.kept, found.ready, found.overdue, found.oldest) == (8, 4, 2, now - ages[3])
    run = await office.purge(data_class)
    assert (run.rows, run.keys, run.oldest, run.newest) == (4, 0, now - ages[3], now - ages[2])
    left = await office.borrowed.fetch(
        f"SELECT part, {key} FROM {table} ORDER BY 1, 2"  # noqa: S608
    )
    assert [tuple(row) for row in left] == [(1, 1), (1, 2), (2, 1), (2, 2)]


async def test_a_text_under_way_keeps_its_trace(office: Office) -> None:
    old = office.now() - 2 * LEAST
    await office.borrowed.execute(TRACE, 1, 7, old)
    await office.borrowed.execute(
        "INSERT INTO delivery (part, id, stage, next_link, source_link, application, receipt_wanted,"
        " next_attempt_at, expires_at, accepted_at) VALUES (1, 7, 1, 'b', 'a', false, 0, $1, $1, $1)",
        old,
    )
    assert (await office.purge(DataClass.TRACES)).rows == 0


async def test_what_one_signs_in_with_goes_after_the_contact_details(office: Office) -> None:
    gone, stays = await shop.sell(office.borrowed), await shop.sell(office.borrowed)
    for card in (gone, stays):
        await issue_claim_code(
            office.borrowed,
            office.now(),
            actor=shop.STAFF,
            master=office.master,
            part=card.part,
            subscriber_id=card.subscriber_id,
        )
        await office.borrowed.execute(
            "INSERT INTO passkey (part, id, subscriber_id, public_key, sign_count, made_at)"
            " VALUES ($1, $2, $3, $2, 0, $4)",
            card.part,
            card.id.to_bytes(8, "big"),
            card.subscriber_id,
            office.now(),
        )
        await office.borrowed.execute(
            "INSERT INTO port_pin (part, card_id, pin_hash, expires_at) VALUES ($1, $2, $3, $4)",
            card.part,
            card.id,
            b"",
            office.now(),
        )
        await office.borrowed.execute(
            "INSERT INTO sign_in_code (part, card_id, code_hash, expires_at) VALUES ($1, $2, $3, $4)",
            card.part,
            card.id,
            b"",
            office.now(),
        )
    await office.end(gone)
    office.clock.move(AFTER)
    await office.purge(DataClass.CONTACTS)
    assert (await office.purge(DataClass.SIGN_IN)).rows == 0
    office.clock.move(AFTER)
    assert (await office.purge(DataClass.SIGN_IN)).rows == 4
    owners = await office.borrowed.fetch("SELECT subscriber_id FROM claim_code")
    assert [row["subscriber_id"] for row in owners] == [stays.subscriber_id]
    assert (await tally(office, DataClass.SIGN_IN)).kept == 4


# What stands before it


async def hold(office: Office) -> LegalHold:
    added = await add_hold(office.borrowed, office.now(), actor=shop.STAFF, reason="T-1502-21")
    assert isinstance(added, LegalHold)
    return added


async def test_a_closed_gate_a_stay_or_a_legal_hold_stands_before_every_run(office: Office) -> None:
    closed = await office.begin(DataClass.TRACES, NO_ORDER)
    assert isinstance(closed, Closed)
    assert closed.capability is Capability.PURGE
    assert await office.begin(DataClass.TRACES, stayed=True) is PurgeRefusal.STAYED
    added = await hold(office)
    assert await office.begin(DataClass.TRACES) is PurgeRefusal.LEGAL_HOLD
    for actor in ("staff:alice", "staff:bob"):
        await lift_hold(office.borrowed, office.now(), actor=actor, hold_id=added.id)
    assert isinstance(await office.begin(DataClass.TRACES), PurgeRun)


@pytest.mark.parametrize("data_class", sorted(KEPT_WHOLE))
async def test_what_proves_itself_as_a_whole_is_never_purged_in_part(
    office: Office, data_class: DataClass
) -> None:
    assert await office.begin(data_class) is PurgeRefusal.KEPT_WHOLE


async def test_a_hold_that_comes_in_mid_run_stops_it_and_the_run_goes_on_when_it_is_lifted(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("onecard.retention.actions.BATCH_MOST", 2)
    old = office.now() - 2 * LEAST
    await office.borrowed.executemany(TRACE, [(1, number, old) for number in range(1, 6)])
    run = await office.begin(DataClass.TRACES)
    assert isinstance(run, PurgeRun)
    assert await office.batch(run, 1) == 2
    added = await hold(office)
    assert await office.batch(run, 1) is PurgeRefusal.LEGAL_HOLD
    assert await office.borrowed.fetchval("SELECT count(*) FROM message") == 3
    for actor in ("staff:alice", "staff:bob"):
        await lift_hold(office.borrowed, office.now(), actor=actor, hold_id=added.id)
    office.clock.move(timedelta(days=1))
    resumed = await office.begin(DataClass.TRACES)
    assert isinstance(resumed, PurgeRun)
    assert (resumed.id, resumed.rows, resumed.before) == (run.id, 2, run.before)
    ended = await office.purge(DataClass.TRACES)
    assert (ended.id, ended.rows) == (run.id, 5)
    assert await store.list_runs(office.borrowed) == (ended,)


async def test_who_destroys_does_not_wait_for_another_and_who_holds_waits_for_both(
    office: Office, database: Database
) -> None:
    async with (
        transaction(database.pool) as one,
        transaction(database.pool) as other,
    ):
        assert not await is_held(one)
        assert not await is_held(other)
        adding = asyncio.ensure_future(hold(office))
        done, _ = await asyncio.wait([adding], timeout=0.2)
        assert not done
    await adding
    async with transaction(database.pool) as after:
        assert await is_held(after)


async def test_keys_are_not_renewed_under_a_legal_hold_or_without_a_spare_one(office: Office) -> None:
    async def begin() -> Renewal | PurgeRefusal:
        return await begin_renewal(office.borrowed, office.now(), actor=shop.STAFF, periods=office.periods)

    await shop.sell(office.borrowed)
    assert await begin() is PurgeRefusal.NO_SPARE_KEY
    office.periods.create_next()
    begun = await begin()
    assert isinstance(begun, Renewal)
    assert await office.end_renewal(begun) is PurgeRefusal.KEYS_LEFT
    await hold(office)
    assert await begin() is PurgeRefusal.LEGAL_HOLD
    assert await office.end_renewal(begun) is PurgeRefusal.LEGAL_HOLD
    assert office.periods.list_periods() == (1, 2)


NOON = datetime(2022, 1, 10, 12)  # noqa: DTZ001  # by the clock on a wall
HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("stays", "stayed"),
    [
        ([], False),
        ([Stay(NOON)], True),
        ([Stay(NOON + HOUR)], False),
        ([Stay(NOON - HOUR, NOON)], False),
        ([Stay(NOON - HOUR, NOON + HOUR, frozenset({"one stage"}))], True),
    ],
)
def test_a_stay_of_any_stage_is_a_stay(stays: list[Stay], stayed: bool) -> None:
    assert is_stayed(stays, NOON) is stayed


# The certificate


async def test_a_certificate_names_what_went_and_the_keys_that_are_gone(office: Office) -> None:
    await office.end(await shop.sell(office.borrowed))
    office.clock.move(AFTER)
    fingerprint = office.periods.fingerprint(1)
    run = await office.purge(DataClass.CONTACTS)
    assert await office.certify(run) is PurgeRefusal.NOT_RENEWED
    office.clock.move(timedelta(minutes=1))
    await office.renew()
    document = await office.certify(run)
    assert isinstance(document, dict)
    assert document["class"] == "contacts"
    assert (document["destroyed"]["rows"], document["destroyed"]["data_keys"]) == (1, 2)
    assert document["backups"] == {
        "unreadable": True,
        "made_since": shop.AT.isoformat(),
        "made_before": office.now().isoformat(),
        "because": "the keys of their periods were destroyed",
        "keys_destroyed": [{"period": 1, "sha256": fingerprint}],
    }
    key = SigningKey(bytes(32))
    written = msgspec.json.encode(sign_document(key, document))
    assert verify_document(written, key.public_key) == document


async def test_a_renewal_from_before_the_run_ended_certifies_nothing(office: Office) -> None:
    await office.end(await shop.sell(office.borrowed))
    office.clock.move(AFTER)
    await office.renew()
    office.clock.move(timedelta(minutes=1))
    run = await office.purge(DataClass.CONTACTS)
    assert await office.certify(run) is PurgeRefusal.NOT_RENEWED


async def test_what_was_not_sealed_is_certified_without_a_word_for_backups(office: Office) -> None:
    await office.borrowed.execute(TRACE, 1, 1, office.now() - 2 * LEAST)
    run = await office.begin(DataClass.TRACES)
    assert isinstance(run, PurgeRun)
    assert await office.certify(run) is PurgeRefusal.NOT_ENDED
    ended = await office.purge(DataClass.TRACES)
    document: Any = await office.certify(ended)
    assert document["backups"]["unreadable"] is False
    assert document["destroyed"]["rows"] == 1
    await office.borrowed.execute("DELETE FROM purge_run")
    assert await office.certify(ended) is PurgeRefusal.UNKNOWN_RUN
