"""The end of a rehearsal: balances recorded at the gate, books reconciled, what is left named, the statement signed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from onecard.payments.bank.model import BankStatement
from onecard.payments.payouts.actions import apply_statement
from onecard.rehearsal.auditor import Money
from onecard.rehearsal.bank import Bank
from onecard.rehearsal.residents import Resident
from onecard.rehearsal.world import CAD, STAFF, World
from onecard.sealing.signing import SigningKey, verify_document
from onecard.values import money
from onecard.winddown.closing.actions import issue_statement, name_residue, take_snapshot
from onecard.winddown.closing.model import NotClosable, Snapshot, SnapshotRefusal
from onecard.winddown.reconciliation.actions import reconcile

LONG_AGO = timedelta(days=365)
OUR_ACCOUNT = "7654321"


async def record_balances(world: World) -> bool:
    """Take the record of all balances as soon as refunds are open; says whether it is there."""
    taken = await take_snapshot(
        world.connection, world.at, actor="onecard", gates=world.gates, zone=world.zone
    )
    assert taken is not SnapshotRefusal.TOO_SOON  # it is noon, and no stage comes a minute before
    return isinstance(taken, Snapshot)


async def reconcile_books(world: World) -> None:
    """Whatever the bank has still to say, what it has said must agree."""
    assert world.in_force is not None
    books = await reconcile(
        world.connection, world.at, actor="onecard", zone=world.zone, policies=world.in_force.plan.refunds
    )
    for difference in books.differences:
        world.find(f"the books differ: {difference.subject}: {difference.kind}: {difference.sentence}")


async def close(world: World, banks: Sequence[Bank], residents: Sequence[Resident], found: Money) -> None:
    """Name what is left and sign the closing statement, which has to say what the auditor found."""
    await _state_balance(world, banks, residents)
    await name_residue(world.connection, world.at, actor=STAFF[0], inactive_since=world.at - LONG_AGO)
    key = SigningKey(world.random.randbytes(32))
    issued = await issue_statement(
        world.connection, world.at, actor=STAFF[0], key=key, operator="Rehearsal", zone=world.zone
    )
    if isinstance(issued, NotClosable):
        for fault in issued.faults:
            world.find(f"no closing statement: {fault.sentence}")
        return
    document = verify_document(issued.signed, key.public_key)
    remaining = sum(one["remaining_micros"] for one in document["money"])
    if remaining != found.owed:
        world.find(f"the closing statement says that {remaining} micros are left, not {found.owed}")
    world.counts["closing statements"] += 1


async def _state_balance(world: World, banks: Sequence[Bank], residents: Sequence[Resident]) -> None:
    """What must be on the operator's account, if nobody but its subscribers ever moved money on it."""
    paid_in = sum(one.paid_in_micros + one.card_price_micros for one in residents)
    balance = money.Money(paid_in - sum(bank.sum_net() for bank in banks), CAD)
    last = BankStatement("LAST", OUR_ACCOUNT, (), balance, balance, world.at.date())
    await apply_statement(world.connection, world.at, actor="onecard", statement=last)
