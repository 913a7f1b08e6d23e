"""`onecard winddown`: the plan for the end of the service by order, its versions, and its gates."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import typer

from onecard.cli import closing
from onecard.cli.command import desk_command, new_group, plain_command, run
from onecard.cli.desk import Desk, open_desk
from onecard.cli.failures import Failure, Misuse, accept, list_problems
from onecard.cli.options import Options
from onecard.cli.show import Answer, Table, say_time
from onecard.cli.winddown_answers import (
    describe_gates,
    describe_stages,
    describe_status,
    describe_version,
    say_alarms,
    say_approved,
    say_contents,
    say_diff,
    say_status,
    say_stays,
)
from onecard.cli.winddown_rehearsal import answer_rehearsals, rehearse_seeds
from onecard.values.gate import Capability
from onecard.values.table import BadTable
from onecard.winddown import actions, store
from onecard.winddown.model import Extension, HostCut, LocalTime, OrderRefusal, Stay, Version
from onecard.winddown.reading import TEXT_MOST, PlanFile, read_plan
from onecard.winddown.rules import check_told, date_stages, gates_at, to_local
from onecard.winddown.status import load_status
from onecard.winddown.versions import APPROVALS_NEEDED, Versions

VERSION_HIGHEST = 1_000_000
EXTENSION_DAYS_MOST = 3650
SEED_HIGHEST = 2**63 - 1
SEEDS_MOST = 100_000
ACCOUNTS_MOST = 10_000

app = new_group(
    "The end of the service by order: the plan, its versions, its gates, and the closing statement."
)

FileArgument = Annotated[
    Path,
    typer.Argument(metavar="FILE", exists=True, dir_okay=False, readable=True, help="A plan in TOML."),
]
VersionArgument = Annotated[
    int,
    typer.Argument(metavar="VERSION", min=1, max=VERSION_HIGHEST, help="Its number, as `status` shows it."),
]
StageOption = Annotated[
    list[str] | None,
    typer.Option("--stage", metavar="NAME", help="Only this stage; may be given again. All unless given."),
]


# A file


@plain_command(app, "check")
def check(_: Options, file: FileArgument) -> Answer:
    """Read a plan, and say what is in it, or all that is wrong with it and where."""
    try:
        read = read_plan(_read_text(file))
    except BadTable as bad:
        problems = [{"place": problem.place, "reason": problem.reason} for problem in bad.problems]
        return Answer({"good": False, "problems": problems}, list(map(str, bad.problems)), is_good=False)
    contents = {"version": read.plan.version, "stages": len(read.plan.stages), "stays": len(read.stays)}
    said = f"the plan is good: {read.plan.name}, {say_contents(read)}"
    alarms = [problem.reason for problem in check_told(read.plan)]
    hint = None if read.plan.order.document_sha256 else "the order's document_sha256 is not entered yet"
    return Answer({"good": True, **contents, "alarms": alarms}, [said, *say_alarms(alarms)], hint=hint)


@plain_command(app, "show")
def show(
    options: Options,
    file: FileArgument,
    at: Annotated[
        str | None,
        typer.Option(
            "--at",
            metavar="TIME",
            help="A time of the plan's clock, as 2022-03-31T23:59:59, or an instant with its offset; now.",
        ),
    ] = None,
) -> Answer:
    """Show a plan's stages by its clock, and which gates are open at a time, or closed by which stage."""
    try:
        read = read_plan(_read_text(file))
    except BadTable as bad:
        sentence = f"the plan cannot be used: {bad}: see `onecard winddown check {file}`"
        raise Failure("bad_file", sentence) from None
    zone = read.plan.time_zone
    instant = _read_time(at, zone) if at else options.clock.now()
    stages = describe_stages(date_stages(read.plan, read.stays), instant)
    gates = describe_gates(gates_at(read.plan, read.stays, instant))
    document = {"plan": read.plan.name, "version": read.plan.version, "at": instant}
    parts: list[str | Table] = [
        f"{read.plan.name}, version {read.plan.version}, at {say_time(instant, zone)}\n",
        Table(("at", "has_come", "stage", "effects"), stages),
        *say_stays(read.stays),
        "",
        Table(("gate", "state", "since", "stage"), gates),
    ]
    return Answer({**document, "stages": stages, "gates": gates}, parts, zone)


# Versions: proposed by one, approved by two


@desk_command(app, "draft")
async def draft(desk: Desk, file: FileArgument) -> Answer:
    """Enter the plan of an order, for two people to approve; or another one, as long as it is not started."""
    with _naming_faults():
        version = await actions.draft_plan(desk.connection, desk.at, actor=desk.actor, text=_read_text(file))
    return await _tell_proposed(desk, accept(version))


@desk_command(app, "approve")
async def approve(desk: Desk, version: VersionArgument) -> Answer:
    """Approve a version. The second approval, by somebody else, puts it in force once the order is started."""
    approved = accept(
        await actions.approve_version(desk.connection, desk.at, actor=desk.actor, number=version)
    )
    return await _tell_version(desk, approved, say_approved(approved))


@desk_command(app, "withdraw")
async def withdraw(desk: Desk, version: VersionArgument) -> Answer:
    """Take back a version that is not in force, so that another can be proposed."""
    withdrawn = accept(
        await actions.withdraw_version(desk.connection, desk.at, actor=desk.actor, number=version)
    )
    return await _tell_version(desk, withdrawn, f"version {version} is withdrawn")


@desk_command(app, "start")
async def start(desk: Desk) -> Answer:
    """Put the plan that was approved in force: from now on its stages come, and its gates are asked."""
    started = accept(await actions.start(desk.connection, desk.at, actor=desk.actor))
    return await _tell_version(desk, started, f"the order is started: version {started.number} is in force")


@desk_command(app, "stay")
async def stay(
    desk: Desk,
    since: Annotated[
        str, typer.Option("--since", metavar="TIME", help="When it begins, by the plan's clock.")
    ],
    until: Annotated[
        str | None,
        typer.Option("--until", metavar="TIME", help="When it ends; while that is not known, leave it out."),
    ] = None,
    stages: StageOption = None,
) -> Answer:
    """Propose that stages which are still to come are suspended. When it ends, each has as long to go as before."""
    zone = await _get_zone(desk)
    stayed = Stay(
        _read_local(since, zone), _read_local(until, zone) if until else None, frozenset(stages or ())
    )
    with _naming_faults():
        version = await actions.stay_order(desk.connection, desk.at, actor=desk.actor, stay=stayed)
    return await _tell_proposed(desk, accept(version))


@desk_command(app, "resume")
async def resume(
    desk: Desk,
    at: Annotated[str, typer.Option("--at", metavar="TIME", help="When the stay ends, by the plan's clock.")],
    since: Annotated[
        str | None,
        typer.Option("--since", metavar="TIME", help="Of several open stays: that which began then."),
    ] = None,
) -> Answer:
    """Propose when the open stay ends: it is lifted."""
    zone = await _get_zone(desk)
    with _naming_faults():
        version = await actions.lift(
            desk.connection,
            desk.at,
            actor=desk.actor,
            until=_read_local(at, zone),
            since=_read_local(since, zone) if since else None,
        )
    return await _tell_proposed(desk, accept(version))


@desk_command(app, "amend")
async def amend(
    desk: Desk,
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="[FILE]", exists=True, dir_okay=False, readable=True, help="The plan as it is to be."
        ),
    ] = None,
    extend: Annotated[
        int | None,
        typer.Option(
            "--extend",
            metavar="DAYS",
            min=1,
            max=EXTENSION_DAYS_MOST,
            help="Put off the stages that are still to come, or those of --stage.",
        ),
    ] = None,
    stages: StageOption = None,
    host_cut: Annotated[
        str | None,
        typer.Option(
            "--host-cut",
            metavar="GATES",
            help="What the host operator will stop carrying: data,voice,texts or some of them.",
        ),
    ] = None,
    at: Annotated[
        str | None, typer.Option("--at", metavar="TIME", help="Of --host-cut: when, by the plan's clock.")
    ] = None,
    told: Annotated[
        str | None,
        typer.Option("--told", metavar="DAY", help="Of --host-cut: when the last subscriber is told."),
    ] = None,
) -> Answer:
    """Propose another plan, an extension, or an early cut by the host operator, for two people to approve."""
    if [file, extend, host_cut].count(None) != 2 or (stages and not extend):
        raise Misuse("give one of these: a FILE, --extend DAYS, --host-cut GATES")
    with _naming_faults():
        if file is not None:
            text = _read_text(file)
            version = await actions.amend_plan(desk.connection, desk.at, actor=desk.actor, text=text)
        else:
            zone = await _get_zone(desk)
            amendment = (
                _read_cut(host_cut, at, told, zone) if host_cut else _extend(desk, zone, extend, stages)
            )
            version = await actions.amend(desk.connection, desk.at, actor=desk.actor, amendment=amendment)
    return await _tell_proposed(desk, accept(version))


def _extend(desk: Desk, zone: ZoneInfo, days: int | None, stages: Sequence[str] | None) -> Extension:
    assert days is not None  # or there was a file, or a cut
    return Extension(to_local(desk.at, zone), timedelta(days=days), frozenset(stages or ()))


def _read_cut(gates: str, at: str | None, told: str | None, zone: ZoneInfo) -> HostCut:
    if at is None or told is None:
        raise Misuse("--host-cut takes --at TIME, when it comes, and --told DAY, when subscribers are told")
    try:
        cut = frozenset(Capability(gate.strip()) for gate in gates.split(","))
        return HostCut(_read_local(at, zone), cut, date.fromisoformat(told))
    except ValueError:
        raise Misuse("gates are like data,voice,texts, and a day is like 2022-03-31") from None


# What there is


@desk_command(app, "status")
async def status(desk: Desk) -> Answer:
    """Show where the order stands: its stages, its gates now, its versions, and what somebody must look at."""
    found = await load_status(desk.connection, desk.at)
    if found is None:
        said = "there is no order: its plan is entered with `onecard winddown draft FILE`"
        return Answer({"plan": None, "versions": []}, [said])
    zone = found.file.plan.time_zone
    return Answer(
        describe_status(found, desk.at), say_status(found, desk.at), zone, hint=_hint_at_next(found.versions)
    )


def _hint_at_next(versions: Versions) -> str | None:
    """What is to be done now, where somebody has to."""
    if versions.awaiting is not None:
        number = versions.awaiting.number
        return (
            f"version {number} awaits approval: `onecard winddown version {number}`, then `approve {number}`"
        )
    is_ready = versions.in_force is None and versions.approved is not None
    return "`onecard winddown start` puts the plan in force" if is_ready else None


@desk_command(app, "version")
async def version_(
    desk: Desk,
    version: VersionArgument,
    as_text: Annotated[
        bool, typer.Option("--text", help="Print the plan itself, byte for byte, and nothing else.")
    ] = False,
) -> Answer | None:
    """Show one version: what it changes, who proposed and approved it; or its text."""
    versions = await store.list_versions(desk.connection)
    found = accept(versions.find(version) or OrderRefusal.UNKNOWN_VERSION)
    text = await store.get_text(desk.connection, version)
    if as_text:
        sys.stdout.write(text)
        return None
    said = f"version {version} ({found.kind}, {versions.state_of(found)}), proposed by {found.proposed_by}:"
    approved_by = ", ".join(approval.actor for approval in found.approvals) or "nobody yet"
    parts = [said, *say_diff(found), f"approved by {approved_by}", f"sha256 of its text: {found.sha256}"]
    return Answer({**describe_version(found, versions), "text": text}, parts, desk.zone)


@plain_command(app, "rehearse")
def rehearse(
    options: Options,
    plan: Annotated[
        str, typer.Argument(metavar="FILE|VERSION", help="A plan in TOML, or the number of a version.")
    ],
    seed: Annotated[
        int, typer.Option("--seed", metavar="NUMBER", min=0, max=SEED_HIGHEST, help="What chance goes by.")
    ] = 1,
    seeds: Annotated[
        int,
        typer.Option(
            "--seeds", metavar="COUNT", min=1, max=SEEDS_MOST, help="Go on with the seeds after it."
        ),
    ] = 1,
    accounts: Annotated[
        int,
        typer.Option("--accounts", metavar="COUNT", min=1, max=ACCOUNTS_MOST, help="How many subscribers."),
    ] = 50,
) -> Answer:
    """Carry a plan out on synthetic subscribers, in a database that is thrown away, with harm done on purpose.

    The clock is moved over every stage, and every gate is tried a second before, at it, and a second after. A stay, an
    extension or an early cut may come to pass; the machine stops in the middle of a payout; the bank is late, away,
    and repeats itself. In the end the books of subscribers, bank and ledger are held against each other. What was found
    of a version is kept, and shown by `status` to those who approve it.
    """
    number = int(plan) if plan.isdecimal() and not Path(plan).exists() else None
    if number is not None:
        return run(_rehearse_version(options, number, range(seed, seed + seeds), accounts))
    with _naming_faults():
        file = read_plan(_read_text(Path(plan)))
    return answer_rehearsals(file, run(rehearse_seeds(file, range(seed, seed + seeds), accounts)), accounts)


async def _rehearse_version(options: Options, number: int, seeds: range, accounts: int) -> Answer:
    """Rehearse a version of the database, and keep there what was found."""
    file = await _load_version(options, number)
    done = await rehearse_seeds(file, seeds, accounts)
    async with open_desk(options) as desk:
        accept(
            await actions.record_rehearsal(
                desk.connection,
                desk.at,
                actor=desk.actor,
                number=number,
                first_seed=seeds.start,
                seeds=len(seeds),
                accounts=accounts,
                findings=sum(len(one.findings) for one in done),
            )
        )
    return answer_rehearsals(file, done, accounts)


async def _load_version(options: Options, number: int) -> PlanFile:
    async with open_desk(options) as desk:
        found = (await store.list_versions(desk.connection)).find(number)
        version = accept(found or OrderRefusal.UNKNOWN_VERSION)
        return read_plan(await store.get_text(desk.connection, version.number))


async def _tell_proposed(desk: Desk, version: Version) -> Answer:
    """What was proposed, for those who are to approve it."""
    alarms = check_told(read_plan(await store.get_text(desk.connection, version.number)).plan)
    said = say_alarms([alarm.reason for alarm in alarms])
    answer = await _tell_version(
        desk, version, f"version {version.number} is proposed:", *say_diff(version), *said
    )
    hint = f"{APPROVALS_NEEDED} people approve it: `onecard winddown approve {version.number}`"
    return replace(answer, document={**answer.document, "alarms": [one.reason for one in alarms]}, hint=hint)


async def _tell_version(desk: Desk, version: Version, *said: str) -> Answer:
    versions = await store.list_versions(desk.connection)
    return Answer(describe_version(version, versions), said, desk.zone)


# What people give


@contextmanager
def _naming_faults() -> Iterator[None]:
    """A plan that cannot be used is no failed import."""
    try:
        yield
    except BadTable as bad:
        raise Failure(
            "bad_plan", list_problems("the plan is no good", list(map(str, bad.problems)))
        ) from None


async def _get_zone(desk: Desk) -> ZoneInfo:
    """By whose clock times are given: that of the plan in force."""
    in_force = await store.load_in_force(desk.connection)
    return accept(OrderRefusal.NOT_STARTED if in_force is None else in_force.plan.time_zone)


def _read_text(file: Path) -> str:
    """A plan as it is written, with its ends of lines, so that its hash is that of the file."""
    if file.stat().st_size > TEXT_MOST:
        raise Failure("bad_plan", f"{file} is longer than any plan: {TEXT_MOST} bytes are the most")
    return file.read_bytes().decode("utf-8")


def _read_local(text: str, zone: ZoneInfo) -> LocalTime:
    """A time of the plan's clock, or an instant with its offset."""
    time = _parse_time(text)
    return to_local(time, zone) if time.tzinfo else time


def _read_time(text: str, zone: ZoneInfo) -> datetime:
    time = _parse_time(text)
    return time if time.tzinfo else time.replace(tzinfo=zone)


def _parse_time(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise Misuse(
            "a time is like 2022-03-31T23:59:59, or has its offset: 2022-03-31T23:59:59-04:00"
        ) from None


closing.add_commands(app)
