"""To the bank and back: the file of a payout run, and what the bank answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import IO

from litestar import post
from litestar.datastructures import UploadFile
from litestar.params import FromPath
from litestar.response import Stream

from onecard import audit
from onecard.database.pool import Connection
from onecard.payments.bank.files import WRITERS, Format, Report, read_report
from onecard.payments.bank.model import BadBankFile, BankStatement, StatusReport
from onecard.payments.payouts import actions
from onecard.payments.payouts.model import Applied, PayoutRefusal, PayoutRun, Route
from onecard.payments.payouts.store import has_destroyed_key
from onecard.staff.model import Permission
from onecard.web.console.books import GivenFunding
from onecard.web.console.desk import Desk, GivenDesk, needs, needs_for_upload
from onecard.web.console.refunds import PAYOUTS, GivenTally
from onecard.web.console.tables import ID_HIGHEST
from onecard.web.console.uploads import UPLOAD_OCTETS_MOST
from onecard.web.given import GivenForm
from onecard.web.layout import Page
from onecard.web.visit import AnyRequest

CHUNK_BYTES = 65_536
MEDIA_TYPES = {Format.PAIN_001: "application/xml", Format.CSV: "text/csv; charset=utf-8"}
SUFFIXES = {Format.PAIN_001: "xml", Format.CSV: "csv"}
NO_PLACE = "A provider is given CSV: pain.001 has no place for the original payment."


@post(PAYOUTS + "/{run_id:int}/file", status_code=200, opt=needs(Permission.RUN_PAYOUTS))
async def take_file(desk: GivenDesk, run_id: FromPath[int], form: GivenForm) -> Stream | Page:
    """The file of a released run, which is told to the bank from now on. Taken again, it has the same bytes.

    It names payees: who took it is recorded each time.
    """
    wanted = form.text("format", most=10, required=False)
    back = f"{PAYOUTS}/{run_id}"
    async with desk.connection() as borrowed:
        run = await _submit(borrowed, desk, min(run_id, ID_HIGHEST))
        if isinstance(run, PayoutRefusal):
            return desk.refused(PAYOUTS if run is PayoutRefusal.UNKNOWN_RUN else back, run)
        to = _choose(run, wanted)
        if to is None:
            return desk.refused(back, NO_PLACE)
        await audit.record(
            borrowed,
            desk.at,
            actor=desk.actor,
            action="take_payout_file",
            subject=f"payout_run:{run.id}",
            detail={"format": to},
        )
    headers = {
        "content-disposition": f'attachment; filename="{run.message_id}.{SUFFIXES[to]}"',
        "cache-control": "no-store",
    }
    return Stream(_write(desk, run, to), media_type=MEDIA_TYPES[to], headers=headers)


async def _submit(borrowed: Connection, desk: Desk, run_id: int) -> PayoutRun | PayoutRefusal:
    run = await actions.submit_run(borrowed, desk.at, actor=desk.actor, run_id=run_id)
    if isinstance(run, PayoutRun) and await has_destroyed_key(borrowed, run_id):
        return PayoutRefusal.KEY_DESTROYED
    return run


def _choose(run: PayoutRun, wanted: str) -> Format | None:
    """The format that was asked for, or else what fits; None: it does not fit the run."""
    if run.route is Route.AS_PAID:
        return None if wanted == Format.PAIN_001 else Format.CSV
    return Format.CSV if wanted == Format.CSV else Format.PAIN_001


async def _write(desk: Desk, run: PayoutRun, to: Format) -> AsyncIterator[bytes]:
    """A page of orders at a time, however long the file is."""
    writer, head = WRITERS[to], actions.make_payment_file(run)
    yield writer.begin_file(head)
    async with desk.connection() as own, own.transaction(isolation="repeatable_read", readonly=True):
        remittance = desk.site.payouts.remittance
        async for page in actions.list_orders(own, run, master=desk.site.master, remittance=remittance):
            yield b"".join(writer.write_order(order) for order in page)
    yield writer.end_file(head)


@dataclass(frozen=True, slots=True)
class Answered:
    """One message of the bank's, and what became of its lines."""

    message_id: str
    applied: Applied


@post(
    PAYOUTS + "/answers",
    status_code=200,
    opt=needs_for_upload(Permission.RUN_PAYOUTS),
    request_max_body_size=UPLOAD_OCTETS_MOST,
)
async def take_answer(request: AnyRequest, desk: GivenDesk, tally: GivenTally, funding: GivenFunding) -> Page:
    """Take in a report or statement, whichever format it has. The same file twice does no harm."""
    file = (await request.form()).get("file")
    if not isinstance(file, UploadFile) or not file.filename:
        return desk.refused(PAYOUTS, "Choose a file.")
    try:
        report = await asyncio.to_thread(_read, file.file)
    except BadBankFile as bad:
        return desk.refused(PAYOUTS, f"The file cannot be used, and nothing was changed: {bad}.")
    messages = [report] if isinstance(report, StatusReport) else report
    async with desk.connection() as borrowed:
        answered = [await _apply(borrowed, desk, one) for one in messages]
    tally.forget()
    funding.forget()
    return desk.page("answers.html", answered=answered, file=file.filename[:100])


def _read(file: IO[bytes]) -> Report:
    file.seek(0)
    return read_report(_read_chunks(file))


def _read_chunks(file: IO[bytes]) -> Iterator[bytes]:
    while chunk := file.read(CHUNK_BYTES):
        yield chunk


async def _apply(borrowed: Connection, desk: Desk, message: StatusReport | BankStatement) -> Answered:
    if isinstance(message, StatusReport):
        applied = await actions.apply_status_report(borrowed, desk.at, actor=desk.actor, report=message)
        return Answered(message.message_id, applied)
    applied = await actions.apply_statement(borrowed, desk.at, actor=desk.actor, statement=message)
    return Answered(message.id, applied)


ROUTES = (take_file, take_answer)
