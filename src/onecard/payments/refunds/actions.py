"""Request refunds and change them. Every action is one transaction, or a part of its caller's, in one part.

Each works on many at once, in a few statements, since at the end of a service everybody is refunded; the one of a
single refund is a batch of one. Locks are taken in one order: the part's turn at the ledger, refunds. So what was
available when a refund was requested is held in the same commit, whatever else was asked for meanwhile.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from uuid import UUID

from msgspec.structs import replace

from onecard import audit, ledger
from onecard.database.pool import Connection
from onecard.ledger import EntryKind, Posted, Posting
from onecard.ledger.model import MOST_POSTING_MICROS
from onecard.payments.bank.model import Payee
from onecard.payments.payees import encode_payee, open_payee, seal_payee, show_account
from onecard.payments.refunds import store
from onecard.payments.refunds.model import (
    Change,
    ChangePayee,
    NewRefund,
    Refund,
    RefundedValue,
    RefundRefusal,
    Reject,
    Verify,
    Wish,
)
from onecard.payments.refunds.rules import decide_amount, decide_change, gives_back
from onecard.payments.sides import store as sides
from onecard.payments.sides.model import SideValue
from onecard.sealing.keys import MasterKey, SealingKey
from onecard.sealing.subscriber_keys import get_subscriber_keys
from onecard.values.gate import Capability, Closed, Gates
from onecard.values.money import Money

PURPOSE = b"payees"
"""What the key is derived for, by which a repeated request is known to name the same payee."""
BATCH_MOST = 1000


async def request_refund(
    connection: Connection,
    at: datetime,
    *,
    actor: str,
    gates: Gates,
    master: MasterKey,
    part: int,
    wish: Wish,
    cooling_off: timedelta,
) -> Refund | RefundRefusal | Closed:
    """Request one refund; see `request_refunds`."""
    answers = await request_refunds(
        connection,
        at,
        actor=actor,
        gates=gates,
        master=master,
        part=part,
        wishes=[wish],
        cooling_off=cooling_off,
    )
    return answers if isinstance(answers, Closed) else answers[0]


async def request_refunds(
    connection: Connection,
    at: datetime,
    *,
    actor: str,
    gates: Gates,
    master: MasterKey,
    part: int,
    wishes: Sequence[Wish],
    cooling_off: timedelta,
) -> list[Refund | RefundRefusal] | Closed:
    """Request refunds of cash or deposits, each to a payee; what is refunded is held from now on.

    Another payee than that of the account's refund before waits for `cooling_off`, and is told: else whoever is in a
    subscriber's place for a moment would cancel that one, and ask anew. One answer for each wish. A repeat with the
    same event gets the first refund, as it is now.
    """
    assert 0 < len(wishes) <= BATCH_MOST
    if closed := gates.find_closed(Capability.REFUND):
        return closed
    hashes = {wish.event_id: _hash(master, wish) for wish in wishes}
    assert len(hashes) == len(wishes)  # the events of a batch differ
    async with connection.transaction():
        owners = await store.find_subscribers(connection, part, [wish.account_id for wish in wishes])
        keys = await _get_keys(connection, master, part, owners, wishes)
        places = await _find_ledger_accounts(connection, part, wishes)
        await ledger.take_turn(connection, part)
        available = await ledger.get_available(connection, part, list(places.values()))
        before = await store.find_last_payees(connection, part, [wish.account_id for wish in wishes])
        desk = _Desk(part, owners, keys, places, available, before, at + cooling_off)
        return await _request(connection, at, actor, desk, {wish.event_id: wish for wish in wishes}, hashes)


async def _get_keys(
    connection: Connection,
    master: MasterKey,
    part: int,
    owners: Mapping[int, tuple[int, bool]],
    wishes: Sequence[Wish],
) -> dict[int, SealingKey]:
    with_payee = [owners[wish.account_id][0] for wish in wishes if wish.payee and wish.account_id in owners]
    return await get_subscriber_keys(connection, master, part, with_payee) if with_payee else {}


async def _find_ledger_accounts(
    connection: Connection, part: int, wishes: Sequence[Wish]
) -> dict[tuple[int, RefundedValue], int]:
    """Where the money of each account and kind of value is."""
    deposits = [wish.account_id for wish in wishes if wish.value is RefundedValue.DEPOSITS]
    found = await sides.find_side_accounts(connection, part, SideValue.DEPOSITS, deposits) if deposits else {}
    cash = {(wish.account_id, RefundedValue.CASH): wish.account_id for wish in wishes}
    return cash | {(account_id, RefundedValue.DEPOSITS): side for account_id, side in found.items()}


@dataclass(frozen=True, slots=True)
class _Desk:
    """What must be known of a batch of wishes to decide on them."""

    part: int
    owners: Mapping[int, tuple[int, bool]]
    keys: Mapping[int, SealingKey]
    places: Mapping[tuple[int, RefundedValue], int]
    available: Mapping[int, Money]
    before: Mapping[int, tuple[bytes, datetime | None]]
    """The payee of each account's refund before."""
    until: datetime
    """Until when another payee cools off."""

    def decide(self, wish: Wish, content_hash: int) -> NewRefund | RefundRefusal:
        if wish.account_id not in self.owners:
            return RefundRefusal.UNKNOWN_ACCOUNT
        place = self.places.get((wish.account_id, wish.value))
        if place is None or place not in self.available:
            return RefundRefusal.NOTHING_TO_REFUND
        amount = decide_amount(wish, self.available[place])
        if isinstance(amount, RefundRefusal):
            return amount
        return self._seal(wish, place, amount, content_hash)

    def _seal(self, wish: Wish, place: int, amount: Money, content_hash: int) -> NewRefund | RefundRefusal:
        subscriber_id, is_erased = self.owners[wish.account_id]
        new = NewRefund(
            wish.account_id, place, subscriber_id, wish.value, amount, wish.event_id, content_hash
        )
        if wish.payee is None:
            return new
        if is_erased:
            return RefundRefusal.ERASED
        key, before = self.keys[subscriber_id], self.before.get(wish.account_id)
        return replace(
            new,
            sealed_payee=seal_payee(key, wish.payee, self.part, subscriber_id),
            payee_shown=show_account(wish.payee.account),
            cooling_until=_cool(key, before, wish.payee, self.part, subscriber_id, self.until),
        )


def _cool(
    key: SealingKey,
    before: tuple[bytes, datetime | None] | None,
    payee: Payee,
    part: int,
    subscriber_id: int,
    until: datetime,
) -> datetime | None:
    """Until when the first payee of a refund cools off, after that of the refund before; None: it need not."""
    if before is None:
        return None
    sealed, its_own = before
    return its_own if open_payee(key, sealed, part, subscriber_id) == payee else until


def _hash(master: MasterKey, wish: Wish) -> int:
    """Of what was asked; the payee through a key, since accounts are few enough to be tried."""
    payee = b"" if wish.payee is None else encode_payee(wish.payee)
    tag = hmac.digest(master.derive(PURPOSE), payee, sha256).hex()
    return ledger.hash_contents(wish.account_id, wish.value, str(wish.amount or ""), tag)


async def _request(
    connection: Connection,
    at: datetime,
    actor: str,
    desk: _Desk,
    wishes: Mapping[UUID, Wish],
    hashes: Mapping[UUID, int],
) -> list[Refund | RefundRefusal]:
    known = await store.find_events(connection, desk.part, list(wishes))
    taken = await store.find_open(connection, desk.part, [wish.account_id for wish in wishes.values()])
    answers: dict[UUID, Refund | RefundRefusal] = {}
    new: list[NewRefund] = []
    for event_id, wish in wishes.items():
        if event_id in known:
            continue
        decided: NewRefund | RefundRefusal = RefundRefusal.ALREADY_OPEN
        if (wish.account_id, wish.value) not in taken:
            decided = desk.decide(wish, hashes[event_id])
        if isinstance(decided, RefundRefusal):
            answers[event_id] = decided
            continue
        new.append(decided)
        taken.add((wish.account_id, wish.value))
    answers |= await _repeat(connection, desk.part, known, hashes)
    answers |= await hold_and_insert(connection, at, actor=actor, part=desk.part, new=new)
    return [answers[event_id] for event_id in wishes]


async def _repeat(
    connection: Connection, part: int, known: Mapping[UUID, tuple[int, int]], hashes: Mapping[UUID, int]
) -> dict[UUID, Refund | RefundRefusal]:
    """The refunds of requests that were made before, unless with other contents."""
    refunds = await store.lock_refunds(connection, part, [refund_id for _, refund_id in known.values()])
    return {
        event_id: refunds[refund_id] if content_hash == hashes[event_id] else RefundRefusal.CONFLICTING_EVENT
        for event_id, (content_hash, refund_id) in known.items()
    }


async def hold_and_insert(
    connection: Connection, at: datetime, *, actor: str, part: int, new: Sequence[NewRefund]
) -> dict[UUID, Refund]:
    """Write refunds of money that was seen to be available in this turn at the ledger, and hold it."""
    refunds = await insert_held(connection, at, actor=actor, part=part, new=new)
    await _post(connection, at, EntryKind.HOLD, [(one, -one.amount.micros) for one in refunds.values()])
    return refunds


async def insert_held(
    connection: Connection, at: datetime, *, actor: str, part: int, new: Sequence[NewRefund]
) -> dict[UUID, Refund]:
    """Write refunds of money that is held for them in this transaction; returns each by its event."""
    if not new:
        return {}
    inserted = await store.insert_refunds(connection, part, new, at, actor)
    if cooling := [one.id for one in inserted if one.cooling_until is not None]:
        await store.insert_payee_notices(connection, part, cooling, at)
    await _note(connection, at, actor, part, "request", [(one, None) for one in inserted])
    event_of = {(one.account_id, one.value, one.payment): one.event_id for one in new}
    return {event_of[one.account_id, one.value, one.payment]: one for one in inserted}


async def request_refunds_of_everyone(
    connection: Connection,
    at: datetime,
    *,
    actor: str,
    gates: Gates,
    part: int,
    occasion: str,
    after: int = 0,
    most: int = BATCH_MOST,
) -> int | Closed | None:
    """Request the cash of the next accounts of a part that have any and no refund of it; the payees come later.

    Returns the last account: call it again `after` that until it returns None. It may be begun anew at any time:
    nobody is refunded twice. `occasion` names why (``order 2021-12-28``).
    """
    assert 0 < most <= BATCH_MOST
    if closed := gates.find_closed(Capability.REFUND):
        return closed
    async with connection.transaction():
        await ledger.take_turn(connection, part)
        owed = await store.list_owed(connection, part, after, most)
        new = [
            NewRefund(
                account_id,
                account_id,
                subscriber_id,
                RefundedValue.CASH,
                Money(min(available.micros, MOST_POSTING_MICROS), available.currency),
                ledger.name_event("refund_of_everyone", f"{occasion}:{at.isoformat()}:{account_id}"),
                ledger.hash_contents(account_id),
            )
            for account_id, subscriber_id, available in owed
        ]
        await hold_and_insert(connection, at, actor=actor, part=part, new=new)
    return owed[-1][0] if owed else None


async def change_refund(
    connection: Connection, at: datetime, *, actor: str, part: int, refund_id: int, change: Change
) -> Refund | RefundRefusal:
    """Verify, approve, reject, cancel or retry one refund; see `change_refunds`."""
    (answer,) = await change_refunds(
        connection, at, actor=actor, part=part, refund_ids=[refund_id], change=change
    )
    return answer


async def change_refunds(
    connection: Connection, at: datetime, *, actor: str, part: int, refund_ids: Sequence[int], change: Change
) -> list[Refund | RefundRefusal]:
    """Change refunds in the same way, one answer for each: some may be refused, and the others are changed."""
    assert 0 < len(refund_ids) <= BATCH_MOST
    async with connection.transaction():
        locked = await store.lock_refunds(connection, part, refund_ids)
        answers = {
            refund_id: decide_change(refund, change, at, actor) for refund_id, refund in locked.items()
        }
        changed = [one for one in answers.values() if isinstance(one, Refund)]
        if changed:
            await _save(connection, at, actor, change, locked, changed)
    return [answers.get(refund_id, RefundRefusal.UNKNOWN_REFUND) for refund_id in refund_ids]


async def _save(
    connection: Connection,
    at: datetime,
    actor: str,
    change: Change,
    before: Mapping[int, Refund],
    changed: Sequence[Refund],
) -> None:
    part = changed[0].part
    await store.update_refunds(connection, part, changed)
    what, reason = _describe(change)
    await _note(connection, at, actor, part, what, [(one, reason) for one in changed])
    cooling = [one.id for one in changed if one.cooling_until != before[one.id].cooling_until]
    if cooling:
        await store.insert_payee_notices(connection, part, cooling, at)
    back = [(one, one.amount.micros) for one in changed if gives_back(before[one.id], one)]
    await _post(connection, at, EntryKind.RELEASE, back)


def _describe(change: Change) -> tuple[str, str | None]:
    match change:
        case Verify(how):
            return "verify", how
        case Reject(reason):
            return "reject", reason
        case ChangePayee():
            return "change_payee", None
        case _:
            return type(change).__name__.lower(), None


async def change_payee(
    connection: Connection,
    at: datetime,
    *,
    actor: str,
    master: MasterKey,
    part: int,
    refund_id: int,
    payee: Payee,
    cooling_off: timedelta,
) -> Refund | RefundRefusal:
    """Name who is paid. Once one was named, another takes the approval away, waits for `cooling_off`, and is told.

    So does the first one of a refund where the account's refund before named another.
    """
    async with connection.transaction():
        refund = await store.find_refund(connection, part, refund_id)
        if refund is None:
            return RefundRefusal.UNKNOWN_REFUND
        keys = await get_subscriber_keys(connection, master, part, [refund.subscriber_id])
        if refund.subscriber_id not in keys:
            return RefundRefusal.ERASED
        key, owner = keys[refund.subscriber_id], refund.subscriber_id
        before = (await store.find_last_payees(connection, part, [refund.account_id])).get(refund.account_id)
        first_until = _cool(key, before, payee, part, owner, at + cooling_off)
        sealed = seal_payee(key, payee, part, owner)
        change = ChangePayee(sealed, show_account(payee.account), cooling_off, first_until)
        return await change_refund(connection, at, actor=actor, part=part, refund_id=refund_id, change=change)


async def read_payee(
    connection: Connection, at: datetime, *, actor: str, master: MasterKey, refund: Refund, reason: str
) -> Payee | RefundRefusal:
    """Open the payee of a refund; who looked, and what for, is written down."""
    if refund.sealed_payee is None:
        return RefundRefusal.NO_PAYEE
    async with connection.transaction():
        keys = await get_subscriber_keys(connection, master, refund.part, [refund.subscriber_id])
        if refund.subscriber_id not in keys:
            return RefundRefusal.ERASED
        subject = f"refund:{refund.id}"
        await audit.record(
            connection, at, actor=actor, action="read_payee", subject=subject, detail={"reason": reason}
        )
    return open_payee(keys[refund.subscriber_id], refund.sealed_payee, refund.part, refund.subscriber_id)


async def _post(
    connection: Connection, at: datetime, kind: EntryKind, moved: Sequence[tuple[Refund, int]]
) -> None:
    """Move money of refunds between available and held; what is given is the change of what is available."""
    postings = [
        Posting(
            part=refund.part,
            account_id=refund.ledger_account_id,
            event_id=ledger.name_event(f"refund_{kind.name.lower()}", str(refund.id)),
            kind=kind,
            available=micros,
            held=-micros,
            content_hash=ledger.hash_contents(micros),
            memo=f"refund {refund.id}",
        )
        for refund, micros in moved
    ]
    posted = await ledger.post_all(connection, postings, at)
    assert all(one is Posted.POSTED for one in posted), posted


async def _note(
    connection: Connection,
    at: datetime,
    actor: str,
    part: int,
    what: str,
    changed: Sequence[tuple[Refund, str | None]],
) -> None:
    """Write history and audit record; why is in the history only: it is in somebody's own words."""
    await store.insert_history(
        connection, part, [(refund, what, reason) for refund, reason in changed], at, actor
    )
    await audit.record_each(
        connection,
        at,
        actor=actor,
        action=f"{what}_refund",
        subjects=[f"refund:{refund.id}" for refund, _ in changed],
        details=[
            {"micros": refund.amount.micros, "currency": refund.amount.currency} for refund, _ in changed
        ],
    )
