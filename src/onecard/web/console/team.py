"""Who works here: added, given roles, invited again, let in no more. Nobody does that to themselves."""

from __future__ import annotations

from litestar import get, post
from litestar.params import FromPath

from onecard.staff import actions
from onecard.staff.model import Invitation, Permission, Role, Staff, StaffRefusal
from onecard.staff.rules import LOGIN_LENGTH_MOST, NAME_LENGTH_MOST, PERMISSIONS
from onecard.staff.store import list_staff
from onecard.web.console.desk import Desk, GivenDesk, needs
from onecard.web.console.tables import cut, read_wish
from onecard.web.forms import Form
from onecard.web.given import GivenForm
from onecard.web.layout import Page
from onecard.web.visit import AnyRequest

TEAM = "/console/staff"
SHOWN_MOST = 500
"""More people than work at one operator's console."""


@get(TEAM, opt=needs(Permission.MANAGE_STAFF))
async def show_team(request: AnyRequest, desk: GivenDesk) -> Page:
    """Everybody, by login."""
    wish = read_wish(request, is_descending=False)
    async with desk.connection() as borrowed:
        found = await list_staff(borrowed, after=wish.after or "", most=SHOWN_MOST)
    return desk.page(
        "team.html", table=cut(wish, found, lambda row: row.login), all_roles=Role, permissions=PERMISSIONS
    )


@post(TEAM, status_code=200, opt=needs(Permission.MANAGE_STAFF))
async def add(desk: GivenDesk, form: GivenForm) -> Page:
    """Add somebody; the one-time password is on the answer and nowhere else."""
    async with desk.connection() as borrowed:
        invitation = await actions.add_staff(
            borrowed,
            desk.at,
            actor=desk.actor,
            login=form.text("login", most=LOGIN_LENGTH_MOST, required=False).lower(),
            name=form.text("name", most=NAME_LENGTH_MOST, required=False),
            roles=_read_roles(form),
        )
    return _show_invitation(desk, invitation)


@post(TEAM + "/{login:str}/reset", status_code=200, opt=needs(Permission.MANAGE_STAFF))
async def reset(desk: GivenDesk, login: FromPath[str]) -> Page:
    """Invite somebody again who has lost what they sign in with."""
    async with desk.connection() as borrowed:
        invitation = await actions.reset_staff(borrowed, desk.at, actor=desk.actor, login=login)
    return _show_invitation(desk, invitation)


@post(TEAM + "/{login:str}/roles", opt=needs(Permission.MANAGE_STAFF))
async def give_roles(desk: GivenDesk, login: FromPath[str], form: GivenForm) -> Page:
    """Give somebody these roles in place of theirs."""
    async with desk.connection() as borrowed:
        staff = await actions.change_roles(
            borrowed, desk.at, actor=desk.actor, login=login, roles=_read_roles(form)
        )
    return _tell(desk, staff, "has other roles now")


@post(TEAM + "/{login:str}/deactivate", opt=needs(Permission.MANAGE_STAFF))
async def deactivate(desk: GivenDesk, login: FromPath[str]) -> Page:
    """Let somebody in no more."""
    async with desk.connection() as borrowed:
        staff = await actions.deactivate_staff(borrowed, desk.at, actor=desk.actor, login=login)
    return _tell(desk, staff, "is deactivated")


def _read_roles(form: Form) -> frozenset[Role]:
    known = frozenset(Role)
    return frozenset(Role(name) for name in form.texts("roles", most=20) if name in known)


def _tell(desk: Desk, answer: Staff | StaffRefusal, what: str) -> Page:
    if isinstance(answer, StaffRefusal):
        return desk.refused(TEAM, answer)
    return desk.done(TEAM, f"{answer.login} {what}.")


def _show_invitation(desk: Desk, invitation: Invitation | StaffRefusal) -> Page:
    if isinstance(invitation, StaffRefusal):
        return desk.refused(TEAM, invitation)
    return desk.page("invitation.html", invitation=invitation)


ROUTES = (show_team, add, reset, give_roles, deactivate)
