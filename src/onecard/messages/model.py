"""A text from the moment it arrives until it is forgotten."""

from __future__ import annotations

from datetime import datetime
from enum import IntEnum

import msgspec

from onecard.catalogue.model import ChargeFacts
from onecard.values.address import Address


class Direction(IntEnum):
    """Which way a text goes, seen from the card."""

    TO_CARD = 1
    FROM_CARD = 2
    ANSWER = 3
    """Authored by us: the answer to a command, a notice."""


class TextState(IntEnum):
    """What became of a text. From DELIVERED on it is over."""

    WAITING = 1
    HANDED_OVER = 2
    """The next hop took it over and owes a receipt."""
    DELIVERED = 3
    FAILED = 4
    EXPIRED = 5
    CANCELLED = 6
    UNKNOWN = 7
    """Handed over, and no receipt came while it was valid. The network had it: the charge stands."""

    @property
    def is_final(self) -> bool:
        return self >= TextState.DELIVERED


class ReceiptWish(IntEnum):
    """When the sender wants a receipt (SMPP 3.4 section 5.2.17)."""

    NEVER = 0
    ALWAYS = 1
    ON_FAILURE = 2


class Content(msgspec.Struct, frozen=True, gc=False):
    """What is carried through untouched: the octets of a text and how to read them."""

    body: bytes
    data_coding: int = 0
    protocol_id: int = 0
    has_udh: bool = False
    default_message_id: int = 0
    in_payload: bool = False
    tlvs: tuple[tuple[int, bytes], ...] = ()


class Arrival(msgspec.Struct, frozen=True, gc=False):
    """A text as a link brought it."""

    link: str
    source: Address
    destination: Address
    content: Content
    receipt_wanted: ReceiptWish = ReceiptWish.NEVER
    expires_at: datetime | None = None


class Envelope(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """What is sealed while a text waits: the contents and the addresses the next hop is given."""

    source: Address
    destination: Address
    content: Content


class Submitted(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """The addresses as they were submitted: sealed until the receipt, which repeats them, is delivered."""

    source: Address
    destination: Address


class Text(msgspec.Struct, frozen=True, gc=False):
    """A text on its way, as the queue of a link holds it."""

    part: int
    id: int
    source_link: str
    next_link: str
    application: bool
    receipt_wanted: ReceiptWish
    accepted_at: datetime
    expires_at: datetime
    envelope: Envelope | None
    """None once it was handed over."""
    submitted: Submitted | None
    """None when no receipt is wanted."""
    attempts: int = 0


class Receipt(msgspec.Struct, frozen=True, gc=False):
    """What became of a text, for the link that brought it."""

    part: int
    id: int
    link: str
    submitted: Submitted
    state: TextState
    error: int
    """The next hop's network error or command status; 0 when delivered."""
    accepted_at: datetime
    done_at: datetime


class Acceptance(msgspec.Struct, frozen=True, gc=False):
    """One row of the batch that accepts texts: charge, trace and work in progress."""

    id: int
    account_id: int
    card_id: int
    line_id: int
    direction: Direction
    application: bool
    source_link: str
    next_link: str
    node: str | None
    far: str
    segments: int
    price_micros: int
    rate: str
    receipt_wanted: ReceiptWish
    accepted_at: datetime
    expires_at: datetime
    sealed_body: bytes
    sealed_addresses: bytes | None
    allowance_account_id: int | None = None
    """The ledger account of the allowance that pays the segments; None: cash pays the price."""
    facts: ChargeFacts | None = None
    """What `rate` says, None where it says nothing."""


class Progress(msgspec.Struct, frozen=True, gc=False):
    """One step of a text, as the batch writes it."""

    id: int
    state: TextState
    at: datetime
    attempts: int
    handed_over_at: datetime | None = None
    remote_id: str | None = None
    status: int | None = None
    error: int = 0
    next_attempt_at: datetime | None = None
    receipt_node: str | None = None


class Trace(msgspec.Struct, frozen=True):
    """What may be told of a text at any time: never its contents, the far number masked. Times are UTC."""

    id: int
    part: int
    card_id: int
    line_id: int
    direction: Direction
    application: bool
    source_link: str
    next_link: str
    far: str
    segments: int
    price_micros: int
    rate: str
    state: TextState
    attempts: int
    last_status: int | None
    accepted_at: datetime
    handed_over_at: datetime | None
    done_at: datetime | None
    facts: ChargeFacts | None = None
    """What `rate` says; texts from before these were kept have none."""


class CancelRefusal(IntEnum):
    """Why a text can no longer be cancelled or replaced."""

    UNKNOWN_TEXT = 1
    UNDER_WAY = 2
    OVER = 3
    OTHER_LENGTH = 4
    """The new contents have another number of segments, and so another price."""


def bound_to_text(message_id: int) -> bytes:
    """What the sealed parts of a text are bound to: they open for this text and no other."""
    return b"text:%d" % message_id
