"""Staff: people with a login, roles, and what they sign in with."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, StrEnum


class Role(StrEnum):
    """What somebody is there for. Nobody has more rights than their roles need."""

    CARE = "care"
    SALES = "sales"
    FINANCE = "finance"
    COMPLIANCE = "compliance"
    ENGINEER = "engineer"
    AUDITOR = "auditor"


class Permission(StrEnum):
    """One thing that may be done at the console."""

    SEE_OVERVIEW = "see_overview"
    SEE_SUBSCRIBERS = "see_subscribers"
    """Find them, and see their cards, lines and usage; not their contact details."""
    READ_CONTACT = "read_contact"
    CHANGE_LINES = "change_lines"
    SEE_STOCK = "see_stock"
    IMPORT_STOCK = "import_stock"
    SEE_APPLICATIONS = "see_applications"
    DECIDE_APPLICATIONS = "decide_applications"
    SEE_PRICES = "see_prices"
    IMPORT_PRICES = "import_prices"
    SEE_LINKS = "see_links"
    SEE_TRACES = "see_traces"
    SEE_REFUNDS = "see_refunds"
    REQUEST_REFUNDS = "request_refunds"
    APPROVE_REFUNDS = "approve_refunds"
    RUN_PAYOUTS = "run_payouts"
    SEE_BOOKS = "see_books"
    """Money in hand against what is owed, reconciliation, and the closing statements."""
    SEE_WINDDOWN = "see_winddown"
    PROPOSE_PLANS = "propose_plans"
    APPROVE_PLANS = "approve_plans"
    CHANGE_PORT_OUTS = "change_port_outs"
    SEE_AUDIT = "see_audit"
    EXPORT = "export"
    MANAGE_STAFF = "manage_staff"


class StaffRefusal(Enum):
    """Why staff were not added or changed."""

    UNKNOWN_STAFF = "unknown_staff"
    BAD_LOGIN = "bad_login"
    BAD_NAME = "bad_name"
    LOGIN_TAKEN = "login_taken"
    NO_ROLE = "no_role"
    DEACTIVATED = "deactivated"
    ONESELF = "oneself"
    """Nobody changes their own rights, or lets themselves in again: another person does."""


class SignInRefusal(Enum):
    """Why somebody was not let in. All that is wrong with what they gave is one refusal: it helps no guess."""

    WRONG = "wrong"
    LOCKED = "locked"
    WEAK_PASSWORD = "weak_password"  # noqa: S105  # a code
    WRONG_CODE = "wrong_code"
    """Of the authenticator that is being set up: the code does not fit the secret on the page."""


class PasskeyRefusal(Enum):
    """Why a passkey was not added, or was not taken."""

    UNKNOWN = "unknown"
    ADDED_ALREADY = "added_already"
    TOO_MANY = "too_many"
    BAD_LABEL = "bad_label"
    CLONED = "cloned"
    """Its count went back, as if a copy of it were in use (WebAuthn section 6.1.1)."""


@dataclass(frozen=True, slots=True)
class Staff:
    """Somebody who works for the operator."""

    id: int
    login: str
    name: str
    roles: frozenset[Role]
    created_at: datetime
    is_enrolled: bool
    """Has set a password and an authenticator."""
    sessions_from: datetime
    locked_until: datetime | None = None
    deactivated_at: datetime | None = None

    @property
    def actor(self) -> str:
        """As the audit record names them."""
        return f"staff:{self.login}"


@dataclass(frozen=True, slots=True)
class Secrets:
    """What somebody proves who they are with, as it is kept."""

    invite_hash: bytes | None = field(default=None, repr=False)
    invite_until: datetime | None = None
    password_hash: str | None = field(default=None, repr=False)
    sealed_authenticator: bytes | None = field(default=None, repr=False)
    last_step: int = 0
    wrong_at: tuple[datetime, ...] = ()
    locked_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Invitation:
    """A one-time password, which is known now and never again."""

    staff: Staff
    password: str = field(repr=False)
    until: datetime


@dataclass(frozen=True, slots=True)
class Passkey:
    """A passkey of somebody's (WebAuthn level 3)."""

    credential: bytes
    staff_id: int
    public_key: bytes
    sign_count: int
    label: str
    added_at: datetime
    used_at: datetime | None = None
