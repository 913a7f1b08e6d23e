"""`onecard winddown`: plans for the end of the service by order."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer

from onecard.cli.command import new_group, plain_command
from onecard.cli.failures import Failure, Misuse
from onecard.cli.options import Options
from onecard.cli.show import Answer, Table, say_time
from onecard.values.gate import Capability, Gate, Open
from onecard.values.table import BadTable
from onecard.winddown.model import Stay
from onecard.winddown.reading import PlanFile, read_plan
from onecard.winddown.rules import DatedStage, date_stages, gates_at, say_effects

app = new_group("The end of the service by order: plans and their gates.")

FileArgument = Annotated[
    Path,
    typer.Argument(metavar="FILE", exists=True, dir_okay=False, readable=True, help="A plan in TOML."),
]


@plain_command(app, "check")
def check(_: Options, file: FileArgument) -> Answer:
    """Read a plan, and say what is in it, or all that is wrong with it and where."""
    try:
        read = _read(file)
    except BadTable as bad:
        problems = [{"place": problem.place, "reason": problem.reason} for problem in bad.problems]
        return Answer({"good": False, "problems": problems}, list(map(str, bad.problems)), is_good=False)
    contents = {"version": read.plan.version, "stages": len(read.plan.stages), "stays": len(read.stays)}
    said = f"the plan is good: {read.plan.name}, {_say_contents(read)}"
    hint = None if read.plan.order.document_sha256 else "the order's document_sha256 is not entered yet"
    return Answer({"good": True, **contents}, [said], hint=hint)


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
        read = _read(file)
    except BadTable as bad:
        sentence = f"the plan cannot be used: {bad}: see `onecard winddown check {file}`"
        raise Failure("bad_file", sentence) from None
    zone = read.plan.time_zone
    instant = _read_time(at, zone) if at else options.clock.now()
    stages = [_describe_stage(one, instant) for one in date_stages(read.plan, read.stays)]
    found = gates_at(read.plan, read.stays, instant)
    gates = [_describe_gate(capability, found.gate(capability)) for capability in Capability]
    document = {"plan": read.plan.name, "version": read.plan.version, "at": instant}
    parts: list[str | Table] = [
        f"{read.plan.name}, version {read.plan.version}, at {say_time(instant, zone)}\n",
        Table(("at", "has_come", "stage", "effects"), stages),
        *_say_stays(read.stays),
        "",
        Table(("gate", "state", "since", "stage"), gates),
    ]
    return Answer({**document, "stages": stages, "gates": gates}, parts, zone)


def _read(file: Path) -> PlanFile:
    return read_plan(file.read_text(encoding="utf-8"))


def _read_time(text: str, zone: ZoneInfo) -> datetime:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise Misuse(
            "a time is like 2022-03-31T23:59:59, or has its offset: 2022-03-31T23:59:59-04:00"
        ) from None
    return time if time.tzinfo else time.replace(tzinfo=zone)


def _say_contents(read: PlanFile) -> str:
    contents = [
        (len(read.plan.stages), "stage"),
        (len(read.plan.notices), "notice"),
        (len(read.stays), "stay"),
    ]
    return ", ".join(f"{count} {word}{'' if count == 1 else 's'}" for count, word in contents if count)


def _say_stays(stays: Sequence[Stay]) -> list[str]:
    return [
        f"stayed from {stay.since} to {stay.until or 'no date yet'}: {', '.join(sorted(stay.stages)) or 'all'}"
        for stay in stays
    ]


def _describe_stage(dated: DatedStage, instant: datetime) -> dict[str, Any]:
    return {
        "at": dated.instant,
        "has_come": dated.has_come(instant),
        "stage": dated.stage.name,
        "effects": say_effects(dated.stage),
    }


def _describe_gate(capability: Capability, gate: Gate) -> dict[str, Any]:
    if isinstance(gate, Open):
        return {"gate": capability, "state": "open", "since": None, "stage": None}
    state = "closed" if gate.since else "not opened"
    return {"gate": capability, "state": state, "since": gate.since, "stage": gate.stage}
