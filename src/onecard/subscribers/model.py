"""What is known of a subscriber: as little as the service needs."""

from __future__ import annotations

from dataclasses import dataclass
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
