"""One SMPP 3.4 connection as a state machine, for either side of it.

Pure: no I/O, no randomness, and `now` is an argument (seconds of any clock that does not go back). Octets go
into `receive`, events come out; what the session has to say collects until `take_output`, so that all answers
to one read are one write. Whoever drives it does, after every call: write `take_output()`, and close the
connection when `closed`; and calls `tick` at `next_tick`.

Nothing that a peer sends raises. An `answer_...` that comes after the session closed goes nowhere.

Source: SMPP Protocol Specification v3.4, issue 1.2, sections 2.2, 2.3, 2.7 and 7.2.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from typing import Any

from msgspec.structs import replace

from onecard.gateways.framing import Framing
from onecard.gateways.smpp.codec import DecodeError, decode_pdu, encode_pdu
from onecard.gateways.smpp.constants import (
    HEADER_OCTETS,
    INTERFACE_VERSION,
    MOST_PDU_OCTETS,
    MOST_SEQUENCE,
    RESPONSE_BIT,
    CommandId,
    CommandStatus,
    Tag,
)
from onecard.gateways.smpp.events import (
    AlertReceived,
    BindAnswered,
    BindMode,
    BindRequested,
    CancelReceived,
    Event,
    Failure,
    OutbindReceived,
    PeerFailed,
    QueryReceived,
    ReplaceReceived,
    RequestTimedOut,
    TextAnswered,
    TextReceived,
    UnbindAnswered,
    UnbindReceived,
)
from onecard.gateways.smpp.pdus import (
    Alert,
    Bind,
    BindAnswer,
    Body,
    MessageId,
    Outbind,
    Pdu,
    QueryAnswer,
    ShortMessage,
    Tlvs,
    find_tlv,
)
from onecard.gateways.smpp.states import (
    BOUND,
    MODES_OF_BINDS,
    RECEIVED_BY,
    SENT_BY,
    STATES_OF_MODES,
    Role,
    State,
)

_MOST_SHORT_MESSAGE_OCTETS = 254


@dataclass(frozen=True, slots=True)
class SessionSettings:
    """Bounds of one session: requests in flight each way, and the timers of section 7.2."""

    incoming_window: int = 100
    outgoing_window: int = 10
    enquire_link_seconds: float = 30.0
    response_seconds: float = 30.0
    bind_seconds: float = 10.0


_RESPONSES: dict[int, CommandId] = {
    command - RESPONSE_BIT: command for command in CommandId if command > CommandId.GENERIC_NACK
}
_TEXTS = frozenset({CommandId.SUBMIT_SM, CommandId.DELIVER_SM, CommandId.DATA_SM})

# Requests that the owner of the session answers; they fill the incoming window.
_AWAITING_ANSWER: dict[CommandId, Callable[[int, Any], Event]] = {
    CommandId.SUBMIT_SM: TextReceived,
    CommandId.DELIVER_SM: TextReceived,
    CommandId.DATA_SM: TextReceived,
    CommandId.QUERY_SM: QueryReceived,
    CommandId.CANCEL_SM: CancelReceived,
    CommandId.REPLACE_SM: ReplaceReceived,
}


class Session:
    """The state of one connection, from its opening at `now` to `closed`.

    `first_sequence` is the sequence number of our first request, 1 to 0x7FFFFFFF.
    """

    def __init__(self, role: Role, settings: SessionSettings, now: float, *, first_sequence: int = 1) -> None:
        assert settings.incoming_window > 0
        assert settings.outgoing_window > 0
        self.role = role
        self.settings = settings
        self.mode: BindMode | None = None
        self.peer_version = INTERFACE_VERSION
        self._sequence = first_sequence - 1
        self._bind_deadline = now + settings.bind_seconds
        self._bind_asked: tuple[BindMode, int] | None = None
        self._unbind_asked: tuple[int, float] | None = None
        self._heard_at = now
        self._output: list[bytes] = []
        self._framing = Framing(length_begin=0, header_octets=HEADER_OCTETS, octets_most=MOST_PDU_OCTETS)
        # Our requests without an answer: sequence -> command, deadline. All have the same time-out, so the
        # first is always the next one due.
        self._sent: dict[int, tuple[CommandId, float]] = {}
        self._enquiring = False
        self._received: dict[int, CommandId] = {}
        self._enter(State.OPEN)

    # What the session is.

    @property
    def state(self) -> State:
        """The state of section 2.2."""
        return self._state

    @property
    def closed(self) -> bool:
        """Whether the connection is to be closed, once the output is written."""
        return self._state is State.CLOSED

    @property
    def can_send(self) -> bool:
        """Whether texts may be sent to this peer at all, in this state."""
        return self._can_send

    @property
    def window_open(self) -> bool:
        """Whether a text may be sent now."""
        return self._can_send and len(self._sent) < self.settings.outgoing_window

    @property
    def unanswered(self) -> tuple[int, ...]:
        """The sequences of texts sent of which the outcome is not known; still there when `closed`."""
        return tuple(sequence for sequence, (command, _) in self._sent.items() if command in _TEXTS)

    @property
    def next_tick(self) -> float:
        """The time at which `tick` has something to do; infinite when `closed`."""
        if self.closed:
            return inf
        times = [self._bind_deadline if self._state is State.OPEN else inf]
        if self._sent:
            times.append(next(iter(self._sent.values()))[1])
        if self._unbind_asked:
            times.append(self._unbind_asked[1])
        if self._state in BOUND and not self._enquiring:
            times.append(self._heard_at + self.settings.enquire_link_seconds)
        return min(times)

    # Octets in, octets out, time.

    def receive(self, data: bytes, now: float) -> list[Event]:
        """Take what was read from the connection, in pieces of any size, and say what it meant."""
        events: list[Event] = []
        for frame in self._framing.cut(data):
            if self.closed:
                break
            self._receive_pdu(frame, now, events)
        if self._framing.bad_header is not None and not self.closed:
            self._refuse_stream(self._framing.bad_header, events)
        return events

    def take_output(self) -> bytes:
        """Give what is to be written, once."""
        output = b"".join(self._output)
        self._output.clear()
        return output

    def tick(self, now: float) -> list[Event]:
        """Do what is due: time-outs, and enquire_link to a peer that has been silent."""
        events: list[Event] = []
        if self._state is State.OPEN and now >= self._bind_deadline:
            self._fail(Failure.BIND_TIMEOUT, events)
        self._expire_requests(now, events)
        if self._unbind_asked and now >= self._unbind_asked[1]:
            self._received.clear()
            self._answer_unbind_when_drained()
        silent_since = self._heard_at + self.settings.enquire_link_seconds
        if self._state in BOUND and now >= silent_since and not self._enquiring:
            self._ask(CommandId.ENQUIRE_LINK, None, now)
            self._enquiring = True
        return events

    # Decisions of the owner.

    def bind(self, mode: BindMode, bind: Bind, now: float) -> None:
        """Client: ask to be bound; BindAnswered follows. Raises ValueError if a name is too long for SMPP."""
        assert self.role is Role.CLIENT
        assert self._state is State.OPEN
        assert self.mode is None
        self._ask(mode.value, bind, now)
        self.mode = mode
        self._bind_deadline = now + self.settings.bind_seconds

    def accept_bind(self, system_id: str) -> None:
        """Server: let the peer in; `system_id` names us to it."""
        if self.closed:
            return
        mode, sequence = self._take_bind()
        tlvs: Tlvs = ()
        if self.peer_version >= INTERFACE_VERSION:  # older peers must not be sent optional parameters
            tlvs = ((Tag.SC_INTERFACE_VERSION, bytes([INTERFACE_VERSION])),)
        self._respond(mode.value, CommandStatus.ESME_ROK, sequence, BindAnswer(system_id, tlvs))
        self._enter(STATES_OF_MODES[mode])
        self.mode = mode

    def refuse_bind(self, status: CommandStatus) -> None:
        """Server: turn the peer away and close, so that a connection is good for one guess of a password."""
        if self.closed:
            return
        mode, sequence = self._take_bind()
        self._respond(mode.value, status, sequence)
        self.close()

    def send_text(self, message: ShortMessage, now: float) -> int:
        """Send a text while `window_open`; TextAnswered or RequestTimedOut will name the sequence returned.

        Raises ValueError, and sends nothing, if the text does not fit its operation.
        """
        assert self.window_open
        assert self._state in SENT_BY[self.role].get(message.operation, frozenset())
        return self._ask(message.operation, self._fit_to_version(message), now)

    def answer_text(
        self, sequence: int, status: CommandStatus, message_id: str = "", tlvs: Tlvs = ()
    ) -> None:
        """Answer a TextReceived. `message_id` (up to 64 octets) is for texts submitted to us."""
        self._answer(sequence, status, MessageId(message_id, tlvs) if message_id or tlvs else None)

    def answer_query(self, sequence: int, status: CommandStatus, answer: QueryAnswer | None = None) -> None:
        """Answer a QueryReceived, with the `answer` if `status` is ESME_ROK."""
        assert (answer is None) == bool(status)
        self._answer(sequence, status, answer)

    def answer_cancel(self, sequence: int, status: CommandStatus) -> None:
        """Answer a CancelReceived."""
        self._answer(sequence, status, None)

    def answer_replace(self, sequence: int, status: CommandStatus) -> None:
        """Answer a ReplaceReceived."""
        self._answer(sequence, status, None)

    def refuse(self, sequence: int, status: CommandStatus) -> None:
        """Refuse a request of whichever kind, unless it was answered already."""
        assert status
        if sequence in self._received:
            self._answer(sequence, status, None)

    def unbind(self, now: float) -> None:
        """Leave. New requests of the peer are put off from now on; UnbindAnswered or PeerFailed follows."""
        assert self._state in BOUND
        self._ask(CommandId.UNBIND, None, now)
        self._enter(State.UNBOUND)

    def close(self) -> None:
        """End the session, as when the connection is lost. `unanswered` stays as it is."""
        self._received.clear()
        self._framing.clear()
        self._unbind_asked = None
        self._enter(State.CLOSED)

    # Receiving.

    def _refuse_stream(self, header: bytes, events: list[Event]) -> None:
        """Where one length is wrong, the beginning of the next PDU cannot be found: say so and close."""
        sequence = int.from_bytes(header[12:16], "big") if len(header) == HEADER_OCTETS else 0
        self._write(CommandId.GENERIC_NACK, CommandStatus.ESME_RINVCMDLEN, sequence, None)
        self._fail(Failure.NOT_SMPP, events)

    def _receive_pdu(self, frame: bytes, now: float, events: list[Event]) -> None:
        self._heard_at = now
        try:
            pdu = decode_pdu(frame)
        except DecodeError as error:
            self._refuse_unreadable(error)
            return
        if pdu.command & RESPONSE_BIT:
            self._receive_response(pdu, events)
        else:
            self._receive_request(pdu, now, events)

    def _refuse_unreadable(self, error: DecodeError) -> None:
        """Answer a request that cannot be read. A response that cannot is no response: its time-out tells."""
        if error.command & RESPONSE_BIT:
            return
        if error.status is CommandStatus.ESME_RINVCMDID:
            self._write(CommandId.GENERIC_NACK, error.status, error.sequence, None)
        else:
            self._respond(CommandId(error.command), error.status, error.sequence)

    def _receive_request(self, pdu: Pdu, now: float, events: list[Event]) -> None:
        refusal = self._refusal_of(pdu)
        event_of = _AWAITING_ANSWER.get(pdu.command)
        if refusal is not None:
            self._respond(pdu.command, refusal, pdu.sequence)
        elif event_of is not None:
            self._received[pdu.sequence] = pdu.command
            events.append(event_of(pdu.sequence, pdu.body))
        else:
            _AT_ONCE[pdu.command](self, pdu, now, events)

    def _refusal_of(self, pdu: Pdu) -> CommandStatus | None:
        if pdu.command not in self._receivable:
            return self._refusal_of_state(pdu.command)
        if pdu.command in _AWAITING_ANSWER:
            if len(self._received) >= self.settings.incoming_window:
                return CommandStatus.ESME_RTHROTTLED
            if pdu.sequence in self._received:  # its answer could not be told from that of the other one
                return CommandStatus.ESME_RSYSERR
        return None

    def _refusal_of_state(self, command: CommandId) -> CommandStatus:
        if command in MODES_OF_BINDS and self._state in BOUND and self.role is Role.SERVER:
            return CommandStatus.ESME_RALYBND
        if command in _AWAITING_ANSWER and self._state is State.UNBOUND:
            return CommandStatus.ESME_RTHROTTLED  # the peer could not know yet; it shall try again later
        return CommandStatus.ESME_RINVBNDSTS

    def _receive_bind(self, pdu: Pdu, _now: float, events: list[Event]) -> None:
        if self._bind_asked is not None:
            self._respond(pdu.command, CommandStatus.ESME_RALYBND, pdu.sequence)
            return
        assert isinstance(pdu.body, Bind)
        mode = MODES_OF_BINDS[pdu.command]
        self._bind_asked = (mode, pdu.sequence)
        self.peer_version = pdu.body.interface_version
        events.append(BindRequested(mode, pdu.body))

    def _receive_outbind(self, pdu: Pdu, _now: float, events: list[Event]) -> None:
        assert isinstance(pdu.body, Outbind)
        events.append(OutbindReceived(pdu.body))

    def _receive_alert(self, pdu: Pdu, _now: float, events: list[Event]) -> None:
        assert isinstance(pdu.body, Alert)
        events.append(AlertReceived(pdu.body))

    def _receive_unbind(self, pdu: Pdu, now: float, events: list[Event]) -> None:
        if self._unbind_asked is None:
            self._unbind_asked = (pdu.sequence, now + self.settings.response_seconds)
            self._enter(State.UNBOUND)
            events.append(UnbindReceived())
            self._answer_unbind_when_drained()

    def _receive_enquire_link(self, pdu: Pdu, _now: float, _events: list[Event]) -> None:
        self._respond(pdu.command, CommandStatus.ESME_ROK, pdu.sequence)

    def _receive_submit_multi(self, pdu: Pdu, _now: float, _events: list[Event]) -> None:
        """Refuse it: one text to many destinations would be charged, and answered, only in part."""
        self._respond(pdu.command, CommandStatus.ESME_RINVCMDID, pdu.sequence)

    def _receive_response(self, pdu: Pdu, events: list[Event]) -> None:
        command, _ = self._sent.get(pdu.sequence, (None, 0.0))
        if command is None:
            return
        if pdu.command != command | RESPONSE_BIT and pdu.command is not CommandId.GENERIC_NACK:
            return
        del self._sent[pdu.sequence]
        # A generic_nack is a refusal, whatever status it gives.
        status = pdu.status or (
            CommandStatus.ESME_RUNKNOWNERR if pdu.command is CommandId.GENERIC_NACK else 0
        )
        if command in _TEXTS:
            body = pdu.body if isinstance(pdu.body, MessageId) else MessageId()
            events.append(TextAnswered(pdu.sequence, status, body.message_id, body.tlvs))
        elif command in MODES_OF_BINDS:
            self._receive_bind_answer(pdu, status, events)
        elif command is CommandId.ENQUIRE_LINK:
            self._enquiring = False
        elif command is CommandId.UNBIND:
            events.append(UnbindAnswered())
            self.close()

    def _receive_bind_answer(self, pdu: Pdu, status: int, events: list[Event]) -> None:
        assert self.mode is not None
        if status:
            events.append(BindAnswered(status))
            self.close()
            return
        answer = pdu.body if isinstance(pdu.body, BindAnswer) else BindAnswer("")
        version = find_tlv(answer.tlvs, Tag.SC_INTERFACE_VERSION)
        self._enter(STATES_OF_MODES[self.mode])
        events.append(BindAnswered(0, answer.system_id, version[0] if version else None))

    # Sending.

    def _ask(self, command: CommandId, body: Body | None, now: float) -> int:
        sequence = self._next_sequence()
        self._write(command, CommandStatus.ESME_ROK, sequence, body)
        self._sent[sequence] = (command, now + self.settings.response_seconds)
        self._sequence = sequence
        return sequence

    def _next_sequence(self) -> int:
        """The number after the last one, 1 after the highest, and none that still waits for its answer."""
        sequence = self._sequence % MOST_SEQUENCE + 1
        while sequence in self._sent:
            sequence = sequence % MOST_SEQUENCE + 1
        return sequence

    def _answer(self, sequence: int, status: CommandStatus, body: Body | None) -> None:
        if self.closed:
            return
        assert sequence in self._received
        self._respond(self._received[sequence], status, sequence, body)
        del self._received[sequence]
        self._answer_unbind_when_drained()

    def _respond(
        self, command: CommandId, status: CommandStatus, sequence: int, body: Body | None = None
    ) -> None:
        response = _RESPONSES.get(command)
        if response is None:  # outbind and alert_notification have none
            return
        # Only submit_sm_resp leaves its body out when it refuses (section 4.4.2).
        if body is None and command in _TEXTS and (not status or command is not CommandId.SUBMIT_SM):
            body = MessageId()
        self._write(response, status, sequence, body)

    def _write(self, command: CommandId, status: CommandStatus, sequence: int, body: Body | None) -> None:
        self._output.append(encode_pdu(Pdu(command, status, sequence, body)))

    def _fit_to_version(self, message: ShortMessage) -> ShortMessage:
        """Leave optional parameters out for a peer of version 3.3 (they must not be sent there).

        A body too long for short_message keeps message_payload: there is no other way to carry it.
        """
        if self.peer_version >= INTERFACE_VERSION:
            return message
        too_long = len(message.body) > _MOST_SHORT_MESSAGE_OCTETS
        return replace(message, tlvs=(), body_in_payload=message.body_in_payload and too_long)

    # State.

    def _enter(self, state: State) -> None:
        self._state = state
        received, sent = RECEIVED_BY[self.role], SENT_BY[self.role]
        self._receivable = frozenset(command for command, states in received.items() if state in states)
        self._can_send = state in sent[CommandId.DATA_SM]

    def _take_bind(self) -> tuple[BindMode, int]:
        assert self._bind_asked is not None
        asked, self._bind_asked = self._bind_asked, None
        return asked

    def _answer_unbind_when_drained(self) -> None:
        if self._unbind_asked is not None and not self._received:
            self._respond(CommandId.UNBIND, CommandStatus.ESME_ROK, self._unbind_asked[0])
            self.close()

    def _expire_requests(self, now: float, events: list[Event]) -> None:
        while self._sent and not self.closed:
            sequence, (command, deadline) = next(iter(self._sent.items()))
            if deadline > now:
                return
            if command in _TEXTS:
                events.append(RequestTimedOut(sequence))
            elif command in MODES_OF_BINDS:
                self._fail(Failure.BIND_TIMEOUT, events)
            elif command is CommandId.UNBIND:
                self._fail(Failure.UNBIND_TIMEOUT, events)
            elif self._heard_at <= deadline - self.settings.response_seconds:
                self._fail(Failure.LINK_DEAD, events)
            else:
                self._enquiring = False
            del self._sent[sequence]

    def _fail(self, failure: Failure, events: list[Event]) -> None:
        events.append(PeerFailed(failure))
        self.close()


_AT_ONCE: dict[CommandId, Callable[[Session, Pdu, float, list[Event]], None]] = {
    CommandId.BIND_TRANSMITTER: Session._receive_bind,
    CommandId.BIND_RECEIVER: Session._receive_bind,
    CommandId.BIND_TRANSCEIVER: Session._receive_bind,
    CommandId.OUTBIND: Session._receive_outbind,
    CommandId.ALERT_NOTIFICATION: Session._receive_alert,
    CommandId.UNBIND: Session._receive_unbind,
    CommandId.ENQUIRE_LINK: Session._receive_enquire_link,
    CommandId.SUBMIT_MULTI: Session._receive_submit_multi,
}
