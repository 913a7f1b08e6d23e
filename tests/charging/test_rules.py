"""Settling and granting, in any legal sequence: what it costs, what is held, and that no unit is made or lost."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

import shop
from onecard.catalogue.model import ListedRate, Rate, UsageKind, Use
from onecard.catalogue.rules import price
from onecard.charging import rules
from onecard.charging.model import Ask, Piece, Purse, Result, Service, Session

AT = datetime(2026, 4, 1, 19, tzinfo=UTC)
CHANGE = AT + timedelta(minutes=10)
ACCOUNT = 7
PLAIN = Rate(UsageKind.DATA, shop.CA, 10_000, 1_000_000, first_block=1000, next_block=1000)


OPENED = Session("s", 0, 0, 1, ACCOUNT, 1, 1, Use(UsageKind.DATA, shop.CAD, shop.CA, "America/Vancouver"), AT)


def listed(rate: Rate) -> ListedRate:
    return ListedRate("test", shop.AT, shop.CAD, rate)


def steady(rate: Rate) -> rules.Rates:
    return rules.Rates(lambda _: listed(rate), lambda _: None)


def changing(before: Rate, after: Rate) -> rules.Rates:
    """One rate until CHANGE, another from then on."""
    return rules.Rates(
        lambda at: listed(before if at < CHANGE else after), lambda at: CHANGE if at < CHANGE else None
    )


def rates_of(usage: UsageKind = UsageKind.DATA) -> st.SearchStrategy[Rate]:
    return st.builds(
        Rate,
        st.just(usage),
        st.just(shop.CA),
        st.integers(0, 5_000),
        st.integers(1, 2_000),
        first_block=st.integers(1, 90),
        next_block=st.integers(1, 60),
        setup_micros=st.sampled_from([0, 1, 700]),
        minimum_micros=st.sampled_from([0, 900]),
    )


@dataclass
class Network:
    """Asks for one session, and keeps its own account of the ledger by the movements alone."""

    rates: rules.Rates
    balances: dict[int, int]
    usage: UsageKind = UsageKind.DATA
    held: dict[int, int] = field(default_factory=dict)
    session: Session = field(default_factory=lambda: OPENED)

    def purse(self) -> Purse:
        allowances = tuple((account, units) for account, units in self.balances.items() if account != ACCOUNT)
        return Purse(self.balances[ACCOUNT], allowances)

    def say(self, *asks: Ask, at: datetime = AT, ends: bool = False) -> tuple[rules.Outcome, ...]:
        before = replace(self.session, use=replace(self.session.use, usage=self.usage))
        after, outcomes = rules.decide_session(before, asks, self.purse(), self.rates, at, ends=ends)
        for move in rules.decide_movements(before, after, outcomes):
            self.balances[move.account_id] += move.available
            self.held[move.account_id] = self.held.get(move.account_id, 0) + move.held
            assert self.balances[move.account_id] >= 0 <= self.held[move.account_id]
        self.session = after
        return outcomes

    @property
    def cost(self) -> int:
        return rules.cost_of(self.session)


uses = st.lists(st.integers(0, 200), min_size=1, max_size=8)


@given(rates_of(), uses)
def test_cost_never_falls_as_usage_grows(rate: Rate, used: list[int]) -> None:
    network = Network(steady(rate), {ACCOUNT: 10**12})
    network.say(Ask())
    costs = [0]
    for units in used:
        network.say(Ask(used=units))
        costs.append(network.cost)
    assert costs == sorted(costs)


@given(rates_of(), uses)
def test_cutting_a_session_into_requests_costs_the_same_as_one_report(rate: Rate, used: list[int]) -> None:
    network = Network(steady(rate), {ACCOUNT: 10**12})
    network.say(Ask())
    for units in used[:-1]:
        network.say(Ask(used=units))
    network.say(Ask(used=used[-1]), ends=True)
    assert network.cost == price(rate, sum(used))
    assert network.balances[ACCOUNT] == 10**12 - network.cost
    assert set(network.held.values()) <= {0}


@given(rates_of(), rates_of(), uses, uses, st.integers(0, 300))
def test_cutting_a_session_across_a_change_of_rate_costs_the_same_as_one_report(
    first: Rate, second: Rate, before: list[int], after: list[int], last: int
) -> None:
    assume(first != second)  # else it is no change

    def cost(reports: list[tuple[int, int, datetime]]) -> int:
        network = Network(changing(first, second), {ACCOUNT: 10**12})
        network.say(Ask())
        for used, used_after, at in reports:
            network.say(Ask(used=used, used_after_change=used_after), at=at)
        return network.cost

    late = CHANGE + timedelta(seconds=1)
    crossing = (last + sum(after), sum(after), late)
    cut = [(units, 0, AT) for units in before] + [(last + after[0], after[0], late)]
    cut += [(units, 0, late) for units in after[1:]]
    whole = [(sum(before), 0, AT), crossing]
    assert cost(cut) == cost(whole)


@given(rates_of(), st.integers(0, 3_000), st.integers(0, 400), st.one_of(st.none(), st.integers(0, 400)))
def test_a_grant_exceeds_neither_what_is_wanted_nor_the_quota_nor_the_purse(
    rate: Rate, cash: int, units: int, wanted: int | None
) -> None:
    network = Network(steady(rate), {ACCOUNT: cash, 8: units})
    [outcome] = network.say(Ask(wanted=wanted))
    quota = rules.QUOTAS[UsageKind.DATA]
    assert outcome.grant.units <= (quota.usual if wanted is None else min(wanted, quota.most))
    assert outcome.service.held_micros <= cash
    assert sum(share.units for share in outcome.service.shares) <= units
    assert outcome.service.held_micros == price(rate, outcome.grant.units - min(outcome.grant.units, units))


requests = st.lists(
    st.tuples(
        st.integers(0, 2), st.integers(0, 250), st.one_of(st.none(), st.integers(0, 250)), st.booleans()
    ),
    max_size=10,
)


@settings(max_examples=200)
@given(rates_of(), st.integers(0, 5_000), st.integers(0, 300), st.integers(0, 300), requests)
def test_movements_sum_to_the_cost_and_end_with_nothing_held(
    rate: Rate,
    cash: int,
    first: int,
    second: int,
    asked: list[tuple[int, int, int | None, bool]],
) -> None:
    network = Network(steady(rate), {ACCOUNT: cash, 8: first, 9: second})
    for group, used, wanted, wants in asked:
        network.say(Ask(group, used, wants=wants, wanted=wanted))
        held = sum(service.held_micros for service in network.session.services)
        assert network.held.get(ACCOUNT, 0) == held
        assert network.balances[ACCOUNT] + held + network.cost == cash
    network.say(ends=True)
    assert set(network.held.values()) <= {0}
    assert network.balances[ACCOUNT] == cash - network.cost
    records = rules.records_of(network.session, "terminate")
    assert sum(record.price_micros for record in records) == network.cost
    assert sum(record.allowance_units for record in records) == (
        first + second - network.balances[8] - network.balances[9]
    )
    assert sum(record.units for record in records) == sum(used for _, used, _, _ in asked)


def test_allowances_go_before_cash_in_order() -> None:
    network = Network(steady(PLAIN), {ACCOUNT: 1_000_000, 8: 1000, 9: 500})
    [outcome] = network.say(Ask(wanted=5000))
    assert [(share.account_id, share.units) for share in outcome.service.shares] == [(8, 1000), (9, 500)]
    assert (outcome.grant.units, outcome.service.held_micros) == (5000, 40)
    network.say(Ask(used=1200), ends=True)
    assert network.balances == {ACCOUNT: 1_000_000, 8: 0, 9: 300}


def test_what_is_used_beyond_the_grant_comes_from_the_allowance_while_it_lasts() -> None:
    network = Network(steady(PLAIN), {ACCOUNT: 1_000_000, 8: 10_000})
    network.say(Ask(wanted=1000))
    network.say(Ask(used=1100, wanted=1000))
    assert (network.balances, network.held) == ({ACCOUNT: 1_000_000, 8: 7_900}, {8: 1000})
    network.say(Ask(used=9_000), ends=True)
    assert network.balances == {ACCOUNT: 1_000_000 - 10, 8: 0}


def test_what_is_used_beyond_the_balance_is_capped_and_recorded_as_unpaid() -> None:
    network = Network(steady(PLAIN), {ACCOUNT: 100})
    [outcome] = network.say(Ask())
    assert (outcome.grant.units, outcome.grant.is_last) == (10_000, True)
    network.say(Ask(used=12_000), ends=True)
    [record] = rules.records_of(network.session, "terminate")
    assert (record.price_micros, record.unpaid_micros, network.balances) == (100, 20, {ACCOUNT: 0})


def test_a_service_that_was_never_granted_pays_for_what_it_used() -> None:
    network = Network(steady(PLAIN), {ACCOUNT: 1_000})
    network.say(Ask(1, wanted=1000))
    network.say(Ask(2, used=1000, wants=False))
    network.say(Ask(3, used=2000), ends=True)
    assert (network.cost, network.balances[ACCOUNT]) == (30, 970)


def test_what_has_no_price_is_not_granted_and_costs_nothing() -> None:
    network = Network(rules.Rates(lambda _: None, lambda _: None), {ACCOUNT: 1_000})
    [outcome] = network.say(Ask(1))
    assert outcome.grant.result is Result.RATING_FAILED
    network.say(Ask(1, used=1000), ends=True)
    assert (network.cost, network.balances[ACCOUNT]) == (0, 1_000)


def test_a_set_up_fee_is_paid_by_the_first_rate_that_anything_is_used_under() -> None:
    dear = replace(PLAIN, setup_micros=5_000)
    network = Network(changing(dear, replace(dear, price_micros=20_000)), {ACCOUNT: 1_000_000})
    network.say(Ask(wanted=1000))
    late = CHANGE + timedelta(seconds=1)
    network.say(Ask(used=1000, used_after_change=1000, wanted=1000), at=late)
    assert network.cost == 5_020
    network.say(Ask(used=1000), at=late, ends=True)
    assert network.cost == 5_040


def test_two_asks_for_one_rating_group_are_one_service() -> None:
    merged = rules.merge_asks((Ask(1, 5, wanted=10), Ask(2), Ask(1, 7, 3, wants=False), Ask(1, wanted=4)))
    assert merged == (Ask(1, 12, 3, wanted=14), Ask(2))


# Usage, seconds since the start, said before, says now; believed.
CLAIMS = [
    (UsageKind.CALL_OUT, 100, 0, 100, 100),
    (UsageKind.CALL_OUT, 100, 0, 71_582_788, 160),
    (UsageKind.CALL_OUT, 100, 90, 71_582_788, 70),
    (UsageKind.CALL_IN, 0, 0, 71_582_788, 60),
    (UsageKind.CALL_OUT, 100, 200, 5, 0),
    (UsageKind.DATA, 0, 0, 2**64 - 1, 75_000_000_000),
    (UsageKind.DATA, 3600, 0, 100_000_000_000, 100_000_000_000),
    (UsageKind.TEXT, 0, 0, 2**64 - 1, 6_000),
]


@pytest.mark.parametrize(("usage", "seconds", "before", "says", "believed"), CLAIMS)
def test_no_more_is_charged_than_can_have_been_used(
    usage: UsageKind, seconds: int, before: int, says: int, believed: int
) -> None:
    pieces = (Piece(listed(PLAIN), AT, before, before),)
    service = Service(None, AT, pieces)
    assert rules.believable_units(service, says, usage, AT + timedelta(seconds=seconds)) == believed


@given(rates_of(UsageKind.TEXT), st.integers(0, 50_000), st.integers(0, 20), st.integers(1, 20))
def test_a_debit_is_charged_whole_or_not_at_all(rate: Rate, cash: int, covered: int, units: int) -> None:
    network = Network(steady(rate), {ACCOUNT: cash, 8: covered}, UsageKind.TEXT)
    before = network.session
    decided = rules.decide_debit(before, (Ask(wanted=units),), network.purse(), network.rates, AT)
    cost = price(rate, units - min(units, covered))
    if cost > cash:
        assert decided is Result.CREDIT_EXHAUSTED
        return
    assert not isinstance(decided, Result)
    after, outcomes = decided
    moved = {
        move.account_id: (move.available, move.held)
        for move in rules.decide_movements(before, after, outcomes)
    }
    assert moved.get(ACCOUNT, (0, 0)) == (-cost, 0)
    assert moved.get(8, (0, 0)) == (-min(units, covered), 0)
    assert outcomes[0].grant.units == units


def test_a_debit_of_a_call_charges_all_its_seconds() -> None:
    rate = Rate(UsageKind.CALL_OUT, shop.CA, 60_000, 60)
    network = Network(steady(rate), {ACCOUNT: 1_000_000}, UsageKind.CALL_OUT)
    decided = rules.decide_debit(network.session, (Ask(wanted=300),), network.purse(), network.rates, AT)
    assert not isinstance(decided, Result)
    assert rules.cost_of(decided[0]) == 300_000
