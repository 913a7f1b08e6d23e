"""One Diameter connection as a state machine, for either side of it.

Pure: no I/O, no randomness, and `now` is an argument (seconds of any clock that does not go back). Octets go into
`receive`, events come out; what the session has to say collects until `take_output`, so that all answers to one read
are one write. Whoever drives it does, after every call: write `take_output()`, and close the connection when `closed`;
and calls `tick` at `next_tick`.

Nothing that a peer sends raises. An answer that comes after the session closed goes nowhere.

Source: RFC 6733 sections 5 and 6; RFC 3539 section 3.4 for the watchdog.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv4Address, IPv6Address
from math import inf
from typing import NamedTuple, cast

from msgspec.structs import replace

from onecard.gateways.diameter.codec import decode_message, encode_message, example_avp
from onecard.gateways.diameter.constants import (
    HEADER_OCTETS,
    MOST_MESSAGE_OCTETS,
    RELAY_APPLICATION,
    VENDOR_3GPP,
    ApplicationId,
    CommandCode,
    DisconnectCause,
    Flag,
    InbandSecurity,
    RequestType,
    ResultCode,
    is_protocol_error,
)
from onecard.gateways.diameter.dictionary import AUTH_APPLICATION_ID, REQUESTED_ACTION
from onecard.gateways.diameter.events import (
    CapabilitiesAnswered,
    CapabilitiesReceived,
    CreditControlReceived,
    DisconnectAnswered,
    DisconnectReceived,
    Event,
    Failure,
    PeerFailed,
    RequestAnswered,
    RequestTimedOut,
)
from onecard.gateways.diameter.messages import (
    AbortSessionRequest,
    Answer,
    CapabilitiesExchangeAnswer,
    CapabilitiesExchangeRequest,
    CreditControlAnswer,
    CreditControlRequest,
    DisconnectAnswer,
    DisconnectRequest,
    ErrorAnswer,
    Message,
    ReAuthRequest,
    Request,
    Unreadable,
    VendorSpecificApplication,
    WatchdogAnswer,
    WatchdogRequest,
)
from onecard.gateways.framing import Framing

_MOST_ID = 0xFFFFFFFF
_LENGTH_BEGIN = 1


class Role(Enum):
    """RESPONDER: the peer calls us. INITIATOR: we call the peer."""

    RESPONDER = "responder"
    INITIATOR = "initiator"


class State(Enum):
    """RFC 6733 section 5.6, from the connection on. LEAVING: the peer sent a DPR; CLOSING: we did."""

    WAIT_CAPABILITIES = "wait_capabilities"
    OPEN = "open"
    LEAVING = "leaving"
    CLOSING = "closing"
    CLOSED = "closed"


_CONNECTED = frozenset({State.OPEN, State.LEAVING, State.CLOSING})


@dataclass(frozen=True, slots=True)
class Identity:
    """How we are known to our peers. `origin_state_id` grows with every start of ours that loses sessions."""

    host: str
    realm: str
    addresses: tuple[IPv4Address | IPv6Address, ...]
    product_name: str = "onecard"
    vendor_id: int = 0
    origin_state_id: int | None = None


@dataclass(frozen=True, slots=True)
class SessionSettings:
    """Bounds of one session: requests without an answer each way, and the timers.

    `watchdog_seconds` is Tw of RFC 3539, not less than 6 there. After `probe_seconds` a peer that was asked
    whether it is still there, because it called a second time, is not.
    """

    applications: frozenset[int] = frozenset({ApplicationId.CREDIT_CONTROL})
    requests_most: int = 1000
    asked_most: int = 1000
    message_octets_most: int = MOST_MESSAGE_OCTETS
    capabilities_seconds: float = 10.0
    watchdog_seconds: float = 30.0
    probe_seconds: float = 5.0
    response_seconds: float = 10.0
    disconnect_seconds: float = 5.0


class _Asked(NamedTuple):
    """A request of the peer that the owner is to answer."""

    request: CreditControlRequest
    flags: int
    hop_by_hop: int
    end_to_end: int


_PROXIABLE = Flag.REQUEST | Flag.PROXIABLE
_HEADERS: dict[type[Request], tuple[CommandCode, ApplicationId, int]] = {
    CapabilitiesExchangeRequest: (CommandCode.CAPABILITIES_EXCHANGE, ApplicationId.BASE, Flag.REQUEST),
    WatchdogRequest: (CommandCode.DEVICE_WATCHDOG, ApplicationId.BASE, Flag.REQUEST),
    DisconnectRequest: (CommandCode.DISCONNECT_PEER, ApplicationId.BASE, Flag.REQUEST),
    CreditControlRequest: (CommandCode.CREDIT_CONTROL, ApplicationId.CREDIT_CONTROL, _PROXIABLE),
    ReAuthRequest: (CommandCode.RE_AUTH, ApplicationId.CREDIT_CONTROL, _PROXIABLE),
    AbortSessionRequest: (CommandCode.ABORT_SESSION, ApplicationId.CREDIT_CONTROL, _PROXIABLE),
}
_OWN_BUSINESS = frozenset(
    {CommandCode.CAPABILITIES_EXCHANGE, CommandCode.DEVICE_WATCHDOG, CommandCode.DISCONNECT_PEER}
)


class Session:
    """The state of one connection, from its opening at `now` to `closed`.

    `first_id` is where our Hop-by-Hop and End-to-End ids begin (section 3: not the same after a restart);
    `jitter_seconds` gives what to add to each Tw (RFC 3539 section 3.4.1: between -2 and 2).
    """

    def __init__(
        self,
        role: Role,
        identity: Identity,
        settings: SessionSettings,
        now: float,
        *,
        first_id: int = 1,
        jitter_seconds: Callable[[], float] = float,
    ) -> None:
        assert settings.requests_most > 0
        self.role = role
        self.identity = identity
        self.settings = settings
        self.state = State.WAIT_CAPABILITIES
        self.peer_host = ""
        self._jitter_seconds = jitter_seconds
        self._id = first_id & _MOST_ID
        self._deadline = now + settings.capabilities_seconds
        self._capabilities: Message | None = None
        self._leave: Message | None = None
        self._watchdog_at = inf
        self._watchdog_pending = False
        self._suspect = False
        self._output: list[bytes] = []
        self._framing = Framing(
            length_begin=_LENGTH_BEGIN,
            header_octets=HEADER_OCTETS,
            octets_most=settings.message_octets_most,
        )
        # Our requests without an answer: Hop-by-Hop id -> command, deadline. All have the same time-out, so the first
        # is always the next one due.
        self._sent: dict[int, tuple[CommandCode, float]] = {}
        self._received: dict[int, _Asked] = {}
        self._ticket = 0

    # What the session is.

    @property
    def closed(self) -> bool:
        """Whether the connection is to be closed, once the output is written."""
        return self.state is State.CLOSED

    @property
    def suspect(self) -> bool:
        """Whether the watchdog has waited in vain once: rather ask another peer (RFC 3539 section 3.4.1)."""
        return self._suspect

    @property
    def can_ask(self) -> bool:
        """Whether a request may be sent now."""
        return self.state is State.OPEN and len(self._sent) < self.settings.asked_most

    @property
    def unanswered(self) -> tuple[int, ...]:
        """The Hop-by-Hop ids of what was asked with `ask` and is not answered; still there when `closed`."""
        return tuple(each for each, (command, _) in self._sent.items() if command not in _OWN_BUSINESS)

    @property
    def next_tick(self) -> float:
        """The time at which `tick` has something to do; infinite when `closed`."""
        if self.closed:
            return inf
        asked = next(iter(self._sent.values()))[1] if self._sent else inf
        return min(self._deadline, self._watchdog_at, asked)

    # Octets in, octets out, time.

    def receive(self, data: bytes, now: float) -> list[Event]:
        """Take what was read from the connection, in pieces of any size, and say what it meant."""
        events: list[Event] = []
        for frame in self._framing.cut(data):
            if self.closed:
                break
            self._receive_message(frame, now, events)
        if self._framing.bad_header is not None and not self.closed:
            self._refuse_stream(self._framing.bad_header, events)
        return events

    def take_output(self) -> bytes:
        """Give what is to be written, once."""
        output = b"".join(self._output)
        self._output.clear()
        return output

    def tick(self, now: float) -> list[Event]:
        """Do what is due: time-outs, and the watchdog of a peer that has been silent."""
        events: list[Event] = []
        if now >= self._deadline:
            self._meet_deadline(events)
        self._expire_requests(now, events)
        if not self.closed and now >= self._watchdog_at:
            self._watch(now, events)
        return events

    # Decisions of the owner.

    def start(self, now: float) -> None:
        """Initiator: send our CER; CapabilitiesAnswered or PeerFailed follows."""
        assert self.role is Role.INITIATOR
        assert self.state is State.WAIT_CAPABILITIES
        self._deadline = now + self.settings.capabilities_seconds
        self._ask(
            CapabilitiesExchangeRequest(
                self.identity.host,
                self.identity.realm,
                self.identity.vendor_id,
                self.identity.product_name,
                self.identity.addresses,
                self.identity.origin_state_id,
                supported_vendor_ids=(VENDOR_3GPP,),
                auth_application_ids=tuple(sorted(self.settings.applications)),
                inband_security_ids=(InbandSecurity.NONE,),
                vendor_specific_applications=_of_3gpp(self.settings),
            ),
            now,
        )

    def accept(self, settings: SessionSettings, now: float) -> bool:
        """Responder: let the peer in that sent CapabilitiesReceived. From here on its own `settings` hold.

        False, and the session is closed: it speaks no application that it may.
        """
        assert self._capabilities is not None
        body = self._capabilities.body
        assert isinstance(body, CapabilitiesExchangeRequest)
        self.settings = settings
        self._framing.octets_most = settings.message_octets_most
        if not _common_application(settings, body.applications):
            self.refuse(ResultCode.NO_COMMON_APPLICATION)
            return False
        self._answer_capabilities(ResultCode.SUCCESS)
        self._open(now)
        return True

    def refuse(self, result_code: ResultCode, error_message: str | None = None) -> None:
        """Responder: turn the peer away, and close."""
        if self.closed:
            return
        self._answer_capabilities(result_code, error_message)
        self.close()

    def ask(self, request: Request, now: float) -> int:
        """Send a request while `can_ask`; RequestAnswered or RequestTimedOut will name the id returned.

        Raises ValueError, and sends nothing, if a value does not fit its AVP.
        """
        assert self.can_ask
        return self._ask(request, now)

    def answer_credit_control(self, ticket: int, answer: CreditControlAnswer) -> None:
        """Answer a CreditControlReceived. Raises ValueError, and sends nothing, if a value does not fit its AVP."""
        if self.closed:
            return
        asked = self._received[ticket]
        body = self._complete(asked.request, answer)
        self._respond(CommandCode.CREDIT_CONTROL, asked.flags, asked.hop_by_hop, asked.end_to_end, body)
        del self._received[ticket]
        self._leave_when_drained()

    def probe(self, now: float) -> None:
        """Ask the peer whether it is still there, and wait for the answer only for `probe_seconds`."""
        if self.state is not State.OPEN or self._suspect:
            return
        if not self._watchdog_pending:
            self._ask_watchdog(now)
        self._suspect = True
        self._watchdog_at = min(self._watchdog_at, now + self.settings.probe_seconds)

    def disconnect(self, cause: DisconnectCause, now: float) -> None:
        """Leave: DisconnectAnswered or PeerFailed follows. New requests of the peer are put off from now on."""
        assert self.state is State.OPEN
        self._ask(DisconnectRequest(self.identity.host, self.identity.realm, cause), now)
        self.state = State.CLOSING
        self._watchdog_at = inf
        self._deadline = now + self.settings.disconnect_seconds

    def close(self) -> None:
        """End the session, as when the connection is lost. `unanswered` stays as it is."""
        self._received.clear()
        self._framing.clear()
        self._leave = None
        self.state = State.CLOSED

    # Receiving.

    def _refuse_stream(self, header: bytes, events: list[Event]) -> None:
        """Where one length is wrong, the beginning of the next message cannot be found: say so and close."""
        if len(header) == HEADER_OCTETS:
            unreadable = decode_message(header)
            if isinstance(unreadable, Unreadable) and self.state in _CONNECTED:
                self._refuse_unreadable(unreadable)
        self._fail(Failure.NOT_DIAMETER, events)

    def _receive_message(self, frame: bytes, now: float, events: list[Event]) -> None:
        self._hear(now)
        message = decode_message(frame)
        if isinstance(message, Unreadable):
            self._receive_unreadable(message, events)
        elif not message.is_request:
            self._receive_answer(message, now, events)
        elif self.state is State.WAIT_CAPABILITIES:
            self._receive_capabilities(message, events)
        else:
            self._receive_request(message, now, events)

    def _receive_unreadable(self, message: Unreadable, events: list[Event]) -> None:
        """Answer a request that cannot be read. An answer that cannot is none: its time-out tells."""
        if message.is_request:
            self._refuse_unreadable(message)
        if self.state is State.WAIT_CAPABILITIES and message.is_request:
            self._fail(Failure.NO_CAPABILITIES, events)

    def _refuse_unreadable(self, message: Unreadable) -> None:
        if not message.is_request:
            return
        failed = () if message.failed_avp is None else (message.failed_avp,)
        body: Answer
        if _is_readable_credit_control(message):
            assert message.session_id is not None
            assert message.request_type is not None
            assert message.request_number is not None
            body = CreditControlAnswer(
                message.session_id,
                self.identity.host,
                self.identity.realm,
                request_type=message.request_type,
                request_number=message.request_number,
                result_code=message.result_code,
                failed_avps=failed,
                proxies=message.proxies,
            )
        else:
            body = self._error(
                message.result_code, message.session_id, failed=failed, proxies=message.proxies
            )
        self._respond(
            message.command,
            message.flags,
            message.hop_by_hop,
            message.end_to_end,
            body,
            message.application_id,
        )

    def _receive_capabilities(self, message: Message, events: list[Event]) -> None:
        body = message.body
        if not isinstance(body, CapabilitiesExchangeRequest) or self.role is Role.INITIATOR:
            self._fail(Failure.NO_CAPABILITIES, events)
            return
        if self._capabilities is not None:  # the first is still being looked at
            self._refuse(message, ResultCode.UNABLE_TO_COMPLY)
            return
        self._capabilities = message
        self.peer_host = body.origin_host
        if body.inband_security_ids and InbandSecurity.NONE not in body.inband_security_ids:
            self.refuse(ResultCode.NO_COMMON_SECURITY)
            events.append(PeerFailed(Failure.CAPABILITIES_REFUSED))
        else:
            events.append(CapabilitiesReceived(body))

    def _receive_request(self, message: Message, now: float, events: list[Event]) -> None:
        body = message.body
        if isinstance(body, CreditControlRequest):
            self._receive_credit_control(message, body, events)
        elif isinstance(body, WatchdogRequest):
            self._respond_to(
                message,
                WatchdogAnswer(
                    ResultCode.SUCCESS,
                    self.identity.host,
                    self.identity.realm,
                    origin_state_id=self.identity.origin_state_id,
                ),
            )
        elif isinstance(body, DisconnectRequest):
            self._receive_disconnect(message, body, now, events)
        elif isinstance(body, CapabilitiesExchangeRequest):
            self._refuse(message, ResultCode.UNABLE_TO_COMPLY)
        else:  # RAR and ASR are for those who hold sessions of others
            self._refuse(message, ResultCode.COMMAND_UNSUPPORTED)

    def _receive_credit_control(
        self, message: Message, request: CreditControlRequest, events: list[Event]
    ) -> None:
        refusal, failed = self._refusal_of(request)
        if refusal is not None:
            answer = CreditControlAnswer(result_code=refusal, failed_avps=failed)
            self._respond_to(message, self._complete(request, answer))
            return
        self._ticket += 1
        self._received[self._ticket] = _Asked(request, message.flags, message.hop_by_hop, message.end_to_end)
        events.append(CreditControlReceived(self._ticket, message.end_to_end, request))

    def _refusal_of(self, request: CreditControlRequest) -> tuple[ResultCode | None, tuple[bytes, ...]]:
        """Why a request is not for us, with the AVP for Failed-AVP."""
        host, realm = self.identity.host, self.identity.realm
        if request.auth_application_id != ApplicationId.CREDIT_CONTROL:
            return ResultCode.INVALID_AVP_VALUE, (
                example_avp(AUTH_APPLICATION_ID, request.auth_application_id),
            )
        if ApplicationId.CREDIT_CONTROL not in self.settings.applications:
            return ResultCode.APPLICATION_UNSUPPORTED, ()
        if not _is_same(request.destination_realm, realm):
            return ResultCode.REALM_NOT_SERVED, ()
        if request.destination_host is not None and not _is_same(request.destination_host, host):
            return ResultCode.UNABLE_TO_DELIVER, ()
        if request.routes and any(_is_same(route, host) for route in request.routes):
            return ResultCode.LOOP_DETECTED, ()
        if self.state is not State.OPEN or len(self._received) >= self.settings.requests_most:
            return ResultCode.TOO_BUSY, ()
        if request.request_type is RequestType.EVENT and request.requested_action is None:
            return ResultCode.MISSING_AVP, (example_avp(REQUESTED_ACTION),)
        return None, ()

    def _receive_disconnect(
        self, message: Message, body: DisconnectRequest, now: float, events: list[Event]
    ) -> None:
        if self._leave is not None:
            self._refuse(message, ResultCode.UNABLE_TO_COMPLY)
            return
        self._leave = message
        if self.state is State.OPEN:
            self.state = State.LEAVING
            self._watchdog_at = inf
            self._deadline = now + self.settings.disconnect_seconds
        events.append(DisconnectReceived(body.cause))
        self._leave_when_drained()

    def _leave_when_drained(self) -> None:
        if self._leave is not None and not self._received:
            self._respond_to(
                self._leave, DisconnectAnswer(ResultCode.SUCCESS, self.identity.host, self.identity.realm)
            )
            self.close()

    def _receive_answer(self, message: Message, now: float, events: list[Event]) -> None:
        command, _ = self._sent.get(message.hop_by_hop, (None, 0.0))
        if command is None or message.command != command:
            return
        del self._sent[message.hop_by_hop]
        body = message.body
        if command is CommandCode.CAPABILITIES_EXCHANGE:
            assert isinstance(body, CapabilitiesExchangeAnswer | ErrorAnswer)
            self._receive_capabilities_answer(body, now, events)
        elif command is CommandCode.DISCONNECT_PEER:
            events.append(DisconnectAnswered())
            self.close()
        elif command is not CommandCode.DEVICE_WATCHDOG:
            events.append(RequestAnswered(message.hop_by_hop, cast(Answer, body)))

    def _receive_capabilities_answer(
        self, body: CapabilitiesExchangeAnswer | ErrorAnswer, now: float, events: list[Event]
    ) -> None:
        events.append(CapabilitiesAnswered(body))
        if isinstance(body, ErrorAnswer) or body.result_code != ResultCode.SUCCESS:
            self._fail(Failure.CAPABILITIES_REFUSED, events)
            return
        named = frozenset(body.auth_application_ids).union(
            each.auth_application_id
            for each in body.vendor_specific_applications
            if each.auth_application_id is not None
        )
        self.peer_host = body.origin_host
        if _common_application(self.settings, named):
            self._open(now)
        else:
            self._fail(Failure.NO_COMMON_APPLICATION, events)

    # Sending.

    def _ask(self, request: Request, now: float) -> int:
        command, application, flags = _HEADERS[type(request)]
        if isinstance(request, CreditControlRequest) and request.repeated:
            flags |= Flag.RETRANSMITTED
        hop_by_hop = self._next_id()
        self._write(Message(command, flags, application, hop_by_hop, hop_by_hop, request))
        self._sent[hop_by_hop] = (command, now + self.settings.response_seconds)
        return hop_by_hop

    def _next_id(self) -> int:
        """The id after the last one, and none that still waits for its answer."""
        self._id = self._id + 1 & _MOST_ID
        while self._id in self._sent:
            self._id = self._id + 1 & _MOST_ID
        return self._id

    def _complete(self, request: CreditControlRequest, answer: CreditControlAnswer) -> CreditControlAnswer:
        return replace(
            answer,
            session_id=request.session_id,
            origin_host=self.identity.host,
            origin_realm=self.identity.realm,
            auth_application_id=ApplicationId.CREDIT_CONTROL,
            request_type=request.request_type,
            request_number=request.request_number,
            origin_state_id=self.identity.origin_state_id,
            proxies=request.proxies,
        )

    def _error(
        self,
        result_code: ResultCode,
        session_id: str | None = None,
        *,
        failed: tuple[bytes, ...] = (),
        proxies: tuple[bytes, ...] = (),
    ) -> ErrorAnswer:
        return ErrorAnswer(
            session_id,
            self.identity.host,
            self.identity.realm,
            result_code,
            self.identity.origin_state_id,
            failed_avps=failed,
            proxies=proxies,
        )

    def _refuse(self, message: Message, result_code: ResultCode) -> None:
        body = message.body
        session_id = getattr(body, "session_id", None)
        self._respond_to(message, self._error(result_code, session_id, proxies=getattr(body, "proxies", ())))

    def _answer_capabilities(self, result_code: ResultCode, error_message: str | None = None) -> None:
        assert self._capabilities is not None
        self._respond_to(
            self._capabilities,
            CapabilitiesExchangeAnswer(
                result_code,
                self.identity.host,
                self.identity.realm,
                self.identity.addresses,
                self.identity.vendor_id,
                self.identity.product_name,
                self.identity.origin_state_id,
                error_message,
                supported_vendor_ids=(VENDOR_3GPP,),
                auth_application_ids=tuple(sorted(self.settings.applications)),
                inband_security_ids=(InbandSecurity.NONE,),
                vendor_specific_applications=_of_3gpp(self.settings),
            ),
        )

    def _respond_to(self, message: Message, body: Answer) -> None:
        self._respond(
            message.command,
            message.flags,
            message.hop_by_hop,
            message.end_to_end,
            body,
            message.application_id,
        )

    def _respond(
        self,
        command: int,
        flags: int,
        hop_by_hop: int,
        end_to_end: int,
        body: Answer,
        application: int = ApplicationId.CREDIT_CONTROL,
    ) -> None:
        """Answer with the ids and the P bit of the request, and the E bit where the result is a protocol error."""
        flags &= Flag.PROXIABLE
        if is_protocol_error(body.result_code):
            flags |= Flag.ERROR
        self._write(Message(command, flags, application, hop_by_hop, end_to_end, body))

    def _write(self, message: Message) -> None:
        self._output.append(encode_message(message))

    # State.

    def _open(self, now: float) -> None:
        self.state = State.OPEN
        self._deadline = inf
        self._watchdog_at = self._next_watchdog(now)

    def _hear(self, now: float) -> None:
        """Any message says that the peer is alive (RFC 3539 section 3.4.1)."""
        self._watchdog_pending = False
        self._suspect = False
        if self.state is State.OPEN:
            self._watchdog_at = self._next_watchdog(now)

    def _next_watchdog(self, now: float) -> float:
        return now + self.settings.watchdog_seconds + self._jitter_seconds()

    def _watch(self, now: float, events: list[Event]) -> None:
        """Tw is over: ask; suspect; give up."""
        if self._suspect:
            self._fail(Failure.LINK_DEAD, events)
            return
        if self._watchdog_pending:
            self._suspect = True
        else:
            self._ask_watchdog(now)
        self._watchdog_at = self._next_watchdog(now)

    def _ask_watchdog(self, now: float) -> None:
        self._watchdog_pending = True
        self._ask(
            WatchdogRequest(self.identity.host, self.identity.realm, self.identity.origin_state_id), now
        )

    def _meet_deadline(self, events: list[Event]) -> None:
        if self.state is State.WAIT_CAPABILITIES:
            self._fail(Failure.NO_CAPABILITIES, events)
        elif self.state is State.LEAVING:
            self._received.clear()
            self._leave_when_drained()
        elif self.state is State.CLOSING:
            self._fail(Failure.DISCONNECT_TIMEOUT, events)

    def _expire_requests(self, now: float, events: list[Event]) -> None:
        while self._sent:
            hop_by_hop, (command, deadline) = next(iter(self._sent.items()))
            if deadline > now:
                return
            del self._sent[hop_by_hop]
            if command not in _OWN_BUSINESS:  # what is of the session's own has its own timers
                events.append(RequestTimedOut(hop_by_hop))

    def _fail(self, failure: Failure, events: list[Event]) -> None:
        events.append(PeerFailed(failure))
        self.close()


def _is_same(name: str, ours: str) -> bool:
    """Whether a DiameterIdentity is ours: names of DNS know no case."""
    return name == ours or name.lower() == ours.lower()


def _of_3gpp(settings: SessionSettings) -> tuple[VendorSpecificApplication, ...]:
    """The applications once more, with the vendor whose AVPs are in them: there are peers that look only there."""
    return tuple(VendorSpecificApplication((VENDOR_3GPP,), each) for each in sorted(settings.applications))


def _common_application(settings: SessionSettings, named: frozenset[int]) -> bool:
    """Whether the peer speaks an application that it may; a relay speaks them all (RFC 6733 section 2.4)."""
    return RELAY_APPLICATION in named or bool(settings.applications & named)


def _is_readable_credit_control(message: Unreadable) -> bool:
    """Whether a CCA can be written: else, and for protocol errors, the answer is that of any command."""
    return (
        message.command == CommandCode.CREDIT_CONTROL
        and not is_protocol_error(message.result_code)
        and None not in (message.session_id, message.request_type, message.request_number)
    )
