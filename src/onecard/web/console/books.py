"""The books: money in hand against what is owed, how they were reconciled last, and the closing statements."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TypeAlias

import msgspec
from litestar import get, post
from litestar.di import NamedDependency
from litestar.exceptions import NotFoundException
from litestar.params import FromPath, SkipValidation
from litestar.response import Response

from onecard import audit
from onecard.database.pool import connection
from onecard.sealing.signing import SignedDocument
from onecard.staff.model import Permission
from onecard.web.console.desk import Desk, GivenDesk, needs
from onecard.web.console.lately import Lately
from onecard.web.console.tables import ID_HIGHEST
from onecard.web.layout import Page
from onecard.web.site import Site
from onecard.winddown.closing.actions import find_closing_faults
from onecard.winddown.closing.model import Fault
from onecard.winddown.closing.printing import print_statement
from onecard.winddown.closing.store import find_signed_statement, list_statements
from onecard.winddown.model import RefundPolicy, ValueKind
from onecard.winddown.reconciliation.actions import NO_ORDER_POLICIES, check_funding, reconcile
from onecard.winddown.reconciliation.model import Funding, Reconciliation

BOOKS = "/console/books"
KEEP = timedelta(seconds=60)
"""So old may the funding check be: it looks at every account."""
BUSY = "Somebody has the books looked through at this moment: wait until that is done."

GivenFunding: TypeAlias = NamedDependency[SkipValidation[Lately[tuple[Funding, ...]]]]
GivenTurn: TypeAlias = NamedDependency[SkipValidation[asyncio.Lock]]
"""One at a time looks at everything."""


def keep_funding(site: Site) -> Lately[tuple[Funding, ...]]:
    """Money in hand against what is owed, as one node's console knows it."""

    async def read(at: datetime) -> tuple[Funding, ...]:
        async with connection(site.pool) as borrowed:
            return await check_funding(borrowed, at, policies=_policies(site))

    return Lately(read, KEEP)


def _policies(site: Site) -> Mapping[ValueKind, RefundPolicy]:
    file = site.plan_in_force()
    return NO_ORDER_POLICIES if file is None else file.plan.refunds


@get(BOOKS, opt=needs(Permission.SEE_BOOKS))
async def show_books(desk: GivenDesk, funding: GivenFunding) -> Page:
    """Whether what is owed is covered, what came of the last reconciliation, and the statements."""
    return await _show(desk, funding)


async def _show(
    desk: Desk,
    funding: Lately[tuple[Funding, ...]],
    found: Reconciliation | None = None,
    faults: Sequence[Fault] | None = None,
) -> Page:
    async with desk.connection() as borrowed:
        last = await audit.list_records(borrowed, "payouts", most=1)
        statements = await list_statements(borrowed)
    return desk.page(
        "books.html",
        funding=await funding.get(desk.at),
        last=next(iter(last), None),
        statements=statements,
        found=found,
        faults=faults,
    )


@post(BOOKS + "/reconcile", status_code=200, opt=needs(Permission.SEE_BOOKS))
async def reconcile_now(desk: GivenDesk, funding: GivenFunding, turn: GivenTurn) -> Page:
    """Hold ledger, payout files and bank statements against each other. Changes nothing, and is recorded."""
    if turn.locked():
        return desk.refused(BOOKS, BUSY)
    async with turn, desk.connection() as borrowed:
        found = await reconcile(
            borrowed,
            desk.at,
            actor=desk.actor,
            zone=desk.site.operator.zone,
            policies=_policies(desk.site),
        )
    funding.forget()
    return await _show(desk, funding, found=found)


@post(BOOKS + "/closing", status_code=200, opt=needs(Permission.SEE_BOOKS))
async def look_at_closing(desk: GivenDesk, funding: GivenFunding, turn: GivenTurn) -> Page:
    """Say everything that stands against a closing statement now. Changes nothing; it reconciles, so it is recorded."""
    if turn.locked():
        return desk.refused(BOOKS, BUSY)
    operator = desk.site.operator
    async with turn, desk.connection() as borrowed:
        faults = await find_closing_faults(
            borrowed, desk.at, actor=desk.actor, operator=operator.name, zone=operator.zone
        )
    return await _show(desk, funding, faults=faults)


@get(BOOKS + "/statements/{file:str}", opt=needs(Permission.SEE_BOOKS))
async def take_statement(desk: GivenDesk, file: FromPath[str]) -> Response[bytes]:
    """A closing statement as it was signed (``3.json``), or printed (``3.pdf``)."""
    number, _, kind = file.partition(".")
    if not (number.isascii() and number.isdigit()) or kind not in ("json", "pdf"):
        raise NotFoundException
    async with desk.connection() as borrowed:
        signed = await find_signed_statement(borrowed, min(int(number[:19]), ID_HIGHEST))
        if signed is None:
            raise NotFoundException
        subject, detail = f"closing_statement:{int(number)}", {"format": kind}
        await audit.record(
            borrowed, desk.at, actor=desk.actor, action="export", subject=subject, detail=detail
        )
    written = signed if kind == "json" else await asyncio.to_thread(_print, signed)
    headers = {
        "content-disposition": f'attachment; filename="closing-statement-{file}"',
        "cache-control": "no-store",
    }
    return Response(written, media_type=f"application/{kind}", headers=headers)


def _print(signed: bytes) -> bytes:
    return print_statement(msgspec.json.decode(signed, type=SignedDocument))


ROUTES = (show_books, reconcile_now, look_at_closing, take_statement)
