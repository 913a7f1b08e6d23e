"""SIM cards and numbers in stock, and how more of them come in."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from typing import TypeAlias

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import SkipValidation

from onecard.cards.actions import import_stock
from onecard.database.pool import Pool, connection
from onecard.lines.actions import import_numbers
from onecard.lines.model import NumberState
from onecard.staff.model import Permission
from onecard.values.table import BadTable
from onecard.web.console import store
from onecard.web.console.desk import Desk, GivenDesk, needs, needs_for_upload
from onecard.web.console.lately import Lately
from onecard.web.console.tables import Start, Wish, cut, join_key, read_instant, read_wish
from onecard.web.console.uploads import UPLOAD_OCTETS_MOST, read_upload, say_problems
from onecard.web.layout import Page
from onecard.web.visit import AnyRequest

STOCK = "/console/stock"
KEEP = timedelta(seconds=30)
"""So old may counts be: they look at all numbers."""

Counts: TypeAlias = tuple[dict[str, int], dict[str, dict[str, int]]]
GivenCounts: TypeAlias = NamedDependency[SkipValidation[Lately[Counts]]]


def keep_counts(pool: Pool) -> Lately[Counts]:
    """The counts of one node's console: SIMs by state, numbers by country and state."""

    async def read(pool: Pool, _: object) -> Counts:
        async with connection(pool) as borrowed:
            return await store.count_sims(borrowed), await store.count_numbers(borrowed)

    return Lately(partial(read, pool), KEEP)


@get(STOCK, opt=needs(Permission.SEE_STOCK))
async def show_stock(desk: GivenDesk, counts: GivenCounts) -> Page:
    """How many SIMs and numbers there are in each state."""
    return await _show(desk, counts)


async def _show(desk: Desk, counts: Lately[Counts], problems: Sequence[str] = ()) -> Page:
    sims, numbers = await counts.get(desk.at)
    status = 422 if problems else 200
    states = [state.value for state in NumberState]
    return desk.page(
        "stock.html", status=status, sims=sims, numbers=numbers, states=states, problems=problems
    )


@get("/console/stock/numbers", opt=needs(Permission.SEE_STOCK))
async def show_numbers(request: AnyRequest, desk: GivenDesk) -> Page:
    """All numbers in their order, or those of a country in a state."""
    wish = read_wish(request, "country", "state", is_descending=False, sorts=store.SORTS_OF_NUMBERS)
    if wish.filters["country"]:  # those of a country in a state go by their number
        wish = wish.by_key()
    known = {state.value: state for state in NumberState}
    async with desk.connection() as borrowed:
        if wish.sort:
            found = await store.list_numbers_by(
                borrowed, wish.sort, _start(wish), is_descending=wish.is_descending
            )
            key = partial(_place, wish.sort, "msisdn")
            return desk.page("numbers.html", table=cut(wish, found, key))
        found = await store.list_numbers(
            borrowed,
            wish.after,
            is_descending=wish.is_descending,
            country=wish.filters["country"],
            state=known.get(wish.filters["state"]),
        )
    return desk.page("numbers.html", table=cut(wish, found, lambda row: row.msisdn))


@get("/console/stock/sims", opt=needs(Permission.SEE_STOCK))
async def show_sims(request: AnyRequest, desk: GivenDesk) -> Page:
    """All SIMs by ICCID."""
    wish = read_wish(request, is_descending=False, sorts=store.SORTS_OF_SIMS)
    async with desk.connection() as borrowed:
        if wish.sort:
            sorted_ = await store.list_sims_by(
                borrowed, wish.sort, _start(wish), is_descending=wish.is_descending
            )
            return desk.page("sims.html", table=cut(wish, sorted_, partial(_place, wish.sort, "iccid")))
        found = await store.list_sims(borrowed, wish.after, is_descending=wish.is_descending)
    return desk.page("sims.html", table=cut(wish, found, lambda row: row.iccid))


def _start(wish: Wish) -> Start | None:
    return wish.start(read_instant if wish.sort == "imported_at" else str, str)


def _place(column: str, key: str, row: object) -> str:
    return join_key(getattr(row, column), getattr(row, key))


@post(
    "/console/stock/sims/import",
    opt=needs_for_upload(Permission.IMPORT_STOCK),
    request_max_body_size=UPLOAD_OCTETS_MOST,
)
async def take_sims(request: AnyRequest, desk: GivenDesk, counts: GivenCounts) -> Page:
    """Add the SIMs of a CSV file, all or none."""
    try:
        text = await read_upload(request)
        async with desk.connection() as borrowed:
            count = await import_stock(
                borrowed, desk.at, actor=desk.actor, lines=text.splitlines(keepends=True)
            )
    except BadTable as bad:
        return await _show(desk, counts, say_problems(bad))
    counts.forget()
    return desk.done(STOCK, f"{count} SIMs were added.")


@post(
    "/console/stock/numbers/import",
    opt=needs_for_upload(Permission.IMPORT_STOCK),
    request_max_body_size=UPLOAD_OCTETS_MOST,
)
async def take_numbers(request: AnyRequest, desk: GivenDesk, counts: GivenCounts) -> Page:
    """Add the numbers of a CSV file, all or none."""
    try:
        text = await read_upload(request)
        async with desk.connection() as borrowed:
            count = await import_numbers(
                borrowed, desk.at, actor=desk.actor, lines=text.splitlines(keepends=True)
            )
    except BadTable as bad:
        return await _show(desk, counts, say_problems(bad))
    counts.forget()
    return desk.done(STOCK, f"{count} numbers were added.")


ROUTES = (show_stock, show_numbers, show_sims, take_sims, take_numbers)
