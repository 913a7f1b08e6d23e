"""Subscriptions of cards to plans: begun, renewed month by month, changed, cancelled.

What time brings about (`periods.decide_step`) any node may do: it holds the row of the subscription meanwhile, and
money moves once for each period, so that two at once do nothing twice.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime
from enum import Enum
from zoneinfo import ZoneInfo

import structlog

from onecard import audit, ledger
from onecard.cards.actions import lock_live_card
from onecard.cards.model import Card, CardRefusal
from onecard.catalogue.model import Plan, Tariff
from onecard.catalogue.rules import find_book
from onecard.charging import periods
from onecard.charging import subscription_store as store
from onecard.charging.allowances import Gift, GivenAllowance, give_allowance
from onecard.charging.notices import NoticeKind, write_notice
from onecard.charging.periods import Period, Step, Subscription, SubscriptionState, Terms
from onecard.database.pool import Connection, DatabaseUnavailable, Pool, connection, transaction
from onecard.ledger import Account, EntryKind, Posted, Posting
from onecard.values.gate import Capability, Closed, Gates, GatesAt
from onecard.values.money import Currency

log = structlog.get_logger(__name__)

ACTOR = "onecard"
RENEWED_AT_ONCE = 500


class PlanRefusal(Enum):
    """Why an action on a card's plan was refused."""

    UNKNOWN_CARD = "unknown_card"
    CARD_ENDED = "card_ended"
    UNKNOWN_PLAN = "unknown_plan"
    ALREADY_SUBSCRIBED = "already_subscribed"
    NOT_SUBSCRIBED = "not_subscribed"
    CREDIT_EXHAUSTED = "credit_exhausted"


def find_plan(tariff: Tariff, currency: Currency, name: str, at: datetime) -> Plan | None:
    """A plan that is sold now, by the price book in effect."""
    book = find_book(tariff, currency, at)
    plans = book.prices.plans if book else ()
    return next((plan for plan in plans if plan.name == name), None)


def get_plan_of_old(tariff: Tariff, currency: Currency, name: str, at: datetime) -> Plan:
    """The plan that somebody has: who has it keeps it when it is no longer sold, as it was last."""
    for book in tariff.books:  # the latest first
        if book.prices.currency == currency and book.prices.effective_from <= at:
            for plan in book.prices.plans:
                if plan.name == name:
                    return plan
    raise AssertionError(f"a plan that was sold is in no price book: {name}")  # books are never deleted


# ---- what staff and subscribers do


async def subscribe(
    connection: Connection,
    at: datetime,
    *,
    actor: str,
    gates: Gates,
    part: int,
    card_id: int,
    plan_name: str,
    tariff: Tariff,
    zone: ZoneInfo,
    renewal_day: int | None = None,
) -> Subscription | PlanRefusal | Closed:
    """Give a card a plan from now on, and take the fee of its first period.

    It renews on `renewal_day` of each month by the operator's calendar, or else on the day of today; where that makes
    the first month shorter, the plan says what it costs.
    """
    if closed := gates.find_closed(Capability.PLAN_CHANGE):
        return closed
    async with connection.transaction():
        card = await lock_live_card(connection, part, card_id)
        if isinstance(card, CardRefusal):
            return PlanRefusal(card.value)
        if await store.find_live(connection, part, card_id):
            return PlanRefusal.ALREADY_SUBSCRIBED
        account = await _get_account(connection, part, card.account_id)
        plan = find_plan(tariff, account.currency, plan_name, at)
        if plan is None:
            return PlanRefusal.UNKNOWN_PLAN
        today = at.astimezone(zone).date()
        period = periods.first_period(today, renewal_day or today.day)
        started = await _new(connection, at, card, plan, period, renewal_day or today.day, zone)
        terms = periods.terms_of(plan, period)
        if not await _pay(connection, at, started, period, terms.fee_micros):
            return PlanRefusal.CREDIT_EXHAUSTED
        await store.insert(connection, started, periods.next_due(started, plan, zone))
        await _give(connection, at, started, plan, period, terms, zone)
        await _record(connection, at, actor, "subscribe_to_plan", started, plan=plan.name)
    return started


async def change_plan(
    connection: Connection,
    at: datetime,
    *,
    actor: str,
    gates: Gates,
    part: int,
    card_id: int,
    plan_name: str,
    tariff: Tariff,
    zone: ZoneInfo,
) -> Subscription | PlanRefusal | Closed:
    """Have another plan, or the same one again after it was cancelled, from the next renewal on."""
    if closed := gates.find_closed(Capability.PLAN_CHANGE):
        return closed
    async with connection.transaction():
        subscription = await store.lock_live(connection, part, card_id)
        if subscription is None:
            return PlanRefusal.NOT_SUBSCRIBED
        account = await _get_account(connection, part, subscription.account_id)
        plan = find_plan(tariff, account.currency, plan_name, at)
        if plan is None:
            return PlanRefusal.UNKNOWN_PLAN
        released = await _release(connection, at, subscription)  # the new fee is reserved anew
        changed = replace(released, next_plan=plan.name, ends=False)
        await store.update(connection, changed, periods.next_due(changed, plan, zone))
        await _record(connection, at, actor, "change_plan", changed, plan=plan.name)
    return changed


async def cancel_plan(
    connection: Connection,
    at: datetime,
    *,
    actor: str,
    part: int,
    card_id: int,
    at_once: bool,
    zone: ZoneInfo,
) -> Subscription | PlanRefusal:
    """End a card's plan with its period, or at once: then its allowances end too, and the fee is not given back."""
    async with connection.transaction():
        subscription = await store.lock_live(connection, part, card_id)
        if subscription is None:
            return PlanRefusal.NOT_SUBSCRIBED
        if at_once or subscription.state is SubscriptionState.LAPSED:
            cancelled = await _end(connection, at, subscription)
        else:
            cancelled = replace(await _release(connection, at, subscription), ends=True, next_plan=None)
            await store.update(connection, cancelled, periods.midnight(cancelled.renews_on, zone))
        await _record(connection, at, actor, "cancel_plan", cancelled, at_once=at_once)
    return cancelled


# ---- what time brings about


async def renew_due(
    pool: Pool, part: int, tariff: Tariff, zone: ZoneInfo, at: datetime, *, gates: GatesAt
) -> int:
    """Do what is due of the subscriptions of a part; returns how many there were.

    A fee is held, and warned of, by the gates of the renewal it is for.

    Each in a transaction of its own: one that fails is left for an hour and holds no other up.
    """
    for count in range(RENEWED_AT_ONCE):
        async with connection(pool) as borrowed:
            due = await store.find_due(borrowed, part, at)
        if due is None:
            return count
        try:
            async with transaction(pool) as borrowed:
                await _work_on(borrowed, part, due, tariff, zone, at, gates)
        except DatabaseUnavailable:
            raise
        except Exception:
            log.exception("a subscription could not be renewed", subscription=due)
            async with connection(pool) as borrowed:
                await store.postpone(borrowed, part, due, at)
    return RENEWED_AT_ONCE


async def _work_on(
    borrowed: Connection,
    part: int,
    subscription_id: int,
    tariff: Tariff,
    zone: ZoneInfo,
    at: datetime,
    gates_at: GatesAt,
) -> None:
    subscription = await store.lock_due(borrowed, part, subscription_id, at)
    if subscription is None:
        return  # another node did it meanwhile
    if await store.is_card_ended(borrowed, part, subscription.card_id):
        await _end(borrowed, at, subscription)
        return
    account = await _get_account(borrowed, part, subscription.account_id)
    gates = gates_at(periods.renewal_at(subscription, at, zone))
    plan_of_old = get_plan_of_old(tariff, account.currency, subscription.plan_to_renew, at)
    plan = periods.plan_under(gates, plan_of_old)
    match periods.decide_step(subscription, plan, gates, at, zone):
        case Step.END:
            await _end_of_itself(borrowed, at, subscription, gates)
            return
        case Step.RENEW:
            subscription = await _renew(borrowed, at, subscription, plan, account, zone, gates)
        case Step.RESERVE:
            subscription = await _reserve(borrowed, at, subscription, plan)
        case Step.WARN:
            await _tell(
                borrowed,
                at,
                subscription,
                NoticeKind.PLAN_RENEWS,
                plan,
                account,
                periods.fee_to_renew(subscription, plan),
                subscription.renews_on,
            )
            subscription = replace(subscription, warned=True)
    await store.update(borrowed, subscription, periods.next_due(subscription, plan, zone))


async def _renew(
    borrowed: Connection,
    at: datetime,
    before: Subscription,
    plan: Plan,
    account: Account,
    zone: ZoneInfo,
    gates: Gates,
) -> Subscription:
    fee_gate = gates.find_closed(Capability.RENEWAL_FEE)
    if fee_gate:
        before = await _release(borrowed, at, before)
    period = periods.period_to_renew(before, at.astimezone(zone).date())
    terms = periods.terms_of(plan, period)
    if not await _pay(borrowed, at, before, period, terms.fee_micros):
        return await _lapse(borrowed, at, before, plan, account, terms.fee_micros)
    renewed = replace(
        before,
        plan=plan.name,
        next_plan=None,
        state=SubscriptionState.ACTIVE,
        period=period.number,
        renews_on=period.until,
        reserved_micros=0,
        warned=periods.is_warned_from_the_start(period.until, at, zone),
        tried_at=None,
    )
    await _give(borrowed, at, renewed, plan, period, terms, zone)
    kind = NoticeKind.PLAN_RENEWED_FREE if fee_gate else NoticeKind.PLAN_RENEWED
    await _tell(borrowed, at, renewed, kind, plan, account, terms.fee_micros, period.until)
    if fee_gate:
        await _record(borrowed, at, ACTOR, "renew_plan_free", renewed, plan=plan.name, stage=fee_gate.stage)
    return renewed


async def _lapse(
    borrowed: Connection, at: datetime, before: Subscription, plan: Plan, account: Account, fee_micros: int
) -> Subscription:
    """It could not be paid: what was held for it may be spent, and the subscriber is told, once."""
    released = await _release(borrowed, at, before)
    if before.state is SubscriptionState.ACTIVE:
        until = before.renews_on + periods.TRIED_FOR
        await _tell(borrowed, at, before, NoticeKind.PLAN_NOT_RENEWED, plan, account, fee_micros, until)
    return replace(released, state=SubscriptionState.LAPSED, tried_at=at)


async def _reserve(borrowed: Connection, at: datetime, before: Subscription, plan: Plan) -> Subscription:
    """Hold the next fee aside, all of it or nothing; what fails is tried again the next day."""
    fee = periods.fee_to_renew(before, plan)
    reserved = replace(before, reserved_micros=fee, reserves=before.reserves + 1)
    event = f"{before.id}:{reserved.reserves}"
    if await _post(borrowed, at, before, "plan_reserve", event, EntryKind.HOLD, -fee, fee):
        return reserved
    return replace(before, tried_at=at)


async def _end_of_itself(borrowed: Connection, at: datetime, before: Subscription, gates: Gates) -> None:
    ended = await _end(borrowed, at, before)
    gate = gates.find_closed(Capability.RENEWAL)
    detail = {"stage": gate.stage} if gate else {}
    has_lapsed = before.state is SubscriptionState.LAPSED
    await _record(borrowed, at, ACTOR, "end_plan", ended, lapsed=has_lapsed, **detail)
    parameters = {"plan": before.plan}
    await write_notice(
        borrowed,
        at,
        part=before.part,
        card_id=before.card_id,
        kind=NoticeKind.PLAN_STOPPED if gate else NoticeKind.PLAN_ENDED,
        parameters=parameters,
    )


# ---- the pieces


async def _new(
    connection: Connection,
    at: datetime,
    card: Card,
    plan: Plan,
    period: Period,
    renewal_day: int,
    zone: ZoneInfo,
) -> Subscription:
    return Subscription(
        card.part,
        await store.next_id(connection),
        card.account_id,
        card.id,
        plan.name,
        None,
        SubscriptionState.ACTIVE,
        ends=False,
        renewal_day=renewal_day,
        period=period.number,
        renews_on=period.until,
        reserved_micros=0,
        reserves=0,
        warned=periods.is_warned_from_the_start(period.until, at, zone),
        tried_at=None,
        started_at=at,
    )


async def _pay(
    connection: Connection, at: datetime, subscription: Subscription, period: Period, fee_micros: int
) -> bool:
    """Take the fee of a period, once: first from what is held for it, and what is held too much is available again."""
    held = subscription.reserved_micros
    event = f"{subscription.id}:{period.number}"
    kind = EntryKind.PLAN_FEE
    return await _post(connection, at, subscription, "plan_fee", event, kind, held - fee_micros, -held)


async def _release(connection: Connection, at: datetime, subscription: Subscription) -> Subscription:
    """Make available again what is held for the next renewal."""
    held = subscription.reserved_micros
    event = f"{subscription.id}:{subscription.reserves}"
    is_posted = await _post(
        connection, at, subscription, "plan_release", event, EntryKind.RELEASE, held, -held
    )
    assert is_posted
    return replace(subscription, reserved_micros=0, tried_at=None)


async def _post(
    connection: Connection,
    at: datetime,
    subscription: Subscription,
    source: str,
    event: str,
    kind: EntryKind,
    available: int,
    held: int,
) -> bool:
    """Move money of a subscription's account; False: it cannot pay."""
    if not available and not held:
        return True
    posting = Posting(
        subscription.part,
        subscription.account_id,
        ledger.name_event(source, event),
        kind,
        available,
        ledger.hash_contents(subscription.id),
        held,
    )
    posted = await ledger.post_one(connection, posting, at)
    assert posted is not Posted.REPEATED  # the row of the subscription says that it was not posted yet
    return posted is Posted.POSTED


async def _give(
    connection: Connection,
    at: datetime,
    subscription: Subscription,
    plan: Plan,
    period: Period,
    terms: Terms,
    zone: ZoneInfo,
) -> None:
    """Give the allowances of a period: they end with it."""
    expires_at = periods.midnight(period.until, zone)
    for place, (one, units) in enumerate(zip(plan.allowances, terms.units, strict=True)):
        given = await give_allowance(
            connection,
            at,
            actor=ACTOR,
            part=subscription.part,
            account_id=subscription.account_id,
            gift=Gift(one.usage, units, expires_at, one.line_countries, one.zones, plan.overage),
            event=f"plan:{subscription.id}:{period.number}:{place}",
            subscription_id=subscription.id,
        )
        assert isinstance(given, GivenAllowance), given


async def _end(connection: Connection, at: datetime, subscription: Subscription) -> Subscription:
    """End a subscription now, with the allowances that it gave."""
    released = await _release(connection, at, subscription)
    ended = replace(released, state=SubscriptionState.ENDED, ended_at=at)
    await store.update(connection, ended, at)
    await store.expire_allowances(connection, ended, at)
    return ended


async def _tell(
    connection: Connection,
    at: datetime,
    subscription: Subscription,
    kind: NoticeKind,
    plan: Plan,
    account: Account,
    fee_micros: int,
    day: date,
) -> None:
    parameters = {
        "plan": plan.name,
        "micros": fee_micros,
        "currency": account.currency,
        "day": day.isoformat(),
    }
    await write_notice(
        connection, at, part=subscription.part, card_id=subscription.card_id, kind=kind, parameters=parameters
    )


async def _get_account(connection: Connection, part: int, account_id: int) -> Account:
    account = await ledger.find_account(connection, part, account_id)
    assert account is not None  # a card is sold with its account
    return account


async def _record(
    connection: Connection,
    at: datetime,
    actor: str,
    action: str,
    subscription: Subscription,
    **detail: object,
) -> None:
    subject = f"card:{subscription.card_id}"
    await audit.record(connection, at, actor=actor, action=action, subject=subject, detail=detail)
