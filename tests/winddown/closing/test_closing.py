"""The end: balances at the gate, a name for all that is left, and a statement that hides none of it."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from io import BytesIO

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pypdf import PdfReader

import shop
from charging.months import PLANS, Months, tariff_of
from onecard import audit
from onecard.cards.model import Card
from onecard.database.pool import Database, connection
from onecard.ledger import top_up
from onecard.payments.actions import make_vouchers
from onecard.payments.bank.model import PaymentOrder
from onecard.payments.refunds.cards import request_refund_of_card
from onecard.payments.sides.actions import dispute, give_promotional_credit, pay_in_deposit
from onecard.payments.sides.model import SideAccount
from onecard.sealing.signing import SignatureBroken, SigningKey, canonical, verify_document
from onecard.subscribers.actions import erase_subscriber
from onecard.subscribers.model import Contact
from onecard.values.gate import NO_ORDER, Closed
from onecard.winddown.closing import store
from onecard.winddown.closing.actions import (
    sum_residue_by_province,
    take_snapshot,
)
from onecard.winddown.closing.model import (
    ClosingFault,
    Issued,
    NotClosable,
    ResidueState,
    Snapshot,
    SnapshotRefusal,
)
from onecard.winddown.closing.printing import print_statement
from onecard.winddown.gatekeeper import Gatekeeper
from onecard.winddown.model import ValueKind
from onecard.winddown.store import load_in_force
from payments.treasury import ALICE, BOB, cents, debit
from winddown.closing.end import CLOSED_DOWN, DAY, GATE, KEY, End
from winddown.plans import TORONTO

V, R = ValueKind, ResidueState


@pytest.fixture
async def end(database: Database) -> AsyncIterator[End]:
    async with connection(database.pool) as borrowed:
        await shop.open_shop(borrowed, sims=40, canadian=40)
        yield End(database, borrowed)


async def set_aside(end: End, card: Card) -> None:
    """A deposit, a dispute over a part of the cash, and promotional credit on one account."""
    given = {"actor": ALICE, "part": card.part, "account_id": card.account_id, "event": "1"}
    at = end.clock.now()
    for move, amount in ((pay_in_deposit, 700), (dispute, 300), (give_promotional_credit, 900)):
        side = await move(end.borrowed, at, amount=cents(amount), **given)  # type: ignore[arg-type]
        assert isinstance(side, SideAccount), side


async def test_no_balance_is_recorded_before_refunds_open(end: End) -> None:
    closed = await end.snapshot()
    assert isinstance(closed, Closed)
    await end.order()
    end.clock.move_to(GATE - timedelta(seconds=1))
    assert isinstance(await end.snapshot(), Closed)
    end.clock.move_to(GATE + timedelta(seconds=1))
    assert await end.snapshot() is SnapshotRefusal.TOO_SOON
    end.clock.move_to(GATE + timedelta(minutes=1))
    snapshot = await end.snapshot()
    assert isinstance(snapshot, Snapshot)
    assert snapshot.as_of == GATE


async def test_every_kind_of_value_is_recorded_apart_as_it_was_at_the_gate(end: End) -> None:
    await end.order()
    rich = await end.earn(30_000_000)
    await set_aside(end, rich)
    await end.sell_paid()
    await make_vouchers(
        end.borrowed,
        shop.AT,
        actor=ALICE,
        gates=NO_ORDER,
        master=shop.MASTER,
        face=cents(2_000),
        count=3,
        expires_at=GATE + 300 * DAY,
    )
    end.clock.move_to(GATE + 5 * DAY)
    await end.pay_in(rich, 1_000_000)  # after the gate: not of it
    assert isinstance(await end.snapshot(), Snapshot)
    assert await end.totals() == {
        V.CASH: (1, 27_000_000, 27_000_000),
        V.DEPOSITS: (1, 7_000_000, 7_000_000),
        V.DISPUTED: (1, 3_000_000, 3_000_000),
        V.PROMOTIONAL: (1, 9_000_000, 0),
        V.UNACTIVATED_CARDS: (1, 25_000_000, 25_000_000),
        V.VOUCHERS: (3, 60_000_000, 60_000_000),
    }


async def test_balances_are_recorded_once_however_often_and_by_however_many(end: End) -> None:
    await end.order()
    for _ in range(5):
        await end.earn(10_000_000)
    end.clock.move_to(GATE + DAY)

    gates = await end.gates()

    async def take() -> Snapshot | SnapshotRefusal | Closed:
        async with connection(end.database.pool) as other:
            return await take_snapshot(other, end.clock.now(), actor=ALICE, gates=gates, zone=TORONTO)

    taken = await asyncio.gather(*(take() for _ in range(3)))
    assert len({snapshot.completed_at for snapshot in taken if isinstance(snapshot, Snapshot)}) == 1
    assert await end.totals() == {V.CASH: (5, 50_000_000, 50_000_000)}
    records = await audit.list_records(end.borrowed, "winddown")
    assert [one.action for one in records].count("take_snapshot") == 1


async def test_a_snapshot_that_was_interrupted_goes_on_where_it_was(end: End) -> None:
    await end.order()
    for _ in range(4):
        await end.earn(10_000_000)
    end.clock.move_to(GATE + DAY)
    done: list[int] = []

    def stop_half_way(parts: int, _: int) -> None:
        done.append(parts)
        if parts == 2:
            raise KeyboardInterrupt

    gates = await end.gates()
    with pytest.raises(KeyboardInterrupt):
        await take_snapshot(
            end.borrowed, end.clock.now(), actor=ALICE, gates=gates, zone=TORONTO, told=stop_half_way
        )
    assert await end.borrowed.fetchval("SELECT count(done_at) FROM closing_part") == 2
    found = await store.find_snapshot(end.borrowed)
    assert found is not None
    assert found.completed_at is None
    assert isinstance(await end.snapshot(), Snapshot)
    assert await end.totals() == {V.CASH: (4, 40_000_000, 40_000_000)}


async def test_what_was_not_used_of_a_plan_is_cash_again_to_the_microsecond(end: End) -> None:
    await end.order()
    card = await end.earn(30_000_000)
    months = Months(end.database, card, end.clock, tariff_of(*PLANS))
    await months.subscribe("Small")  # 4.00 from 10 March, noon UTC, to 10 April in Vancouver
    end.clock.move_to(GATE + 30 * DAY)
    months.gates = Gatekeeper(await load_in_force(end.borrowed)).at
    await months.work()  # it was renewed meanwhile, free of charge, which changes nothing
    assert isinstance(await end.snapshot(), Snapshot)
    whole = datetime(2026, 4, 10, 4, tzinfo=UTC) - shop.AT  # by the calendar of the snapshot's zone
    left = datetime(2026, 4, 10, 4, tzinfo=UTC) - GATE
    expected = -(-4_000_000 * (left // timedelta(microseconds=1)) // (whole // timedelta(microseconds=1)))
    assert await end.totals() == {
        V.CASH: (1, 26_000_000, 26_000_000),
        V.UNUSED_PLAN_VALUE: (1, expected, expected),
    }
    available, _ = await end.balance(card)
    assert available == 26_000_000 + expected
    await end.proved()


async def test_what_was_not_used_is_given_back_once_though_it_was_interrupted(end: End) -> None:
    await end.order()
    card = await end.earn(30_000_000)
    await Months(end.database, card, end.clock, tariff_of(*PLANS)).subscribe("Small")
    end.clock.move_to(GATE + DAY)
    for _ in range(3):
        assert isinstance(await end.snapshot(), Snapshot)
        # as if it had been killed just before it could note that the part is done
        await end.borrowed.execute("UPDATE closing_part SET done_at = NULL WHERE part = $1", card.part)
    given_back = (await end.totals())[V.UNUSED_PLAN_VALUE][2]
    assert await end.balance(card) == (26_000_000 + given_back, 0)


async def residues(end: End) -> None:
    """An account in every state in which money can be left."""
    at = end.clock.now()
    await set_aside(end, await end.earn(30_000_000))  # disputed, not owed; its cash and deposit unclaimed
    held = await end.earn(11_000_000)
    erased = await end.earn(12_000_000)
    await erase_subscriber(
        end.borrowed, at, actor=ALICE, part=erased.part, subscriber_id=erased.subscriber_id
    )
    old = await end.earn(0)
    async with end.borrowed.transaction():
        await top_up(
            end.borrowed,
            GATE - 400 * DAY,
            actor=ALICE,
            part=old.part,
            account_id=old.account_id,
            amount=cents(1_300),
            event="long ago",
        )
    end.clock.move_to(GATE + DAY)
    await end.snapshot()
    await end.request(held)


async def test_all_that_is_left_has_a_name_and_none_of_it_is_income(end: End) -> None:
    await end.order()
    await residues(end)
    revenue = await end.system("revenue")
    assert await end.name() == {
        (V.CASH, R.HELD): 11_000_000,
        (V.CASH, R.INACTIVE): 13_000_000,
        (V.CASH, R.UNCLAIMED): 27_000_000,
        (V.CASH, R.UNREACHABLE): 12_000_000,
        (V.DEPOSITS, R.UNCLAIMED): 7_000_000,
        (V.DISPUTED, R.DISPUTED): 3_000_000,
        (V.PROMOTIONAL, R.NOT_OWED): 9_000_000,
    }
    assert await end.system("revenue") == revenue


async def test_who_was_told_in_vain_is_unreachable(end: End) -> None:
    await end.order()
    told = """
    INSERT INTO notice_recipient (part, subscriber_id, notice_id, language, is_urgent, state, channel, due_at)
    VALUES ($1, $2, $3, 'en', false, $4, 'letter', $5)"""
    for results in (("unreached",), ("unreached", "reached"), ("sent",)):
        card = await end.earn(10_000_000)
        for notice_id, result in enumerate(results):
            await end.borrowed.execute(told, card.part, card.subscriber_id, notice_id, result, shop.AT)
    end.clock.move_to(CLOSED_DOWN)
    assert await end.name() == {(V.CASH, R.UNREACHABLE): 10_000_000, (V.CASH, R.UNCLAIMED): 20_000_000}


async def test_a_card_that_became_void_is_left_once_before_and_after_its_refund_is_asked_for(
    end: End,
) -> None:
    await end.order()
    card = await end.sell_paid()
    end.clock.move_to(CLOSED_DOWN)
    await end.snapshot()
    assert await end.name() == {(V.UNACTIVATED_CARDS, R.INACTIVE): 25_000_000}
    await request_refund_of_card(
        end.borrowed,
        end.clock.now(),
        actor=ALICE,
        gates=await end.gates(),
        part=card.part,
        card_id=card.id,
    )
    assert await end.name() == {(V.UNACTIVATED_CARDS, R.HELD): 25_000_000}


async def test_what_is_left_is_told_by_province_and_who_looked_is_written_down(end: End) -> None:
    await end.order()
    for name, address in (
        ("A", "1 Main Street\nVancouver BC V5K 0A1"),
        ("B", "2, rue Principale\nMontréal (Québec)  h2x1y4"),
        ("C", "3 Main Street\nIqaluit NU X0A 0H0"),
        ("D", "4 High Street\nLondon SW1A 1AA"),
        ("E", None),
    ):
        await end.pay_in(await end.sell_paid(Contact(name, "a@example.com", address)), 1_000_000)
    end.clock.move_to(CLOSED_DOWN)
    await end.name()
    totals = await sum_residue_by_province(
        end.borrowed, end.clock.now(), actor=ALICE, master=shop.MASTER, reason="report"
    )
    assert [(one.province, one.state, one.count, one.micros) for one in totals] == [
        ("BC", R.UNCLAIMED, 1, 26_000_000),
        ("NU", R.UNCLAIMED, 1, 26_000_000),
        ("QC", R.UNCLAIMED, 1, 26_000_000),
        ("unknown", R.UNCLAIMED, 2, 52_000_000),
    ]
    records = await audit.list_records(end.borrowed, "residue")
    assert {(one.action, one.detail["reason"]) for one in records} == {("read_contacts", "report")}
    assert sum(len(one.detail["subscribers"]) for one in records) == 5


async def test_no_statement_is_issued_while_anything_stands_against_it(end: End) -> None:
    assert await end.faults() == [ClosingFault.NO_ORDER]
    await end.order()
    card = await end.earn(11_000_000)
    assert await end.faults() == [
        ClosingFault.STAGES_TO_COME,
        ClosingFault.STAGES_TO_COME,
        ClosingFault.NO_SNAPSHOT,
        ClosingFault.NOT_NAMED,
        ClosingFault.NOT_COVERED,
    ]
    end.clock.move_to(CLOSED_DOWN)
    await end.snapshot()
    await end.name()
    assert await end.faults() == [ClosingFault.NOT_COVERED]
    await end.state_bank(cents(1_100))
    await end.pay_in(card, 1)  # it came in all the same, and is in no name
    issued = await end.issue()
    assert isinstance(issued, NotClosable)
    assert [one.sentence for one in issued.faults] == [
        "11.000001 CAD is owed on accounts, 11.00 CAD has a name: run `onecard winddown residue`",
        "0.000001 CAD is missing: 11.000001 CAD is owed, 11.00 CAD is in hand",
    ]
    await end.name()
    await end.approve(card)
    await end.make_run()
    assert ClosingFault.PAYOUTS_UNDER_WAY in await end.faults()


async def close(end: End) -> tuple[Issued, list[PaymentOrder]]:
    """The whole end: a refund paid, every residue named and covered, the statement issued."""
    await end.order()
    paid = await end.earn(20_000_000)
    await residues(end)
    await end.approve(paid, "2")
    orders = await end.pay_out()
    end.clock.move_to(CLOSED_DOWN)
    await end.state_bank(cents(7_300), *map(debit, orders))
    await end.name()
    issued = await end.issue()
    assert isinstance(issued, Issued), issued
    return issued, orders


async def test_the_statement_says_where_every_cent_went_and_anybody_can_prove_it(end: End) -> None:
    issued, [paid] = await close(end)
    document = verify_document(issued.signed, KEY.public_key)
    [money] = document["money"]
    assert money["moved_micros"] == {
        "deposit": 7_000_000,
        "payout": -paid.amount.micros,
        "promotion_given": 9_000_000,
        "top_up": 86_000_000,
    }
    assert money["remaining_micros"] == sum(money["moved_micros"].values()) == 82_000_000
    assert money["remaining_micros"] == sum(one["micros"] for one in money["residue"])
    assert (money["owed_micros"], money["not_owed_micros"], money["spare_micros"]) == (
        73_000_000,
        9_000_000,
        0,
    )
    assert document["order"]["approved_by"] == [ALICE, BOB]
    assert document["order"]["document_sha256"] == "0a" * 32
    assert document["reconciliation"]["payments"] == 1
    assert document["numbers"] == {
        "imported": 50,
        "at_their_end": 0,
        "to_go_back": 50,
        "by_country": {"CA": {"assigned": 5, "free": 35}, "CN": {"free": 10}},
    }
    stored = await end.borrowed.fetchval("SELECT signed FROM closing_statement")
    assert stored == issued.signed
    assert (await audit.list_records(end.borrowed, "winddown"))[0].action == "issue_statement"


async def test_a_statement_that_was_changed_by_a_cent_proves_nothing(end: End) -> None:
    issued, _ = await close(end)
    for old, new in ((b"73000000", b"73010000"), (b"Maple", b"Mapel"), (b'"form": 1', b'"form": 2')):
        assert old in issued.signed
        with pytest.raises(SignatureBroken):
            verify_document(issued.signed.replace(old, new), KEY.public_key)
    other = SigningKey(bytes(32))
    with pytest.raises(SignatureBroken):
        verify_document(issued.signed, other.public_key)


async def test_the_printed_statement_says_the_same_and_how_to_prove_it(end: End) -> None:
    issued, _ = await close(end)
    printed = print_statement(issued.document)
    assert printed == print_statement(issued.document)
    text = "\n".join(page.extract_text() for page in PdfReader(BytesIO(printed)).pages)
    for words in (
        "Closing statement",
        "Maple Mobile",
        "Investment Canada Act",
        "unreachable",
        "12.00 CAD",
        "73.00 CAD",
        "(payments: 1, statements: 1)",
        "2026-03-20 00:00:00-04:00",
        KEY.public_key,
    ):
        assert words in text, words


async def test_a_statement_in_chinese_is_printed_too(end: End) -> None:
    issued, _ = await close(end)
    document = {**issued.document.document, "operator": "枫叶移动"}
    printed = print_statement(msgspec.structs.replace(issued.document, document=document))
    assert "枫叶移动" in PdfReader(BytesIO(printed)).pages[0].extract_text()


async def test_the_signature_is_proved_by_another_program(end: End) -> None:
    issued, _ = await close(end)
    file = msgspec.json.decode(issued.signed)
    public = Ed25519PublicKey.from_public_bytes(base64.b64decode(file["signature"]["public_key"]))
    public.verify(base64.b64decode(file["signature"]["value"]), canonical(file["document"]))


async def test_later_statements_follow_and_earlier_ones_stay(end: End) -> None:
    await close(end)
    end.clock.move(DAY)
    issued = await end.issue()
    assert isinstance(issued, Issued)
    assert await end.borrowed.fetchval("SELECT count(*) FROM closing_statement") == 2
