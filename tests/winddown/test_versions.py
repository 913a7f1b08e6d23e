"""Versions of a plan: where each is on its way, what it changes, and that none changes what has come."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onecard.values.gate import Capability
from onecard.winddown.model import (
    Approval,
    ChangesThePast,
    Disconnection,
    OrderRefusal,
    Plan,
    Stage,
    Stay,
    Version,
    VersionKind,
    VersionState,
)
from onecard.winddown.reading import PlanFile
from onecard.winddown.rules import date_stages, gates_at
from onecard.winddown.versions import (
    Versions,
    compare_files,
    find_alarms,
    find_changed_past,
    find_open_stay,
    lift_stay,
    refuse_approval,
)
from winddown.plans import (
    ORDER,
    PURGE,
    SALES_END,
    SERVICE_ENDS,
    good_files,
    instants,
    local,
    make_plan,
    plans,
    stays,
)

C = Capability
AT = datetime(2022, 2, 1, tzinfo=UTC)
"""Sales have ended, the service has not."""
SECOND = timedelta(seconds=1)


def version(number: int, *approved_by: str, in_force: bool = False, withdrawn: bool = False) -> Version:
    return Version(
        number,
        VersionKind.DRAFT,
        "",
        (),
        "staff:alice",
        AT,
        tuple(Approval(actor, AT) for actor in approved_by),
        withdrawn_at=AT if withdrawn else None,
        in_force_since=AT if in_force else None,
    )


def file_of(*stages: Stage, held: tuple[Stay, ...] = ()) -> PlanFile:
    return PlanFile(make_plan(*stages), held)


# Where a version is on its way


def test_a_version_is_approved_by_two_and_superseded_by_the_next_that_is() -> None:
    versions = Versions(
        [
            version(1, "staff:alice", "staff:bob", in_force=True),
            version(2, "staff:alice", "staff:bob", in_force=True),
            version(3, "staff:alice", withdrawn=True),
            version(4, "staff:bob"),
        ]
    )
    assert [versions.state_of(one) for one in versions.all] == [
        VersionState.SUPERSEDED,
        VersionState.IN_FORCE,
        VersionState.WITHDRAWN,
        VersionState.PROPOSED,
    ]
    assert (versions.in_force, versions.awaiting, versions.next_number) == (
        versions.all[1],
        versions.all[3],
        5,
    )


def test_without_versions_nothing_is_in_force_and_the_next_is_the_first() -> None:
    versions = Versions()
    assert (versions.in_force, versions.awaiting, versions.approved, versions.next_number) == (
        None,
        None,
        None,
        1,
    )


@pytest.mark.parametrize(
    ("proposed", "document", "refusal"),
    [
        (version(1), "0a" * 32, None),
        (version(1), None, OrderRefusal.NO_DOCUMENT),
        (version(1, "staff:carol"), "0a" * 32, OrderRefusal.APPROVED_BY_SAME),
        (version(1, "staff:alice", "staff:bob"), "0a" * 32, OrderRefusal.ALREADY_APPROVED),
        (version(1, withdrawn=True), "0a" * 32, OrderRefusal.WITHDRAWN),
    ],
)
def test_who_may_approve(proposed: Version, document: str | None, refusal: OrderRefusal | None) -> None:
    plan = replace(make_plan(), order=replace(ORDER, document_sha256=document))
    assert refuse_approval(proposed, PlanFile(plan, ()), "staff:carol") is refusal


# What has come


def reasons(old: PlanFile | None, new: PlanFile, at: datetime = AT) -> tuple[str, ...]:
    found = find_changed_past(old, new, at)
    return () if found is None else found.reasons


CAME = "stage 'sales end' came at 2022-01-10 00:00:00, and can no longer be changed"
NO_SALE = replace(SALES_END, closes=frozenset({C.TOP_UP}))


@pytest.mark.parametrize(
    "new",
    [
        file_of(SERVICE_ENDS, PURGE),
        file_of(replace(SALES_END, at=local("2022-03-01")), SERVICE_ENDS),
        file_of(replace(SALES_END, at=local("2022-01-09")), SERVICE_ENDS),
        file_of(NO_SALE, SERVICE_ENDS),
        file_of(held=(Stay(local("2022-01-09")),)),
        file_of(held=(Stay(local("2022-01-09"), local("2022-01-10")),)),
    ],
    ids=["gone", "later", "earlier", "other effect", "stayed", "stayed and lifted"],
)
def test_a_stage_that_has_come_keeps_its_time_and_what_it_did(new: PlanFile) -> None:
    assert reasons(file_of(), new) == (CAME,)


def test_a_stage_to_come_may_change_until_its_very_second() -> None:
    later = file_of(SALES_END, replace(SERVICE_ENDS, at=local("2022-05-01")), PURGE)
    comes = datetime(2022, 4, 1, 4, tzinfo=UTC)
    assert find_changed_past(file_of(), later, comes - SECOND) is None
    assert reasons(file_of(), later, comes) == (
        "stage 'service ends' came at 2022-04-01 00:00:00, and can no longer be changed",
    )


def test_no_version_brings_a_stage_that_would_have_come_before_it() -> None:
    early = Stage("early", local("2022-01-20"), closes=frozenset({C.TOP_UP}))
    assert reasons(file_of(), file_of(SALES_END, SERVICE_ENDS, PURGE, early)) == (
        "stage 'early' would have come at 2022-01-20 00:00:00, which has passed",
    )
    assert reasons(None, file_of()) == (
        "stage 'sales end' would have come at 2022-01-10 00:00:00, which has passed",
    )


def test_a_cut_by_the_host_is_entered_late_if_need_be() -> None:
    cut = Stage("cut", local("2022-01-20"), closes=frozenset({C.DATA}), is_by_host=True)
    assert reasons(file_of(), file_of(SALES_END, SERVICE_ENDS, PURGE, cut)) == ()


def test_the_time_a_stay_has_moved_a_stage_to_counts() -> None:
    held = (Stay(local("2022-01-01"), local("2022-01-11")),)
    moved = replace(SALES_END, at=local("2022-01-20"))
    assert reasons(file_of(held=held), file_of(moved, SERVICE_ENDS, PURGE)) == ()


@given(plans(), plans(), st.lists(stays(), max_size=2), instants, instants)
def test_a_version_that_is_let_through_changes_no_gate_of_the_past(
    old: Plan, new: Plan, held: list[Stay], at: datetime, earlier: datetime
) -> None:
    """The new plan keeps some stages of the old one, so that it is let through often enough."""
    kept = tuple(one for one in old.stages if one.at.replace(tzinfo=UTC) < at + timedelta(days=2))
    later = tuple(one for one in new.stages if one.at.replace(tzinfo=UTC) > at + timedelta(days=2))
    proposed = replace(new, stages=(*kept, *(replace(one, name=f"new {one.name}") for one in later)))
    if find_changed_past(PlanFile(old, tuple(held)), PlanFile(proposed, tuple(held)), at) is not None:
        return
    asked = min(at, earlier)
    before, after = gates_at(old, held, asked), gates_at(proposed, held, asked)
    for capability in Capability:
        assert before.is_open(capability) == after.is_open(capability)


@given(good_files(), instants, st.integers(1, 90))
def test_a_stay_that_begins_now_never_changes_what_has_come(file: PlanFile, at: datetime, days: int) -> None:
    now = at.astimezone(file.plan.time_zone).replace(tzinfo=None)
    stay = Stay(now + SECOND, now + timedelta(days=days))
    assert find_changed_past(file, PlanFile(file.plan, (*file.stays, stay)), at) is None


@given(good_files(), instants)
def test_what_does_not_change_is_never_late(file: PlanFile, at: datetime) -> None:
    assert find_changed_past(file, file, at) is None
    come = [one for one in date_stages(file.plan, file.stays) if one.has_come(at)]
    ours = [one for one in come if not one.stage.is_by_host]
    found = find_changed_past(None, file, at)
    assert (found is None) == (not ours)
    assert isinstance(found, ChangesThePast) or not ours


# Stays


HELD = Stay(local("2022-01-01"))
PARTLY = Stay(local("2022-01-05"), local("2022-03-01"), frozenset({"purge"}))


def test_the_open_stay_is_found_by_itself_or_by_when_it_began() -> None:
    now = local("2022-02-01")
    assert find_open_stay(file_of(held=(HELD,)), now) == HELD
    assert find_open_stay(file_of(held=(HELD, PARTLY)), now) is OrderRefusal.SEVERAL_STAYS
    assert find_open_stay(file_of(held=(HELD, PARTLY)), now, PARTLY.since) == PARTLY
    assert find_open_stay(file_of(held=(PARTLY,)), local("2022-03-01")) is OrderRefusal.NO_OPEN_STAY
    assert find_open_stay(file_of(), now) is OrderRefusal.NO_OPEN_STAY


def test_a_lifting_ends_one_stay_and_leaves_the_others() -> None:
    lifted = lift_stay(file_of(held=(HELD, PARTLY)), 7, HELD, local("2022-02-10"))
    assert lifted.plan.version == 7
    assert lifted.stays == (replace(HELD, until=local("2022-02-10")), PARTLY)


def test_stays_are_told_as_differences() -> None:
    lifted = replace(HELD, until=local("2022-02-10"))
    all_of_it = "the stay of all stages from 2022-01-01 00:00:00"
    assert f"{all_of_it} is new: has no end yet" in compare_files(file_of(), file_of(held=(HELD,)))
    assert f"{all_of_it} is gone" in compare_files(file_of(held=(HELD,)), file_of())
    assert f"{all_of_it} ends at 2022-02-10 00:00:00; before it has no end yet" in compare_files(
        file_of(held=(HELD,)), file_of(held=(lifted,))
    )


def test_of_the_first_version_all_is_told() -> None:
    diff = compare_files(None, file_of(held=(Stay(HELD.since, stages=frozenset({"purge"})),)))
    assert diff == (
        "stage 'sales end': 2022-01-10 00:00:00, opens refund; closes sale",
        "stage 'service ends': 2022-04-01 00:00:00, closes data, port_out, texts, voice",
        "stage 'purge': no date, opens purge; irreversible",
        "the stay of 'purge' from 2022-01-01 00:00:00 is new: has no end yet",
    )


# Alarms


def alarms(
    file: PlanFile, proposed: PlanFile | None = None, at: datetime = AT, *, started: bool = True
) -> list[str]:
    return list(find_alarms(file, proposed, at, is_started=started))


def test_a_cut_that_subscribers_are_told_of_too_late_is_an_alarm() -> None:
    cut = Disconnection(local("2022-03-14").date(), local("2022-03-08").date())
    [alarm] = alarms(PlanFile(replace(make_plan(), disconnection=cut), ()))
    assert "2022-03-07 is the last day to tell them, not 2022-03-08" in alarm


def test_an_order_that_is_not_started_in_time_is_an_alarm() -> None:
    [alarm] = alarms(file_of(), started=False)
    assert alarm == (
        "the order is not started: stage 'sales end' would have come at 2022-01-10 00:00:00, which has passed"
    )
    assert alarms(file_of()) == []


def test_a_version_that_waited_too_long_is_an_alarm() -> None:
    late = file_of(replace(SALES_END, at=local("2022-01-20")), SERVICE_ENDS, PURGE)
    assert alarms(file_of(), late) == [f"version 1 can no longer be approved: {CAME}"]
    assert alarms(file_of(), late, datetime(2022, 1, 1, tzinfo=UTC)) == []
