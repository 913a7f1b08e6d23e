"""Credit control in our own words: what networks ask, what they are answered, and what a session holds meanwhile.

The words of Diameter (RFC 8506) and of Nchf (TS 32.291) are translated to these in their gateways.
"""

from __future__ import annotations

from datetime import datetime
from enum import Enum

import msgspec

from onecard.catalogue.model import ListedRate, UsageKind, Use
from onecard.values.card import Imsi
from onecard.values.phone import E164


class Operation(Enum):
    """What a request does: RFC 8506 section 8.3."""

    INITIAL = "initial"
    UPDATE = "update"
    TERMINATE = "terminate"
    DEBIT = "debit"
    """One-time: charge now."""
    REFUND = "refund"
    """One-time: give back."""
    PRICE = "price"
    """One-time: say what it would cost."""
    BALANCE = "balance"
    """One-time: say whether it could be paid."""


class Result(Enum):
    """How a request, or one service of it, was answered."""

    SUCCESS = "success"
    UNKNOWN_SUBSCRIBER = "unknown_subscriber"
    UNKNOWN_SESSION = "unknown_session"
    OUT_OF_ORDER = "out_of_order"
    """Older than the last request of its session, whose answer alone is kept."""
    CREDIT_EXHAUSTED = "credit_exhausted"
    SERVICE_DENIED = "service_denied"
    """The line is off or barred, or there is no such line."""
    ENDED_BY_ORDER = "ended_by_order"
    """A stage of an order to stop has ended it, or came before the card was activated."""
    NOT_APPLICABLE = "not_applicable"
    """It goes, and there is nothing to charge: an emergency call."""
    RATING_FAILED = "rating_failed"
    """No rate covers it."""
    BAD_REQUEST = "bad_request"
    BUSY = "busy"


class Ask(msgspec.Struct, frozen=True, gc=False):
    """One service (rating group) of a request; None is the only service of a session that knows no groups."""

    rating_group: int | None = None
    used: int = 0
    """Units used since the last report."""
    used_after_change: int = 0
    """Of `used`, those after the change of tariff that was announced."""
    wants: bool = True
    """Whether more is asked for."""
    wanted: int | None = None
    """How many units; None leaves it to us."""


class Request(msgspec.Struct, frozen=True, gc=False):
    """A request as the network made it."""

    session_id: str
    number: int
    operation: Operation
    usage: UsageKind
    asks: tuple[Ask, ...]
    msisdn: E164 | None = None
    """Of any line of the card."""
    imsi: Imsi | None = None
    line: E164 | None = None
    """The number of the line that is meant, where the network names it: the one that was called, or calls."""
    far: str = ""
    """Calls and texts out: what was dialled. Calls in: the caller."""
    network: str = ""
    """MCC and MNC of the network that serves the card; empty is home."""
    cause: str = ""


class Grant(msgspec.Struct, frozen=True, gc=False):
    """What one service may use before it asks again."""

    rating_group: int | None
    result: Result
    units: int = 0
    valid_seconds: int | None = None
    change_at: datetime | None = None
    """When another rate takes over: units before and after are to be told apart."""
    is_last: bool = False
    """No more can be paid: when it is used up the service ends, or is led to where money can be added."""


class Answer(msgspec.Struct, frozen=True, gc=False):
    """What the network is answered. Money is in micros of `currency`."""

    result: Result
    grants: tuple[Grant, ...] = ()
    cost_micros: int | None = None
    """Of the whole session so far, or of the event."""
    currency: str = ""
    can_pay: bool | None = None
    """To `Operation.BALANCE`."""
    stage: str | None = None
    """To `Result.ENDED_BY_ORDER`: which stage has ended it."""


class Piece(msgspec.Struct, frozen=True, gc=False):
    """What was used of a service under one rate; `paid_units` are those that no allowance covered."""

    listed: ListedRate
    since: datetime
    units: int = 0
    paid_units: int = 0


class Share(msgspec.Struct, frozen=True, gc=False):
    """Units of one allowance that a service holds."""

    account_id: int
    units: int


class Service(msgspec.Struct, frozen=True, gc=False):
    """One rating group of an open session."""

    rating_group: int | None
    started_at: datetime
    pieces: tuple[Piece, ...]
    granted: int = 0
    held_micros: int = 0
    shares: tuple[Share, ...] = ()
    """Allowance units held, in the order they are used."""
    next_rate: ListedRate | None = None
    """The rate that takes over at the announced change."""
    unpaid_micros: int = 0


class Session(msgspec.Struct, frozen=True, gc=False):
    """An open session, as it is sealed between two requests."""

    id: str
    version: int
    number: int
    part: int
    account_id: int
    card_id: int
    line_id: int
    use: Use
    opened_at: datetime
    services: tuple[Service, ...] = ()
    network: str = ""
    """MCC and MNC of the network that last served the card; empty is home."""
    is_secondary: bool = False
    """Of its line."""


class Allowance(msgspec.Struct, frozen=True, gc=False):
    """Units that are used before cash. Its ledger account counts them; `currency` there is the unit."""

    account_id: int
    usage: UsageKind
    line_countries: tuple[str, ...]
    """Empty: the lines of every country."""
    zones: tuple[str, ...]
    """Empty: everywhere."""
    expires_at: datetime
    overage: bool = True
    """Whether cash pays when it is used up; else what it covers ends there."""


class Purse(msgspec.Struct, frozen=True, gc=False):
    """What an account can pay with just now. None: not looked, assume that there is enough."""

    cash_micros: int | None
    allowances: tuple[tuple[int, int | None], ...] = ()
    """(ledger account, available units) of those that cover the service, the first to expire first."""


class UsageRecord(msgspec.Struct, frozen=True, gc=False):
    """One row of `usage_record`: what a service used in all."""

    usage: UsageKind
    far: str
    zone: str
    rating_group: int | None
    started_at: datetime
    units: int
    allowance_units: int
    price_micros: int
    unpaid_micros: int
    cause: str
    explanation: dict[str, object]


class Movement(msgspec.Struct, frozen=True, gc=False):
    """A change of one ledger account by a request: of cash, or of an allowance's units."""

    account_id: int
    kind: int
    available: int
    held: int


class Written(msgspec.Struct, frozen=True, gc=False):
    """One request as the batch writes it."""

    session: Session
    is_open: bool
    expires_at: datetime
    sealed_state: bytes | None
    answer: bytes
    movements: tuple[Movement, ...]
    records: tuple[UsageRecord, ...]
