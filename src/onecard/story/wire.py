"""What the story and a partner's own program say to each other: one JSON document a line.

The story writes an `Order` to the partner's stdin. The partner answers each with a `Done` of the same number on its
stdout, tells of every text it is sent with a `Received`, and of every session that it is to ask for anew with an
`AskedAgain`.
"""

from __future__ import annotations

import msgspec

from onecard.gateways.diameter.messages import CreditControlAnswer, CreditControlRequest
from onecard.gateways.smpp.pdus import ShortMessage


class Listen(msgspec.Struct, frozen=True, tag="listen"):
    """Be a message centre on a port that the system chooses, for peers that give this password."""

    password: str


class BindTo(msgspec.Struct, frozen=True, tag="bind"):
    """Connect and bind as a transceiver."""

    host: str
    port: int
    system_id: str
    password: str


class Send(msgspec.Struct, frozen=True, tag="send"):
    """Send a text over the session that is bound."""

    message: ShortMessage


class PostOutcome(msgspec.Struct, frozen=True, tag="post_outcome"):
    """Post the outcome of a check over HTTP, signed in as the link is."""

    host: str
    port: int
    system_id: str
    password: str
    application: int
    outcome: str


class JoinPeer(msgspec.Struct, frozen=True, tag="join_peer"):
    """Connect to a Diameter peer and exchange capabilities, under this Origin-Host and Origin-Realm."""

    host: str
    port: int
    identity: tuple[str, str]


class Charge(msgspec.Struct, frozen=True, tag="charge"):
    """Send a CCR to the peer that was joined."""

    request: CreditControlRequest


Errand = Listen | BindTo | Send | PostOutcome | JoinPeer | Charge


class Order(msgspec.Struct, frozen=True):
    """One errand, numbered."""

    number: int
    errand: Errand


class Listening(msgspec.Struct, frozen=True, tag="listening"):
    port: int


class Bound(msgspec.Struct, frozen=True, tag="bound"):
    """The other side accepted the bind."""


class Answered(msgspec.Struct, frozen=True, tag="answered"):
    """The command status (SMPP 3.4 section 5.1.3) and the id that the other side gave."""

    status: int
    message_id: str


class Posted(msgspec.Struct, frozen=True, tag="posted"):
    """The HTTP status and what came with it."""

    status: int
    body: msgspec.Raw


class Joined(msgspec.Struct, frozen=True, tag="joined"):
    """The peer has let us in."""


class Charged(msgspec.Struct, frozen=True, tag="charged"):
    """The CCA that came."""

    answer: CreditControlAnswer


class Failed(msgspec.Struct, frozen=True, tag="failed"):
    """The errand could not be done."""

    reason: str


Outcome = Listening | Bound | Answered | Posted | Joined | Charged | Failed


class Done(msgspec.Struct, frozen=True, tag="done"):
    """What came of the order of this number."""

    number: int
    outcome: Outcome


class Received(msgspec.Struct, frozen=True, tag="received"):
    """A text, or a receipt, as it came over the wire."""

    message: ShortMessage


class AskedAgain(msgspec.Struct, frozen=True, tag="asked_again"):
    """A RAR came for a session."""

    session_id: str


Report = Done | Received | AskedAgain

read_order = msgspec.json.Decoder(Order).decode
read_report = msgspec.json.Decoder(Report).decode


def write_line(said: Order | Report) -> bytes:
    """One line, with its end."""
    return msgspec.json.encode(said) + b"\n"
