"""The operator's people who pay balances back, day by day, with a machine that breaks down in the middle."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from onecard.database.pool import Connection, connection
from onecard.payments.bank.files import Format, write_file
from onecard.payments.bank.model import Debtor, StatusReport
from onecard.payments.payees import parse_canadian_account
from onecard.payments.payouts import actions as payouts
from onecard.payments.payouts.model import Applied, PayoutRefusal, PayoutRun, Route
from onecard.payments.refunds import store as refunds
from onecard.payments.refunds.actions import change_payee, change_refund
from onecard.payments.refunds.model import Approve, Change, Refund, RefundState, Verify
from onecard.rehearsal.bank import Bank, BankIsAway, Message, Provider
from onecard.rehearsal.residents import Resident, make_account
from onecard.rehearsal.world import CAD, COOLING, STAFF, World
from onecard.values.money import Money

DEBTOR = Debtor("Maple Bridge", parse_canadian_account("003-00001-7654321"))
S = RefundState


@dataclass(slots=True)
class Treasury:
    """What is still to be written to the bank, and what was once written of it."""

    bank: Bank
    provider: Provider
    unwritten: list[PayoutRun] = field(default_factory=list)
    begun: dict[int, bytes] = field(default_factory=dict)
    """The first octets of a file whose writing was cut off, by its run."""
    is_busy: bool = False
    """Whether a refund is still on its way, as of the last day."""


async def work_a_day(world: World, treasury: Treasury, residents: Sequence[Resident]) -> None:
    """Read what the bank sent, look at refunds, make a run, and hand over its file."""
    for sender in (treasury.bank, treasury.provider):
        for message in sender.deliver(world.at):
            await _take_in(world, message)
    open_refunds = [refund for resident in residents for refund in await _list_open(world, resident)]
    for resident, refund in open_refunds:
        await _move_on(world, resident, refund)
    for route in Route:
        if world.chance(0.5):
            await _make_run(world, treasury, route)
    await _hand_over(world, treasury)
    awaited = treasury.bank.owes_messages or treasury.provider.owes_messages
    treasury.is_busy = bool(open_refunds or treasury.unwritten or awaited)


async def _list_open(world: World, resident: Resident) -> list[tuple[Resident, Refund]]:
    found = []
    for refund_id in resident.refund_ids:
        refund = await refunds.find_refund(world.connection, resident.card.part, refund_id)
        assert refund is not None
        if refund.closed_at is None:
            found.append((resident, refund))
    return found


async def _move_on(world: World, resident: Resident, refund: Refund) -> None:
    """Verified by one, approved by another; one that came back needs another account."""
    if refund.is_frozen:
        return
    if refund.state is S.REQUESTED:
        await _change(world, refund, Verify("claim code"), STAFF[0])
    elif refund.state is S.VERIFIED:
        await _change(world, refund, Approve(), STAFF[2])
    elif refund.state is S.RETURNED:
        await _name_another_account(world, resident, refund)


async def _change(world: World, refund: Refund, change: Change, actor: str) -> None:
    changed = await change_refund(
        world.connection, world.at, actor=actor, part=refund.part, refund_id=refund.id, change=change
    )
    if not isinstance(changed, Refund):
        world.find(f"refund {refund.id} could not be moved on: {changed.value}")


async def _name_another_account(world: World, resident: Resident, refund: Refund) -> None:
    resident.payee = make_account(world, is_bad=world.chance(0.1))
    world.counts["refunds that came back"] += 1
    await change_payee(
        world.connection,
        world.at,
        actor=STAFF[0],
        master=world.master,
        part=refund.part,
        refund_id=refund.id,
        payee=resident.payee,
        cooling_off=COOLING,
    )


async def _make_run(world: World, treasury: Treasury, route: Route) -> None:
    run = await payouts.make_payout_run(
        world.connection,
        world.at,
        actor=STAFF[0],
        currency=CAD,
        route=route,
        execution_on=(world.at + timedelta(days=1)).date(),
        limit=Money(world.random.choice((500, 5_000, 10**6)) * 10**6, CAD),
        most=world.random.choice((3, 100)),
    )
    if isinstance(run, PayoutRefusal):
        assert run is PayoutRefusal.NOTHING_APPROVED, run
        return
    if world.chance(0.1):
        await payouts.withdraw_run(world.connection, world.at, actor=STAFF[1], run_id=run.id)
        return
    released = await payouts.release_run(
        world.connection, world.at, actor=STAFF[1], run_id=run.id, debtor=DEBTOR
    )
    assert isinstance(released, PayoutRun), released
    treasury.unwritten.append(released)


async def _hand_over(world: World, treasury: Treasury) -> None:
    """Write the file of each run that the bank has not acknowledged: again where it was cut off, or got no answer."""
    for run in list(treasury.unwritten):
        submitted = await payouts.submit_run(world.connection, world.at, actor=STAFF[1], run_id=run.id)
        assert isinstance(submitted, PayoutRun), submitted
        by_bank = run.route is Route.BANK
        data = await _write(world, submitted, Format.PAIN_001 if by_bank else Format.CSV)
        if not data.startswith(treasury.begun.get(run.id, b"")):
            world.find(f"the file of run {run.id} was written differently the second time")
        if world.chance(0.2):  # the machine stops here
            treasury.begun[run.id] = data[: world.random.randrange(len(data))]
            world.counts["crashes while a file was written"] += 1
            continue
        with contextlib.suppress(BankIsAway):
            (treasury.bank if by_bank else treasury.provider).take(data, world.at)
            treasury.unwritten.remove(run)


async def _write(world: World, run: PayoutRun, to: Format) -> bytes:
    pages = payouts.list_orders(world.connection, run, master=world.master, remittance="refund of a balance")
    orders = [order async for page in pages for order in page]
    file = payouts.make_payment_file(run)
    return b"".join(write_file(to, file, orders))


async def _take_in(world: World, message: Message) -> None:
    """Apply what the bank sent; where the machine stops in the middle, all of it again."""
    world.counts["messages of the bank"] += 1
    if world.chance(0.2):
        await _stop_in_the_middle(world, message)
    applied = await _apply(world, message)
    if applied.unmatched:
        world.find(f"a message of the bank fitted nothing: {message}")


async def _stop_in_the_middle(world: World, message: Message) -> None:
    """On a connection of its own, which is lost with what it was doing."""
    async with connection(world.pool) as borrowed:
        work = asyncio.ensure_future(_apply(world, message, borrowed))
        await asyncio.wait([work], timeout=world.random.uniform(0, 0.003))
        work.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await work
    world.counts["crashes while a message was taken in"] += 1


async def _apply(world: World, message: Message, borrowed: Connection | None = None) -> Applied:
    on = borrowed or world.connection
    if isinstance(message, StatusReport):
        return await payouts.apply_status_report(on, world.at, actor="onecard", report=message)
    return await payouts.apply_statement(on, world.at, actor="onecard", statement=message)
