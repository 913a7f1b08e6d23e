"""How a plan, its versions and its gates are written for people and for programs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from textwrap import wrap
from typing import Any
from zoneinfo import ZoneInfo

from onecard.cli.show import Table, say_time
from onecard.values.gate import Capability, Gate, Gates, Open
from onecard.winddown.model import Order, Stay, Version, VersionRehearsal
from onecard.winddown.reading import PlanFile
from onecard.winddown.rules import DatedStage, say_effects
from onecard.winddown.status import OrderStatus
from onecard.winddown.versions import APPROVALS_NEEDED, Versions, is_approved

SHA256_SHOWN = 12
WIDTH = 100
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
Parts = list[str | Table]


# A plan


def say_contents(read: PlanFile) -> str:
    contents = [
        (len(read.plan.stages), "stage"),
        (len(read.plan.notices), "notice"),
        (len(read.stays), "stay"),
    ]
    return ", ".join(f"{count} {word}{'' if count == 1 else 's'}" for count, word in contents if count)


def say_stays(stays: Sequence[Stay]) -> list[str]:
    return [
        f"stayed from {stay.since} to {stay.until or 'no date yet'}: {', '.join(sorted(stay.stages)) or 'all'}"
        for stay in stays
    ]


def say_alarms(alarms: Sequence[str]) -> list[str]:
    return [f"ALARM: {alarm}" for alarm in alarms]


def describe_stages(stages: Sequence[DatedStage], instant: datetime) -> list[dict[str, Any]]:
    return [
        {
            "at": dated.instant,
            "has_come": dated.has_come(instant),
            "stage": dated.stage.name,
            "effects": say_effects(dated.stage),
        }
        for dated in stages
    ]


def describe_gates(gates: Gates) -> list[dict[str, Any]]:
    return [_describe_gate(capability, gates.gate(capability)) for capability in Capability]


def _describe_gate(capability: Capability, gate: Gate) -> dict[str, Any]:
    if isinstance(gate, Open):
        return {"gate": capability, "state": "open", "since": None, "stage": None}
    state = "closed" if gate.since else "not opened"
    return {"gate": capability, "state": state, "since": gate.since, "stage": gate.stage}


# A version


def describe_version(version: Version, versions: Versions) -> dict[str, Any]:
    return {
        "version": version.number,
        "kind": version.kind,
        "state": versions.state_of(version),
        "sha256": version.sha256,
        "diff": version.diff,
        "proposed_by": version.proposed_by,
        "proposed_at": version.proposed_at,
        "approvals": [{"actor": one.actor, "at": one.at} for one in version.approvals],
        "withdrawn_by": version.withdrawn_by,
        "withdrawn_at": version.withdrawn_at,
        "in_force_since": version.in_force_since,
    }


def say_diff(version: Version) -> list[str]:
    return [f"  {sentence}" for sentence in version.diff]


def say_approved(version: Version) -> str:
    """What an approval came to."""
    if version.in_force_since is not None:
        return f"version {version.number} is approved, and in force"
    if is_approved(version):
        return f"version {version.number} is approved: `onecard winddown start` puts it in force"
    left = APPROVALS_NEEDED - len(version.approvals)
    return f"version {version.number} is approved by {len(version.approvals)}: it takes {left} more"


# The whole


def describe_status(status: OrderStatus, instant: datetime) -> dict[str, Any]:
    next_stage = status.next_stage
    return {
        "plan": status.file.plan.name,
        "version": status.version.number,
        "state": status.versions.state_of(status.version),
        "time_zone": status.file.plan.time_zone.key,
        "next_stage": next_stage and {"stage": next_stage.stage.name, "at": next_stage.instant},
        "alarms": status.alarms,
        "stages": describe_stages(status.stages, instant),
        "gates": describe_gates(status.gates),
        "versions": [
            {**describe_version(one, status.versions), "rehearsal": _describe_rehearsal(status, one)}
            for one in status.versions.all
        ],
        "never_rehearsed": status.never_rehearsed,
    }


def _describe_rehearsal(status: OrderStatus, version: Version) -> dict[str, Any] | None:
    found = status.rehearsals.get(version.number)
    return None if found is None else asdict(found)


def _say_rehearsals(status: OrderStatus) -> list[str]:
    """What the latest rehearsal of each version found, and what was never rehearsed."""
    zone = status.file.plan.time_zone
    done = [
        f"version {one.number} was rehearsed on {say_time(one.rehearsed_at, zone)} by {one.rehearsed_by}: "
        f"{_count(one.seeds, 'seed')} of {_count(one.accounts, 'account')}, {_say_findings(one)}"
        for one in status.rehearsals.values()
    ]
    return done + [
        f"version {number} was never rehearsed: `onecard winddown rehearse {number}`"
        for number in status.never_rehearsed
    ]


def _say_findings(rehearsal: VersionRehearsal) -> str:
    return _count(rehearsal.findings, "finding") if rehearsal.findings else "all went by the plan"


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


def say_status(status: OrderStatus, instant: datetime) -> Parts:
    zone = status.file.plan.time_zone
    return [
        f"{status.file.plan.name}: {_say_state(status)}; it is {say_time(instant, zone)}",
        _say_order(status.file.plan.order),
        *say_alarms(status.alarms),
        "",
        "stages, those that have come with a star:",
        *(line for dated in status.stages for line in _say_stage(dated, instant, zone)),
        *say_stays(status.file.stays),
        _say_next(status, instant),
        "",
        *_say_gates(status.gates, zone),
        "",
        Table(
            ("version", "kind", "state", "proposed_by", "approved_by", "in_force_since", "sha256"),
            [_row(one, status.versions) for one in status.versions.all],
        ),
        "",
        *_say_rehearsals(status),
    ]


def _say_state(status: OrderStatus) -> str:
    version = status.version
    if version.in_force_since is not None:
        return f"version {version.number} is in force"
    if is_approved(version):
        return f"version {version.number} is approved, and not started"
    return f"version {version.number} awaits approval"


def _say_order(order: Order) -> str:
    document = order.document_sha256
    served = f"document {document[:SHA256_SHOWN]}..." if document else "its document is not entered"
    return f"{order.issuer}; {order.legal_basis}; received {order.received}; {served}"


def _say_next(status: OrderStatus, instant: datetime) -> str:
    coming = status.next_stage
    if coming is None or coming.instant is None:
        return "no stage with a date is to come"
    return f"next, in {_say_span(coming.instant - instant)}: {coming.stage.name}"


def _say_span(span: timedelta) -> str:
    for unit, word in ((DAY, "day"), (HOUR, "hour")):
        if span >= unit:
            return _count(span // unit, word)
    return "less than an hour"


def _say_stage(dated: DatedStage, instant: datetime, zone: ZoneInfo) -> list[str]:
    """When it comes, or came, and below it what it does."""
    at = "no date" if dated.instant is None else say_time(dated.instant, zone)
    sign = "*" if dated.has_come(instant) else " "
    return [f"{sign} {at}  {dated.stage.name}", *_wrap(say_effects(dated.stage), indent=6)]


def _say_gates(gates: Gates, zone: ZoneInfo) -> list[str]:
    """All gates, those that one stage closed together."""
    said: dict[str, list[str]] = {}
    for capability in Capability:
        said.setdefault(_say_gate(gates.gate(capability), zone), []).append(capability)
    return [line for state, names in said.items() for line in (f"{state}:", *_wrap(", ".join(names), 2))]


def _say_gate(gate: Gate, zone: ZoneInfo) -> str:
    if isinstance(gate, Open):
        return "open"
    if gate.since is None:
        return "not opened yet"
    return f"closed since {say_time(gate.since, zone)}, {gate.stage}"


def _wrap(text: str, indent: int) -> list[str]:
    return wrap(text, WIDTH, initial_indent=" " * indent, subsequent_indent=" " * indent)


def _row(version: Version, versions: Versions) -> dict[str, Any]:
    return {
        **describe_version(version, versions),
        "approved_by": [approval.actor for approval in version.approvals],
        "sha256": version.sha256[:SHA256_SHOWN],
    }
