"""Record balances at the gate, name what is left, and issue the closing statement.

Long work goes part by part, a transaction each: what was done stays done, and who starts it again goes on with the
rest. Locks are taken in one order: snapshot, ledger.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from datetime import datetime
from hashlib import sha256
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from onecard import audit, ledger
from onecard.charging.periods import Subscription
from onecard.database.parts import list_parts
from onecard.database.pool import Connection
from onecard.ledger import EntryKind, Posting
from onecard.portability.returns import account_for_numbers
from onecard.sealing.keys import MasterKey
from onecard.sealing.signing import SigningKey, sign_document
from onecard.subscribers.actions import read_contacts
from onecard.values.gate import Capability, Closed, Gates
from onecard.values.money import Currency
from onecard.winddown.closing import store
from onecard.winddown.closing.model import (
    ClosingFault,
    Fault,
    Issued,
    NotClosable,
    PaidFee,
    ProvinceTotal,
    ResidueState,
    ResidueTotal,
    Snapshot,
    SnapshotRefusal,
)
from onecard.winddown.closing.rules import (
    SETTLES_WITHIN,
    UNKNOWN_PROVINCE,
    decide_owed,
    find_faults,
    find_province,
    period_at,
    price_unused,
)
from onecard.winddown.closing.statement import Facts, make_document
from onecard.winddown.model import RefundPolicy, ValueKind
from onecard.winddown.reading import PlanFile
from onecard.winddown.reconciliation.actions import NO_ORDER_POLICIES, reconcile, sum_owed
from onecard.winddown.rules import date_stages
from onecard.winddown.store import list_versions, load_in_force

PAGE = 1000
NO_ORDER_FAULT = Fault(ClosingFault.NO_ORDER, "no order is in force")
Told = Callable[[int, int], None]
"""Is told how many parts are done, of how many."""


def tell_nobody(_done: int, _of: int) -> None:
    """Where nobody watches."""


# At the gate


async def take_snapshot(
    connection: Connection,
    at: datetime,
    *,
    actor: str,
    gates: Gates,
    zone: ZoneInfo,
    told: Told = tell_nobody,
) -> Snapshot | SnapshotRefusal | Closed:
    """Record what every account had when refunds opened, by kind of value, and give back what plans were not used.

    It is of that instant whenever it is taken, once; one that was interrupted goes on. Not to be called in a
    transaction.
    """
    if closed := gates.find_closed(Capability.REFUND):
        return closed
    file = await load_in_force(connection)
    assert file is not None  # without an order the gate is closed
    as_of = _find_opening(file, at)
    if at < as_of + SETTLES_WITHIN:
        return SnapshotRefusal.TOO_SOON
    async with connection.transaction():
        if await store.begin_snapshot(connection, as_of, file.plan.refunds, at, actor):
            await _record(connection, at, actor, "begin_snapshot", {"as_of": as_of.isoformat()})
    parts = await list_parts(connection)
    for done, part in enumerate(parts):
        told(done, len(parts))
        await _take_part(connection, at, part, zone)
    told(len(parts), len(parts))
    return await _complete(connection, at, actor)


def _find_opening(file: PlanFile, at: datetime) -> datetime:
    """When refunds opened."""
    opened = (
        one.instant
        for one in date_stages(file.plan, file.stays)
        if Capability.REFUND in one.stage.opens and one.instant is not None and one.instant <= at
    )
    return min(opened)


async def _take_part(connection: Connection, at: datetime, part: int, zone: ZoneInfo) -> None:
    """Record a part, and then give back: in pages, so that nobody waits long for their turn at the ledger."""
    if await store.is_part_done(connection, part):
        return
    async with connection.transaction():
        snapshot = await store.lock_snapshot(connection)
        fees = await _list_fees(connection, part, snapshot.as_of, zone)
        if not await store.is_part_recorded(connection, part):
            rows = await store.insert_balances(connection, part, snapshot)
            rows += await _record_plan_values(connection, part, snapshot, fees)
            await store.insert_part(connection, part, rows, at)
    await _give_back(connection, at, part, snapshot, fees)
    await store.finish_part(connection, part, at)


def _get_plan_policy(snapshot: Snapshot) -> RefundPolicy:
    return snapshot.policies.get(ValueKind.UNUSED_PLAN_VALUE, RefundPolicy.PRO_RATA)


async def _list_fees(connection: Connection, part: int, as_of: datetime, zone: ZoneInfo) -> list[PaidFee]:
    """The fees that were paid for the periods that the instant is in."""
    fees: list[PaidFee] = []
    after = 0
    while page := await store.list_subscriptions(connection, part, as_of, after=after, most=PAGE):
        asked = {_name_fee(one, as_of, zone): (one, currency) for one, currency in page}
        accounts = [one.account_id for one, _ in page]
        for row in await store.list_fees(connection, part, accounts, list(asked), as_of):
            subscription, currency = asked[row["event_id"]]
            number, until = period_at(subscription, as_of, zone)
            fees.append(
                PaidFee(
                    subscription.id,
                    subscription.account_id,
                    currency,
                    number,
                    until,
                    row["at"],
                    row["micros"],
                )
            )
        after = page[-1][0].id
    return fees


def _name_fee(subscription: Subscription, as_of: datetime, zone: ZoneInfo) -> Any:
    number, _ = period_at(subscription, as_of, zone)
    return ledger.name_event("plan_fee", f"{subscription.id}:{number}")


async def _record_plan_values(
    connection: Connection, part: int, snapshot: Snapshot, fees: list[PaidFee]
) -> int:
    policy = _get_plan_policy(snapshot)
    values: defaultdict[tuple[int, Currency], int] = defaultdict(int)
    for fee in fees:
        values[fee.account_id, fee.currency] += price_unused(fee, snapshot.as_of, policy)
    worth = {key: (micros, decide_owed(micros, policy)) for key, micros in values.items() if micros}
    return await store.insert_plan_values(connection, part, worth)


async def _give_back(
    connection: Connection, at: datetime, part: int, snapshot: Snapshot, fees: list[PaidFee]
) -> None:
    """What was not used of plans is cash again, once for each period however often this is done."""
    policy = _get_plan_policy(snapshot)
    postings = [
        Posting(
            part,
            fee.account_id,
            ledger.name_event("plan_value", f"{fee.subscription_id}:{fee.period}"),
            EntryKind.PLAN_VALUE,
            micros,
            ledger.hash_contents(fee.subscription_id, fee.period),
        )
        for fee in fees
        if (micros := decide_owed(price_unused(fee, snapshot.as_of, policy), policy))
    ]
    for first in range(0, len(postings), PAGE):
        async with connection.transaction():
            posted = await ledger.post_all(connection, postings[first : first + PAGE], at)
        assert all(one.is_accepted for one in posted), posted  # nobody closes an account with a plan


async def _complete(connection: Connection, at: datetime, actor: str) -> Snapshot:
    async with connection.transaction():
        snapshot = await store.lock_snapshot(connection)
        if snapshot.completed_at is None:
            await store.insert_vouchers(connection, snapshot)
            await store.complete_snapshot(connection, at)
            totals = await store.sum_balances(connection)
            detail = {"as_of": snapshot.as_of.isoformat(), "totals": msgspec.to_builtins(totals)}
            await _record(connection, at, actor, "take_snapshot", detail)
        return await store.lock_snapshot(connection)


# What is left


async def name_residue(
    connection: Connection, at: datetime, *, actor: str, inactive_since: datetime, told: Told = tell_nobody
) -> tuple[ResidueTotal, ...]:
    """Give all that is still on accounts the reason why, as it is now, in place of what was named before.

    Accounts on which nothing was used or paid in since `inactive_since` are inactive. Nothing is posted: what is
    named stays the subscriber's.
    """
    policies = await _load_policies(connection)
    parts = await list_parts(connection)
    for done, part in enumerate(parts):
        told(done, len(parts))
        async with connection.transaction():
            await store.name_residue(connection, part, inactive_since, policies, at, actor)
    told(len(parts), len(parts))
    totals = await store.sum_residue(connection)
    detail = {"inactive_since": inactive_since.isoformat(), "totals": msgspec.to_builtins(totals)}
    async with connection.transaction():
        await _record(connection, at, actor, "name_residue", detail)
    return totals


async def sum_residue_by_province(
    connection: Connection, at: datetime, *, actor: str, master: MasterKey, reason: str
) -> tuple[ProvinceTotal, ...]:
    """What is left by province of the subscribers' addresses, as unclaimed property is reported.

    Contact details are opened for it, and only the province is kept; who looked, what for and at whom is written down.
    """
    counts: Counter[tuple[str, ResidueState, Currency]] = Counter()
    sums: Counter[tuple[str, ResidueState, Currency]] = Counter()
    for part in await list_parts(connection):
        after = 0
        while page := await store.list_residue(connection, part, after=after, most=PAGE):
            page, after = _whole_accounts(page)
            contacts = await read_contacts(
                connection,
                at,
                actor=actor,
                master=master,
                part=part,
                subscriber_ids={row["subscriber_id"] for row in page if row["subscriber_id"] is not None},
                subject="residue",
                reason=reason,
            )
            for row in page:
                contact = contacts.get(row["subscriber_id"])
                province = find_province(contact.postal_address) if contact else UNKNOWN_PROVINCE
                key = province, ResidueState(row["state"]), Currency(row["currency"])
                counts[key] += 1
                sums[key] += row["micros"]
    return tuple(ProvinceTotal(*key, count=counts[key], micros=sums[key]) for key in sorted(sums))


def _whole_accounts(page: list[Any]) -> tuple[list[Any], int]:
    """Leave an account that may go on to the next page; returns the rest, and its last account."""
    last = page[-1]["account_id"]
    whole = [row for row in page if row["account_id"] != last] if len(page) == PAGE else page
    return whole, whole[-1]["account_id"]


async def _load_policies(connection: Connection) -> Mapping[ValueKind, RefundPolicy]:
    file = await load_in_force(connection)
    return NO_ORDER_POLICIES if file is None else file.plan.refunds


# The statement


async def issue_statement(
    connection: Connection, at: datetime, *, actor: str, key: SigningKey, operator: str, zone: ZoneInfo
) -> Issued | NotClosable:
    """Sign what became of all the money, or say everything that stands against it.

    Not to be called in a transaction. A later statement stands in place of an earlier one, which is kept.
    """
    facts = await _gather(connection, at, actor, operator, zone)
    if facts is None:
        return NotClosable((NO_ORDER_FAULT,))
    if faults := _find_faults(facts):
        return NotClosable(faults)
    signed = sign_document(key, make_document(facts))
    written = msgspec.json.format(msgspec.json.encode(signed), indent=2) + b"\n"
    digest = sha256(written).hexdigest()
    async with connection.transaction():
        statement_id = await store.insert_statement(connection, at, actor, written, digest)
        await _record(connection, at, actor, "issue_statement", {"id": statement_id, "sha256": digest})
    return Issued(statement_id, at, written, signed)


async def find_closing_faults(
    connection: Connection, at: datetime, *, actor: str, operator: str, zone: ZoneInfo
) -> tuple[Fault, ...]:
    """Everything that stands against a closing statement now. Not to be called in a transaction."""
    facts = await _gather(connection, at, actor, operator, zone)
    return (NO_ORDER_FAULT,) if facts is None else _find_faults(facts)


async def _gather(
    connection: Connection, at: datetime, actor: str, operator: str, zone: ZoneInfo
) -> Facts | None:
    """All that a statement is made of; None: no order is in force."""
    file = await load_in_force(connection)
    if file is None:
        return None
    proof = await ledger.check_ledger(connection)
    books = await reconcile(connection, at, actor=actor, zone=zone, policies=file.plan.refunds)
    parts = await list_parts(connection)
    version = (await list_versions(connection)).in_force
    assert version is not None
    return Facts(
        operator=operator,
        made_at=at,
        made_by=actor,
        plan=file.plan,
        version=version,
        stages=date_stages(file.plan, file.stays),
        snapshot=await store.find_snapshot(connection),
        balances=await store.sum_balances(connection),
        entries=tuple(await store.sum_entries(connection)),
        owed=await sum_owed(connection, at, parts, file.plan.refunds),
        residue=await store.sum_residue(connection),
        are_all_named=await store.are_all_named(connection),
        refunds=await store.sum_refunds(connection),
        runs=await store.list_runs(connection),
        books=books,
        proof=proof,
        numbers=await account_for_numbers(connection),
    )


def _find_faults(facts: Facts) -> tuple[Fault, ...]:
    numbers = [f"{one.count} numbers: {one.what}" for one in facts.numbers.differences]
    if facts.numbers.count != facts.numbers.imported:
        numbers.append(f"there are {facts.numbers.count} numbers; {facts.numbers.imported} were imported")
    return find_faults(
        stages=facts.stages,
        snapshot=facts.snapshot,
        owed=facts.owed,
        residue=facts.residue,
        all_named=facts.are_all_named,
        runs=facts.runs,
        books=facts.books,
        violations=facts.proof.violations,
        numbers=numbers,
        at=facts.made_at,
    )


async def _record(
    connection: Connection, at: datetime, actor: str, action: str, detail: Mapping[str, Any]
) -> None:
    await audit.record(connection, at, actor=actor, action=action, subject="winddown", detail=detail)
