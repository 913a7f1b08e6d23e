"""Pure rules of staff: which role may do what, what a login and a password are, when guessing ends."""

from __future__ import annotations

import hmac
import re
from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from hashlib import sha256

import pyotp

from onecard.staff.model import Permission, Role, Secrets, SignInRefusal, Staff, StaffRefusal

LOGIN_LENGTH_MOST = 40
NAME_LENGTH_MOST = 100
PASSWORD_LENGTH_LEAST = 12
PASSWORD_LENGTH_MOST = 200
"""More than anybody types, and cheap to hash."""
PASSKEYS_MOST = 10

INVITATION_LIFE = timedelta(hours=72)
WRONG_MOST = 5
WRONG_SPAN = timedelta(minutes=15)
LOCK = timedelta(minutes=15)

CODE_SECONDS = 30
"""How long a code of an authenticator is shown (RFC 6238 section 5.2)."""

P = Permission
_EVERYBODY = frozenset({P.SEE_OVERVIEW, P.SEE_WINDDOWN})

PERMISSIONS: Mapping[Role, frozenset[Permission]] = {
    Role.CARE: _EVERYBODY
    | {
        P.SEE_SUBSCRIBERS,
        P.READ_CONTACT,
        P.CHANGE_LINES,
        P.SEE_STOCK,
        P.SEE_APPLICATIONS,
        P.DECIDE_APPLICATIONS,
        P.SEE_PRICES,
        P.SEE_TRACES,
        P.SEE_REFUNDS,
        P.REQUEST_REFUNDS,
        P.CHANGE_PORT_OUTS,
    },
    Role.SALES: _EVERYBODY
    | {P.SEE_SUBSCRIBERS, P.SEE_STOCK, P.IMPORT_STOCK, P.SEE_APPLICATIONS, P.SEE_PRICES, P.IMPORT_PRICES},
    Role.FINANCE: _EVERYBODY
    | {
        P.SEE_SUBSCRIBERS,
        P.SEE_PRICES,
        P.SEE_REFUNDS,
        P.APPROVE_REFUNDS,
        P.RUN_PAYOUTS,
        P.SEE_BOOKS,
        P.APPROVE_PLANS,
        P.EXPORT,
    },
    Role.COMPLIANCE: _EVERYBODY
    | {
        P.SEE_SUBSCRIBERS,
        P.READ_CONTACT,
        P.SEE_APPLICATIONS,
        P.DECIDE_APPLICATIONS,
        P.SEE_REFUNDS,
        P.APPROVE_REFUNDS,
        P.SEE_BOOKS,
        P.PROPOSE_PLANS,
        P.APPROVE_PLANS,
        P.CHANGE_PORT_OUTS,
        P.SEE_AUDIT,
        P.EXPORT,
        P.MANAGE_STAFF,
    },
    Role.ENGINEER: _EVERYBODY | {P.SEE_STOCK, P.SEE_PRICES, P.SEE_LINKS, P.SEE_TRACES},
    Role.AUDITOR: _EVERYBODY
    | {
        P.SEE_SUBSCRIBERS,
        P.SEE_STOCK,
        P.SEE_APPLICATIONS,
        P.SEE_PRICES,
        P.SEE_LINKS,
        P.SEE_TRACES,
        P.SEE_REFUNDS,
        P.SEE_BOOKS,
        P.SEE_AUDIT,
        P.EXPORT,
    },
}
"""An auditor sees all but contact details, and changes nothing."""


def may(staff: Staff, permission: Permission) -> bool:
    """Whether somebody may do a thing: the one place where that is decided."""
    return staff.deactivated_at is None and any(permission in PERMISSIONS[role] for role in staff.roles)


def find_fault(login: str, name: str, roles: Collection[Role]) -> StaffRefusal | None:
    """Why there can be no such staff; None: there can. The login is what an actor of the audit record may be."""
    if len(login) > LOGIN_LENGTH_MOST or not re.fullmatch(r"[a-z][a-z0-9._-]*", login):
        return StaffRefusal.BAD_LOGIN
    if not name.strip() or len(name) > NAME_LENGTH_MOST or not name.isprintable():
        return StaffRefusal.BAD_NAME
    return None if roles else StaffRefusal.NO_ROLE


def is_strong(password: str, login: str) -> bool:
    """Whether a password may be set: long, and not the login (NIST SP 800-63B section 3.1.1.2)."""
    within = PASSWORD_LENGTH_LEAST <= len(password) <= PASSWORD_LENGTH_MOST
    return within and login not in password.casefold() and len(set(password)) > 4


def hash_one_time_password(password: str) -> bytes:
    """What is kept of one. It is random and long, so that a plain hash hides it."""
    return sha256(tidy_one_time_password(password).encode()).digest()


def tidy_one_time_password(password: str) -> str:
    """As it was made, however it was typed off."""
    return password.replace("-", "").replace(" ", "").upper()


def is_invited(secrets: Secrets, password: str, now: datetime) -> bool:
    """Whether this is the one-time password that was given out, in time."""
    if secrets.invite_hash is None or secrets.invite_until is None or now >= secrets.invite_until:
        return False
    return hmac.compare_digest(secrets.invite_hash, hash_one_time_password(password))


def find_step(secret: str, code: str, now: datetime, last_step: int) -> int | None:
    """The time step that a code is of: this one or a neighbour, and later than the last that was taken.

    RFC 6238 section 5.2: the neighbours, for clocks that differ; never the same code twice.
    """
    one_time = pyotp.HOTP(secret)
    this = int(now.timestamp()) // CODE_SECONDS
    fitting = (
        step
        for step in (this, this - 1, this + 1)
        if step > last_step and hmac.compare_digest(one_time.at(step), code)
    )
    return next(fitting, None)


def is_code(text: str) -> bool:
    """Whether this can be a code of an authenticator."""
    return len(text) == 6 and text.isascii() and text.isdigit()


def is_locked(secrets: Secrets, now: datetime) -> bool:
    """Whether not even the right password is taken: else one could go on guessing."""
    return secrets.locked_until is not None and now < secrets.locked_until


def count_wrong(secrets: Secrets, now: datetime) -> Secrets:
    """After one more wrong try: so many within the span lock the account for a while, and the count begins anew."""
    wrong_at = (*(at for at in secrets.wrong_at if now - at < WRONG_SPAN), now)
    if len(wrong_at) < WRONG_MOST:
        return replace(secrets, wrong_at=wrong_at, locked_until=None)
    return replace(secrets, wrong_at=(), locked_until=now + LOCK)


def decide_password(password: str, login: str) -> SignInRefusal | None:
    """Why a password cannot be set; None: it can."""
    return None if is_strong(password, login) else SignInRefusal.WEAK_PASSWORD
