"""The audit record: who did what to what. It is read, and never changed."""

from __future__ import annotations

from litestar import get

from onecard.staff.model import Permission
from onecard.web.console import store
from onecard.web.console.desk import GivenDesk, needs
from onecard.web.console.tables import cut, read_wish
from onecard.web.layout import Page
from onecard.web.visit import AnyRequest


@get("/console/audit", opt=needs(Permission.SEE_AUDIT))
async def show_audit(request: AnyRequest, desk: GivenDesk) -> Page:
    """The record, or the acts by one actor, of one kind, or on one subject; the latest first."""
    wish = read_wish(request, "by", "value")
    by, value = wish.filters["by"], wish.filters["value"]
    if by not in store.LIST_AUDIT_BY or not value:
        by, value = "", ""
    async with desk.connection() as borrowed:
        found = await store.list_audit(
            borrowed, wish.from_id, is_descending=wish.is_descending, by=by, value=value
        )
    return desk.page("audit.html", table=cut(wish, found, lambda row: row.id), by=by, value=value)


ROUTES = (show_audit,)
