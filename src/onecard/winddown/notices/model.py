"""A notice from the moment it is made until everybody was told, or is named as not told."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from enum import Enum, StrEnum

from onecard.values.hours import Hours
from onecard.values.language import Language
from onecard.winddown.model import LocalTime, NoticeKind

Dates = Mapping[str, LocalTime | None]
"""Stages, by name, with the dates that a notice tells of them; None: it tells that there is no date."""

EVERY_DAY = frozenset(range(1, 8))


@dataclass(frozen=True, slots=True)
class Sender:
    """Who speaks, as subscribers know them."""

    name: str
    page: str | None = None
    """The address of the public statement."""
    phone: str | None = None
    """Of customer care, as people dial it."""


class Channel(StrEnum):
    """How somebody is told."""

    TEXT = "text"
    EMAIL = "email"
    LETTER = "letter"


@dataclass(frozen=True, slots=True)
class Words:
    """A notice in one language: `text` for phones, `subject` and `body` for e-mails and letters."""

    subject: str
    text: str
    body: str

    def of(self, channel: Channel) -> str:
        """The exact words that somebody is told by a channel."""
        return self.text if channel is Channel.TEXT else f"{self.subject}\n\n{self.body}"


@dataclass(frozen=True, slots=True)
class NewNotice:
    """A notice that is due, before it has words."""

    key: str
    """One notice of a plan, whichever of its versions; a correction's, its version."""
    kind: NoticeKind
    stage: str | None
    dates: Dates
    languages: tuple[Language, ...] = tuple(Language)
    was: Dates = field(default_factory=dict)
    """Of a correction: the dates that were told before."""
    days_left: int = 0
    is_urgent: bool = False
    """Told by night, too."""


@dataclass(frozen=True, slots=True)
class MadeNotice:
    """A notice whose words are fixed."""

    id: int
    key: str
    kind: NoticeKind
    stage: str | None
    version: int
    """Of the plan it was made from."""
    dates: Dates
    languages: tuple[Language, ...]
    is_urgent: bool
    made_at: datetime
    withdrawn_at: datetime | None = None
    """When its dates were no longer true: who had not been told by then is not told."""


class RecipientState(StrEnum):
    """How far telling one subscriber has come."""

    WAITING = "waiting"
    """For the next attempt; a letter, for being written."""
    SENDING = "sending"
    """A node is at it."""
    SENT = "sent"
    """On its way: a text without its receipt, a letter that was written and not yet posted."""
    REACHED = "reached"
    UNREACHED = "unreached"
    """No channel is left."""
    WITHDRAWN = "withdrawn"


TOLD = (RecipientState.SENDING, RecipientState.SENT, RecipientState.REACHED)
"""Who may have read a notice: a correction of it goes to all of these."""


class Result(StrEnum):
    """What came of one attempt."""

    SENT = "sent"
    """Not known yet."""
    DELIVERED = "delivered"
    """The phone has the text."""
    ACCEPTED = "accepted"
    """The mail server took it."""
    POSTED = "posted"
    REFUSED = "refused"
    """By the network or the mail server, for good."""
    FAILED = "failed"
    """For the moment: it is tried again."""
    NO_RECEIPT = "no_receipt"
    """None came in time."""
    NO_ADDRESS = "no_address"
    BOUNCED = "bounced"
    """Taken at first, and sent back."""


REACHED = frozenset({Result.DELIVERED, Result.ACCEPTED, Result.POSTED})


@dataclass(frozen=True, slots=True)
class Recipient:
    """One subscriber who is to be told, on the channel whose turn it is."""

    part: int
    notice_id: int
    subscriber_id: int
    occasion: int
    """0 where everybody is told; else of which refund and version of it."""
    language: Language
    channel: Channel
    attempts: int
    """Made so far, over all channels."""
    tried_since: datetime | None
    """When this channel was tried first."""
    particulars: Mapping[str, str] = field(default_factory=dict)
    """Of a refund: ``micros`` and ``currency`` of its amount."""

    @property
    def reference(self) -> str:
        """Names the next attempt, in the e-mail's Message-ID and on the letter."""
        return write_reference(self, self.attempts + 1)


def write_reference(one: Recipient, attempt: int) -> str:
    """Name an attempt by numbers only: ``7.3.1001.0.2``."""
    return f"{one.notice_id}.{one.part}.{one.subscriber_id}.{one.occasion}.{attempt}"


def read_reference(text: str) -> tuple[int, int, int, int, int] | None:
    """Notice, part, subscriber, occasion and attempt of a reference; None if it is none."""
    if not re.fullmatch(r"[0-9]{1,18}(\.[0-9]{1,18}){4}", text):
        return None
    notice, part, subscriber, occasion, attempt = map(int, text.split("."))
    if part >= 2**31 or attempt >= 2**31:
        return None
    return notice, part, subscriber, occasion, attempt


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of an attempt, and what follows."""

    recipient: Recipient
    result: Result
    state: RecipientState
    channel: Channel
    """Whose turn it is from now on."""
    due_at: datetime
    detail: str = ""
    """A code of the network or the mail server: nothing of the person."""
    sha256: bytes | None = None
    """Of the exact words; None where nothing was sent."""
    message_ids: tuple[int, ...] = ()
    """Of the text, one a segment."""
    letters_id: int | None = None


@dataclass(frozen=True, slots=True)
class PostRules:
    """How the operator wants notices to go."""

    channels: tuple[Channel, ...] = tuple(Channel)
    """In this order, until one reaches the subscriber."""
    awake: Hours = Hours(EVERY_DAY, time(9), time(21))  # noqa: RUF009  # frozen
    """When texts may come, by the clock of the subscriber's primary line."""
    receipt_within: timedelta = timedelta(hours=24)
    """A text without a receipt for so long did not reach them."""
    mail_within: timedelta = timedelta(hours=24)
    """An e-mail that no server took for so long did not reach them."""


class NoticeRefusal(Enum):
    """Why something about a notice is refused."""

    UNKNOWN_NOTICE = "unknown_notice"
    UNKNOWN_ATTEMPT = "unknown_attempt"
    NOT_REACHED_BY_IT = "not_reached_by_it"
    """Only what reached somebody can come back."""
    NO_LETTERS = "no_letters"
    UNKNOWN_LETTERS = "unknown_letters"
    POSTED_ALREADY = "posted_already"
