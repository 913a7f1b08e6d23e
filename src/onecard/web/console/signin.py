"""Let staff in: by password and authenticator, at the first time by an invitation; and out."""

from __future__ import annotations

from datetime import timedelta
from typing import TypeAlias

import pyotp
import segno
from litestar import get, post
from litestar.di import NamedDependency
from litestar.exceptions import TooManyRequestsException
from litestar.params import SkipValidation

from onecard.database.pool import connection
from onecard.sealing.passwords import PasswordCheck
from onecard.staff.actions import begin_enrolment, finish_enrolment, sign_in
from onecard.staff.model import SignInRefusal, Staff
from onecard.staff.rules import LOGIN_LENGTH_MOST, PASSWORD_LENGTH_MOST
from onecard.web.console.desk import HOME, SIGN_IN, GivenDesk, needs
from onecard.web.given import GivenForm, GivenLayout, GivenSite, GivenVisit
from onecard.web.layout import Layout, Page
from onecard.web.sessions import SessionKind, SignInMethod, end_session, open_session
from onecard.web.site import Site
from onecard.web.throttle import Throttle, count_attempt
from onecard.web.visit import AnyRequest, Visit

WELCOME = "/console/welcome"
BY_ADDRESS = Throttle("staff_sign_in", 30, timedelta(minutes=15))
PURPOSE = b"web attempts"

GivenCheck: TypeAlias = NamedDependency[SkipValidation[PasswordCheck]]


@get(SIGN_IN)
async def show_sign_in(request: AnyRequest, layout: GivenLayout, visit: GivenVisit) -> Page:
    """The form to sign in with."""
    if visit.session is not None and visit.session.kind is SessionKind.STAFF:
        return layout.go(HOME)
    return _show_sign_in(layout, visit, console_path(request.query_params.get("next", "")))


def _show_sign_in(
    layout: Layout, visit: Visit, path: str, problem: SignInRefusal | None = None, login: str = ""
) -> Page:
    status = 200 if problem is None else 422
    values = {"next": path, "problem": problem, "login": login}
    return layout.page(visit, "console/sign_in.html", status=status, **values)


@post(SIGN_IN)
async def take_sign_in(
    site: GivenSite, layout: GivenLayout, visit: GivenVisit, form: GivenForm, check: GivenCheck
) -> Page:
    """Let somebody in by login, password and code."""
    login = form.text("login", most=LOGIN_LENGTH_MOST, required=False).lower()
    path = console_path(form.text("next", required=False))
    await limit_attempts(site, visit)
    async with connection(site.pool) as borrowed:
        staff = await sign_in(
            borrowed,
            visit.at,
            master=site.master,
            check=check,
            login=login,
            password=form.text("password", most=PASSWORD_LENGTH_MOST, required=False),
            code=form.text("code", most=20, required=False).replace(" ", ""),
        )
    if isinstance(staff, SignInRefusal):
        return _show_sign_in(layout, visit, path, staff, login)
    return await let_in(site, layout, visit, staff, SignInMethod.PASSWORD, path)


async def let_in(
    site: Site, layout: Layout, visit: Visit, staff: Staff, method: SignInMethod, path: str
) -> Page:
    """Open a session for staff who have shown who they are."""
    async with connection(site.pool) as borrowed:
        token = await open_session(
            borrowed,
            visit.at,
            kind=SessionKind.STAFF,
            part=0,
            person_id=staff.id,
            method=method,
            actor=staff.actor,
        )
    return layout.keep_token(layout.go(path), token)


async def limit_attempts(site: Site, visit: Visit) -> None:
    """Take no more tries from an address that has tried too often; raises TooManyRequestsException."""
    key = site.master.derive(PURPOSE)
    async with connection(site.pool) as borrowed:
        if not await count_attempt(borrowed, visit.at, BY_ADDRESS, visit.address, key=key):
            raise TooManyRequestsException


def console_path(path: str) -> str:
    """A path of the console to go on to; its start for anything else."""
    is_ours = path == HOME or path.startswith((f"{HOME}/", f"{HOME}?"))
    return path if is_ours and path.isprintable() and "\\" not in path else HOME


@post("/console/sign-out", opt=needs(None))
async def sign_out(desk: GivenDesk) -> Page:
    """End this session."""
    async with desk.connection() as borrowed:
        await end_session(borrowed, desk.at, desk.session)
    return desk.layout.go(SIGN_IN)


# The first time


@get(WELCOME)
async def show_welcome(layout: GivenLayout, visit: GivenVisit) -> Page:
    """The form for who has a one-time password."""
    return layout.page(visit, "console/welcome.html", problem=None, login="")


@post(WELCOME)
async def take_invitation(site: GivenSite, layout: GivenLayout, visit: GivenVisit, form: GivenForm) -> Page:
    """Offer an authenticator's secret to who has the one-time password."""
    login, one_time_password = _read_invitation(form)
    await limit_attempts(site, visit)
    async with connection(site.pool) as borrowed:
        secret = await begin_enrolment(
            borrowed, visit.at, master=site.master, login=login, one_time_password=one_time_password
        )
    if isinstance(secret, SignInRefusal):
        return layout.page(visit, "console/welcome.html", status=422, problem=secret, login=login)
    return _show_secret(layout, visit, login, one_time_password, secret)


@post("/console/welcome/set")
async def take_enrolment(
    site: GivenSite, layout: GivenLayout, visit: GivenVisit, form: GivenForm, check: GivenCheck
) -> Page:
    """Set the password and the authenticator; then they sign in with both."""
    login, one_time_password = _read_invitation(form)
    await limit_attempts(site, visit)
    async with connection(site.pool) as borrowed:
        staff = await finish_enrolment(
            borrowed,
            visit.at,
            master=site.master,
            check=check,
            login=login,
            one_time_password=one_time_password,
            password=form.text("password", most=PASSWORD_LENGTH_MOST, required=False),
            code=form.text("code", most=20, required=False).replace(" ", ""),
        )
    if staff in (SignInRefusal.WEAK_PASSWORD, SignInRefusal.WRONG_CODE):
        secret = form.text("secret", most=64, required=False)
        return _show_secret(layout, visit, login, one_time_password, secret, staff)
    if isinstance(staff, SignInRefusal):
        return layout.page(visit, "console/welcome.html", status=422, problem=staff, login=login)
    return layout.go(SIGN_IN, said="console.welcome.done")


def _read_invitation(form: GivenForm) -> tuple[str, str]:
    login = form.text("login", most=LOGIN_LENGTH_MOST, required=False).lower()
    return login, form.text("one_time_password", most=100, required=False)


def _show_secret(
    layout: Layout,
    visit: Visit,
    login: str,
    one_time_password: str,
    secret: str,
    problem: object = None,
) -> Page:
    """The secret as a picture to scan and as letters to type; it is on this page only, which browsers do not keep."""
    issuer = layout.site.operator.name
    uri = pyotp.TOTP(secret).provisioning_uri(name=login, issuer_name=issuer)
    picture = segno.make(uri, error="m").svg_inline(scale=5, border=3, dark="#000", light="#fff")
    return layout.page(
        visit,
        "console/welcome_secret.html",
        status=200 if problem is None else 422,
        login=login,
        one_time_password=one_time_password,
        secret=secret,
        spaced=" ".join(secret[place : place + 4] for place in range(0, len(secret), 4)),
        picture=picture,
        problem=problem,
    )


PUBLIC_ROUTES = (show_sign_in, take_sign_in, show_welcome, take_invitation, take_enrolment)
"""Those that need nobody to be signed in."""
ROUTES = (sign_out,)
