"""The session: its states, windows, timers and sequence numbers, and what it does with garbage."""

import random
from math import inf

import pytest
from msgspec.structs import replace

from onecard.gateways.smpp.codec import decode_pdu, encode_pdu
from onecard.gateways.smpp.constants import CommandId, CommandStatus, MessageState, Tag
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
    Bind,
    BindAnswer,
    MessageId,
    Outbind,
    Pdu,
    QueryAnswer,
    ShortMessage,
)
from onecard.gateways.smpp.session import Session, SessionSettings
from onecard.gateways.smpp.states import Role, State

from .golden import NAMED, ONE, TWO, VECTORS

START = 1000.0
SETTINGS = SessionSettings()
TEXT = ShortMessage(CommandId.SUBMIT_SM, ONE, TWO, b"hello", registered_delivery=1)
DELIVERY = replace(TEXT, operation=CommandId.DELIVER_SM)
OK = CommandStatus.ESME_ROK


def pdus_of(octets: bytes) -> list[Pdu]:
    """Read the output of a session, which must be whole PDUs."""
    found = []
    while octets:
        length = int.from_bytes(octets[:4], "big")
        found.append(decode_pdu(octets[:length]))
        octets = octets[length:]
    return found


def request(command: CommandId, sequence: int = 77) -> bytes:
    """The golden request of this command, with another sequence number."""
    golden = next(vector.pdu for vector in VECTORS if vector.pdu.command is command)
    return encode_pdu(replace(golden, sequence=sequence))


def bound_pair(
    mode: BindMode = BindMode.TRANSCEIVER, settings: SessionSettings = SETTINGS, first_sequence: int = 1
) -> tuple[Session, Session]:
    """A server and a client that are bound to each other."""
    server = Session(Role.SERVER, settings, START, first_sequence=first_sequence)
    client = Session(Role.CLIENT, settings, START, first_sequence=first_sequence)
    client.bind(mode, Bind("bank", "secret"), START)
    assert server.receive(client.take_output(), START) == [BindRequested(mode, Bind("bank", "secret"))]
    server.accept_bind("onecard")
    assert client.receive(server.take_output(), START) == [BindAnswered(0, "onecard", 0x34)]
    return server, client


def session_in(role: Role, state: State) -> Session:
    """A session of this role that got into this state by what it received."""
    if state is State.OPEN:
        return Session(role, SETTINGS, START)
    modes = {State.BOUND_TX: BindMode.TRANSMITTER, State.BOUND_RX: BindMode.RECEIVER}
    server, client = bound_pair(modes.get(state, BindMode.TRANSCEIVER))
    session = server if role is Role.SERVER else client
    if state in (State.UNBOUND, State.CLOSED):
        session.unbind(START)
        session.take_output()
    if state is State.CLOSED:
        session.close()
    assert session.state is state
    return session


@pytest.mark.parametrize(
    ("mode", "state", "client_sends", "server_sends"),
    [
        (BindMode.TRANSMITTER, State.BOUND_TX, True, False),
        (BindMode.RECEIVER, State.BOUND_RX, False, True),
        (BindMode.TRANSCEIVER, State.BOUND_TRX, True, True),
    ],
)
def test_a_bind_decides_who_may_send(
    mode: BindMode, state: State, client_sends: bool, server_sends: bool
) -> None:
    server, client = bound_pair(mode)
    assert (server.state, client.state) == (state, state)
    assert (client.window_open, server.window_open) == (client_sends, server_sends)


@pytest.mark.parametrize(("version", "told"), [(0x00, None), (0x33, None), (0x34, b"\x34"), (0x50, b"\x34")])
def test_only_a_peer_of_version_34_or_later_is_told_our_version(version: int, told: bytes | None) -> None:
    session = Session(Role.SERVER, SETTINGS, START)
    bind = Bind("bank", interface_version=version)
    session.receive(encode_pdu(Pdu(CommandId.BIND_TRANSCEIVER, 0, 1, bind)), START)
    session.accept_bind("onecard")
    tlvs = () if told is None else ((Tag.SC_INTERFACE_VERSION, told),)
    answer = Pdu(CommandId.BIND_TRANSCEIVER_RESP, 0, 1, BindAnswer("onecard", tlvs))
    assert pdus_of(session.take_output()) == [answer]


def test_a_peer_of_version_33_gets_no_optional_parameters() -> None:
    session = Session(Role.SERVER, SETTINGS, START)
    bind = Bind("old", interface_version=0x33)
    session.receive(encode_pdu(Pdu(CommandId.BIND_RECEIVER, 0, 1, bind)), START)
    session.accept_bind("onecard")
    session.take_output()
    session.send_text(replace(DELIVERY, body_in_payload=True, tlvs=((Tag.MESSAGE_STATE, b"\2"),)), START)
    long = replace(DELIVERY, body=bytes(300), body_in_payload=True)
    session.send_text(long, START)
    assert [pdu.body for pdu in pdus_of(session.take_output())] == [DELIVERY, long]


def test_a_client_learns_that_a_message_centre_tells_no_version() -> None:
    client = Session(Role.CLIENT, SETTINGS, START)
    client.bind(BindMode.RECEIVER, Bind("bank"), START)
    answer = encode_pdu(Pdu(CommandId.BIND_RECEIVER_RESP, 0, 1, BindAnswer("old")))
    assert client.receive(answer, START) == [BindAnswered(0, "old", None)]


def test_a_refused_bind_ends_both_sides() -> None:
    server = Session(Role.SERVER, SETTINGS, START)
    client = Session(Role.CLIENT, SETTINGS, START)
    client.bind(BindMode.TRANSCEIVER, Bind("bank", "guess"), START)
    server.receive(client.take_output(), START)
    server.refuse_bind(CommandStatus.ESME_RINVPASWD)
    answer = server.take_output()
    assert answer[16:] == b""
    assert client.receive(answer, START) == [BindAnswered(CommandStatus.ESME_RINVPASWD)]
    assert server.closed
    assert client.closed


def test_a_bind_that_is_nacked_is_refused() -> None:
    client = Session(Role.CLIENT, SETTINGS, START)
    client.bind(BindMode.TRANSCEIVER, Bind("bank"), START)
    events = client.receive(encode_pdu(Pdu(CommandId.GENERIC_NACK, 0, 1)), START)
    assert events == [BindAnswered(CommandStatus.ESME_RUNKNOWNERR)]
    assert client.closed


@pytest.mark.parametrize("answered", [True, False])
def test_a_second_bind_is_refused_before_and_after_the_answer_to_the_first(answered: bool) -> None:
    server = Session(Role.SERVER, SETTINGS, START)
    server.receive(request(CommandId.BIND_RECEIVER), START)
    if answered:
        server.accept_bind("onecard")
    server.take_output()
    assert server.receive(request(CommandId.BIND_TRANSMITTER, 78), START) == []
    refusal = Pdu(CommandId.BIND_TRANSMITTER_RESP, CommandStatus.ESME_RALYBND, 78)
    assert pdus_of(server.take_output()) == [refusal]


BOUND_STATES = frozenset({State.BOUND_TX, State.BOUND_RX, State.BOUND_TRX})
TO_SERVER = {
    CommandId.BIND_TRANSMITTER: {State.OPEN},
    CommandId.BIND_RECEIVER: {State.OPEN},
    CommandId.BIND_TRANSCEIVER: {State.OPEN},
    CommandId.SUBMIT_SM: {State.BOUND_TX, State.BOUND_TRX},
    CommandId.DATA_SM: {State.BOUND_TX, State.BOUND_TRX},
    CommandId.QUERY_SM: {State.BOUND_TX, State.BOUND_TRX},
    CommandId.CANCEL_SM: {State.BOUND_TX, State.BOUND_TRX},
    CommandId.REPLACE_SM: {State.BOUND_TX, State.BOUND_TRX},
    CommandId.UNBIND: BOUND_STATES | {State.UNBOUND},
    CommandId.DELIVER_SM: set(),
    CommandId.OUTBIND: set(),
    CommandId.ALERT_NOTIFICATION: set(),
}
TO_CLIENT = {
    CommandId.OUTBIND: {State.OPEN},
    CommandId.DELIVER_SM: {State.BOUND_RX, State.BOUND_TRX},
    CommandId.DATA_SM: {State.BOUND_RX, State.BOUND_TRX},
    CommandId.ALERT_NOTIFICATION: {State.BOUND_RX, State.BOUND_TRX},
    CommandId.UNBIND: BOUND_STATES | {State.UNBOUND},
    CommandId.SUBMIT_SM: set(),
    CommandId.QUERY_SM: set(),
    CommandId.BIND_TRANSCEIVER: set(),
}
OPEN_STATES = [state for state in State if state is not State.CLOSED]
CASES = [
    pytest.param(role, command, state, state in states, id=f"{role.value}-{command.name}-{state.value}")
    for role, table in ((Role.SERVER, TO_SERVER), (Role.CLIENT, TO_CLIENT))
    for command, states in table.items()
    for state in OPEN_STATES
]


@pytest.mark.parametrize(("role", "command", "state", "allowed"), CASES)
def test_a_request_is_taken_in_the_states_of_the_specification_only(
    role: Role, command: CommandId, state: State, allowed: bool
) -> None:
    session = session_in(role, state)
    events = session.receive(request(command), START)
    assert bool(events) is allowed
    answers = pdus_of(session.take_output())
    if not allowed and command not in (CommandId.OUTBIND, CommandId.ALERT_NOTIFICATION):
        assert [(answer.command, answer.sequence) for answer in answers] == [(command | 0x8000_0000, 77)]
        assert answers[0].status in (
            CommandStatus.ESME_RINVBNDSTS,
            CommandStatus.ESME_RALYBND,
            CommandStatus.ESME_RTHROTTLED,
        )


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("state", OPEN_STATES)
def test_enquire_link_is_answered_in_every_state(role: Role, state: State) -> None:
    session = session_in(role, state)
    assert session.receive(request(CommandId.ENQUIRE_LINK), START) == []
    assert pdus_of(session.take_output()) == [Pdu(CommandId.ENQUIRE_LINK_RESP, 0, 77)]


def test_a_submit_sm_of_a_receiver_is_refused_as_wrong_in_this_state() -> None:
    session = session_in(Role.SERVER, State.BOUND_RX)
    session.receive(request(CommandId.SUBMIT_SM), START)
    refusal = Pdu(CommandId.SUBMIT_SM_RESP, CommandStatus.ESME_RINVBNDSTS, 77)
    assert pdus_of(session.take_output()) == [refusal]


def test_a_text_that_crosses_our_unbind_is_put_off_not_refused_for_good() -> None:
    session = session_in(Role.SERVER, State.UNBOUND)
    assert session.receive(request(CommandId.SUBMIT_SM), START) == []
    refusal = Pdu(CommandId.SUBMIT_SM_RESP, CommandStatus.ESME_RTHROTTLED, 77)
    assert pdus_of(session.take_output()) == [refusal]


def test_submit_multi_is_refused_by_its_own_response() -> None:
    session = session_in(Role.SERVER, State.BOUND_TRX)
    assert session.receive(request(CommandId.SUBMIT_MULTI), START) == []
    refusal = Pdu(CommandId.SUBMIT_MULTI_RESP, CommandStatus.ESME_RINVCMDID, 77)
    assert pdus_of(session.take_output()) == [refusal]


def test_texts_are_answered_in_any_order_and_all_in_one_output() -> None:
    server, client = bound_pair()
    first = client.send_text(TEXT, START)
    second = client.send_text(TEXT, START)
    assert server.receive(client.take_output(), START) == [
        TextReceived(first, TEXT),
        TextReceived(second, TEXT),
    ]
    server.answer_text(second, OK, "m2")
    server.answer_text(first, CommandStatus.ESME_RINVDSTADR)
    assert client.receive(server.take_output(), START) == [
        TextAnswered(second, OK, "m2"),
        TextAnswered(first, CommandStatus.ESME_RINVDSTADR),
    ]
    assert server.take_output() == b""
    assert client.unanswered == ()


def test_a_delivery_is_answered_without_a_message_id() -> None:
    server, client = bound_pair()
    sequence = server.send_text(DELIVERY, START)
    assert client.receive(server.take_output(), START) == [TextReceived(sequence, DELIVERY)]
    client.answer_text(sequence, OK)
    answer = client.take_output()
    assert pdus_of(answer) == [Pdu(CommandId.DELIVER_SM_RESP, 0, sequence, MessageId())]
    assert server.receive(answer, START) == [TextAnswered(sequence, OK)]


def test_an_answer_of_data_sm_carries_why_it_failed() -> None:
    server, client = bound_pair()
    sequence = client.send_text(replace(TEXT, operation=CommandId.DATA_SM, body_in_payload=True), START)
    server.receive(client.take_output(), START)
    reason = ((Tag.DELIVERY_FAILURE_REASON.value, b"\1"),)
    server.answer_text(sequence, CommandStatus.ESME_RDELIVERYFAILURE, tlvs=reason)
    assert client.receive(server.take_output(), START) == [
        TextAnswered(sequence, CommandStatus.ESME_RDELIVERYFAILURE, "", reason)
    ]


def test_query_cancel_and_replace_are_asked_and_answered() -> None:
    server = session_in(Role.SERVER, State.BOUND_TRX)
    commands = (CommandId.QUERY_SM, CommandId.CANCEL_SM, CommandId.REPLACE_SM)
    asked = b"".join(request(command, command) for command in commands)
    events = server.receive(asked, START)
    assert [type(event) for event in events] == [QueryReceived, CancelReceived, ReplaceReceived]
    answer = QueryAnswer("a1b2c3", "", MessageState.ENROUTE)
    server.answer_query(CommandId.QUERY_SM, OK, answer)
    server.answer_cancel(CommandId.CANCEL_SM, CommandStatus.ESME_RCANCELFAIL)
    server.answer_replace(CommandId.REPLACE_SM, OK)
    assert pdus_of(server.take_output()) == [
        Pdu(CommandId.QUERY_SM_RESP, 0, CommandId.QUERY_SM, answer),
        Pdu(CommandId.CANCEL_SM_RESP, CommandStatus.ESME_RCANCELFAIL, CommandId.CANCEL_SM),
        Pdu(CommandId.REPLACE_SM_RESP, 0, CommandId.REPLACE_SM),
    ]


def test_an_unknown_query_is_refused_without_a_body() -> None:
    server = session_in(Role.SERVER, State.BOUND_TRX)
    server.receive(request(CommandId.QUERY_SM), START)
    server.answer_query(77, CommandStatus.ESME_RQUERYFAIL)
    assert pdus_of(server.take_output()) == [Pdu(CommandId.QUERY_SM_RESP, CommandStatus.ESME_RQUERYFAIL, 77)]


def test_a_client_hears_outbind_and_alert_notification() -> None:
    client = session_in(Role.CLIENT, State.OPEN)
    assert client.receive(NAMED["outbind"], START) == [OutbindReceived(Outbind("host", "pw"))]
    client = session_in(Role.CLIENT, State.BOUND_RX)
    (event,) = client.receive(NAMED["alert_notification"], START)
    assert isinstance(event, AlertReceived)
    assert client.take_output() == b""


# Windows and sequence numbers.


def test_the_outgoing_window_closes_when_full_and_opens_with_an_answer() -> None:
    server, client = bound_pair(settings=SessionSettings(outgoing_window=2))
    first = client.send_text(TEXT, START)
    client.send_text(TEXT, START)
    assert not client.window_open
    server.receive(client.take_output(), START)
    server.answer_text(first, OK, "m1")
    client.receive(server.take_output(), START)
    assert client.window_open


def test_a_text_over_the_incoming_window_is_throttled_by_the_session_itself() -> None:
    server, client = bound_pair(settings=SessionSettings(incoming_window=2, outgoing_window=3))
    first, second, third = (client.send_text(TEXT, START) for _ in range(3))
    events = server.receive(client.take_output(), START)
    assert events == [TextReceived(first, TEXT), TextReceived(second, TEXT)]
    answers = client.receive(server.take_output(), START)
    assert answers == [TextAnswered(third, CommandStatus.ESME_RTHROTTLED)]
    server.answer_text(first, OK, "m1")
    assert server.receive(request(CommandId.SUBMIT_SM, 99), START) != []


def test_a_sequence_number_in_use_is_not_taken_twice() -> None:
    server = session_in(Role.SERVER, State.BOUND_TRX)
    assert len(server.receive(request(CommandId.SUBMIT_SM) * 2, START)) == 1
    (refusal,) = pdus_of(server.take_output())
    assert (refusal.status, refusal.sequence) == (CommandStatus.ESME_RSYSERR, 77)


@pytest.mark.parametrize("sequence", [0, 0x8000_0000, 0xFFFF_FFFF])
def test_a_sequence_number_out_of_range_is_echoed(sequence: int) -> None:
    server = session_in(Role.SERVER, State.BOUND_TRX)
    (event,) = server.receive(request(CommandId.SUBMIT_SM, sequence), START)
    assert isinstance(event, TextReceived)
    server.answer_text(event.sequence, OK, "m1")
    assert pdus_of(server.take_output())[0].sequence == sequence


def test_sequence_numbers_go_on_at_one_after_the_highest() -> None:
    _, client = bound_pair(first_sequence=0x7FFF_FFFE)
    assert [client.send_text(TEXT, START) for _ in range(3)] == [0x7FFF_FFFF, 1, 2]


def test_a_sequence_number_that_still_waits_is_skipped() -> None:
    _, client = bound_pair(settings=SessionSettings(outgoing_window=5), first_sequence=0x7FFF_FFFE)
    waiting = [client.send_text(TEXT, START) for _ in range(3)]
    client._sequence = 0x7FFF_FFFE  # as if 2,147,483,647 texts had been answered meanwhile
    assert waiting == [0x7FFF_FFFF, 1, 2]
    assert client.send_text(TEXT, START) == 3


def test_a_text_that_does_not_fit_is_not_sent_and_takes_no_room() -> None:
    _, client = bound_pair()
    with pytest.raises(ValueError, match="does not fit"):
        client.send_text(replace(TEXT, body=bytes(300)), START)
    assert client.take_output() == b""
    assert client.unanswered == ()


# Responses that are none.


@pytest.mark.parametrize(
    "answer",
    [
        Pdu(CommandId.SUBMIT_SM_RESP, 0, 999, MessageId("m1")),
        Pdu(CommandId.DATA_SM_RESP, 0, 2, MessageId("m1")),
        Pdu(CommandId.GENERIC_NACK, CommandStatus.ESME_RINVCMDID, 0),
        Pdu(CommandId.ENQUIRE_LINK_RESP, 0, 2),
    ],
)
def test_a_response_to_nothing_we_asked_changes_nothing(answer: Pdu) -> None:
    _, client = bound_pair()
    assert client.send_text(TEXT, START) == 2
    client.take_output()
    assert client.receive(encode_pdu(answer), START) == []
    assert client.take_output() == b""
    assert client.unanswered == (2,)


def test_a_response_that_cannot_be_read_leaves_the_text_to_its_time_out() -> None:
    _, client = bound_pair()
    sequence = client.send_text(TEXT, START)
    frame = b"\0\0\0\x12\x80\0\0\4\0\0\0\0\0\0\0\2xx"
    assert client.receive(frame, START) == []
    assert client.unanswered == (sequence,)


@pytest.mark.parametrize("status", [0, CommandStatus.ESME_RINVCMDID])
def test_a_text_that_is_nacked_was_not_accepted(status: int) -> None:
    _, client = bound_pair()
    sequence = client.send_text(TEXT, START)
    (event,) = client.receive(encode_pdu(Pdu(CommandId.GENERIC_NACK, status, sequence)), START)
    assert isinstance(event, TextAnswered)
    assert event.status != 0


# Timers.


def test_a_connection_that_does_not_bind_in_time_is_closed() -> None:
    server = Session(Role.SERVER, SETTINGS, START)
    assert server.next_tick == START + SETTINGS.bind_seconds
    assert server.tick(START + SETTINGS.bind_seconds - 1) == []
    assert server.tick(START + SETTINGS.bind_seconds) == [PeerFailed(Failure.BIND_TIMEOUT)]
    assert server.closed
    assert server.next_tick == inf


def test_a_decision_on_a_bind_that_comes_after_its_time_goes_nowhere() -> None:
    server = Session(Role.SERVER, SETTINGS, START)
    server.receive(request(CommandId.BIND_TRANSCEIVER), START)
    server.tick(START + SETTINGS.bind_seconds)
    server.accept_bind("onecard")
    assert server.take_output() == b""
    assert server.closed


def test_a_message_centre_that_does_not_answer_a_bind_is_left() -> None:
    client = Session(Role.CLIENT, SETTINGS, START)
    client.bind(BindMode.TRANSCEIVER, Bind("bank"), START)
    assert client.tick(client.next_tick) == [PeerFailed(Failure.BIND_TIMEOUT)]


def test_a_silent_peer_is_asked_and_an_answer_keeps_it() -> None:
    server, client = bound_pair()
    asked_at = START + SETTINGS.enquire_link_seconds
    assert server.next_tick == asked_at
    assert server.tick(asked_at) == []
    assert server.tick(asked_at + 1) == []
    enquiry = server.take_output()
    assert [pdu.command for pdu in pdus_of(enquiry)] == [CommandId.ENQUIRE_LINK]
    client.receive(enquiry, asked_at + 2)
    assert server.receive(client.take_output(), asked_at + 2) == []
    assert server.next_tick == asked_at + 2 + SETTINGS.enquire_link_seconds


def test_a_peer_that_does_not_answer_enquire_link_is_dead() -> None:
    server, client = bound_pair()
    server.tick(server.next_tick)
    assert server.next_tick == START + SETTINGS.enquire_link_seconds + SETTINGS.response_seconds
    assert server.tick(server.next_tick) == [PeerFailed(Failure.LINK_DEAD)]
    assert server.closed
    assert not client.closed


def test_a_peer_that_answers_no_enquire_link_but_is_heard_is_alive_and_asked_again() -> None:
    server, client = bound_pair()
    asked_at = server.next_tick
    server.tick(asked_at)
    server.take_output()
    client.send_text(TEXT, asked_at)
    server.receive(client.take_output(), asked_at + 5)
    assert server.tick(asked_at + SETTINGS.response_seconds) == []
    assert server.tick(asked_at + 5 + SETTINGS.enquire_link_seconds) == []
    assert [pdu.command for pdu in pdus_of(server.take_output())] == [CommandId.ENQUIRE_LINK]


def test_a_text_without_an_answer_times_out_and_a_late_answer_is_ignored() -> None:
    server, client = bound_pair()
    first = client.send_text(TEXT, START)
    second = client.send_text(TEXT, START + 1)
    server.receive(client.take_output(), START)
    due = START + SETTINGS.response_seconds
    assert client.tick(due) == [RequestTimedOut(first)]
    assert client.unanswered == (second,)
    server.answer_text(first, OK, "m1")
    assert client.receive(server.take_output(), due) == []
    assert client.tick(due + 1) == [RequestTimedOut(second)]


def test_a_lost_connection_leaves_the_texts_that_nobody_answered() -> None:
    _, client = bound_pair()
    sequence = client.send_text(TEXT, START)
    client.close()
    assert client.unanswered == (sequence,)
    assert client.tick(START + 1000) == []
    assert client.receive(request(CommandId.DELIVER_SM), START) == []


# Unbind.


def test_an_unbind_is_answered_and_ends_both_sides() -> None:
    server, client = bound_pair()
    client.unbind(START)
    assert server.receive(client.take_output(), START) == [UnbindReceived()]
    assert server.closed
    assert client.receive(server.take_output(), START) == [UnbindAnswered()]
    assert client.closed


def test_an_unbind_is_answered_after_the_texts_before_it() -> None:
    server, client = bound_pair()
    sequence = client.send_text(TEXT, START)
    client.unbind(START)
    events = server.receive(client.take_output(), START)
    assert events == [TextReceived(sequence, TEXT), UnbindReceived()]
    assert not server.closed
    assert not server.window_open
    server.answer_text(sequence, OK, "m1")
    assert server.closed
    answers = client.receive(server.take_output(), START)
    assert answers == [TextAnswered(sequence, OK, "m1"), UnbindAnswered()]


def test_an_unbind_does_not_wait_for_ever() -> None:
    server, client = bound_pair()
    sequence = client.send_text(TEXT, START)
    client.unbind(START)
    server.receive(client.take_output(), START)
    server.tick(server.next_tick)
    assert [pdu.command for pdu in pdus_of(server.take_output())] == [CommandId.UNBIND_RESP]
    assert server.closed
    server.answer_text(sequence, OK, "m1")
    assert server.take_output() == b""


def test_an_unbind_without_an_answer_times_out() -> None:
    _, client = bound_pair()
    client.unbind(START)
    assert client.tick(client.next_tick) == [PeerFailed(Failure.UNBIND_TIMEOUT)]


def test_unbinds_that_cross_end_both_sides() -> None:
    server, client = bound_pair()
    server.unbind(START)
    client.unbind(START)
    from_server, from_client = server.take_output(), client.take_output()
    assert server.receive(from_client, START) == [UnbindReceived()]
    assert client.receive(from_server, START) == [UnbindReceived()]
    assert server.closed
    assert client.closed


# Garbage.


@pytest.mark.parametrize("length", [0, 15, 65_537, 0x4745_5420])
@pytest.mark.parametrize("state", OPEN_STATES)
def test_a_length_that_no_pdu_has_ends_the_session(length: int, state: State) -> None:
    session = session_in(Role.SERVER, state)
    octets = length.to_bytes(4, "big") + bytes(8) + b"\0\0\0\x09" + bytes(100)
    assert session.receive(octets, START) == [PeerFailed(Failure.NOT_SMPP)]
    nack = Pdu(CommandId.GENERIC_NACK, CommandStatus.ESME_RINVCMDLEN, 9)
    assert pdus_of(session.take_output()) == [nack]
    assert session.closed


def test_an_unknown_command_is_nacked_and_the_session_goes_on() -> None:
    session = session_in(Role.SERVER, State.BOUND_TRX)
    unknown = b"\0\0\0\x10\0\0\0\x63\0\0\0\0\0\0\0\x09"
    events = session.receive(unknown + request(CommandId.SUBMIT_SM), START)
    assert len(events) == 1
    nack = Pdu(CommandId.GENERIC_NACK, CommandStatus.ESME_RINVCMDID, 9)
    assert pdus_of(session.take_output()) == [nack]


def test_an_unknown_response_is_not_nacked() -> None:
    session = session_in(Role.SERVER, State.BOUND_TRX)
    assert session.receive(b"\0\0\0\x10\x80\0\0\x63\0\0\0\0\0\0\0\x09", START) == []
    assert session.take_output() == b""


def test_a_request_that_cannot_be_read_is_refused_by_its_own_response() -> None:
    session = session_in(Role.SERVER, State.BOUND_TRX)
    cut = NAMED["submit_sm with a user data header"][:-1]
    session.receive(len(cut).to_bytes(4, "big") + cut[4:], START)
    refusal = Pdu(CommandId.SUBMIT_SM_RESP, CommandStatus.ESME_RINVMSGLEN, 9)
    assert pdus_of(session.take_output()) == [refusal]


def conversation() -> bytes:
    """What a client may send in one go: everything that a bound server answers or passes on."""
    commands = (
        *(CommandId.SUBMIT_SM, CommandId.ENQUIRE_LINK, CommandId.DATA_SM, CommandId.QUERY_SM),
        *(CommandId.DELIVER_SM, CommandId.SUBMIT_MULTI, CommandId.SUBMIT_SM, CommandId.UNBIND),
    )
    return b"".join(request(command, sequence) for sequence, command in enumerate(commands, start=1))


def heard(pieces: list[bytes]) -> tuple[list[Event], bytes]:
    session = session_in(Role.SERVER, State.BOUND_TRX)
    events = [event for piece in pieces for event in session.receive(piece, START)]
    return events, session.take_output()


def test_the_pieces_that_a_stream_comes_in_make_no_difference() -> None:
    stream = conversation()
    whole = heard([stream])
    assert len(whole[0]) == 5
    for cut in range(1, len(stream)):
        assert heard([stream[:cut], stream[cut:]]) == whole
    assert heard([stream[place : place + 1] for place in range(len(stream))]) == whole


def mutated(chance: random.Random, octets: bytes) -> bytes:
    """Change, cut, double or insert octets; in most cases keep command_length true, to get past framing."""
    changed = bytearray(octets)
    for _ in range(chance.randint(1, 4)):
        place = chance.randrange(len(changed)) if changed else 0
        match chance.randrange(5):
            case 0:
                changed[place : place + 1] = bytes([chance.randrange(256)])
            case 1:
                del changed[place : place + chance.randint(1, 8)]
            case 2:
                changed[place:place] = chance.randbytes(chance.randint(1, 8))
            case 3:
                changed[place:place] = changed[place : place + 20]
            case _:
                changed[place : place + 1] = chance.choice([b"\0", b"\xff", b"\x7f", b""])
    if chance.random() < 0.9 and len(changed) >= 16:
        changed[:4] = len(changed).to_bytes(4, "big")
    return bytes(changed)


def answer_at_random(chance: random.Random, session: Session, events: list[Event]) -> None:
    for event in events:
        if chance.random() < 0.3:
            continue
        match event:
            case BindRequested():
                session.accept_bind("onecard")
            case TextReceived():
                session.answer_text(event.sequence, chance.choice([OK, CommandStatus.ESME_RSYSERR]), "m")
            case QueryReceived():
                session.answer_query(event.sequence, CommandStatus.ESME_RQUERYFAIL)
            case CancelReceived():
                session.answer_cancel(event.sequence, OK)
            case ReplaceReceived():
                session.answer_replace(event.sequence, OK)
            case _:
                pass


def assert_bounded(session: Session) -> None:
    assert session._framing.waiting_octets < 65_536
    assert len(session._received) <= SETTINGS.incoming_window
    assert len(session._sent) <= SETTINGS.outgoing_window + 2  # enquire_link and unbind


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("state", OPEN_STATES)
def test_mutated_pdus_raise_nothing_and_leave_nothing_behind(role: Role, state: State) -> None:
    chance = random.Random(f"{role.value} {state.value}")  # noqa: S311 -- the same ones every time
    frames = [vector.octets for vector in VECTORS]
    now, session = START, session_in(role, state)
    for number in range(5_000):  # ten cases: 50,000 in all
        if session.closed or number % 500 == 0:
            now, session = START, session_in(role, state)
        octets = mutated(chance, chance.choice(frames))
        cut = chance.randint(0, len(octets))
        now += chance.random() / 10
        for piece in (octets[:cut], octets[cut:]):
            events = session.receive(piece, now)
            answer_at_random(chance, session, events)
        if session.window_open and chance.random() < 0.2:
            session.send_text(TEXT if role is Role.CLIENT else DELIVERY, now)
        session.tick(now)
        pdus_of(session.take_output())
        assert_bounded(session)
