"""At the end: what the subscribers paid in, what the bank paid out, and the journal, held against each other."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from onecard.ledger import EntryKind, check_ledger
from onecard.payments.payouts.rules import read_end_to_end_id
from onecard.payments.refunds import store as refunds
from onecard.payments.refunds.model import RefundState
from onecard.payments.sides.store import list_side_accounts
from onecard.rehearsal.bank import Bank
from onecard.rehearsal.reckoning import must_be_closed
from onecard.rehearsal.residents import Resident
from onecard.rehearsal.world import World
from onecard.values.gate import Capability

SUMS = """
SELECT kind, coalesce(sum(available + held), 0)::bigint AS micros, count(*) AS entries
FROM entry WHERE part = $1 AND account_id = ANY ($2) GROUP BY kind"""
OWED = "SELECT sum(available + held)::bigint FROM account WHERE part = $1 AND id = ANY ($2)"
TIMES = "SELECT DISTINCT kind, at FROM entry WHERE kind = ANY ($1) ORDER BY at"
K = EntryKind
USED = (
    K.TEXT_CHARGE,
    K.TEXT_REFUND,
    K.USAGE_CHARGE,
    K.USAGE_REFUND,
    K.SETTLE,
    K.PLAN_FEE,
    K.PLAN_VALUE,
)
GATE_OF_ENTRY = {
    K.TOP_UP: Capability.TOP_UP,
    K.VOUCHER: Capability.TOP_UP,
    K.PLAN_FEE: Capability.RENEWAL_FEE,
    K.TEXT_CHARGE: Capability.CHARGING,
    K.USAGE_CHARGE: Capability.CHARGING,
}
"""Money that moves so moves only while the gate is open."""
CENT_MICROS = 10_000


@dataclass(slots=True)
class Money:
    """Sums over all subscribers, in micros. Presents, and prices of void cards that were asked for, are paid in too."""

    paid_in: int = 0
    used: int = 0
    paid_out: int = 0
    rounded: int = 0
    owed: int = 0


async def audit(world: World, banks: Sequence[Bank], residents: Sequence[Resident]) -> Money:
    """Prove everything that must hold at the end; what does not is noted."""
    for fault in [fault for bank in banks for fault in bank.faults]:
        world.find(fault)
    report = await check_ledger(world.connection)
    for violation in report.violations:
        world.find(f"the ledger: {violation}")
    by_refund = _sum_by_refund(world, banks)
    money = Money()
    for resident in residents:
        paid_out = await _audit_refunds(world, resident, by_refund)
        await _audit_account(world, resident, paid_out, money)
    await _audit_times(world)
    return money


def _sum_by_refund(world: World, banks: Sequence[Bank]) -> dict[int, int]:
    """What was paid of each refund, less what came back."""
    net: defaultdict[int, int] = defaultdict(int)
    returned = {id_: amount for bank in banks for id_, amount in bank.returned.items()}
    for id_, payments in [item for bank in banks for item in bank.paid.items()]:
        key = read_end_to_end_id(id_)
        assert key is not None
        if len(payments) > 1:
            world.find(f"the bank was told to pay {id_} {len(payments)} times")
        came_back = returned[id_].micros if id_ in returned else 0
        net[key.refund_id] += sum(amount.micros for amount in payments) - came_back
    return net


async def _audit_refunds(world: World, resident: Resident, by_refund: dict[int, int]) -> int:
    """Each refund that is settled was paid once, in full; no other was paid. Returns what was paid in all."""
    total = 0
    for refund_id in resident.refund_ids:
        refund = await refunds.find_refund(world.connection, resident.card.part, refund_id)
        assert refund is not None
        paid = by_refund.get(refund_id, 0)
        due = refund.amount.micros if refund.state is RefundState.SETTLED else 0
        if paid != due:
            world.find(f"refund {refund_id} is {refund.state}: the bank paid {paid} micros, not {due}")
        total += paid
    return total


async def _audit_account(world: World, resident: Resident, paid_out: int, money: Money) -> None:
    """Paid in = used + paid out + owed, by the books of those who paid and of the bank."""
    account_id = resident.card.account_id
    sides = await list_side_accounts(world.connection, resident.card.part, account_id)
    accounts = resident.card.part, [account_id, *(side.side_account_id for side in sides)]
    sums = {row["kind"]: row for row in await world.connection.fetch(SUMS, *accounts)}
    used = -sum(sums[kind]["micros"] for kind in USED if kind in sums)
    rounded = sums[K.ROUNDING]["micros"] if K.ROUNDING in sums else 0
    owed = await world.connection.fetchval(OWED, *accounts)
    paid_in = resident.paid_in_micros + resident.given_micros
    paid_in += resident.card_price_micros if resident.is_card_owed else 0
    if paid_in + rounded != used + paid_out + owed:
        world.find(
            f"account {account_id}: {paid_in} micros paid in and {rounded} rounded are not"
            f" {used} used, {paid_out} paid out and {owed} owed"
        )
    payouts = sums[K.PAYOUT]["entries"] if K.PAYOUT in sums else 0
    if not 0 <= rounded < max(1, payouts * CENT_MICROS):
        world.find(f"account {account_id}: {rounded} micros were rounded in {payouts} payouts")
    money.paid_in += paid_in
    money.used += used
    money.paid_out += paid_out
    money.rounded += rounded
    money.owed += owed


async def _audit_times(world: World) -> None:
    """No money has moved while its gate was closed: of what has come, the last version says when."""
    kinds = [int(kind) for kind in GATE_OF_ENTRY]
    for row in await world.connection.fetch(TIMES, kinds):
        kind = K(row["kind"])
        if must_be_closed(world.in_force, GATE_OF_ENTRY[kind], row["at"]):
            world.find(f"a {kind.name.lower()} was posted at {row['at']}, when its gate was closed")
