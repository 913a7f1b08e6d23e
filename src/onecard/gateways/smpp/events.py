"""What happened in an SMPP session: the frozen events that `session` returns."""

from enum import Enum

import msgspec

from onecard.gateways.smpp.constants import CommandId
from onecard.gateways.smpp.pdus import (
    Alert,
    Bind,
    Cancel,
    Outbind,
    Query,
    Replace,
    ShortMessage,
    Tlvs,
)


class BindMode(Enum):
    """What a bound peer may do: the value is its bind command."""

    TRANSMITTER = CommandId.BIND_TRANSMITTER
    RECEIVER = CommandId.BIND_RECEIVER
    TRANSCEIVER = CommandId.BIND_TRANSCEIVER


class Failure(Enum):
    """Why a session ended that nobody ended by unbind."""

    BIND_TIMEOUT = "bind_timeout"
    UNBIND_TIMEOUT = "unbind_timeout"
    LINK_DEAD = "link_dead"
    NOT_SMPP = "not_smpp"


class BindRequested(msgspec.Struct, frozen=True, gc=False):
    """Server: decide with `accept_bind` or `refuse_bind`."""

    mode: BindMode
    bind: Bind


class BindAnswered(msgspec.Struct, frozen=True, gc=False):
    """Client: bound if `status` is 0, else closed. `interface_version` is None if not told."""

    status: int
    system_id: str = ""
    interface_version: int | None = None


class OutbindReceived(msgspec.Struct, frozen=True, gc=False):
    """Client: the message centre asks to be bound to; its password is for us to check."""

    outbind: Outbind


class TextReceived(msgspec.Struct, frozen=True, gc=False):
    """A text, or a receipt, to be answered with `answer_text`."""

    sequence: int
    message: ShortMessage


class TextAnswered(msgspec.Struct, frozen=True, gc=False):
    """The answer to `send_text`. `status` may be a number of the peer's own; `message_id` may be empty."""

    sequence: int
    status: int
    message_id: str = ""
    tlvs: Tlvs = ()


class QueryReceived(msgspec.Struct, frozen=True, gc=False):
    """To be answered with `answer_query`."""

    sequence: int
    query: Query


class CancelReceived(msgspec.Struct, frozen=True, gc=False):
    """To be answered with `answer_cancel`."""

    sequence: int
    cancel: Cancel


class ReplaceReceived(msgspec.Struct, frozen=True, gc=False):
    """To be answered with `answer_replace`."""

    sequence: int
    replace: Replace


class AlertReceived(msgspec.Struct, frozen=True, gc=False):
    """Client: a subscriber can be reached again."""

    alert: Alert


class RequestTimedOut(msgspec.Struct, frozen=True, gc=False):
    """A text was not answered in time: whether the peer has it is not known. A later answer is ignored."""

    sequence: int


class UnbindReceived(msgspec.Struct, frozen=True, gc=False):
    """The peer is leaving. The session closes itself when the texts received before are answered."""


class UnbindAnswered(msgspec.Struct, frozen=True, gc=False):
    """Our `unbind` was answered; the session is closed."""


class PeerFailed(msgspec.Struct, frozen=True, gc=False):
    """The session is closed for this reason."""

    failure: Failure


Event = (
    BindRequested
    | BindAnswered
    | OutbindReceived
    | TextReceived
    | TextAnswered
    | QueryReceived
    | CancelReceived
    | ReplaceReceived
    | AlertReceived
    | RequestTimedOut
    | UnbindReceived
    | UnbindAnswered
    | PeerFailed
)
