"""The order, its plan, and the gates. A plan's times are those of the clock on the wall of its time zone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import Enum, StrEnum
from zoneinfo import ZoneInfo

from onecard.values.gate import Capability
from onecard.values.language import Language

LocalTime = datetime
"""Without an offset: what the clock on the wall shows in the plan's time zone."""


PROTECTED = frozenset({Capability.PORT_OUT, Capability.REFUND, Capability.SUPPORT, Capability.EMERGENCY})
"""No stage closes these before the last day that the plan promises for them."""
IRREVERSIBLE = frozenset({Capability.NUMBER_RETURN, Capability.PURGE})
"""Opened only by stages that are marked irreversible."""
CUT_BY_THE_HOST = frozenset({Capability.DATA, Capability.VOICE, Capability.TEXTS})
"""What a host operator's network carries for us, and can stop."""


class Void(StrEnum):
    """What a stage makes void; what was paid for it is owed."""

    UNACTIVATED_CARDS = "unactivated_cards"


class ValueKind(StrEnum):
    """The kinds of value that are told apart when balances are recorded."""

    CASH = "cash"
    UNUSED_PLAN_VALUE = "unused_plan_value"
    VOUCHERS = "vouchers"
    DEPOSITS = "deposits"
    DISPUTED = "disputed"
    PROMOTIONAL = "promotional"
    UNACTIVATED_CARDS = "unactivated_cards"


class RefundPolicy(StrEnum):
    """How much of a kind of value is paid back."""

    FULL = "full"
    PRO_RATA = "pro_rata"
    """The part that was not used."""
    AS_PAID = "as_paid"
    """In full, by the way it was paid."""
    WHEN_DECIDED = "when_decided"
    """Held until the dispute is over."""
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Order:
    """Why the service ends."""

    issuer: str
    legal_basis: str
    received: date
    document_sha256: str | None = None
    """Of the document as it was served, in hexadecimal; None as long as it is not at hand."""


@dataclass(frozen=True, slots=True)
class Stage:
    """What changes at one instant."""

    name: str
    at: LocalTime
    closes: frozenset[Capability] = frozenset()
    opens: frozenset[Capability] = frozenset()
    voids: frozenset[Void] = frozenset()
    is_irreversible: bool = False
    """It waits until no stay of any stage is in force."""
    is_by_host: bool = False
    """The host operator does it, whom a stay of our order does not bind."""


@dataclass(frozen=True, slots=True)
class Stay:
    """A court, or who gave the order, suspends stages that are still to come."""

    since: LocalTime
    until: LocalTime | None = None
    """When it is lifted; None while that is not known."""
    stages: frozenset[str] = frozenset()
    """By name; none is the whole order."""


class NoticeKind(StrEnum):
    """What subscribers are told."""

    ANNOUNCEMENT = "announcement"
    """The service ends by order: all dates."""
    STAGE = "stage"
    """What changes with the stage."""
    PORT_OUT = "port_out"
    """How to take the number elsewhere."""
    REFUND = "refund"
    """How to ask for the balance."""
    REMINDER = "reminder"
    """As `STAGE`, with the days that are left."""
    CORRECTION = "correction"
    """Dates that were told have changed."""
    HOST_CUT = "host_cut"
    """The host operator stops carrying something."""
    REFUND_PAID = "refund_paid"
    REFUND_RETURNED = "refund_returned"


PLANNED = frozenset(
    {
        NoticeKind.ANNOUNCEMENT,
        NoticeKind.STAGE,
        NoticeKind.PORT_OUT,
        NoticeKind.REFUND,
        NoticeKind.REMINDER,
    }
)
"""What a plan can ask for. The others are told when there is cause."""


@dataclass(frozen=True, slots=True)
class Notice:
    """What subscribers are told ahead of a stage."""

    stage: str
    at: LocalTime
    languages: tuple[Language, ...]
    kind: NoticeKind = NoticeKind.STAGE


@dataclass(frozen=True, slots=True)
class Disconnection:
    """The host operator disconnects us, and the day on which the last subscriber is told."""

    on: date
    told: date


@dataclass(frozen=True, slots=True)
class Plan:
    """One version of how the order is carried out."""

    version: int
    name: str
    time_zone: ZoneInfo
    order: Order
    stages: tuple[Stage, ...]
    last_days: Mapping[Capability, date]
    """Of protected capabilities, the day being one of them; one that is not named has no last day."""
    refunds: Mapping[ValueKind, RefundPolicy]
    notices: tuple[Notice, ...] = ()
    disconnection: Disconnection | None = None
    closed_days: frozenset[date] = frozenset()
    """Holidays: days that are no business days, beside Saturdays and Sundays."""


@dataclass(frozen=True, slots=True)
class Extension:
    """Stages that are still to come are put off, and so are the last days they end."""

    decided: LocalTime
    by: timedelta
    stages: frozenset[str] = frozenset()
    """By name; none is all that are still to come."""


@dataclass(frozen=True, slots=True)
class HostCut:
    """The host operator will stop carrying something, whatever the plan says."""

    at: LocalTime
    capabilities: frozenset[Capability]
    told: date
    """The day on which the last subscriber is told of it."""


Amendment = Extension | HostCut


# Versions of the plan, and who approves them


class VersionKind(StrEnum):
    """What a version of the plan was proposed as."""

    DRAFT = "draft"
    """Before the order is started."""
    AMENDMENT = "amendment"
    STAY = "stay"
    LIFTING = "lifting"
    """A stay ends."""


class VersionState(StrEnum):
    """Where a version is on its way."""

    PROPOSED = "proposed"
    """It awaits approval. Of these there is one at most."""
    APPROVED = "approved"
    """It comes into force when the order is started."""
    IN_FORCE = "in_force"
    SUPERSEDED = "superseded"
    """A later one was approved, or is in force."""
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True)
class Approval:
    """Somebody who has read a version wants it to come into force."""

    actor: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Version:
    """A version of the plan as it was proposed, and what became of it. The text itself is read apart."""

    number: int
    kind: VersionKind
    sha256: str
    """Of its text in UTF-8, in hexadecimal."""
    diff: tuple[str, ...]
    """What it changes, one sentence each, as those who approve it are shown."""
    proposed_by: str
    proposed_at: datetime
    approvals: tuple[Approval, ...] = ()
    withdrawn_by: str | None = None
    withdrawn_at: datetime | None = None
    in_force_since: datetime | None = None


@dataclass(frozen=True, slots=True)
class VersionRehearsal:
    """What came of carrying a version out on made-up subscribers."""

    number: int
    """Of the version."""
    sha256: str
    """Of its text."""
    first_seed: int
    seeds: int
    accounts: int
    """Of each seed."""
    findings: int
    """What did not go by the plan, of all seeds together."""
    rehearsed_by: str
    rehearsed_at: datetime


class OrderRefusal(Enum):
    """Why a version was not proposed, approved, withdrawn or put in force."""

    ANOTHER_AWAITS = "another_awaits"
    """One at a time, so that each is compared with what it follows."""
    ALREADY_STARTED = "already_started"
    NOT_STARTED = "not_started"
    NOTHING_CHANGES = "nothing_changes"
    UNKNOWN_VERSION = "unknown_version"
    WITHDRAWN = "withdrawn"
    ALREADY_APPROVED = "already_approved"
    APPROVED_BY_SAME = "approved_by_same"
    """It takes two people."""
    NO_DOCUMENT = "no_document"
    NOTHING_APPROVED = "nothing_approved"
    IN_FORCE = "in_force"
    NO_OPEN_STAY = "no_open_stay"
    SEVERAL_STAYS = "several_stays"


@dataclass(frozen=True, slots=True)
class ChangesThePast:
    """A version is refused because it would change what has come by now."""

    reasons: tuple[str, ...]
    """One sentence for each stage."""
