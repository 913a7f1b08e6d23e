"""What tests of staff begin with: people who have set a password and an authenticator."""

from __future__ import annotations

from datetime import datetime

import pyotp

import shop
from onecard.database.pool import Connection
from onecard.sealing.passwords import PasswordCheck
from onecard.staff.actions import add_staff, begin_enrolment, finish_enrolment
from onecard.staff.model import Invitation, Role, Staff

PASSWORD = "correct horse battery staple"


def code_of(secret: str, at: datetime) -> str:
    """What the authenticator shows at an instant."""
    return pyotp.TOTP(secret).at(at)


async def invite(connection: Connection, login: str = "bob", *roles: Role) -> Invitation:
    invitation = await add_staff(
        connection, shop.AT, actor=shop.STAFF, login=login, name=login.title(), roles=roles or (Role.CARE,)
    )
    assert isinstance(invitation, Invitation), invitation
    return invitation


async def enrol(connection: Connection, login: str = "bob", *roles: Role) -> tuple[Staff, str]:
    """Somebody who can sign in from half a minute later on, and the secret of their authenticator."""
    invitation = await invite(connection, login, *roles)
    secret = await begin_enrolment(
        connection, shop.AT, master=shop.MASTER, login=login, one_time_password=invitation.password
    )
    assert isinstance(secret, str), secret
    staff = await finish_enrolment(
        connection,
        shop.AT,
        master=shop.MASTER,
        check=PasswordCheck(),
        login=login,
        one_time_password=invitation.password,
        password=PASSWORD,
        code=code_of(secret, shop.AT),
    )
    assert isinstance(staff, Staff), staff
    return staff, secret
