"""The queue of applications for secondary numbers: what waits, and what was decided."""

from __future__ import annotations

from datetime import UTC, datetime

from litestar import get, post
from litestar.exceptions import NotFoundException
from litestar.params import FromPath

from onecard.lines.actions import decide_on_application
from onecard.lines.model import Application, Verification
from onecard.lines.store import find_part_of_application
from onecard.staff.model import Permission
from onecard.web.console import store
from onecard.web.console.desk import GivenDesk, needs
from onecard.web.console.store import ApplicationRow
from onecard.web.console.tables import ID_HIGHEST, Wish, cut, read_wish
from onecard.web.given import GivenForm
from onecard.web.layout import Page
from onecard.web.visit import AnyRequest

APPLICATIONS = "/console/applications"
DECIDED = "decided"
FIRST = (datetime(1, 1, 2, tzinfo=UTC), 0)
LAST = (datetime(9999, 12, 30, tzinfo=UTC), ID_HIGHEST)


@get(APPLICATIONS, opt=needs(Permission.SEE_APPLICATIONS))
async def show_applications(request: AnyRequest, desk: GivenDesk) -> Page:
    """Those that wait, the most urgent first; or those that were decided, the latest first."""
    is_open = request.query_params.get("state") != DECIDED
    wish = read_wish(request, "state", is_descending=not is_open)
    async with desk.connection() as borrowed:
        found = await store.list_applications(
            borrowed, _read_place(wish), is_open=is_open, is_descending=wish.is_descending
        )
    return desk.page("applications.html", table=cut(wish, found, _place_of), is_open=is_open)


def _place_of(row: ApplicationRow) -> str:
    """Where a row is in its table: by time and id."""
    return f"{(row.decided_at or row.expires_at).timestamp():.6f}-{row.id}"


def _read_place(wish: Wish) -> tuple[datetime, int]:
    at, _, row_id = (wish.after or "").partition("-")
    try:
        return datetime.fromtimestamp(float(at), UTC), min(int(row_id), ID_HIGHEST)
    except (ValueError, OverflowError, OSError):
        return LAST if wish.is_descending else FIRST


@post(APPLICATIONS + "/{application_id:int}/decide", opt=needs(Permission.DECIDE_APPLICATIONS))
async def decide(desk: GivenDesk, application_id: FromPath[int], form: GivenForm) -> Page:
    """Take the outcome of the check of an applicant: only the outcome is kept."""
    outcome = form.read("outcome", Verification, ValueError, "form.wrong")
    if outcome is None:
        return desk.refused(APPLICATIONS, "Say what came of the check.")
    async with desk.connection() as borrowed:
        part = (
            await find_part_of_application(borrowed, application_id)
            if 0 < application_id <= ID_HIGHEST
            else None
        )
        if part is None:
            raise NotFoundException
        decided = await decide_on_application(
            borrowed,
            desk.at,
            actor=desk.actor,
            gates=desk.gates,
            part=part,
            application_id=application_id,
            verification=outcome,
        )
    if not isinstance(decided, Application):
        return desk.refused(APPLICATIONS, decided)
    desk.site.forget_card(decided.card_id)
    return desk.done(
        APPLICATIONS, f"Application {application_id} for {decided.msisdn} is {decided.state.value}."
    )


ROUTES = (show_applications, decide)
