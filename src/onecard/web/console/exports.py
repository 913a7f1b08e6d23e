"""Tables as CSV (RFC 4180), however long: written as they are read. Who took what is recorded."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import datetime, time

from litestar import get
from litestar.exceptions import NotFoundException
from litestar.params import FromPath
from litestar.response import Stream

from onecard import audit
from onecard.charging.records import CSV_COLUMNS, as_csv_row, stream_records, write_csv_row
from onecard.database.pool import Connection
from onecard.staff.model import Permission
from onecard.web.console import store
from onecard.web.console.desk import Desk, GivenDesk, needs
from onecard.web.console.store import EXPORTS
from onecard.web.layout import Page
from onecard.web.visit import AnyRequest

Lines = AsyncIterator[str]


@get("/console/exports", opt=needs(Permission.EXPORT))
async def show_exports(request: AnyRequest, desk: GivenDesk) -> Page:
    """What can be taken away."""
    return desk.page("exports.html", exports=EXPORTS, problem=request.query_params.get("problem") == "span")


@get("/console/exports/usage.csv", opt=needs(Permission.EXPORT))
async def export_usage(request: AnyRequest, desk: GivenDesk) -> Stream | Page:
    """Usage records of a span of days; numbers of persons are masked."""
    span = _read_span(request, desk)
    if span is None:
        return desk.layout.go("/console/exports?problem=span")
    since, until = span

    async def lines(borrowed: Connection) -> Lines:
        yield write_csv_row(CSV_COLUMNS)
        async for record in stream_records(borrowed, desk.site.parts, since, until):
            yield as_csv_row(record)

    return await _export(desk, "usage", lines, {"from": since.isoformat(), "until": until.isoformat()})


@get("/console/exports/{file:str}", opt=needs(Permission.EXPORT))
async def export_table(desk: GivenDesk, file: FromPath[str]) -> Stream:
    """One of the tables that are exported whole."""
    name = file.removesuffix(".csv")
    export = EXPORTS.get(name)
    if export is None or name == file:
        raise NotFoundException

    async def lines(borrowed: Connection) -> Lines:
        yield write_csv_row(export.columns)
        async for row in store.stream(borrowed, export):
            yield write_csv_row(row)

    return await _export(desk, name, lines, {})


async def _export(
    desk: Desk, name: str, lines: Callable[[Connection], Lines], detail: dict[str, str]
) -> Stream:
    """Write down that it was taken, and then send it from one state of the database."""
    async with desk.connection() as borrowed:
        await audit.record(
            borrowed, desk.at, actor=desk.actor, action="export", subject=f"export:{name}", detail=detail
        )

    async def send() -> Lines:
        async with desk.connection() as own, own.transaction(isolation="repeatable_read", readonly=True):
            async for line in lines(own):
                yield line

    headers = {
        "content-disposition": f'attachment; filename="{name}-{desk.at:%Y%m%d}.csv"',
        "cache-control": "no-store",
    }
    return Stream(send(), media_type="text/csv; charset=utf-8", headers=headers)


def _read_span(request: AnyRequest, desk: Desk) -> tuple[datetime, datetime] | None:
    """From one day until before another, by the operator's clock."""
    zone = desk.site.operator.zone
    try:
        since, until = (
            datetime.combine(datetime.fromisoformat(request.query_params.get(name, "")).date(), time(), zone)
            for name in ("from", "until")
        )
    except ValueError:
        return None
    return (since, until) if since < until else None


ROUTES = (show_exports, export_usage, export_table)
