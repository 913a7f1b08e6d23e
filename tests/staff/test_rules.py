"""Who may do what, and what a login, a password and a code are."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pyotp
import pytest

from onecard.staff.model import Permission, Role, Secrets, Staff, StaffRefusal
from onecard.staff.rules import (
    CODE_SECONDS,
    LOCK,
    PERMISSIONS,
    WRONG_MOST,
    WRONG_SPAN,
    count_wrong,
    find_fault,
    find_step,
    is_locked,
    is_strong,
    may,
)

AT = datetime(2026, 3, 10, 12, tzinfo=UTC)
SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
CHANGING = {one for one in Permission if not one.startswith("see_")} - {Permission.EXPORT}


def staff_of(*roles: Role, deactivated_at: datetime | None = None) -> Staff:
    return Staff(1, "alice", "Alice", frozenset(roles), AT, True, AT, deactivated_at=deactivated_at)


def test_every_role_has_its_permissions_and_every_permission_is_somebodys() -> None:
    assert set(PERMISSIONS) == set(Role)
    assert frozenset().union(*PERMISSIONS.values()) == set(Permission)


def test_an_auditor_changes_nothing_and_reads_no_contact_details() -> None:
    assert not PERMISSIONS[Role.AUDITOR] & CHANGING
    assert not may(staff_of(Role.AUDITOR), Permission.READ_CONTACT)


def test_who_asks_for_a_refund_is_not_who_approves_it_or_pays() -> None:
    for role, permissions in PERMISSIONS.items():
        assert not {Permission.REQUEST_REFUNDS, Permission.APPROVE_REFUNDS} <= permissions, role
        assert not {Permission.RUN_PAYOUTS, Permission.MANAGE_STAFF} <= permissions, role


def test_roles_add_up_and_a_deactivated_person_has_no_rights() -> None:
    both = staff_of(Role.CARE, Role.ENGINEER)
    assert may(both, Permission.READ_CONTACT)
    assert may(both, Permission.SEE_LINKS)
    assert not may(staff_of(Role.CARE), Permission.SEE_LINKS)
    gone = staff_of(*Role, deactivated_at=AT)
    assert not any(may(gone, permission) for permission in Permission)


@pytest.mark.parametrize(
    ("login", "name", "roles", "fault"),
    [
        ("alice", "Alice", {Role.CARE}, None),
        ("a.b-c_9", "王芳", {Role.CARE}, None),
        ("Alice", "Alice", {Role.CARE}, StaffRefusal.BAD_LOGIN),
        ("a" * 41, "Alice", {Role.CARE}, StaffRefusal.BAD_LOGIN),
        ("9lives", "Alice", {Role.CARE}, StaffRefusal.BAD_LOGIN),
        ("", "Alice", {Role.CARE}, StaffRefusal.BAD_LOGIN),
        ("alice\n", "Alice", {Role.CARE}, StaffRefusal.BAD_LOGIN),
        ("alice", "  ", {Role.CARE}, StaffRefusal.BAD_NAME),
        ("alice", "A\x00", {Role.CARE}, StaffRefusal.BAD_NAME),
        ("alice", "Alice", set(), StaffRefusal.NO_ROLE),
    ],
)
def test_a_login_a_name_and_roles(
    login: str, name: str, roles: set[Role], fault: StaffRefusal | None
) -> None:
    assert find_fault(login, name, roles) is fault


@pytest.mark.parametrize(
    ("password", "strong"),
    [
        ("correct horse battery", True),
        ("short", False),
        ("aaaaaaaaaaaaaaaa", False),
        ("hello-ALICE-hello-hello", False),
        ("x" * 3 + "yzabcdefgh" * 20, False),
        ("密码密码一二三四五六七八九十", True),
    ],
)
def test_a_password_is_long_varied_and_not_the_login(password: str, *, strong: bool) -> None:
    assert is_strong(password, "alice") is strong


def test_a_code_is_taken_a_step_early_or_late_but_never_twice() -> None:
    step = int(AT.timestamp()) // CODE_SECONDS
    codes = [pyotp.HOTP(SECRET).at(step + offset) for offset in (-2, -1, 0, 1, 2)]
    found = [find_step(SECRET, code, AT, last_step=0) for code in codes]
    assert found == [None, step - 1, step, step + 1, None]
    assert find_step(SECRET, codes[2], AT, last_step=step) is None
    assert find_step(SECRET, codes[3], AT, last_step=step) == step + 1


def test_so_many_wrong_tries_within_the_span_lock_for_a_while() -> None:
    secrets = Secrets()
    for _ in range(WRONG_MOST - 1):
        secrets = count_wrong(secrets, AT)
        assert not is_locked(secrets, AT)
    slow = count_wrong(secrets, AT + WRONG_SPAN)
    assert not is_locked(slow, AT + WRONG_SPAN)
    locked = count_wrong(secrets, AT + WRONG_SPAN - timedelta(seconds=1))
    until = AT + WRONG_SPAN - timedelta(seconds=1) + LOCK
    assert is_locked(locked, until - timedelta(seconds=1))
    assert not is_locked(locked, until)
