"""`onecard notice`: what subscribers are told of a wind-down, whom it reached, and the proof of it."""

from __future__ import annotations

import csv
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime, time, timedelta
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from onecard.cli import notice_letters
from onecard.cli.command import desk_command, new_group
from onecard.cli.desk import Desk
from onecard.cli.failures import Failure, Misuse, accept
from onecard.cli.find import find_notice
from onecard.cli.options import MostOption, NoticeArgument
from onecard.cli.show import Answer, Table
from onecard.database.parts import list_parts
from onecard.node.notice_post import load_wording, make_sender
from onecard.subscribers.actions import read_contacts
from onecard.subscribers.model import Contact
from onecard.values.language import Language
from onecard.values.table import Problem, read_table
from onecard.winddown.notices import actions, evidence_store, store
from onecard.winddown.notices.checking import Tried, try_notices
from onecard.winddown.notices.composing import hash_words
from onecard.winddown.notices.model import Channel, MadeNotice, NoticeRefusal, Outcome
from onecard.winddown.notices.rules import deadline_to_tell
from onecard.winddown.reading import PlanFile, read_plan
from onecard.winddown.rules import to_instant
from onecard.winddown.store import load_in_force

BOUNCES_MOST = 1_000_000
EVIDENCE_COLUMNS = (
    "notice_id", "kind", "version", "part", "subscriber_id", "occasion", "number", "channel", "language", "at",
    "result", "result_at", "detail", "sha256", "state",
)  # fmt: skip

_CHANNELS_OF_WORDS = {Channel.TEXT: "text", Channel.EMAIL: "e-mail and letter"}

app = new_group("Notices of a wind-down: what subscribers are told, whom it reached, the proof of it.")


@desk_command(app, "check")
async def check(
    desk: Desk,
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="[FILE]",
            exists=True,
            dir_okay=False,
            readable=True,
            help="A plan in TOML; else the version in force.",
        ),
    ] = None,
    words: Annotated[bool, typer.Option("--words", help="Show the texts, too.")] = False,
) -> Answer:
    """Try every notice of a plan in every language: what is missing, and how many segments each text has."""
    plan = read_plan(file.read_text(encoding="utf-8")) if file else await _get_in_force(desk)
    tried, problems = try_notices(
        plan.plan, plan.stays, make_sender(desk.config), load_wording(desk.config.notices)
    )
    rows = [_describe_tried(one) for one in tried]
    columns = ("at", "kind", "stage", "language", "segments", *(("text",) if words else ()))
    said = (
        "every notice can be told"
        if not problems
        else f"{len(problems)} problems keep notices from being told:"
    )
    document = {
        "good": not problems,
        "problems": [{"place": one.place, "reason": one.reason} for one in problems],
        "notices": rows,
    }
    table = Table(columns, rows, empty="the plan has no notices")
    parts: list[str | Table] = [table, "", said, *map(str, problems)]
    return Answer(document, parts, plan.plan.time_zone, is_good=not problems)


async def _get_in_force(desk: Desk) -> PlanFile:
    file = await load_in_force(desk.connection)
    if file is None:
        raise Failure("no_order", "no order is in force: name a plan, or see `onecard winddown start`")
    return file


def _describe_tried(one: Tried) -> dict[str, Any]:
    return {
        "at": one.at.isoformat(" ", "minutes") if one.at else "example",
        "kind": one.kind,
        "stage": one.stage,
        "language": one.language,
        "segments": one.segments,
        "text": one.words.text,
    }


@desk_command(app, "list")
async def list_(desk: Desk) -> Answer:
    """List the notices that were made, with how many they reached."""
    rows = []
    for notice in await store.list_notices(desk.connection):
        counts = await evidence_store.count_recipients(desk.connection, notice.id, None)
        rows.append({**_describe(notice), **_sum_up(counts)})
    columns = (
        "notice",
        "kind",
        "stage",
        "version",
        "made_at",
        "withdrawn_at",
        "recipients",
        "reached",
        "unreached",
    )
    return Answer({"notices": rows}, [Table(columns, rows, empty="no notice was made")], desk.zone)


@desk_command(app, "show")
async def show(
    desk: Desk,
    notice: NoticeArgument,
    language: Annotated[
        Language | None, typer.Option("--language", help="Only the words of this language.")
    ] = None,
) -> Answer:
    """Show the exact words of a notice, with their hashes, and the copy to the regulator."""
    found = await find_notice(desk.connection, notice)
    wording = await store.get_words(desk.connection, notice)
    shown = {one: said for one, said in wording.items() if language in (None, one)}
    documents = [
        {
            "language": one.value,
            "channel": _CHANNELS_OF_WORDS[channel],
            "words": said.of(channel),
            "sha256": hash_words(said.of(channel)).hex(),
        }
        for one, said in shown.items()
        for channel in _CHANNELS_OF_WORDS
    ]
    copy = await evidence_store.find_copy(desk.connection, notice)
    parts: list[str | Table] = [Table(("notice", "kind", "stage", "version", "made_at"), [_describe(found)])]
    parts += [
        f"\n--- {one['language']}, {one['channel']}, sha256 {one['sha256']}\n{one['words']}"
        for one in documents
    ]
    if copy is not None:
        parts += ["", _say_copy(copy)]
    dates = {stage: at and at.isoformat() for stage, at in found.dates.items()}  # of the plan's clock
    document = {**_describe(found), "dates": dates, "words": documents, "copy": _plain_copy(copy)}
    return Answer(document, parts, desk.zone)


def _say_copy(copy: Mapping[str, Any]) -> str:
    if copy["sent_at"] is None:
        return f"the copy to {copy['address']} was not sent yet, in {copy['attempts']} attempts: {copy['detail']}"
    return f"a copy was sent to {copy['address']} at {copy['sent_at'].isoformat()}"


def _plain_copy(copy: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if copy is None:
        return None
    return {**copy, "sha256": copy["sha256"].hex() if copy["sha256"] else None}


@desk_command(app, "coverage")
async def coverage(
    desk: Desk,
    notice: NoticeArgument,
    after: Annotated[
        int, typer.Option("--after", metavar="SUBSCRIBER", min=0, help="Go on with those after this one.")
    ] = 0,
    most: MostOption = 50,
    names: Annotated[
        str | None,
        typer.Option(
            "--names",
            metavar="REASON",
            help="Open the names and e-mail addresses of those listed; the reason is written down.",
        ),
    ] = None,
) -> Answer:
    """Say how many a notice reached by which channel, whether in time, and name everyone whom it did not reach."""
    found = await find_notice(desk.connection, notice)
    deadline = await _find_deadline(desk)
    counts = await evidence_store.count_recipients(desk.connection, notice, deadline)
    missing = await _list_not_reached(desk, notice, after, most)
    if names is not None:
        missing = await _name(desk, found, missing, names)
    following = missing[-1]["subscriber"] if len(missing) == most else None
    columns = ("subscriber", "state", "channel", "attempts", "due_at", *(("name", "email") if names else ()))
    summed = _sum_up(counts)
    document = {
        **_describe(found), **summed, "counts": counts, "not_reached": missing, "next": following
    }  # fmt: skip
    said = f"{summed['reached']} of {summed['recipients']} were reached"
    parts: list[str | Table] = [Table(("state", "channel", "language", "count"), counts), "", said]
    if deadline is not None:
        in_time = sum(one["in_time"] for one in counts)
        document |= {"deadline": deadline, "in_time": in_time}
        parts.append(f"{in_time} of them in time for the disconnection by the host operator")
    parts += [
        "",
        Table(columns, missing, empty="everybody else was reached, too" if after else "nobody is missing"),
    ]
    return Answer(document, parts, desk.zone, hint=f"more: --after {following}" if following else None)


async def _find_deadline(desk: Desk) -> datetime | None:
    """The instant by which all must be told of a disconnection; None: there is none, or no order."""
    file = await load_in_force(desk.connection)
    day = deadline_to_tell(file.plan) if file else None
    if file is None or day is None:
        return None
    return to_instant(datetime.combine(day, time()) + timedelta(days=1), file.plan.time_zone)


async def _list_not_reached(desk: Desk, notice: int, after: int, most: int) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for part in await list_parts(desk.connection):
        rows += await evidence_store.list_not_reached(desk.connection, part, notice, after=after, most=most)
    rows.sort(key=lambda row: (row["subscriber_id"], row["occasion"]))
    return [{"subscriber": row["subscriber_id"], **row} for row in rows[:most]]


async def _name(
    desk: Desk, notice: MadeNotice, rows: Sequence[dict[str, Any]], reason: str
) -> list[dict[str, Any]]:
    master = desk.load_master_key()
    contacts: dict[int, Contact] = {}
    for part in sorted({row["part"] for row in rows}):
        contacts |= await read_contacts(
            desk.connection,
            desk.at,
            actor=desk.actor,
            master=master,
            part=part,
            subscriber_ids={row["subscriber"] for row in rows if row["part"] == part},
            subject=f"notice:{notice.id}",
            reason=reason,
        )
    return [
        {
            **row,
            "name": contacts[row["subscriber"]].name if row["subscriber"] in contacts else None,
            "email": contacts[row["subscriber"]].email if row["subscriber"] in contacts else None,
        }
        for row in rows
    ]


@desk_command(app, "evidence")
async def evidence(desk: Desk, notice: NoticeArgument) -> None:
    """Write every attempt to stdout, as CSV or with --json: when, how, the hash of the words, what came of it."""
    await find_notice(desk.connection, notice)
    async with desk.connection.transaction(isolation="repeatable_read", readonly=True):
        rows = _stream(desk, notice)
        await (_write_json(rows) if desk.options.as_json else _write_csv(rows))


async def _stream(desk: Desk, notice: int) -> AsyncIterator[dict[str, Any]]:
    for part in await list_parts(desk.connection):
        async for row in evidence_store.stream_evidence(desk.connection, part, notice):
            yield row


async def _write_csv(rows: AsyncIterator[dict[str, Any]]) -> None:
    writer = csv.writer(sys.stdout)
    writer.writerow(EVIDENCE_COLUMNS)
    async for row in rows:
        writer.writerow([_plain(row[column]) for column in EVIDENCE_COLUMNS])


async def _write_json(rows: AsyncIterator[dict[str, Any]]) -> None:
    """One document, an attempt a line."""
    sys.stdout.write('{"attempts": [')
    separator = "\n"
    async for row in rows:
        plain = {column: _plain(row[column]) for column in EVIDENCE_COLUMNS}
        sys.stdout.write(separator + msgspec.json.encode(plain).decode())
        separator = ",\n"
    sys.stdout.write("\n]}\n")


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


@desk_command(app, "bounce")
async def bounce(
    desk: Desk,
    reference: Annotated[
        str | None,
        typer.Argument(
            metavar="[REFERENCE]",
            help="Of an e-mail, in its Message-ID between notice. and @; of a letter, below its date.",
        ),
    ] = None,
    reason: Annotated[
        str,
        typer.Option("--reason", metavar="CODE", help="As the mail server or the post gives it: 550 5.1.1."),
    ] = "",
    file: Annotated[
        Path | None,
        typer.Option(
            "--file",
            metavar="FILE",
            exists=True,
            dir_okay=False,
            readable=True,
            help="A CSV file of many: reference,reason.",
        ),
    ] = None,
) -> Answer:
    """Enter that e-mails or letters came back: their recipients are told by the next channel."""
    if (reference is None) == (file is None):
        raise Misuse("give the reference of one, or a --file of many")
    if file is None:
        assert reference is not None
        outcome = accept(await _enter(desk, reference, reason))
        document = {"reference": reference, "state": outcome.state, "channel": outcome.channel}
        return Answer(document, [f"{reference} came back: {outcome.state}, {outcome.channel}"], desk.zone)
    entered, refused = await _enter_file(desk, file)
    parts: list[str | Table] = [f"{entered} came back"]
    if refused:
        parts.append(Table(("reference", "why"), refused))
    return Answer({"entered": entered, "refused": refused}, parts, desk.zone, is_good=not refused)


async def _enter(desk: Desk, reference: str, reason: str) -> Outcome | NoticeRefusal:
    return await actions.enter_bounce(
        desk.connection,
        desk.at,
        actor=desk.actor,
        reference=reference,
        detail=reason[: actions.DETAIL_LENGTH_MOST],
        rules=desk.config.notices.rules,
    )


async def _enter_file(desk: Desk, file: Path) -> tuple[int, list[dict[str, str]]]:
    """A row each; what was entered before, or is not known, is named and stops nobody."""
    entered, refused = 0, []
    with file.open(encoding="utf-8", newline="") as lines:
        for row in read_table(lines, required=("reference",), optional=("reason",), rows_most=BOUNCES_MOST):
            if isinstance(row, Problem):
                refused.append({"reference": row.place, "why": row.reason})
                continue
            outcome = await _enter(desk, row.cells["reference"], row.cells["reason"])
            if isinstance(outcome, NoticeRefusal):
                refused.append({"reference": row.cells["reference"], "why": outcome.value})
            else:
                entered += 1
    return entered, refused


def _describe(notice: MadeNotice) -> dict[str, Any]:
    return {
        "notice": notice.id,
        "kind": notice.kind,
        "stage": notice.stage,
        "version": notice.version,
        "is_urgent": notice.is_urgent,
        "made_at": notice.made_at,
        "withdrawn_at": notice.withdrawn_at,
    }


def _sum_up(counts: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    summed = {"recipients": 0, "reached": 0, "unreached": 0}
    for row in counts:
        summed["recipients"] += row["count"]
        if row["state"] in summed:
            summed[row["state"]] += row["count"]
    return summed


notice_letters.add_commands(app)
