"""The audit record: who did what to what. It is read, and never changed."""

from __future__ import annotations

from litestar import get

from onecard.audit import AuditRecord
from onecard.database.pool import Connection
from onecard.staff.model import Permission
from onecard.web.console import store
from onecard.web.console.desk import GivenDesk, needs
from onecard.web.console.tables import Rows, Wish, cut, join_key, read_number, read_wish
from onecard.web.layout import Page
from onecard.web.visit import AnyRequest


@get("/console/audit", opt=needs(Permission.SEE_AUDIT))
async def show_audit(request: AnyRequest, desk: GivenDesk) -> Page:
    """The record, or the acts by one actor, of one kind, or on one subject; the latest first."""
    wish = read_wish(request, "by", "value", sorts=store.SORTS_OF_AUDIT)
    by, value = wish.filters["by"], wish.filters["value"]
    if by not in store.LIST_AUDIT_BY or not value:
        by, value = "", ""
    else:  # of one actor, say, the record goes by time
        wish = wish.by_key()
    async with desk.connection() as borrowed:
        if wish.sort:
            table = await _sort(borrowed, wish)
        else:
            found = await store.list_audit(
                borrowed, wish.from_id, is_descending=wish.is_descending, by=by, value=value
            )
            table = cut(wish, found, lambda row: row.id)
    return desk.page("audit.html", table=table, by=by, value=value)


async def _sort(borrowed: Connection, wish: Wish) -> Rows[AuditRecord]:
    found = await store.list_audit_by(
        borrowed, wish.sort, wish.start(str, read_number), is_descending=wish.is_descending
    )
    return cut(wish, found, lambda row: join_key(getattr(row, wish.sort), row.id))


ROUTES = (show_audit,)
