"""The months of a subscription by the operator's calendar, and what is to be done about one when. Pure.

A period begins at midnight of one day of renewal and ends at midnight of the next. The day of renewal is a day of the
month, or the last of a month that is shorter: 31 January, 28 February, 31 March.
"""

from __future__ import annotations

from calendar import monthrange
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from enum import Enum
from zoneinfo import ZoneInfo

from onecard.catalogue.model import Plan, Prorating
from onecard.values.gate import Capability, Gates

WARNED_DAYS_BEFORE = 3
TRIED_FOR = timedelta(days=7)
"""So long a lapsed subscription is tried again."""
TRIED_EVERY = timedelta(days=1)


class SubscriptionState(Enum):
    """Where a subscription is in its life."""

    ACTIVE = "active"
    LAPSED = "lapsed"
    """It could not be renewed, and is tried again."""
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Subscription:
    """A plan that a card has."""

    part: int
    id: int
    account_id: int
    card_id: int
    plan: str
    next_plan: str | None
    """That it changes to when it is renewed."""
    state: SubscriptionState
    ends: bool
    """With the period, rather than being renewed."""
    renewal_day: int
    period: int
    """Months so far, this one too."""
    renews_on: date
    """The first day of the next period; of a lapsed one, the day on which it should have been renewed."""
    reserved_micros: int
    reserves: int
    """How often money was held for a renewal."""
    warned: bool
    """Of the next renewal."""
    tried_at: datetime | None
    """When the account last could not pay."""
    started_at: datetime
    ended_at: datetime | None = None

    @property
    def plan_to_renew(self) -> str:
        return self.next_plan or self.plan


class Step(Enum):
    """What time brings about."""

    END = "end"
    RENEW = "renew"
    RESERVE = "reserve"
    WARN = "warn"


@dataclass(frozen=True, slots=True)
class Period:
    """A month of a subscription, or what is left of it."""

    number: int
    until: date
    """The first day of the next one."""
    days: int
    days_of_whole: int

    def share_of_fee(self, fee_micros: int) -> int:
        """What its days cost; the fraction of a micro is not charged."""
        return fee_micros * self.days // self.days_of_whole

    def share_of_units(self, units: int) -> int:
        """The units that its days are given; a fraction of one is given whole."""
        return -(-units * self.days // self.days_of_whole)


@dataclass(frozen=True, slots=True)
class Terms:
    """What a period costs and gives: units for each allowance of the plan, in their order."""

    fee_micros: int
    units: tuple[int, ...]


def midnight(day: date, zone: ZoneInfo) -> datetime:
    """The instant at which a day begins; where a clock change leaves midnight out, the first of the day."""
    return datetime.combine(day, time(), zone).astimezone(UTC)


def next_renewal(day: date, renewal_day: int) -> date:
    """The first day of renewal after a day."""
    renewal = _clamp(day.year, day.month, renewal_day)
    if renewal > day:
        return renewal
    return _clamp(day.year + day.month // 12, day.month % 12 + 1, renewal_day)


def last_renewal(day: date, renewal_day: int) -> date:
    """The last day of renewal before a day."""
    renewal = _clamp(day.year, day.month, renewal_day)
    if renewal < day:
        return renewal
    return _clamp(day.year - (day.month == 1), (day.month - 2) % 12 + 1, renewal_day)


def _clamp(year: int, month: int, day: int) -> date:
    return date(year, month, min(day, monthrange(year, month)[1]))


def first_period(today: date, renewal_day: int) -> Period:
    """From today to the next day of renewal."""
    return _period_around(1, today, renewal_day)


def period_to_renew(subscription: Subscription, today: date) -> Period:
    """The period that today is in. Those that passed meanwhile gave nothing and are not paid."""
    until = next_renewal(today, subscription.renewal_day)
    was_due = subscription.renews_on
    months = (until.year - was_due.year) * 12 + until.month - was_due.month
    return _period_around(subscription.period + months, today, subscription.renewal_day)


def _period_around(number: int, today: date, renewal_day: int) -> Period:
    until = next_renewal(today, renewal_day)
    return Period(number, until, (until - today).days, (until - last_renewal(until, renewal_day)).days)


def terms_of(plan: Plan, period: Period) -> Terms:
    """What a period costs and gives: the first as the plan says, one that is renewed late its days' part."""
    units = tuple(allowance.units_a_month for allowance in plan.allowances)
    if period.number == 1 and plan.prorating is Prorating.NONE:
        return Terms(0 if plan.first_months_free else plan.fee_micros, units)
    fee = 0 if period.number <= plan.first_months_free else period.share_of_fee(plan.fee_micros)
    return Terms(fee, tuple(map(period.share_of_units, units)))


def fee_to_renew(subscription: Subscription, plan: Plan) -> int:
    """What the next period will cost if it is renewed in time."""
    return terms_of(plan, period_to_renew(subscription, subscription.renews_on)).fee_micros


def is_warned_from_the_start(renews_on: date, at: datetime, zone: ZoneInfo) -> bool:
    """Whether a period is so short that its subscriber knows when it ends."""
    return midnight(renews_on - timedelta(days=WARNED_DAYS_BEFORE), zone) <= at


def renewal_at(subscription: Subscription, at: datetime, zone: ZoneInfo) -> datetime:
    """When it is renewed: at the end of its period, or now, where that has passed."""
    return max(at, midnight(subscription.renews_on, zone))


def plan_under(gates: Gates, plan: Plan) -> Plan:
    """A plan as it is renewed under the gates of that time: without its fee, where none is taken."""
    is_paid = gates.is_open(Capability.RENEWAL) and gates.is_open(Capability.RENEWAL_FEE)
    return plan if is_paid else replace(plan, fee_micros=0)


def decide_step(
    subscription: Subscription, plan: Plan, gates: Gates, at: datetime, zone: ZoneInfo
) -> Step | None:
    """What is to be done by now, the weightiest first. `plan` and `gates` are those of its renewal.

    Where nothing is renewed it ends with its period. What had lapsed when fees came to an end is not renewed for
    nothing.
    """
    step = next((step for due, step in _steps_ahead(subscription, plan, zone) if due <= at), None)
    has_lapsed = subscription.state is SubscriptionState.LAPSED
    goes_on = gates.is_open(Capability.RENEWAL) and not (
        has_lapsed and gates.find_closed(Capability.RENEWAL_FEE)
    )
    return step if goes_on or step is not Step.RENEW else Step.END


def next_due(subscription: Subscription, plan: Plan, zone: ZoneInfo) -> datetime:
    """When there is something to do next."""
    return min(due for due, _ in _steps_ahead(subscription, plan, zone))


def _steps_ahead(subscription: Subscription, plan: Plan, zone: ZoneInfo) -> list[tuple[datetime, Step]]:
    renews_on = subscription.renews_on
    if subscription.state is SubscriptionState.LAPSED:
        again = subscription.tried_at + TRIED_EVERY if subscription.tried_at else midnight(renews_on, zone)
        return [(midnight(renews_on + TRIED_FOR, zone), Step.END), (again, Step.RENEW)]
    if subscription.ends:
        return [(midnight(renews_on, zone), Step.END)]
    steps = [(midnight(renews_on, zone), Step.RENEW)]
    if fee_to_renew(subscription, plan):
        steps += _steps_before(subscription, plan, zone)
    return steps


def _steps_before(subscription: Subscription, plan: Plan, zone: ZoneInfo) -> list[tuple[datetime, Step]]:
    """Those that lead up to a renewal that costs something."""
    steps = []
    if plan.reserve_days and not subscription.reserved_micros:
        begin = midnight(subscription.renews_on - timedelta(days=plan.reserve_days), zone)
        again = subscription.tried_at + TRIED_EVERY if subscription.tried_at else begin
        steps.append((max(begin, again), Step.RESERVE))
    if not subscription.warned:
        warning = midnight(subscription.renews_on - timedelta(days=WARNED_DAYS_BEFORE), zone)
        steps.append((warning, Step.WARN))
    return steps
