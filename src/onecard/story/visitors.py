"""Whoever looks at what the story leaves: staff who can sign in at the console, a subscriber at self-care."""

from __future__ import annotations

import secrets
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

import pyotp

from onecard.cards.model import Card
from onecard.database.pool import Connection
from onecard.sealing.keys import MasterKey
from onecard.sealing.passwords import PasswordCheck
from onecard.staff.actions import add_staff, begin_enrolment, finish_enrolment
from onecard.staff.model import Invitation, Role, Staff
from onecard.subscribers.claims import issue_claim_code

ACTOR = "staff:demo"
STAFF = (
    ("alice", "Alice Tremblay", (Role.COMPLIANCE, Role.CARE, Role.SALES)),
    ("bob", "Bob Chen", (Role.FINANCE, Role.ENGINEER, Role.AUDITOR)),
)
"""Two people: what takes two can be tried."""


async def let_staff_in(borrowed: Connection, master: MasterKey, at: datetime) -> list[dict[str, Any]]:
    """Add the staff of the demonstration; returns what they sign in with."""
    return [await _let_in(borrowed, master, at, *person) for person in STAFF]


async def _let_in(
    borrowed: Connection, master: MasterKey, at: datetime, login: str, name: str, roles: Collection[Role]
) -> dict[str, Any]:
    at -= timedelta(minutes=10)  # the code of now is for the visitor
    invitation = await add_staff(borrowed, at, actor=ACTOR, login=login, name=name, roles=roles)
    assert isinstance(invitation, Invitation), invitation
    secret = await begin_enrolment(
        borrowed, at, master=master, login=login, one_time_password=invitation.password
    )
    assert isinstance(secret, str), secret
    password = secrets.token_urlsafe(12)
    staff = await finish_enrolment(
        borrowed,
        at,
        master=master,
        check=PasswordCheck(),
        login=login,
        one_time_password=invitation.password,
        password=password,
        code=pyotp.TOTP(secret).at(at),
    )
    assert isinstance(staff, Staff), staff
    return {"login": login, "password": password, "authenticator": secret, "roles": sorted(roles)}


async def give_claim_code(borrowed: Connection, master: MasterKey, at: datetime, card: Card) -> str:
    """A claim code for the owner of a card, by which they sign in without a telephone."""
    code = await issue_claim_code(
        borrowed, at, actor=ACTOR, master=master, part=card.part, subscriber_id=card.subscriber_id
    )
    assert isinstance(code, str), code
    return code
