"""Propose, approve and withdraw versions of the plan, and start the order. Every action is one transaction.

A version is a text. Who proposes an extension, a cut, a stay or its lifting has it written from the version in force;
what is in force is read from that text again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from onecard import audit
from onecard.database.pool import Connection
from onecard.values.table import BadTable, Problem
from onecard.winddown import store
from onecard.winddown.model import (
    Amendment,
    Approval,
    ChangesThePast,
    LocalTime,
    OrderRefusal,
    Stay,
    Version,
    VersionKind,
    VersionRehearsal,
)
from onecard.winddown.reading import PlanFile, read_plan
from onecard.winddown.rules import AmendmentRefusal, check_plan, check_stays, recompute, to_local
from onecard.winddown.versions import (
    Versions,
    add_stay,
    compare_files,
    find_changed_past,
    find_open_stay,
    is_approved,
    lift_stay,
    refuse_approval,
    refuse_withdrawal,
)
from onecard.winddown.writing import write_plan

Refusal = OrderRefusal | AmendmentRefusal | ChangesThePast


async def draft_plan(connection: Connection, at: datetime, *, actor: str, text: str) -> Version | Refusal:
    """Propose the plan of an order, or another one as long as it is not started. Raises BadTable."""
    async with connection.transaction():
        versions = await store.lock_versions(connection)
        if versions.in_force is not None:
            return OrderRefusal.ALREADY_STARTED
        return await _propose(connection, at, actor, versions, VersionKind.DRAFT, text)


async def amend_plan(connection: Connection, at: datetime, *, actor: str, text: str) -> Version | Refusal:
    """Propose another plan, with its stays, for an order that is started. Raises BadTable."""
    return await _change(connection, at, actor, VersionKind.AMENDMENT, lambda _, __: text)


async def amend(
    connection: Connection, at: datetime, *, actor: str, amendment: Amendment
) -> Version | Refusal:
    """Propose what an extension, or a cut by the host operator, makes of the plan. Raises BadTable."""

    def write(file: PlanFile, number: int) -> str | Refusal:
        recomputed = recompute(file.plan, amendment, file.stays)
        if isinstance(recomputed, AmendmentRefusal):
            return recomputed
        return _write(PlanFile(replace(recomputed.plan, version=number), file.stays))

    return await _change(connection, at, actor, VersionKind.AMENDMENT, write)


async def stay_order(connection: Connection, at: datetime, *, actor: str, stay: Stay) -> Version | Refusal:
    """Propose that stages which are still to come are suspended. Raises BadTable."""
    return await _change(
        connection, at, actor, VersionKind.STAY, lambda file, number: _write(add_stay(file, number, stay))
    )


async def lift(
    connection: Connection, at: datetime, *, actor: str, until: LocalTime, since: LocalTime | None = None
) -> Version | Refusal:
    """Propose when the open stay ends; `since` says which, where there are several. Raises BadTable."""

    def write(file: PlanFile, number: int) -> str | Refusal:
        stay = find_open_stay(file, to_local(at, file.plan.time_zone), since)
        if isinstance(stay, OrderRefusal):
            return stay
        return _write(lift_stay(file, number, stay, until))

    return await _change(connection, at, actor, VersionKind.LIFTING, write)


async def _change(
    connection: Connection,
    at: datetime,
    actor: str,
    kind: VersionKind,
    write: Callable[[PlanFile, int], str | Refusal],
) -> Version | Refusal:
    """Propose what is to follow the version in force; `write` makes it of that, with the number it is to have."""
    async with connection.transaction():
        versions = await store.lock_versions(connection)
        in_force = await store.load_in_force(connection)
        if in_force is None:
            return OrderRefusal.NOT_STARTED
        text = write(in_force, versions.next_number)
        if not isinstance(text, str):
            return text
        return await _propose(connection, at, actor, versions, kind, text)


def _write(file: PlanFile) -> str:
    """The text of a version that was computed; raises BadTable, without lines, since nobody has seen the text."""
    problems = (*check_plan(file.plan), *check_stays(file.plan, file.stays))
    if problems:
        raise BadTable(problems)
    return write_plan(file)


async def _propose(
    connection: Connection, at: datetime, actor: str, versions: Versions, kind: VersionKind, text: str
) -> Version | Refusal:
    if versions.awaiting is not None:
        return OrderRefusal.ANOTHER_AWAITS
    file = _read_numbered(text, versions.next_number)
    changed_past = find_changed_past(await store.load_in_force(connection), file, at)
    if changed_past is not None:
        return changed_past
    diff = compare_files(await _load_followed(connection, versions), file)
    if not diff:
        return OrderRefusal.NOTHING_CHANGES
    version = Version(versions.next_number, kind, store.hash_text(text), diff, actor, at)
    await store.insert_version(connection, version, text)
    await _record(connection, at, actor, "propose_version", version)
    return version


async def _load_followed(connection: Connection, versions: Versions) -> PlanFile | None:
    """What the next version is compared with: the one in force, or the draft that was approved before."""
    followed = versions.in_force or versions.approved
    return None if followed is None else read_plan(await store.get_text(connection, followed.number))


def _read_numbered(text: str, number: int) -> PlanFile:
    file = read_plan(text)
    if file.plan.version != number:
        raise BadTable([Problem("version", f"must be {number}, the next one, and is {file.plan.version}")])
    return file


async def approve_version(
    connection: Connection, at: datetime, *, actor: str, number: int
) -> Version | OrderRefusal | ChangesThePast:
    """Approve a version: with the second approval it comes into force, if the order is started."""
    async with connection.transaction():
        versions = await store.lock_versions(connection)
        version = versions.find(number)
        if version is None:
            return OrderRefusal.UNKNOWN_VERSION
        file = read_plan(await store.get_text(connection, number))
        in_force = await store.load_in_force(connection)
        refusal = refuse_approval(version, file, actor) or find_changed_past(in_force, file, at)
        if refusal is not None:
            return refusal
        return await _approve(connection, at, actor, versions, version)


async def _approve(
    connection: Connection, at: datetime, actor: str, versions: Versions, version: Version
) -> Version:
    approval = Approval(actor, at)
    await store.insert_approval(connection, version.number, approval)
    approved = replace(version, approvals=(*version.approvals, approval))
    await _record(connection, at, actor, "approve_version", approved)
    if versions.in_force is None or not is_approved(approved):
        return approved
    return await _put_in_force(connection, at, actor, approved)


async def withdraw_version(
    connection: Connection, at: datetime, *, actor: str, number: int
) -> Version | OrderRefusal:
    """Take back a version that is not in force, so that another can be proposed."""
    async with connection.transaction():
        version = (await store.lock_versions(connection)).find(number)
        refusal = OrderRefusal.UNKNOWN_VERSION if version is None else refuse_withdrawal(version)
        if refusal is not None:
            return refusal
        assert version is not None
        await store.withdraw(connection, number, actor, at)
        await _record(connection, at, actor, "withdraw_version", version)
    return replace(version, withdrawn_by=actor, withdrawn_at=at)


async def start(
    connection: Connection, at: datetime, *, actor: str
) -> Version | OrderRefusal | ChangesThePast:
    """Put the plan that was approved in force: from now on its gates are asked."""
    async with connection.transaction():
        versions = await store.lock_versions(connection)
        if versions.in_force is not None:
            return OrderRefusal.ALREADY_STARTED
        if versions.awaiting is not None:
            return OrderRefusal.ANOTHER_AWAITS
        version = versions.approved
        if version is None:
            return OrderRefusal.NOTHING_APPROVED
        file = read_plan(await store.get_text(connection, version.number))
        changed_past = find_changed_past(None, file, at)
        if changed_past is not None:
            return changed_past
        return await _put_in_force(connection, at, actor, version)


async def record_rehearsal(
    connection: Connection,
    at: datetime,
    *,
    actor: str,
    number: int,
    first_seed: int,
    seeds: int,
    accounts: int,
    findings: int,
) -> VersionRehearsal | OrderRefusal:
    """Keep what came of carrying a version out on made-up subscribers, for those who are to approve it."""
    version = (await store.list_versions(connection)).find(number)
    if version is None:
        return OrderRefusal.UNKNOWN_VERSION
    rehearsal = VersionRehearsal(number, version.sha256, first_seed, seeds, accounts, findings, actor, at)
    async with connection.transaction():
        await store.insert_rehearsal(connection, rehearsal)
        await audit.record(
            connection,
            at,
            actor=actor,
            action="rehearse_version",
            subject=f"winddown_version:{number}",
            detail={"first_seed": first_seed, "seeds": seeds, "accounts": accounts, "findings": findings},
        )
    return rehearsal


async def _put_in_force(connection: Connection, at: datetime, actor: str, version: Version) -> Version:
    await store.put_in_force(connection, version.number, at)
    await _record(connection, at, actor, "put_version_in_force", version)
    return replace(version, in_force_since=at)


async def _record(connection: Connection, at: datetime, actor: str, action: str, version: Version) -> None:
    await audit.record(
        connection,
        at,
        actor=actor,
        action=action,
        subject=f"winddown_version:{version.number}",
        detail={"kind": version.kind, "sha256": version.sha256},
    )
