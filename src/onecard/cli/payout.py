"""`onecard payout`: refunds on their way through the bank."""

from __future__ import annotations

import os
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import typer

from onecard.cli.books import reconcile_books
from onecard.cli.command import desk_command, new_group
from onecard.cli.desk import Desk
from onecard.cli.failures import Failure, Misuse, accept
from onecard.cli.options import ID_HIGHEST, MostOption
from onecard.cli.progress import Progress
from onecard.cli.show import Answer, Table
from onecard.database.pool import Connection
from onecard.payments.bank.files import WRITERS, Format, read_report
from onecard.payments.bank.model import BadBankFile, BankStatement, PaymentFile, PaymentOrder, StatusReport
from onecard.payments.payouts import actions, store
from onecard.payments.payouts.model import (
    Applied,
    PayoutRefusal,
    PayoutRun,
    Route,
    UnmatchedLine,
)
from onecard.payments.payouts.rules import RUN_MOST
from onecard.payments.refunds.rules import REASON_CHARACTERS_MOST
from onecard.sealing.check import check_master_key
from onecard.values.money import NUMERIC_CODES, Currency, Money, parse_micros

CHUNK_BYTES = 65_536
COLUMNS = ("run", "route", "state", "count", "total", "execution_on", "made_by", "released_by")
UNMATCHED_COLUMNS = ("line", "at", "source", "message", "reference", "end_to_end_id", "why", "resolution")

app = new_group("Payouts: runs of refunds, their files, and what the bank answers.")

RunArgument = Annotated[
    int, typer.Argument(metavar="RUN", min=1, max=ID_HIGHEST, help="Its number: see `onecard payout list`.")
]


@desk_command(app, "make")
async def make(
    desk: Desk,
    currency: Annotated[
        str | None, typer.Option("--currency", metavar="CODE", help="The operator's own unless given.")
    ] = None,
    route: Annotated[
        Route,
        typer.Option(
            "--route", metavar="bank|as_paid", help="To payees by the bank, or to original payments."
        ),
    ] = Route.BANK,
    limit: Annotated[
        str | None,
        typer.Option("--limit", metavar="AMOUNT", help="Of all payments; no more than payouts.amount_most."),
    ] = None,
    most: Annotated[
        int | None,
        typer.Option(
            "--most",
            metavar="COUNT",
            min=1,
            max=RUN_MOST,
            help="How many payments; no more than payouts.run_most.",
        ),
    ] = None,
    on: Annotated[
        str | None, typer.Option("--on", metavar="DATE", help="When the bank is to pay; today unless given.")
    ] = None,
) -> Answer:
    """Collect approved refunds, the oldest first, and freeze them: nobody can change them any more."""
    config = desk.config.payouts
    money = _read_currency(desk, currency)
    allowed = config.limit(money)
    wanted = allowed if limit is None else Money(parse_micros(limit), money)
    if allowed < wanted:
        raise Misuse(f"a run pays {allowed} at most: see payouts.amount_most in the configuration")
    with Progress("payments") as progress:
        run = accept(
            await actions.make_payout_run(
                desk.connection,
                desk.at,
                actor=desk.actor,
                currency=money,
                route=route,
                execution_on=_read_date(desk, on),
                limit=wanted,
                most=min(most or config.run_most, config.run_most),
                told=progress.add,
            )
        )
    said = f"run {run.id}: {run.count} payments, {run.total}; another person has to release it"
    return Answer(_describe(run), [said], desk.zone)


def _read_currency(desk: Desk, given: str | None) -> Currency:
    if given is None:
        return desk.config.operator.money
    if given.upper() not in NUMERIC_CODES:
        raise Misuse(f"the currency {given!r} is not one of {', '.join(NUMERIC_CODES)}")
    return Currency(given.upper())


def _read_date(desk: Desk, given: str | None) -> date:
    today = desk.at.astimezone(desk.zone).date()
    try:
        day = today if given is None else date.fromisoformat(given)
    except ValueError:
        raise Misuse(f"{given!r} is no date such as 2026-05-01") from None
    if day < today:
        raise Misuse(f"{day} has passed")
    return day


@desk_command(app, "release")
async def release(desk: Desk, run: RunArgument) -> Answer:
    """Agree that a run is paid: by another than who made it."""
    account = desk.config.payouts.paid_from
    if account is None:
        raise Failure(
            "no_paying_account",
            "the configuration does not say which account refunds are paid from: give [payouts.paid_from]",
        )
    released = accept(
        await actions.release_run(
            desk.connection, desk.at, actor=desk.actor, run_id=run, debtor=account.debtor
        )
    )
    said = f"run {run} is released: write its file with `onecard payout write {run} --file FILE`"
    return Answer(_describe(released), [said], desk.zone)


@desk_command(app, "withdraw")
async def withdraw(desk: Desk, run: RunArgument) -> Answer:
    """Give up a run whose file was not written: its refunds are approved still."""
    withdrawn = accept(await actions.withdraw_run(desk.connection, desk.at, actor=desk.actor, run_id=run))
    return Answer(_describe(withdrawn), [f"run {run} is withdrawn"], desk.zone)


@desk_command(app, "write")
async def write(
    desk: Desk,
    run: RunArgument,
    file: Annotated[
        Path,
        typer.Option("--file", metavar="FILE", help="Where to. Only its owner may read it."),
    ],
    to: Annotated[
        Format | None,
        typer.Option("--format", metavar="pain.001|csv", help="pain.001 for banks, csv as they were paid."),
    ] = None,
) -> Answer:
    """Write the file of a released run, for the bank. Written again, it has the same bytes."""
    master = desk.load_master_key()
    await check_master_key(desk.connection, master)
    submitted = accept(await actions.submit_run(desk.connection, desk.at, actor=desk.actor, run_id=run))
    if submitted.route is Route.AS_PAID and to is Format.PAIN_001:
        raise Misuse("a provider is given csv: pain.001 has no place for the original payment")
    fitting = Format.PAIN_001 if submitted.route is Route.BANK else Format.CSV
    orders = actions.list_orders(
        desk.connection, submitted, master=master, remittance=desk.config.payouts.remittance
    )
    await _write_file(file, to or fitting, actions.make_payment_file(submitted), orders)
    document = {**_describe(submitted), "file": str(file), "message_id": submitted.message_id}
    said = f"{submitted.count} payments, {submitted.total}, are in {file}: message {submitted.message_id}"
    return Answer(document, [said], desk.zone)


async def _write_file(
    file: Path, to: Format, head: PaymentFile, orders: AsyncIterator[list[PaymentOrder]]
) -> None:
    """Beside its place first, so that nobody ever sends half a file."""
    number, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}-")  # new, and of mode 0600
    draft, writer = file.with_name(name.rpartition(os.sep)[2]), WRITERS[to]
    try:
        with os.fdopen(number, "wb") as out, Progress("payments", head.count) as progress:
            out.write(writer.begin_file(head))
            async for page in orders:
                out.writelines(writer.write_order(order) for order in page)
                progress.add(len(page))
            out.write(writer.end_file(head))
            out.flush()
            os.fsync(out.fileno())
        draft.replace(file)
    finally:
        draft.unlink(missing_ok=True)


@desk_command(app, "apply")
async def apply(
    desk: Desk,
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="pain.002, camt.053, camt.054, or CSV.", exists=True)
    ],
) -> Answer:
    """Take in what the bank answered. The same file twice does no harm."""
    try:
        report = read_report(_read_chunks(file))
        async with desk.borrow_beside() as beside:
            messages = [report] if isinstance(report, StatusReport) else report
            rows = [await _apply(desk, one, beside) for one in messages]
    except BadBankFile as error:
        raise Failure("bad_bank_file", f"{file}: {error}") from None
    waits = any(row["unmatched"] for row in rows)
    hint = "what fits nothing waits for a person: see `onecard payout unmatched`" if waits else None
    columns = ("message", "settled", "rejected", "returned", "unchanged", "unmatched", "repeated")
    return Answer({"messages": rows}, [Table(columns, rows)], desk.zone, hint=hint)


def _read_chunks(file: Path) -> Iterator[bytes]:
    with file.open("rb") as source:
        while chunk := source.read(CHUNK_BYTES):
            yield chunk


async def _apply(
    desk: Desk, message: StatusReport | BankStatement, beside: Sequence[Connection]
) -> dict[str, Any]:
    if isinstance(message, StatusReport):
        with Progress("orders", len(message.statuses) or None) as progress:
            applied = await actions.apply_status_report(
                desk.connection,
                desk.at,
                actor=desk.actor,
                report=message,
                beside=beside,
                told=progress.add,
            )
        return _describe_applied(message.message_id, applied)
    with Progress("movements", len(message.booked)) as progress:
        applied = await actions.apply_statement(
            desk.connection,
            desk.at,
            actor=desk.actor,
            statement=message,
            beside=beside,
            told=progress.add,
        )
    return _describe_applied(message.id, applied)


def _describe_applied(message_id: str, applied: Applied) -> dict[str, Any]:
    return {
        "message": message_id,
        "settled": applied.settled,
        "rejected": applied.rejected,
        "returned": applied.returned,
        "unchanged": applied.unchanged,
        "unmatched": applied.unmatched,
        "repeated": applied.is_repeated,
    }


@desk_command(app, "list")
async def list_(
    desk: Desk,
    before: Annotated[
        int, typer.Option("--before", metavar="RUN", min=1, help="Go on with those before this one.")
    ] = ID_HIGHEST,
    most: MostOption = 50,
) -> Answer:
    """List the runs, the latest first."""
    rows = [_describe(run) for run in await store.list_runs(desk.connection, before=before, most=most)]
    following = rows[-1]["run"] if len(rows) == most else None
    table = Table(COLUMNS, rows, empty="no runs were made")
    hint = f"more: --before {following}" if following else None
    return Answer({"runs": rows, "next": following}, [table], desk.zone, hint=hint)


@desk_command(app, "show")
async def show(desk: Desk, run: RunArgument) -> Answer:
    """Show a run, and what became of its payments."""
    found = accept(await store.find_run(desk.connection, run) or PayoutRefusal.UNKNOWN_RUN)
    rows = [
        {"state": state, "count": count, "amount": Money(micros, found.currency)}
        for state, (count, micros) in (await store.tally_payouts(desk.connection, run)).items()
    ]
    document = {**_describe(found), "message_id": found.message_id, "payments": rows}
    parts = [Table(COLUMNS, [_describe(found)]), Table(("state", "count", "amount"), rows)]
    return Answer(document, parts, desk.zone)


@desk_command(app, "unmatched")
async def unmatched(
    desk: Desk,
    after: Annotated[
        int, typer.Option("--after", metavar="LINE", min=0, help="Go on with those after this one.")
    ] = 0,
    most: MostOption = 50,
    resolved: Annotated[bool, typer.Option("--resolved", help="Those that were resolved, too.")] = False,
) -> Answer:
    """List what the bank said that fits no payment, or contradicts what it said before."""
    lines = await store.list_unmatched(desk.connection, after=after, resolved=resolved, most=most)
    rows = [_describe_line(line) for line in lines]
    following = rows[-1]["line"] if len(rows) == most else None
    table = Table(UNMATCHED_COLUMNS, rows, empty="nothing waits")
    hint = f"more: --after {following}" if following else None
    return Answer({"lines": rows, "next": following}, [table], desk.zone, hint=hint)


@desk_command(app, "resolve")
async def resolve(
    desk: Desk,
    line: Annotated[int, typer.Argument(metavar="LINE", min=1, max=ID_HIGHEST, help="Its number.")],
    note: Annotated[
        str, typer.Option("--note", metavar="TEXT", help="What was found out. It names no person.")
    ],
) -> Answer:
    """Note what became of a line of the bank's that fitted nothing."""
    if not 0 < len(note.strip()) <= REASON_CHARACTERS_MOST:
        raise Misuse(f"give --note a text of 1 to {REASON_CHARACTERS_MOST} characters")
    found = accept(
        await actions.resolve_unmatched(
            desk.connection, desk.at, actor=desk.actor, line_id=line, resolution=note.strip()
        )
    )
    return Answer(_describe_line(found), [f"line {line} is resolved"], desk.zone)


desk_command(app, "reconcile")(reconcile_books)


def _describe(run: PayoutRun) -> dict[str, Any]:
    return {
        "run": run.id,
        "route": run.route,
        "state": run.state,
        "count": run.count,
        "total": run.total,
        "execution_on": run.execution_on.isoformat(),
        "made_at": run.made_at,
        "made_by": run.made_by,
        "released_at": run.released_at,
        "released_by": run.released_by,
        "submitted_at": run.submitted_at,
    }


def _describe_line(line: UnmatchedLine) -> dict[str, Any]:
    return {
        "line": line.id,
        "at": line.at,
        "source": line.source,
        "message": line.message_id,
        "reference": line.reference,
        "end_to_end_id": line.end_to_end_id,
        "why": line.why,
        "resolution": line.resolution,
        "resolved_by": line.resolved_by,
        "resolved_at": line.resolved_at,
    }
