"""Passkeys of staff: one alone is two proofs, and lets in where passwords are locked."""

from __future__ import annotations

import struct
from functools import partial
from urllib.parse import quote

from litestar import get, post
from litestar.params import FromPath

from onecard.database.pool import Connection, connection
from onecard.staff.actions import add_passkey, remove_passkey, sign_in_by_passkey
from onecard.staff.model import Passkey, PasskeyRefusal
from onecard.staff.rules import NAME_LENGTH_MOST
from onecard.staff.store import find_passkey, list_passkeys
from onecard.web.ceremony import (
    CREDENTIAL_LENGTH_MOST,
    KnownKey,
    ask_to_make,
    ask_to_sign,
    verify_new,
    verify_used,
)
from onecard.web.console.desk import SIGN_IN as SIGN_IN_BY_PASSWORD
from onecard.web.console.desk import GivenDesk, needs
from onecard.web.console.me import ME
from onecard.web.console.signin import console_path, let_in, limit_attempts
from onecard.web.given import GivenForm, GivenLayout, GivenSite, GivenVisit
from onecard.web.layout import Page
from onecard.web.sessions import SignInMethod
from onecard.web.visit import AnyRequest

SIGN_IN = "/console/sign-in/passkey"
NEW = "/console/me/passkeys"
HANDLE = struct.Struct(">5sQ")
"""A passkey's user handle: that it is of staff, and whose. No handle of a subscriber has this length."""
OURS = b"staff"


@get(SIGN_IN)
async def show_passkey(request: AnyRequest, site: GivenSite, layout: GivenLayout, visit: GivenVisit) -> Page:
    """Ask the browser for a passkey."""
    path = console_path(request.query_params.get("next", ""))
    if visit.is_new:  # what is asked is bound to a cookie, which that page brings
        return layout.go(f"{SIGN_IN_BY_PASSWORD}?next={quote(path, safe='')}")
    async with connection(site.pool) as borrowed:
        options = await ask_to_sign(borrowed, site, visit)
    return layout.page(visit, "console/passkey.html", next=path, options=options)


@post(SIGN_IN)
async def take_passkey(site: GivenSite, layout: GivenLayout, visit: GivenVisit, form: GivenForm) -> Page:
    """Let in the owner of a passkey."""
    path = console_path(form.text("next", required=False))
    await limit_attempts(site, visit)
    credential = form.text("credential", most=CREDENTIAL_LENGTH_MOST, required=False)
    async with connection(site.pool) as borrowed:
        used = await verify_used(borrowed, site, visit, credential, partial(_find_key, borrowed))
        if used is None:
            return layout.go(SIGN_IN, refused="console.passkey.failed")
        staff = await sign_in_by_passkey(borrowed, visit.at, credential=used.id, sign_count=used.sign_count)
    if isinstance(staff, PasskeyRefusal):
        return layout.go(SIGN_IN, refused="console.passkey.failed")
    return await let_in(site, layout, visit, staff, SignInMethod.PASSKEY, path)


async def _find_key(borrowed: Connection, credential: bytes, handle: bytes) -> KnownKey | None:
    """What is known of a passkey, if it was made for its owner."""
    passkey = await find_passkey(borrowed, credential)
    if passkey is None or handle != HANDLE.pack(OURS, passkey.staff_id):
        return None
    return KnownKey(passkey.public_key, passkey.sign_count)


@get(NEW, opt=needs(None))
async def show_new(desk: GivenDesk) -> Page:
    """Ask the browser to make a passkey."""
    async with desk.connection() as borrowed:
        known = [passkey.credential for passkey in await list_passkeys(borrowed, desk.staff.id)]
        handle = HANDLE.pack(OURS, desk.staff.id)
        options = await ask_to_make(
            borrowed, desk.site, desk.visit, handle=handle, name=desk.staff.login, known=known
        )
    return desk.page("new_passkey.html", options=options)


@post(NEW, opt=needs(None))
async def take_new(desk: GivenDesk, form: GivenForm) -> Page:
    """Keep a passkey that the browser has made."""
    label = form.text("label", most=NAME_LENGTH_MOST, required=False)
    credential = form.text("credential", most=CREDENTIAL_LENGTH_MOST, required=False)
    async with desk.connection() as borrowed:
        made = await verify_new(borrowed, desk.site, desk.visit, credential)
        if made is None:
            return desk.refused(NEW, "The browser made no passkey that can be used: try again.")
        added = await add_passkey(
            borrowed,
            desk.at,
            staff=desk.staff,
            credential=made.id,
            public_key=made.public_key,
            sign_count=made.sign_count,
            label=label,
        )
    if not isinstance(added, Passkey):
        return desk.refused(NEW, added)
    return desk.done(ME, f"The passkey {added.label} lets you in from now on.")


@post(NEW + "/{credential:str}/remove", opt=needs(None))
async def remove(desk: GivenDesk, credential: FromPath[str]) -> Page:
    """Take a passkey of one's own away."""
    try:
        key = bytes.fromhex(credential)
    except ValueError:
        return desk.refused(ME, PasskeyRefusal.UNKNOWN)
    async with desk.connection() as borrowed:
        refusal = await remove_passkey(borrowed, desk.at, staff=desk.staff, credential=key)
    return desk.refused(ME, refusal) if refusal else desk.done(ME, "The passkey lets nobody in any more.")


PUBLIC_ROUTES = (show_passkey, take_passkey)
ROUTES = (show_new, take_new, remove)
