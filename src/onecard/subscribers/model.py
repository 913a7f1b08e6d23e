"""What is known of a subscriber: as little as the service needs."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum

from onecard.values.language import Language


@dataclass(frozen=True, slots=True)
class Contact:
    """Basic contact details: all that is ever held of a person."""

    name: str
    email: str
    postal_address: str | None = None


@dataclass(frozen=True, slots=True)
class Subscriber:
    """A person with one prepaid account; the contact details are sealed apart."""

    part: int
    id: int
    account_id: int
    language: Language
    created_at: datetime
    erased_at: datetime | None


class SubscriberRefusal(Enum):
    """Why an action on a subscriber was refused."""

    UNKNOWN_SUBSCRIBER = "unknown_subscriber"
    ERASED = "erased"
    REFUND_UNDER_WAY = "refund_under_way"
    """Whom it is paid to is sealed with the same key."""
    LEGAL_HOLD = "legal_hold"
    """Nothing may be destroyed while one is in force."""


@dataclass(frozen=True, slots=True)
class ClaimLetter:
    """What is printed for a subscriber: the claim code, which is known here at this moment only, and where it goes."""

    part: int
    subscriber_id: int
    language: Language
    contact: Contact = field(repr=False)
    code: str = field(repr=False)


class ClaimRefusal(Enum):
    """Why a claim code was not issued, or proves nothing."""

    BAD_CODE = "bad_code"
    """Not 16 signs, or they do not fit each other: a slip of the finger."""
    UNKNOWN_CODE = "unknown_code"
    """Nobody has it; maybe another was issued in its place."""
    LOCKED = "locked"
    """Whoever tries has tried too many wrong ones."""
    UNKNOWN_SUBSCRIBER = "unknown_subscriber"
