"""Decide on credit control. Pure: what an account can pay with, the rates and the time are arguments.

A request first settles what was used, then sets aside what may be used next:

    settle  used units -> the allowance units held, first to expire first; the rest at the rate -> cost
    grant   units wanted -> allowances, then as many as the cash can pay -> units, hold

Prices are cumulative: a service costs the price of all it used so far, so that cutting it into many requests changes
nothing beyond the block rule.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache

from msgspec import to_builtins
from msgspec.structs import replace

from onecard.catalogue.model import ListedRate, Rate, UsageKind
from onecard.catalogue.rules import explain, facts_of, price, units_affordable
from onecard.charging.model import (
    Ask,
    Grant,
    Movement,
    Piece,
    Purse,
    Result,
    Service,
    Session,
    Share,
    UsageRecord,
)
from onecard.ledger.model import EntryKind
from onecard.values.phone import mask


@dataclass(frozen=True, slots=True)
class Quota:
    """How much is granted at once."""

    usual: int
    most: int


QUOTAS = {
    UsageKind.CALL_OUT: Quota(300, 3600),
    UsageKind.CALL_IN: Quota(300, 3600),
    UsageKind.DATA: Quota(5_000_000, 100_000_000),
    UsageKind.TEXT: Quota(1, 100),
}
VALIDITY = timedelta(hours=1)
"""A grant of no rate that changes sooner is good for this long."""
EXPIRY_GRACE = timedelta(minutes=5)
CLOCK_SLACK_SECONDS = 60
"""How much longer than its session a service may say it was: clocks differ, and no further are they believed."""
UNITS_A_SECOND_MOST = {
    UsageKind.CALL_OUT: 1,
    UsageKind.CALL_IN: 1,
    UsageKind.DATA: 1_250_000_000,
    UsageKind.TEXT: 100,
}
"""No service uses more: what a network says beyond is an error of its, such as a count below zero."""


@dataclass(frozen=True, slots=True)
class Rates:
    """The rates of one session: which holds at a time, when another takes over, and when there is none any more."""

    at: Callable[[datetime], ListedRate | None]
    next_change: Callable[[datetime], datetime | None]
    is_closed: bool = False
    """Whether an order to stop has ended what the session is about: what was used is settled, nothing is granted."""
    closes_at: datetime | None = None
    """When it will, where that is near: no grant is good for longer."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a request did to one service."""

    service: Service
    grant: Grant
    charged_micros: int
    shares_used: tuple[Share, ...]


def decide_service(
    service: Service | None, ask: Ask, purse: Purse, rates: Rates, usage: UsageKind, at: datetime
) -> Outcome:
    """Settle what a service used, then grant it more if it asks."""
    service = service or Service(ask.rating_group, at, ())
    units = believable_units(service, ask.used, usage, at)
    settled, charged, used = _settle(service, units, ask.used_after_change, purse, rates, at)
    freed = (service.held_micros - charged) + (purse.cash_micros or 0)
    left = Purse(None if purse.cash_micros is None else freed, _give_back(purse, service.shares, used))
    return _grant(settled, ask, left, rates, usage, at, charged, used)


def _settle(
    service: Service, used: int, used_after_change: int, purse: Purse, rates: Rates, at: datetime
) -> tuple[Service, int, tuple[Share, ...]]:
    before = service.pieces or _first_piece(rates, at)
    if used == 0 or not before:
        return service, 0, ()
    has_allowances = service.shares or purse.allowances
    shares_used = _use_shares(service.shares, purse.allowances, used) if has_allowances else ()
    after_change = min(used_after_change, used) if service.next_rate else 0
    covered = sum(share.units for share in shares_used)
    pieces = _extend(before, service.next_rate, used, after_change, covered, at)
    cost = price_of(pieces) - price_of(before)
    payable = cost if purse.cash_micros is None else min(cost, service.held_micros + purse.cash_micros)
    settled = replace(service, pieces=pieces, unpaid_micros=service.unpaid_micros + cost - payable)
    return settled, payable, shares_used


def _first_piece(rates: Rates, at: datetime) -> tuple[Piece, ...]:
    """What a network lets through before it asks is paid for too, if it has a price."""
    listed = rates.at(at)
    return (Piece(listed, at),) if listed else ()


def believable_units(service: Service, used: int, usage: UsageKind, at: datetime) -> int:
    """The units to charge: no more than a service can have used since it began, whatever its network says."""
    assert used >= 0
    before = sum(piece.units for piece in service.pieces)
    lasted_seconds = int((at - service.started_at).total_seconds()) + CLOCK_SLACK_SECONDS
    return max(0, min(used, lasted_seconds * UNITS_A_SECOND_MOST[usage] - before))


def _use_shares(
    held: Iterable[Share], more: Iterable[tuple[int, int | None]], used: int
) -> tuple[Share, ...]:
    """Take used units from the allowance units held, in order; what was used beyond the grant, from the rest."""
    taken: dict[int, int] = {}
    for account_id, available in (*((share.account_id, share.units) for share in held), *more):
        units = used if available is None else min(available, used)
        used -= units
        if units:
            taken[account_id] = taken.get(account_id, 0) + units
    return tuple(Share(account_id, units) for account_id, units in taken.items())


def _extend(
    pieces: tuple[Piece, ...],
    next_rate: ListedRate | None,
    used: int,
    after_change: int,
    allowance_units: int,
    at: datetime,
) -> tuple[Piece, ...]:
    """Add used units to the last piece, and those after the change of tariff to a new one; allowances go first."""
    *earlier, last = pieces
    before = used - after_change
    covered = min(before, allowance_units)
    extended = replace(last, units=last.units + before, paid_units=last.paid_units + before - covered)
    if not after_change:
        return (*earlier, extended)
    assert next_rate is not None
    covered_after = allowance_units - covered
    return (*earlier, extended, Piece(next_rate, at, after_change, after_change - covered_after))


def price_of(pieces: Sequence[Piece]) -> int:
    """What all pieces cost, in micros; setting up is paid once, by the first that costs anything."""
    return sum(price(_rate_of(pieces, place), piece.paid_units) for place, piece in enumerate(pieces))


def _rate_of(pieces: Sequence[Piece], place: int) -> Rate:
    rate = pieces[place].listed.rate
    has_started = place > 0 and any(piece.paid_units for piece in pieces[:place])
    return without_start(rate) if has_started else rate


@lru_cache(maxsize=4096)
def without_start(rate: Rate) -> Rate:
    """The rate for usage that goes on: neither set-up nor minimum is due again."""
    return replace(rate, setup_micros=0, minimum_micros=0)


def _grant(
    service: Service,
    ask: Ask,
    purse: Purse,
    rates: Rates,
    usage: UsageKind,
    at: datetime,
    charged: int,
    used: tuple[Share, ...],
) -> Outcome:
    nothing = replace(service, granted=0, held_micros=0, shares=(), next_rate=None)
    if not ask.wants:
        return Outcome(nothing, Grant(ask.rating_group, Result.SUCCESS), charged, used)
    if rates.is_closed:
        return Outcome(nothing, Grant(ask.rating_group, Result.ENDED_BY_ORDER), charged, used)
    listed = rates.at(at)
    if listed is None:
        return Outcome(nothing, Grant(ask.rating_group, Result.RATING_FAILED), charged, used)
    pieces = _pieces_at(service.pieces, listed, at)
    quota = QUOTAS[usage]
    wanted = min(quota.usual if ask.wanted is None else ask.wanted, quota.most)
    shares = _take_shares(purse.allowances, wanted)
    covered = sum(share.units for share in shares)
    paid_units, hold = _affordable(pieces, wanted - covered, purse.cash_micros)
    units = covered + paid_units
    if units == 0 and wanted > 0:
        exhausted = replace(nothing, pieces=pieces)
        return Outcome(exhausted, Grant(ask.rating_group, Result.CREDIT_EXHAUSTED), charged, used)
    change_at = rates.next_change(at)
    granted = replace(
        nothing,
        pieces=pieces,
        granted=units,
        held_micros=hold,
        shares=shares,
        next_rate=rates.at(change_at) if change_at else None,
    )
    grant = Grant(
        ask.rating_group,
        Result.SUCCESS,
        units,
        valid_seconds=_valid_seconds(at, change_at, rates.closes_at),
        change_at=change_at,
        is_last=units < wanted,
    )
    return Outcome(granted, grant, charged, used)


def _pieces_at(pieces: tuple[Piece, ...], listed: ListedRate, at: datetime) -> tuple[Piece, ...]:
    if pieces and pieces[-1].listed == listed:
        return pieces
    return (*pieces, Piece(listed, at))


def _valid_seconds(at: datetime, *ends: datetime | None) -> int:
    until = min(end for end in (at + VALIDITY, *ends) if end is not None)
    return max(1, int((until - at).total_seconds()))


def _take_shares(allowances: Iterable[tuple[int, int | None]], wanted: int) -> tuple[Share, ...]:
    shares = []
    for account_id, available in allowances:
        units = wanted if available is None else min(wanted, available)
        wanted -= units
        if units:
            shares.append(Share(account_id, units))
    return tuple(shares)


def _affordable(pieces: Sequence[Piece], wanted: int, cash_micros: int | None) -> tuple[int, int]:
    """How many units cash can pay on top of the last piece, and what they cost."""
    rate, paid = _rate_of(pieces, len(pieces) - 1), pieces[-1].paid_units
    units = wanted if cash_micros is None else min(wanted, units_affordable(rate, cash_micros, paid))
    return units, price(rate, paid + units) - price(rate, paid)


def _give_back(
    purse: Purse, held: tuple[Share, ...], used: tuple[Share, ...]
) -> tuple[tuple[int, int | None], ...]:
    """The allowances as they are once what was held and not used is given back, and what was used beyond is taken."""
    back = {share.account_id: share.units for share in held}
    for share in used:
        back[share.account_id] = back.get(share.account_id, 0) - share.units
    return tuple(
        (account_id, None if units is None else units + back.get(account_id, 0))
        for account_id, units in purse.allowances
    )


def decide_movements(
    before: Session | None, after: Session, outcomes: Sequence[Outcome]
) -> tuple[Movement, ...]:
    """The changes of the ledger that lead from what was held before to what is held after."""
    charged = sum(outcome.charged_micros for outcome in outcomes)
    held_before = sum(service.held_micros for service in before.services) if before else 0
    held_after = sum(service.held_micros for service in after.services)
    used: dict[int, int] = {}
    for outcome in outcomes:
        for share in outcome.shares_used:
            used[share.account_id] = used.get(share.account_id, 0) + share.units
    shares_before, shares_after = _shares_of(before), _shares_of(after)
    movements = [_movement(after.account_id, held_before, charged, held_after)]
    movements += [
        _movement(account, shares_before.get(account, 0), used.get(account, 0), shares_after.get(account, 0))
        for account in {**shares_before, **used, **shares_after}
    ]
    return tuple(movement for movement in movements if movement.available or movement.held)


def _movement(account_id: int, held_before: int, used: int, held_after: int) -> Movement:
    """What was held and not used is available again, less what is held next."""
    if not held_before and not held_after:
        kind = EntryKind.USAGE_CHARGE
    elif used:
        kind = EntryKind.SETTLE
    else:
        kind = EntryKind.HOLD if held_after >= held_before else EntryKind.RELEASE
    return Movement(account_id, kind, held_before - used - held_after, held_after - held_before)


def _shares_of(session: Session | None) -> dict[int, int]:
    units: dict[int, int] = {}
    for service in session.services if session else ():
        for share in service.shares:
            units[share.account_id] = units.get(share.account_id, 0) + share.units
    return units


def cost_of(session: Session) -> int:
    """What a session cost so far, in micros."""
    return sum(price_of(service.pieces) - service.unpaid_micros for service in session.services)


def records_of(session: Session, cause: str) -> tuple[UsageRecord, ...]:
    """What is kept of a session that is over."""
    return tuple(_record(session, service, cause) for service in session.services)


def _record(session: Session, service: Service, cause: str) -> UsageRecord:
    units = sum(piece.units for piece in service.pieces)
    paid = sum(piece.paid_units for piece in service.pieces)
    return UsageRecord(
        session.use.usage,
        mask(session.use.far),
        session.use.zone,
        service.rating_group,
        service.started_at,
        units,
        units - paid,
        price_of(service.pieces) - service.unpaid_micros,
        service.unpaid_micros,
        cause,
        {"pieces": [_explain(service.pieces, place) for place in range(len(service.pieces))]},
    )


def _explain(pieces: Sequence[Piece], place: int) -> dict[str, object]:
    """How one piece came to its price."""
    piece = pieces[place]
    listed = replace(piece.listed, rate=_rate_of(pieces, place))
    return {
        "since": piece.since.isoformat(),
        "units": piece.units,
        "allowance_units": piece.units - piece.paid_units,
        "price": explain(listed, piece.paid_units).as_text(),
        "facts": to_builtins(facts_of(listed, piece.paid_units)),
    }


def expires_at(grants: Sequence[Grant], at: datetime) -> datetime:
    """When a session that stays silent is taken for lost: its longest grant, and some grace."""
    seconds = max((grant.valid_seconds or 0 for grant in grants), default=0)
    return at + (timedelta(seconds=seconds) if seconds else VALIDITY) + EXPIRY_GRACE


def decide_session(
    session: Session, asks: Sequence[Ask], purse: Purse, rates: Rates, at: datetime, *, ends: bool
) -> tuple[Session, tuple[Outcome, ...]]:
    """Decide all services of a request, in order, from one purse. A session that ends gives back what it holds."""
    services = {service.rating_group: service for service in session.services}
    outcomes = []
    for ask in _all_asks(asks, services) if ends else asks:
        outcome = decide_service(services.get(ask.rating_group), ask, purse, rates, session.use.usage, at)
        purse = _purse_after(purse, services.get(ask.rating_group), outcome)
        services[ask.rating_group] = outcome.service
        outcomes.append(outcome)
    return replace(session, services=tuple(services.values())), tuple(outcomes)


def merge_asks(asks: tuple[Ask, ...]) -> tuple[Ask, ...]:
    """One ask for each rating group: what is named twice is one service, charged whole and granted once."""
    merged: dict[int | None, Ask] = {}
    for ask in asks:
        said = merged.get(ask.rating_group)
        merged[ask.rating_group] = _merge(said, ask) if said else ask
    return tuple(merged.values())


def _merge(first: Ask, second: Ask) -> Ask:
    wanted = [ask.wanted for ask in (first, second) if ask.wanted is not None]
    return Ask(
        first.rating_group,
        first.used + second.used,
        first.used_after_change + second.used_after_change,
        first.wants or second.wants,
        sum(wanted) if wanted else None,
    )


def _all_asks(asks: Sequence[Ask], services: dict[int | None, Service]) -> list[Ask]:
    """At the end of a session nothing more is granted, and services it does not mention used nothing more."""
    said = {ask.rating_group: replace(ask, wants=False) for ask in asks}
    known = [said.pop(group, Ask(group, wants=False)) for group in services]
    return known + [ask for ask in said.values() if ask.used]


def _purse_after(purse: Purse, before: Service | None, outcome: Outcome) -> Purse:
    """What is left for the next service of the same request."""
    held_before = before.held_micros if before else 0
    cash = purse.cash_micros
    if cash is not None:
        cash += held_before - outcome.charged_micros - outcome.service.held_micros
    back = _give_back(purse, before.shares if before else (), outcome.shares_used)
    taken = {share.account_id: share.units for share in outcome.service.shares}
    return Purse(
        cash,
        tuple(
            (account_id, None if units is None else units - taken.get(account_id, 0))
            for account_id, units in back
        ),
    )


def decide_debit(
    session: Session, asks: Sequence[Ask], purse: Purse, rates: Rates, at: datetime
) -> tuple[Session, tuple[Outcome, ...]] | Result:
    """Charge events at once: all that is asked can be paid, or nothing is charged."""
    services, outcomes = [], []
    for ask in asks:
        units = units_of(ask)
        reserved = decide_service(
            None, replace(ask, used=0, wants=True, wanted=units), purse, rates, session.use.usage, at
        )
        if reserved.grant.units < units:
            refused = reserved.grant.result
            return refused if refused is not Result.SUCCESS else Result.CREDIT_EXHAUSTED
        debited = _debit(reserved, units, purse, rates, at)
        purse = _purse_after(purse, None, debited)
        outcomes.append(debited)
        services.append(debited.service)
    return replace(session, services=tuple(services)), tuple(outcomes)


def _debit(reserved: Outcome, units: int, purse: Purse, rates: Rates, at: datetime) -> Outcome:
    """Use up at once what was reserved, and hold nothing."""
    left = _purse_after(purse, None, reserved)
    settled, charged, shares_used = _settle(reserved.service, units, 0, left, rates, at)
    ended = replace(settled, granted=0, held_micros=0, shares=(), next_rate=None)
    return Outcome(ended, Grant(ended.rating_group, Result.SUCCESS, units), charged, shares_used)


def is_too_much(asks: Sequence[Ask], usage: UsageKind) -> bool:
    """Whether an event is about more than is ever granted at once."""
    return any(units_of(ask) > QUOTAS[usage].most for ask in asks)


def units_of(ask: Ask) -> int:
    """How many units an event is about: what it asks for, else what it says was used, else one."""
    return ask.wanted or ask.used or 1
