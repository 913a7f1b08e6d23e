"""What happened in a Diameter session: the frozen events that `session` returns."""

from enum import Enum

import msgspec

from onecard.gateways.diameter.constants import DisconnectCause
from onecard.gateways.diameter.messages import (
    Answer,
    CapabilitiesExchangeAnswer,
    CapabilitiesExchangeRequest,
    CreditControlRequest,
    ErrorAnswer,
)


class Failure(Enum):
    """Why a session ended that nobody ended by a DPR."""

    NO_CAPABILITIES = "no_capabilities"
    """The peer did not exchange capabilities in time, or began with something else."""
    CAPABILITIES_REFUSED = "capabilities_refused"
    NO_COMMON_APPLICATION = "no_common_application"
    WRONG_PEER = "wrong_peer"
    """Another answers where we called."""
    LINK_DEAD = "link_dead"
    """The watchdog got no answer."""
    DISCONNECT_TIMEOUT = "disconnect_timeout"
    NOT_DIAMETER = "not_diameter"


class CapabilitiesReceived(msgspec.Struct, frozen=True, gc=False):
    """The peer called us: decide with `accept` or `refuse`."""

    request: CapabilitiesExchangeRequest


class CapabilitiesAnswered(msgspec.Struct, frozen=True, gc=False):
    """We called, and the peer let us in, or did not: then a PeerFailed follows."""

    answer: CapabilitiesExchangeAnswer | ErrorAnswer


class CreditControlReceived(msgspec.Struct, frozen=True, gc=False):
    """To be answered with `answer_credit_control`, by its ticket."""

    ticket: int
    end_to_end: int
    request: CreditControlRequest


class RequestAnswered(msgspec.Struct, frozen=True, gc=False):
    """The answer to what was asked with `ask`."""

    hop_by_hop: int
    answer: Answer


class RequestTimedOut(msgspec.Struct, frozen=True, gc=False):
    """Was not answered in time. An answer that comes later is ignored."""

    hop_by_hop: int


class DisconnectReceived(msgspec.Struct, frozen=True, gc=False):
    """The peer is leaving. The session closes itself when what was asked before is answered."""

    cause: DisconnectCause


class DisconnectAnswered(msgspec.Struct, frozen=True, gc=False):
    """Our `disconnect` was answered; the session is closed."""


class PeerFailed(msgspec.Struct, frozen=True, gc=False):
    """The session is closed for this reason."""

    failure: Failure


Event = (
    CapabilitiesReceived
    | CapabilitiesAnswered
    | CreditControlReceived
    | RequestAnswered
    | RequestTimedOut
    | DisconnectReceived
    | DisconnectAnswered
    | PeerFailed
)
