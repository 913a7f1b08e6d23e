"""The end at the command line: balances at the gate, what is left, the closing statement and its proof.

Commands of `onecard winddown`, which adds them to its own.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from onecard.audit import list_all_records
from onecard.cli.command import desk_command, plain_command
from onecard.cli.desk import Desk
from onecard.cli.failures import Failure, Misuse, accept
from onecard.cli.options import Options
from onecard.cli.show import Answer, Table, say_time
from onecard.cli.times import read_time
from onecard.sealing.signing import SignatureBroken, SignedDocument, canonical, verify_document
from onecard.values.money import Money
from onecard.winddown.closing import actions, store
from onecard.winddown.closing.model import NotClosable, ProvinceTotal, ResidueTotal, ValueTotal
from onecard.winddown.closing.printing import print_statement
from onecard.winddown.closing.record import RecordReport
from onecard.winddown.closing.statement import KIND

INACTIVE_AFTER = timedelta(days=365)
REASON_MOST = 200
STATEMENT_MOST_BYTES = 1 << 26
PAGE = 1000

REASON_HELP = "What it is for, to be written down; at most 200 characters."


def add_commands(group: typer.Typer) -> None:
    """Add the commands of the end to a group."""
    desk_command(group, "snapshot")(snapshot)
    desk_command(group, "residue")(residue)
    desk_command(group, "report")(report)
    desk_command(group, "close")(close)
    plain_command(group, "verify")(verify)


async def snapshot(desk: Desk) -> Answer:
    """Record what every account had when refunds opened, once; one that was interrupted goes on."""
    taken = accept(
        await actions.take_snapshot(
            desk.connection,
            desk.at,
            actor=desk.actor,
            gates=desk.gates,
            zone=desk.zone,
            told=_tell_progress(desk),
        )
    )
    rows = [_describe_value(one) for one in await store.sum_balances(desk.connection)]
    document = {"as_of": taken.as_of, "completed_at": taken.completed_at, "balances": rows}
    said = f"balances as of {say_time(taken.as_of, desk.zone)}:\n"
    return Answer(document, [said, _value_table(rows)], desk.zone)


async def residue(
    desk: Desk,
    inactive_since: Annotated[
        str | None,
        typer.Option(
            "--inactive-since",
            metavar="TIME",
            help="Accounts that were idle since are inactive; a year before the gate unless given.",
        ),
    ] = None,
    by_province: Annotated[
        bool, typer.Option("--by-province", help="Sum it by the province of the postal address, too.")
    ] = False,
    reason: Annotated[str | None, typer.Option("--reason", metavar="WORDS", help=REASON_HELP)] = None,
) -> Answer:
    """Name the reason for all that is still on accounts, and sum it. Nothing is posted."""
    if by_province and not (reason and 0 < len(reason.strip()) <= REASON_MOST):
        raise Misuse("addresses are opened for --by-province: say what for with --reason")
    since = read_time(desk, inactive_since) if inactive_since else await _a_year_before_the_gate(desk)
    totals = await actions.name_residue(
        desk.connection, desk.at, actor=desk.actor, inactive_since=since, told=_tell_progress(desk)
    )
    rows = [_describe_residue(one) for one in totals]
    table = Table(("value", "state", "count", "amount"), rows, empty="nothing is left")
    document: dict[str, Any] = {"inactive_since": since, "residue": rows}
    if not by_province:
        return Answer(document, [table], desk.zone)
    provinces = await _sum_by_province(desk, reason or "")
    shown = Table(("province", "state", "count", "amount"), provinces, empty="nothing is left")
    return Answer({**document, "provinces": provinces}, [table, "", shown], desk.zone)


async def _a_year_before_the_gate(desk: Desk) -> datetime:
    found = await store.find_snapshot(desk.connection)
    return (found.as_of if found else desk.at) - INACTIVE_AFTER


async def _sum_by_province(desk: Desk, reason: str) -> list[dict[str, Any]]:
    totals = await actions.sum_residue_by_province(
        desk.connection, desk.at, actor=desk.actor, master=desk.load_master_key(), reason=reason.strip()
    )
    return [_describe_province(one) for one in totals]


async def report(
    desk: Desk,
    from_audit: Annotated[
        bool,
        typer.Option(
            "--from-audit", help="From the audit record alone: the same bytes each time, for a supervisor."
        ),
    ] = False,
    until: Annotated[
        str | None,
        typer.Option("--until", metavar="TIME", help="With --from-audit: what was done until then; now."),
    ] = None,
) -> Answer | None:
    """Say what was on accounts at the gate, what became of refunds, and what is left."""
    if from_audit:
        await _write_record_report(desk, read_time(desk, until) if until else desk.at)
        return None
    if until:
        raise Misuse("--until goes with --from-audit")
    values = [_describe_value(one) for one in await store.sum_balances(desk.connection)]
    refunds = [
        {
            "value": one.value,
            "state": one.state,
            "count": one.count,
            "amount": Money(one.micros, one.currency),
        }
        for one in await store.sum_refunds(desk.connection)
    ]
    left = [_describe_residue(one) for one in await store.sum_residue(desk.connection)]
    parts: list[str | Table] = [
        "at the gate:",
        _value_table(values),
        "\nrefunds:",
        Table(("value", "state", "count", "amount"), refunds),
        "\nleft, as it was named last:",
        Table(("value", "state", "count", "amount"), left),
    ]
    return Answer({"balances": values, "refunds": refunds, "residue": left}, parts, desk.zone)


async def _write_record_report(desk: Desk, until: datetime) -> None:
    found = RecordReport()
    after = 0
    while page := await list_all_records(desk.connection, until, after=after, most=PAGE):
        for record in page:
            found.take(record)
        after = page[-1].id
    sys.stdout.write(canonical(found.make_document()).decode() + "\n")


async def close(
    desk: Desk,
    file: Annotated[
        Path, typer.Argument(metavar="FILE", dir_okay=False, help="Where the signed statement goes (JSON).")
    ],
    pdf: Annotated[
        Path | None, typer.Option("--pdf", metavar="FILE", dir_okay=False, help="Print it, too.")
    ] = None,
) -> Answer:
    """Issue the closing statement, signed; or say everything that stands against it."""
    for target in (file, pdf):
        if target is not None and target.exists():
            raise Misuse(f"{target} is there already: a statement is never written over")
    issued = await actions.issue_statement(
        desk.connection,
        desk.at,
        actor=desk.actor,
        key=desk.load_signing_key(),
        operator=desk.config.operator.name,
        zone=desk.zone,
    )
    if isinstance(issued, NotClosable):
        faults = [{"fault": one.fault, "sentence": one.sentence} for one in issued.faults]
        table = Table(("fault", "sentence"), faults)
        return Answer(
            {"closed": False, "faults": faults}, ["no statement is issued:\n", table], is_good=False
        )
    file.write_bytes(issued.signed)
    if pdf is not None:
        pdf.write_bytes(print_statement(issued.document))
    key = issued.document.signature.public_key
    said = f"statement {issued.id} is signed by {key}: {file}"
    return Answer({"closed": True, "statement": issued.id, "public_key": key}, [said], desk.zone)


def verify(
    _: Options,
    file: Annotated[
        Path,
        typer.Argument(metavar="FILE", exists=True, dir_okay=False, readable=True, help="A signed file."),
    ],
    key: Annotated[
        str | None,
        typer.Option("--key", metavar="BASE64", help="The public key, as the operator made it known."),
    ] = None,
) -> Answer:
    """Prove a closing statement, or any file that is signed like one: whether it was changed, and who signed it."""
    if file.stat().st_size > STATEMENT_MOST_BYTES:
        raise Failure("not_signed", f"{file} is larger than any statement")
    written = file.read_bytes()
    public_key = key or _read_key(file, written)
    try:
        document = verify_document(written, public_key)
    except SignatureBroken as broken:
        return Answer({"proved": False, "public_key": public_key}, [f"{file}: {broken}"], is_good=False)
    what = document.get("kind", KIND)
    said = f"{what}, unchanged since it was signed by {public_key}"
    hint = None if key else "whose key that is, the file cannot prove: compare it, or give it with --key"
    return Answer({"proved": True, "kind": what, "public_key": public_key}, [said], hint=hint)


def _read_key(file: Path, written: bytes) -> str:
    try:
        return msgspec.json.decode(written, type=SignedDocument).signature.public_key
    except msgspec.DecodeError:
        raise Failure("not_signed", f"{file} is no signed file") from None


def _tell_progress(desk: Desk) -> actions.Told:
    """Say on a terminal how far long work is."""
    if desk.options.as_json or not sys.stderr.isatty():
        return actions.tell_nobody

    def tell(done: int, of: int) -> None:
        sys.stderr.write(f"\r{done} of {of} parts" + ("\n" if done == of else ""))
        sys.stderr.flush()

    return tell


def _value_table(rows: Iterable[Mapping[str, Any]]) -> Table:
    return Table(("value", "count", "worth", "owed"), list(rows), empty="no balances are recorded")


def _describe_value(total: ValueTotal) -> dict[str, Any]:
    return {
        "value": total.value,
        "count": total.count,
        "worth": Money(total.value_micros, total.currency),
        "owed": Money(total.owed_micros, total.currency),
    }


def _describe_residue(total: ResidueTotal) -> dict[str, Any]:
    return {
        "value": total.value,
        "state": total.state,
        "count": total.count,
        "amount": Money(total.micros, total.currency),
    }


def _describe_province(total: ProvinceTotal) -> dict[str, Any]:
    return {
        "province": total.province,
        "state": total.state,
        "count": total.count,
        "amount": Money(total.micros, total.currency),
    }
