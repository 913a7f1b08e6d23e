"""`onecard purge`: destroy what is kept of persons when its time has come, and certify it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from onecard.cli.command import desk_command, new_group
from onecard.cli.desk import Desk
from onecard.cli.failures import accept
from onecard.cli.options import ID_HIGHEST
from onecard.cli.progress import Progress
from onecard.cli.secret import new_private_file, put_on_disk
from onecard.cli.show import Answer, Table
from onecard.database.parts import list_parts
from onecard.retention import actions, store
from onecard.retention.model import DataClass, PurgeRun, Span, Spans
from onecard.retention.rules import is_stayed
from onecard.sealing.check import check_master_key
from onecard.sealing.loading import periods_directory
from onecard.sealing.periods import PeriodKeys
from onecard.sealing.signing import sign_document
from onecard.winddown.store import load_in_force

PLAN_COLUMNS = ("class", "kept", "ready", "overdue", "oldest", "least_days", "most_days")
RUN_COLUMNS = ("run", "class", "rows", "keys", "before", "oldest", "newest", "started_at", "ended_at")

app = new_group("Destroy what is kept of persons when its time has come, and certify it.")


@desk_command(app, "plan")
async def plan(desk: Desk) -> Answer:
    """Tell of each class how much is kept, may go, and should have gone; the exit code is 1 where anything should."""
    spans = _spans(desk)
    tallies = await actions.tally_classes(desk.connection, desk.at, spans)
    rows = [
        {
            "class": one.data_class.value,
            "kept": one.kept,
            "ready": one.ready,
            "overdue": one.overdue,
            "oldest": one.oldest,
            "least_days": spans[one.data_class].least.days,
            "most_days": spans[one.data_class].most.days,
        }
        for one in tallies
    ]
    runs = [_describe(run) for run in await store.list_runs(desk.connection)]
    overdue = any(one.overdue for one in tallies)
    parts: list[str | Table] = [
        Table(PLAN_COLUMNS, rows),
        "",
        Table(RUN_COLUMNS, runs, empty="nothing was purged yet"),
    ]
    return Answer({"classes": rows, "runs": runs}, parts, desk.zone, is_good=not overdue)


@desk_command(app, "run")
async def run(
    desk: Desk,
    data_class: Annotated[
        DataClass,
        typer.Argument(
            metavar="CLASS", help="contacts, payees, sign_in, traces, usage or notices: see `purge plan`."
        ),
    ],
) -> Answer:
    """Destroy what of a class need not be kept any more, in batches. It cannot be undone.

    A run that broke off goes on.
    """
    master = desk.load_master_key()
    await check_master_key(desk.connection, master)
    begun = accept(
        await actions.begin_purge(
            desk.connection,
            desk.at,
            actor=desk.actor,
            gates=desk.gates,
            stayed=await _is_stayed(desk),
            data_class=data_class,
            span=_spans(desk)[data_class],
        )
    )
    with Progress(f"purging {data_class.value}") as progress:
        for part in await list_parts(desk.connection):
            while count := accept(
                await actions.purge_batch(desk.connection, desk.at, master=master, run=begun, part=part)
            ):
                progress.add(count)
    ended = await actions.end_purge(desk.connection, desk.at, actor=desk.actor, run=begun)
    said = f"run {ended.id}: {ended.rows} rows of {data_class.value} and {ended.keys} keys are destroyed"
    hint = "backups from before: see `onecard purge renew`" if ended.keys else None
    return Answer(_describe(ended), [said], desk.zone, hint=hint)


async def _is_stayed(desk: Desk) -> bool:
    file = await load_in_force(desk.connection)
    if file is None:
        return False
    local = desk.at.astimezone(file.plan.time_zone).replace(tzinfo=None)
    return is_stayed(file.stays, local)


@desk_command(app, "key")
async def key(desk: Desk) -> Answer:
    """Make the key of the next period beside the master key. Copy it to every machine before `purge renew`."""
    periods = _periods(desk)
    period = periods.create_next()
    document = {"period": period, "directory": str(periods.directory)}
    said = f"the key of period {period} is in {periods.directory}: copy it to every machine, and where you keep keys"
    return Answer(document, [said], desk.zone)


@desk_command(app, "renew")
async def renew(desk: Desk) -> Answer:
    """Begin the next period: what is left moves to its key, and no copy of the database from before opens any more.

    One that broke off goes on.
    """
    master, periods = desk.load_master_key(), _periods(desk)
    await check_master_key(desk.connection, master)
    begun = accept(await actions.begin_renewal(desk.connection, desk.at, actor=desk.actor, periods=periods))
    with Progress("moving keys") as progress:
        for part in await list_parts(desk.connection):
            after: int | None = 0
            while after is not None:
                after = await actions.move_keys(
                    desk.connection, master=master, begun=begun, part=part, after=after
                )
                progress.add(1)
    ended = accept(
        await actions.end_renewal(
            desk.connection, desk.at, actor=desk.actor, master=master, periods=periods, begun=begun
        )
    )
    destroyed = [{"period": one, "sha256": name} for one, name in sorted(ended.destroyed.items())]
    document = {"period": ended.period, "destroyed": destroyed}
    said = f"period {ended.period} has begun: the keys of {len(destroyed)} former periods are destroyed"
    hint = "make a fresh backup now, and destroy every copy of the former keys"
    return Answer(document, [said], desk.zone, hint=hint)


@desk_command(app, "certificate")
async def certificate(
    desk: Desk,
    run_id: Annotated[int, typer.Argument(metavar="RUN", min=1, max=ID_HIGHEST, help="Its id.")],
    file: Annotated[
        Path, typer.Option("--file", metavar="FILE", help="Write it to this file, which must be new.")
    ],
) -> Answer:
    """Certify, under signature, what a run destroyed."""
    document = accept(
        await actions.certify_purge(
            desk.connection,
            desk.at,
            run_id=run_id,
            operator=desk.config.operator.name,
            spans=_spans(desk),
        )
    )
    signed = sign_document(desk.load_signing_key(), document)
    with new_private_file(file) as out:
        out.write(msgspec.json.format(msgspec.json.encode(signed), indent=2).decode("utf-8") + "\n")
        put_on_disk(out)
    said = f"the certificate of run {run_id} is in {file}; it proves itself by {signed.signature.public_key}"
    return Answer(
        {"run": run_id, "file": str(file), "public_key": signed.signature.public_key}, [said], desk.zone
    )


def _periods(desk: Desk) -> PeriodKeys:
    return PeriodKeys(periods_directory(desk.options.master_key_file(desk.config_found)))


def _spans(desk: Desk) -> Spans:
    return {
        data_class: Span(timedelta(days=least), timedelta(days=most))
        for data_class, (least, most) in desk.config.retention.days.items()
    }


def _describe(run: PurgeRun) -> dict[str, Any]:
    return {
        "run": run.id,
        "class": run.data_class.value,
        "rows": run.rows,
        "keys": run.keys,
        "before": run.before,
        "oldest": run.oldest,
        "newest": run.newest,
        "started_at": run.started_at,
        "started_by": run.started_by,
        "ended_at": run.ended_at,
    }
