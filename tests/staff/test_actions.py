"""Staff on a real database: invited once, let in by two proofs, locked out when guessed at, recovered by another."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

import shop
from onecard.audit import list_records
from onecard.database.pool import Connection, Database, connection
from onecard.sealing.passwords import PasswordCheck
from onecard.staff import store
from onecard.staff.actions import (
    add_passkey,
    add_staff,
    begin_enrolment,
    change_roles,
    deactivate_staff,
    finish_enrolment,
    remove_passkey,
    reset_staff,
    sign_in,
    sign_in_by_passkey,
)
from onecard.staff.model import (
    Invitation,
    Passkey,
    PasskeyRefusal,
    Role,
    SignInRefusal,
    Staff,
    StaffRefusal,
)
from onecard.staff.rules import INVITATION_LIFE, LOCK, PASSKEYS_MOST, WRONG_MOST
from staff import office

LATER = shop.AT + timedelta(minutes=1)
CHECK = PasswordCheck()


@pytest.fixture
async def borrowed(database: Database) -> AsyncIterator[Connection]:
    async with connection(database.pool) as borrowed:
        yield borrowed


async def try_to_sign_in(
    borrowed: Connection,
    secret: str,
    *,
    login: str = "bob",
    password: str = office.PASSWORD,
    code: str | None = None,
    later: timedelta = timedelta(0),
) -> Staff | SignInRefusal:
    at = LATER + later
    code = office.code_of(secret, at) if code is None else code
    return await sign_in(
        borrowed, at, master=shop.MASTER, check=CHECK, login=login, password=password, code=code
    )


async def add_key(borrowed: Connection, staff: Staff, name: bytes = b"key") -> Passkey | PasskeyRefusal:
    return await add_passkey(
        borrowed, LATER, staff=staff, credential=name, public_key=b"public", sign_count=7, label="phone"
    )


async def test_an_invitation_lets_set_a_password_and_an_authenticator_and_those_let_in(
    borrowed: Connection,
) -> None:
    staff, secret = await office.enrol(borrowed)
    assert staff.is_enrolled
    assert await try_to_sign_in(borrowed, secret) == staff
    actions = [one.action for one in await list_records(borrowed, "staff:bob")]
    assert actions == ["enrol_staff", "add_staff"]


async def test_an_invitation_is_used_up_and_runs_out(borrowed: Connection) -> None:
    invitation = await office.invite(borrowed)

    async def begin(password: str, at: timedelta) -> str | SignInRefusal:
        return await begin_enrolment(
            borrowed, shop.AT + at, master=shop.MASTER, login="bob", one_time_password=password
        )

    assert await begin("nonsense", timedelta(0)) is SignInRefusal.WRONG
    assert await begin(invitation.password, INVITATION_LIFE) is SignInRefusal.WRONG
    typed = invitation.password.lower().replace("-", " ")
    first = await begin(typed, timedelta(0))
    second = await begin(invitation.password, timedelta(0))
    assert isinstance(first, str)
    assert isinstance(second, str)

    async def finish(secret: str, password: str = office.PASSWORD) -> Staff | SignInRefusal:
        return await finish_enrolment(
            borrowed,
            shop.AT,
            master=shop.MASTER,
            check=CHECK,
            login="bob",
            one_time_password=invitation.password,
            password=password,
            code=office.code_of(secret, shop.AT),
        )

    assert await finish(second, "short") is SignInRefusal.WEAK_PASSWORD
    assert await finish(first) is SignInRefusal.WRONG_CODE
    assert isinstance(await finish(second), Staff)
    assert await finish(second) is SignInRefusal.WRONG


async def test_a_code_is_taken_once(borrowed: Connection) -> None:
    _, secret = await office.enrol(borrowed)
    assert isinstance(await try_to_sign_in(borrowed, secret), Staff)
    assert await try_to_sign_in(borrowed, secret) is SignInRefusal.WRONG
    assert isinstance(await try_to_sign_in(borrowed, secret, later=timedelta(seconds=30)), Staff)


async def test_what_is_wrong_is_not_told(borrowed: Connection) -> None:
    _, secret = await office.enrol(borrowed)
    for wrong in (
        await try_to_sign_in(borrowed, secret, login="nobody"),
        await try_to_sign_in(borrowed, secret, password="wrong"),
        await try_to_sign_in(borrowed, secret, code="000000"),
        await try_to_sign_in(borrowed, secret, code="no code"),
    ):
        assert wrong is SignInRefusal.WRONG
    await office.invite(borrowed, "carol")
    assert await try_to_sign_in(borrowed, secret, login="carol", password="") is SignInRefusal.WRONG


async def test_wrong_tries_lock_the_account_for_a_while_but_not_the_passkey(borrowed: Connection) -> None:
    staff, secret = await office.enrol(borrowed)
    await add_key(borrowed, staff)
    for _ in range(WRONG_MOST):
        refused = await try_to_sign_in(borrowed, secret, password="wrong")
        assert refused is SignInRefusal.WRONG
    assert await try_to_sign_in(borrowed, secret) is SignInRefusal.LOCKED
    assert isinstance(await sign_in_by_passkey(borrowed, LATER, credential=b"key", sign_count=8), Staff)
    assert isinstance(await try_to_sign_in(borrowed, secret, later=LOCK), Staff)
    assert "lock_staff" in [one.action for one in await list_records(borrowed, "staff:bob")]


async def test_guesses_at_once_are_counted_one_by_one(database: Database) -> None:
    async with connection(database.pool) as borrowed:
        _, secret = await office.enrol(borrowed)

    async def guess() -> Staff | SignInRefusal:
        async with connection(database.pool) as own:
            return await try_to_sign_in(own, secret, password="wrong")

    answers = await asyncio.gather(*(guess() for _ in range(WRONG_MOST + 3)))
    assert answers.count(SignInRefusal.WRONG) == WRONG_MOST
    assert answers.count(SignInRefusal.LOCKED) == 3


async def test_who_lost_everything_is_let_in_again_by_another_and_never_by_themselves(
    borrowed: Connection,
) -> None:
    staff, secret = await office.enrol(borrowed)
    await add_key(borrowed, staff)
    assert await reset_staff(borrowed, LATER, actor="staff:bob", login="bob") is StaffRefusal.ONESELF
    invitation = await reset_staff(borrowed, LATER, actor="staff:carol", login="bob")
    assert isinstance(invitation, Invitation)
    found = await store.find_staff(borrowed, staff.id)
    assert found is not None
    assert (found.is_enrolled, found.sessions_from) == (False, LATER)
    assert await try_to_sign_in(borrowed, secret) is SignInRefusal.WRONG
    assert (
        await sign_in_by_passkey(borrowed, LATER, credential=b"key", sign_count=9) is PasskeyRefusal.UNKNOWN
    )


async def test_a_deactivated_person_is_let_in_no_more_and_the_login_stays_taken(borrowed: Connection) -> None:
    _, secret = await office.enrol(borrowed)
    gone = await deactivate_staff(borrowed, LATER, actor=shop.STAFF, login="bob")
    assert isinstance(gone, Staff)
    assert await try_to_sign_in(borrowed, secret) is SignInRefusal.WRONG
    again = await add_staff(borrowed, LATER, actor=shop.STAFF, login="bob", name="Bob", roles=[Role.CARE])
    assert again is StaffRefusal.LOGIN_TAKEN
    assert await reset_staff(borrowed, LATER, actor=shop.STAFF, login="bob") is StaffRefusal.DEACTIVATED
    changed = await change_roles(borrowed, LATER, actor=shop.STAFF, login="bob", roles=[Role.CARE])
    assert changed is StaffRefusal.DEACTIVATED


async def test_roles_are_changed_by_another_and_written_down(borrowed: Connection) -> None:
    staff, _ = await office.enrol(borrowed)
    oneself = await change_roles(borrowed, LATER, actor=staff.actor, login="bob", roles=list(Role))
    assert oneself is StaffRefusal.ONESELF
    assert (
        await change_roles(borrowed, LATER, actor=shop.STAFF, login="bob", roles=()) is StaffRefusal.NO_ROLE
    )
    changed = await change_roles(
        borrowed, LATER, actor=shop.STAFF, login="bob", roles=[Role.SALES, Role.FINANCE]
    )
    assert isinstance(changed, Staff)
    found = await store.find_staff(borrowed, staff.id)
    assert found is not None
    assert found.roles == changed.roles == {Role.SALES, Role.FINANCE}
    [record] = [one for one in await list_records(borrowed, "staff:bob") if one.action == "change_roles"]
    assert record.detail == {"roles": ["finance", "sales"]}


async def test_a_passkey_lets_in_and_a_copy_of_it_does_not(borrowed: Connection) -> None:
    staff, _ = await office.enrol(borrowed)
    assert isinstance(await add_key(borrowed, staff), Passkey)
    assert await add_key(borrowed, staff) is PasskeyRefusal.ADDED_ALREADY
    assert await sign_in_by_passkey(borrowed, LATER, credential=b"key", sign_count=8) == staff
    assert await sign_in_by_passkey(borrowed, LATER, credential=b"key", sign_count=8) is PasskeyRefusal.CLONED
    assert await remove_passkey(borrowed, LATER, staff=staff, credential=b"key") is None
    assert await remove_passkey(borrowed, LATER, staff=staff, credential=b"key") is PasskeyRefusal.UNKNOWN


async def test_nobody_has_more_passkeys_than_they_can_watch_over(borrowed: Connection) -> None:
    staff, _ = await office.enrol(borrowed)
    for number in range(PASSKEYS_MOST):
        assert isinstance(await add_key(borrowed, staff, b"key %d" % number), Passkey)
    assert await add_key(borrowed, staff, b"one more") is PasskeyRefusal.TOO_MANY


async def test_no_secret_is_kept_in_the_clear(borrowed: Connection) -> None:
    invitation = await office.invite(borrowed, "carol")
    _, secret = await office.enrol(borrowed)
    rows = [str(row[0]) for row in await borrowed.fetch("SELECT staff::text FROM staff")]
    kept = "\n".join([*rows, *(str(row[0]) for row in await borrowed.fetch("SELECT audit::text FROM audit"))])
    for clear in (secret, office.PASSWORD, invitation.password, invitation.password.replace("-", "")):
        assert clear not in kept
        assert clear.encode().hex() not in kept
