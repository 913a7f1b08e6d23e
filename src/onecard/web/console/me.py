"""One's own account: roles, sign-ins elsewhere."""

from __future__ import annotations

from litestar import get, post

from onecard.audit import list_records
from onecard.staff.rules import PERMISSIONS
from onecard.staff.store import list_passkeys
from onecard.web.console.desk import GivenDesk, needs
from onecard.web.layout import Page
from onecard.web.sessions import end_other_sessions

ME = "/console/me"


@get(ME, opt=needs(None))
async def show_me(desk: GivenDesk) -> Page:
    """What one may do, and what was done with one's account of late."""
    async with desk.connection() as borrowed:
        passkeys = await list_passkeys(borrowed, desk.staff.id)
        records = await list_records(borrowed, desk.actor, most=10)
    permissions = sorted(frozenset().union(*(PERMISSIONS[role] for role in desk.staff.roles)))
    return desk.page("me.html", passkeys=passkeys, records=records, permissions=permissions)


@post("/console/me/sign-out-elsewhere", opt=needs(None))
async def sign_out_elsewhere(desk: GivenDesk) -> Page:
    """End all other sessions of one's own."""
    async with desk.connection() as borrowed:
        ended = await end_other_sessions(borrowed, desk.at, desk.session)
    return desk.done(ME, f"Signed out of {ended} other session{'' if ended == 1 else 's'}.")


ROUTES = (show_me, sign_out_elsewhere)
