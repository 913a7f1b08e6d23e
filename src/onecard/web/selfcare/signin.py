"""Sign in, by texted code, passkey or claim code; and out."""

from __future__ import annotations

from functools import partial

from litestar import get, post
from litestar.exceptions import TooManyRequestsException
from litestar.params import FromQuery

from onecard.database.pool import connection
from onecard.subscribers.claims import prove_claim_code
from onecard.subscribers.model import ClaimRefusal
from onecard.values.phone import E164, BadNumber, parse_number
from onecard.web import ceremony
from onecard.web.forms import Form
from onecard.web.given import GivenForm, GivenLayout, GivenSite, GivenVisit
from onecard.web.layout import Layout, Page
from onecard.web.public import safe_path
from onecard.web.selfcare import passkeys
from onecard.web.selfcare.codes import DIGITS, prove_code, send_code
from onecard.web.sessions import SessionKind, SignInMethod, end_session, open_session
from onecard.web.site import Site
from onecard.web.throttle import Throttle, count_attempt
from onecard.web.visit import Visit

NUMBER_LENGTH_MOST = 30
CLAIM_CODE_LENGTH_MOST = 60
BY_ADDRESS = Throttle("sign in by address", 60, ceremony.CHALLENGE_LIFE * 3)
WHO = "visitor"
"""In the audit record, who shows a claim code: whose it is, is known afterwards."""


@get("/sign-in")
async def ask(layout: GivenLayout, visit: GivenVisit, next: FromQuery[str] = "/") -> Page:  # noqa: A002  # a name of the web
    """Where to begin."""
    if visit.subscriber is not None:
        return layout.go(safe_path(next))
    return _sign_in_page(layout, visit, next)


@post("/sign-in/code")
async def send(site: GivenSite, layout: GivenLayout, visit: GivenVisit, form: GivenForm) -> Page:
    """Text a code, and ask for it."""
    number = _read_number(site, form)
    if number is None:
        return _sign_in_page(layout, visit, form.text("next", required=False), form)
    if not await send_code(site, visit, number):
        raise TooManyRequestsException
    return _code_page(layout, visit, form, number)


@post("/sign-in")
async def prove(site: GivenSite, layout: GivenLayout, visit: GivenVisit, form: GivenForm) -> Page:
    """Take the code that was texted."""
    number, code = _read_number(site, form), form.text("code", most=DIGITS + 4).replace(" ", "")
    if number is None:
        return _sign_in_page(layout, visit, form.text("next", required=False), form)
    found = await prove_code(site, visit, number, code) if form.is_good else None
    if found is None:
        form.errors["code"] = "sign_in.code_wrong"
        return _code_page(layout, visit, form, number)
    card = found.card
    return await _let_in(site, layout, visit, form, card.part, card.subscriber_id, SignInMethod.CODE)


@get("/sign-in/passkey")
async def ask_passkey(
    site: GivenSite,
    layout: GivenLayout,
    visit: GivenVisit,
    next: FromQuery[str] = "/",  # noqa: A002
) -> Page:
    """Ask the browser for a passkey."""
    async with connection(site.pool) as borrowed:
        await _count(site, visit)
        options = await ceremony.ask_to_sign(borrowed, site, visit)
    return layout.page(visit, "selfcare/passkey.html", options=options, next=safe_path(next))


@post("/sign-in/passkey")
async def prove_passkey(site: GivenSite, layout: GivenLayout, visit: GivenVisit, form: GivenForm) -> Page:
    """Take the signature of a passkey."""
    credential = form.text("credential", most=ceremony.CREDENTIAL_LENGTH_MOST)
    await _count(site, visit)
    async with connection(site.pool) as borrowed:
        find_key = partial(passkeys.find_key, borrowed)
        used = await ceremony.verify_used(borrowed, site, visit, credential, find_key)
        if used is None:
            return layout.go("/sign-in", refused="sign_in.passkey_unknown")
        part, subscriber_id = await passkeys.note_use(borrowed, visit.at, used)
    return await _let_in(site, layout, visit, form, part, subscriber_id, SignInMethod.PASSKEY)


@post("/sign-in/claim")
async def prove_claim(site: GivenSite, layout: GivenLayout, visit: GivenVisit, form: GivenForm) -> Page:
    """Take a claim code from paper."""
    code = form.text("claim_code", most=CLAIM_CODE_LENGTH_MOST)
    outcome = None
    if form.is_good:
        async with connection(site.pool) as borrowed:
            outcome = await prove_claim_code(
                borrowed, visit.at, master=site.master, code=code, actor=WHO, source=visit.address
            )
    if outcome is None or isinstance(outcome, ClaimRefusal):
        if outcome is not None:
            form.errors["claim_code"] = f"refusal.claim.{outcome.value}"
        return _sign_in_page(layout, visit, form.text("next", required=False), form)
    return await _let_in(site, layout, visit, form, outcome.part, outcome.id, SignInMethod.CLAIM_CODE)


@post("/sign-out")
async def leave(site: GivenSite, layout: GivenLayout, visit: GivenVisit) -> Page:
    """Sign out: the session is gone everywhere."""
    if visit.session is not None:
        async with connection(site.pool) as borrowed:
            await end_session(borrowed, visit.at, visit.session)
    return layout.go("/sign-in", said="sign_in.signed_out")


def _sign_in_page(layout: Layout, visit: Visit, following: str, form: Form | None = None) -> Page:
    errors = form.errors if form else {}
    number = form.text("number", most=NUMBER_LENGTH_MOST, required=False) if form else ""
    status = 422 if errors else 200
    return layout.page(
        visit,
        "selfcare/sign_in.html",
        status=status,
        errors=errors,
        number=number,
        next=safe_path(following),
    )


def _code_page(layout: Layout, visit: Visit, form: Form, number: E164) -> Page:
    following = safe_path(form.text("next", required=False))
    status = 422 if form.errors else 200
    return layout.page(
        visit, "selfcare/code.html", status=status, errors=form.errors, number=number, next=following
    )


def _read_number(site: Site, form: Form) -> E164 | None:
    def parse(text: str) -> E164:
        return parse_number(text[:NUMBER_LENGTH_MOST], site.operator.country)

    return form.read("number", parse, BadNumber, "sign_in.number_wrong")


async def _count(site: Site, visit: Visit) -> None:
    async with connection(site.pool) as borrowed:
        key = site.master.derive(b"sign in")
        if not await count_attempt(borrowed, visit.at, BY_ADDRESS, visit.address, key=key):
            raise TooManyRequestsException


async def _let_in(
    site: Site,
    layout: Layout,
    visit: Visit,
    form: Form,
    part: int,
    subscriber_id: int,
    method: SignInMethod,
) -> Page:
    """Open a session under a new token: one that was planted before is worth nothing."""
    async with connection(site.pool) as borrowed:
        token = await open_session(
            borrowed,
            visit.at,
            kind=SessionKind.SUBSCRIBER,
            part=part,
            person_id=subscriber_id,
            method=method,
        )
    return layout.keep_token(layout.go(safe_path(form.text("next", required=False))), token)


ROUTES = (ask, send, prove, ask_passkey, prove_passkey, prove_claim, leave)
