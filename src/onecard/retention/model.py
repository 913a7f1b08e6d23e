"""Classes of what is kept, and runs of their destruction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, StrEnum


class DataClass(StrEnum):
    """What is kept, by why it is kept; each class has times of its own."""

    CONTACTS = "contacts"
    PAYEES = "payees"
    SIGN_IN = "sign_in"
    TRACES = "traces"
    USAGE = "usage"
    NOTICES = "notices"
    LEDGER = "ledger"
    AUDIT = "audit"


SEALED = frozenset({DataClass.CONTACTS, DataClass.PAYEES})
"""Destroyed by their keys: a renewal of the keys ends them in backups, too."""
KEPT_WHOLE = frozenset({DataClass.LEDGER, DataClass.AUDIT})
"""They prove themselves as a whole, and end with the database."""


@dataclass(frozen=True, slots=True)
class Span:
    """How long something is kept, from when it was over: at least, and at most."""

    least: timedelta
    most: timedelta


Spans = Mapping[DataClass, Span]


class PurgeRefusal(Enum):
    """Why nothing was destroyed, or no certificate given."""

    STAYED = "stayed"
    """A stay of some stage is in force: what cannot be undone waits."""
    LEGAL_HOLD = "legal_hold"
    KEPT_WHOLE = "kept_whole"
    NO_SPARE_KEY = "no_spare_key"
    """The key of the next period is not made yet."""
    KEYS_LEFT = "keys_left"
    """Some data key is still wrapped by a former period's: the renewal goes on."""
    UNKNOWN_RUN = "unknown_run"
    NOT_ENDED = "not_ended"
    NOT_RENEWED = "not_renewed"
    """Backups still hold the keys of what was destroyed."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What one statement destroyed."""

    rows: int
    keys: int = 0
    oldest: datetime | None = None
    newest: datetime | None = None


@dataclass(frozen=True, slots=True)
class PurgeRun:
    """The destruction of what ended before an instant, of one class, so far."""

    id: int
    data_class: DataClass
    before: datetime
    started_at: datetime
    started_by: str
    rows: int = 0
    keys: int = 0
    oldest: datetime | None = None
    newest: datetime | None = None
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ClassTally:
    """How much there is of a class."""

    data_class: DataClass
    kept: int
    ready: int
    """Of those, what may be destroyed."""
    overdue: int
    """Of those, what should have been destroyed."""
    oldest: datetime | None
