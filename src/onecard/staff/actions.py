"""Add staff, let them in, change and end what they may do. Every action is one transaction.

An invitation's one-time password lets its bearer set a password and an authenticator, and do nothing else. Whoever
lost theirs gets a new invitation from another person: nobody recovers themselves.
"""

from __future__ import annotations

import base64
import secrets as random
from collections.abc import Collection
from dataclasses import replace
from datetime import datetime

import pyotp

from onecard import audit
from onecard.database.pool import Connection
from onecard.sealing.keys import MasterKey, SealingKey
from onecard.sealing.passwords import PasswordCheck
from onecard.staff import store
from onecard.staff.model import (
    Invitation,
    Passkey,
    PasskeyRefusal,
    Role,
    Secrets,
    SignInRefusal,
    Staff,
    StaffRefusal,
)
from onecard.staff.rules import (
    INVITATION_LIFE,
    NAME_LENGTH_MOST,
    PASSKEYS_MOST,
    PASSWORD_LENGTH_MOST,
    count_wrong,
    decide_password,
    find_fault,
    find_step,
    hash_one_time_password,
    is_code,
    is_invited,
    is_locked,
)

PURPOSE = b"staff"
"""What the key of the authenticators' secrets is derived for."""
INVITATION_OCTETS = 10


async def add_staff(
    connection: Connection, at: datetime, *, actor: str, login: str, name: str, roles: Collection[Role]
) -> Invitation | StaffRefusal:
    """Take somebody in. The invitation's password is known now and never again."""
    fault = find_fault(login, name, roles)
    if fault is not None:
        return fault
    async with connection.transaction():
        if await store.insert_staff(connection, login, name.strip(), roles, at) is None:
            return StaffRefusal.LOGIN_TAKEN
        found = await store.lock_staff(connection, login)
        assert found is not None
        await _record(connection, at, actor, "add_staff", login, roles=sorted(roles))
        return await _invite(connection, at, found[0])


async def change_roles(
    connection: Connection, at: datetime, *, actor: str, login: str, roles: Collection[Role]
) -> Staff | StaffRefusal:
    """Give somebody these roles in place of those they have; it counts from their next click."""
    if not roles:
        return StaffRefusal.NO_ROLE
    async with connection.transaction():
        staff = await _lock_other(connection, actor, login)
        if isinstance(staff, StaffRefusal):
            return staff
        await store.update_roles(connection, staff.id, roles)
        await _record(connection, at, actor, "change_roles", login, roles=sorted(roles))
    return replace(staff, roles=frozenset(roles))


async def reset_staff(
    connection: Connection, at: datetime, *, actor: str, login: str
) -> Invitation | StaffRefusal:
    """Take away all that somebody signs in with, sign them out everywhere, and invite them again."""
    async with connection.transaction():
        staff = await _lock_other(connection, actor, login)
        if isinstance(staff, StaffRefusal):
            return staff
        await store.delete_passkeys(connection, staff.id)
        await store.sign_out_everywhere(connection, staff.id, at)
        await _record(connection, at, actor, "reset_staff", login)
        return await _invite(connection, at, replace(staff, is_enrolled=False, sessions_from=at))


async def deactivate_staff(
    connection: Connection, at: datetime, *, actor: str, login: str
) -> Staff | StaffRefusal:
    """Let somebody in no more. The login is never given to another: the audit record names it."""
    async with connection.transaction():
        staff = await _lock_other(connection, actor, login)
        if isinstance(staff, StaffRefusal):
            return staff
        await store.deactivate(connection, staff.id, at)
        await store.save_secrets(connection, staff.id, Secrets())
        await store.delete_passkeys(connection, staff.id)
        await _record(connection, at, actor, "deactivate_staff", login)
    return replace(staff, deactivated_at=at, is_enrolled=False)


async def begin_enrolment(
    connection: Connection, at: datetime, *, master: MasterKey, login: str, one_time_password: str
) -> str | SignInRefusal:
    """Offer a secret for an authenticator to who has the one-time password; a new one each time (base32)."""
    async with connection.transaction():
        found = await _lock_invited(connection, at, login, one_time_password)
        if isinstance(found, SignInRefusal):
            return found
        staff, secrets = found
        secret = pyotp.random_base32()
        sealed = _key(master).seal(secret.encode(), _bound_to(staff.id))
        await store.save_secrets(connection, staff.id, replace(secrets, sealed_authenticator=sealed))
    return secret


async def finish_enrolment(
    connection: Connection,
    at: datetime,
    *,
    master: MasterKey,
    check: PasswordCheck,
    login: str,
    one_time_password: str,
    password: str,
    code: str,
) -> Staff | SignInRefusal:
    """Set the password, and the authenticator of the secret that was offered; the invitation is used up."""
    weakness = decide_password(password, login)
    if weakness is not None:
        return weakness
    password_hash = await check.make_hash(password)
    async with connection.transaction():
        found = await _lock_invited(connection, at, login, one_time_password)
        if isinstance(found, SignInRefusal):
            return found
        staff, secrets = found
        step = _find_step(master, staff, secrets, code, at)
        if step is None:
            return SignInRefusal.WRONG_CODE
        fresh = Secrets(
            password_hash=password_hash, sealed_authenticator=secrets.sealed_authenticator, last_step=step
        )
        await store.save_secrets(connection, staff.id, fresh)
        await _record(connection, at, staff.actor, "enrol_staff", login)
    return replace(staff, is_enrolled=True)


async def _lock_invited(
    connection: Connection, at: datetime, login: str, one_time_password: str
) -> tuple[Staff, Secrets] | SignInRefusal:
    found = await store.lock_staff(connection, login)
    if found is None or found[0].deactivated_at is not None:
        return SignInRefusal.WRONG
    staff, secrets = found
    if is_locked(secrets, at):
        return SignInRefusal.LOCKED
    if not is_invited(secrets, one_time_password, at):
        return await _refuse(connection, at, staff, secrets)
    return found


async def sign_in(
    connection: Connection,
    at: datetime,
    *,
    master: MasterKey,
    check: PasswordCheck,
    login: str,
    password: str,
    code: str,
) -> Staff | SignInRefusal:
    """Let somebody in by password and authenticator. Wrong tries are counted: commit refusals, too.

    That they are in is written down by who opens the session.

    The password is checked before the row is taken hold of, since that takes long on purpose; all that tries at
    once then waits in line, and what comes after the account was locked is refused, be it right.
    """
    known = await store.find_staff_by_login(connection, login)
    password_hash = known[1].password_hash if known else None
    is_right = await check.is_right(password_hash, password[:PASSWORD_LENGTH_MOST])
    async with connection.transaction():
        found = await store.lock_staff(connection, login)
        if found is None or found[0].deactivated_at is not None:
            return SignInRefusal.WRONG
        staff, secrets = found
        if is_locked(secrets, at):
            return SignInRefusal.LOCKED
        step = _find_step(master, staff, secrets, code, at)
        if not is_right or step is None or secrets.password_hash != password_hash:
            return await _refuse(connection, at, staff, secrets)
        let_in = replace(secrets, last_step=step, wrong_at=(), locked_until=None)
        await store.save_secrets(connection, staff.id, let_in)
    return staff


async def _refuse(connection: Connection, at: datetime, staff: Staff, secrets: Secrets) -> SignInRefusal:
    counted = count_wrong(secrets, at)
    await store.save_secrets(connection, staff.id, counted)
    if is_locked(counted, at):
        await _record(connection, at, "onecard", "lock_staff", staff.login)
    return SignInRefusal.WRONG


async def add_passkey(
    connection: Connection,
    at: datetime,
    *,
    staff: Staff,
    credential: bytes,
    public_key: bytes,
    sign_count: int,
    label: str,
) -> Passkey | PasskeyRefusal:
    """Let somebody who is signed in sign in by a passkey, too. The caller has verified it."""
    if not label.strip() or len(label) > NAME_LENGTH_MOST or not label.isprintable():
        return PasskeyRefusal.BAD_LABEL
    passkey = Passkey(credential, staff.id, public_key, sign_count, label.strip(), at)
    async with connection.transaction():
        await store.lock_staff(connection, staff.login)
        if len(await store.list_passkeys(connection, staff.id)) >= PASSKEYS_MOST:
            return PasskeyRefusal.TOO_MANY
        if not await store.insert_passkey(connection, passkey):
            return PasskeyRefusal.ADDED_ALREADY
        await _record(connection, at, staff.actor, "add_passkey", staff.login)
    return passkey


async def remove_passkey(
    connection: Connection, at: datetime, *, staff: Staff, credential: bytes
) -> PasskeyRefusal | None:
    """Take a passkey of one's own away, one that was lost say; None: done."""
    async with connection.transaction():
        if not await store.delete_passkey(connection, credential, staff.id):
            return PasskeyRefusal.UNKNOWN
        await _record(connection, at, staff.actor, "remove_passkey", staff.login)
    return None


async def sign_in_by_passkey(
    connection: Connection, at: datetime, *, credential: bytes, sign_count: int
) -> Staff | PasskeyRefusal:
    """Let in the owner of a passkey that the caller has just verified, also while wrong passwords lock the account."""
    async with connection.transaction():
        passkey = await store.lock_passkey(connection, credential)
        if passkey is None:
            return PasskeyRefusal.UNKNOWN
        if sign_count <= passkey.sign_count and (sign_count, passkey.sign_count) != (0, 0):
            return PasskeyRefusal.CLONED
        staff = await store.find_staff(connection, passkey.staff_id)
        assert staff is not None
        assert staff.deactivated_at is None  # its passkeys went with it
        await store.use_passkey(connection, credential, sign_count, at)
    return staff


async def _invite(connection: Connection, at: datetime, staff: Staff) -> Invitation:
    """Give out a one-time password in place of all that there was."""
    letters = base64.b32encode(random.token_bytes(INVITATION_OCTETS)).decode()
    password = "-".join(letters[place : place + 4] for place in range(0, len(letters), 4))
    until = at + INVITATION_LIFE
    invited = Secrets(invite_hash=hash_one_time_password(password), invite_until=until)
    await store.save_secrets(connection, staff.id, invited)
    return Invitation(staff, password, until)


async def _lock_other(connection: Connection, actor: str, login: str) -> Staff | StaffRefusal:
    """Take hold of somebody who is not the one who acts."""
    found = await store.lock_staff(connection, login)
    if found is None:
        return StaffRefusal.UNKNOWN_STAFF
    staff, _ = found
    if staff.actor == actor:
        return StaffRefusal.ONESELF
    return StaffRefusal.DEACTIVATED if staff.deactivated_at else staff


def _find_step(master: MasterKey, staff: Staff, secrets: Secrets, code: str, at: datetime) -> int | None:
    if secrets.sealed_authenticator is None or not is_code(code):
        return None
    secret = _key(master).open(secrets.sealed_authenticator, _bound_to(staff.id)).decode()
    return find_step(secret, code, at, secrets.last_step)


def _key(master: MasterKey) -> SealingKey:
    return SealingKey(master.derive(PURPOSE))


def _bound_to(staff_id: int) -> bytes:
    return b"authenticator:%d" % staff_id


async def _record(
    connection: Connection, at: datetime, actor: str, action: str, login: str, **detail: object
) -> None:
    await audit.record(connection, at, actor=actor, action=action, subject=f"staff:{login}", detail=detail)
