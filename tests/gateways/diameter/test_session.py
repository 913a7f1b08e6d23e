"""The session against a peer that is one too, against one that breaks the rules, and against time."""

from __future__ import annotations

import random
from ipaddress import IPv4Address
from typing import TypeVar

import pytest
from msgspec.structs import replace

from onecard.gateways.diameter.codec import decode_message, encode_message
from onecard.gateways.diameter.constants import (
    ApplicationId,
    CommandCode,
    DisconnectCause,
    Flag,
    ReAuthRequestType,
    RequestType,
    ResultCode,
)
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
    CapabilitiesExchangeAnswer,
    CapabilitiesExchangeRequest,
    CreditControlAnswer,
    CreditControlRequest,
    DisconnectRequest,
    ErrorAnswer,
    Message,
    ReAuthAnswer,
    ReAuthRequest,
    ServiceAnswer,
    WatchdogAnswer,
    WatchdogRequest,
)
from onecard.gateways.diameter.session import Identity, Role, Session, SessionSettings, State

from .golden import NAMED, VECTORS
from .octets import avp, message, number
from .test_codec import mutate

ADDRESSES = (IPv4Address("192.0.2.1"),)
US = Identity("ocs.onecard.example", "onecard.example", ADDRESSES, origin_state_id=9)
THEM = Identity("pgw.host.example", "host.example", ADDRESSES)
SETTINGS = SessionSettings()
UPDATE = NAMED["CCR update of data, sent again"]
Kind = TypeVar("Kind")


def one(events: list[Event], kind: type[Kind]) -> Kind:
    """The one event of this kind."""
    (found,) = [event for event in events if isinstance(event, kind)]
    return found


def responder(settings: SessionSettings = SETTINGS) -> Session:
    return Session(Role.RESPONDER, US, settings, 0.0)


def opened(settings: SessionSettings = SETTINGS) -> Session:
    """A session of ours that the peer of the golden CER has opened at 0."""
    session = responder(settings)
    one(session.receive(NAMED["CER"].octets, 0.0), CapabilitiesReceived)
    assert session.accept(settings, 0.0)
    session.take_output()
    return session


def pair() -> tuple[Session, Session]:
    """We and a peer that called us, both open."""
    ours, theirs = responder(), Session(Role.INITIATOR, THEM, SETTINGS, 0.0, first_id=0xFFFFFFFE)
    theirs.start(0.0)
    one(ours.receive(theirs.take_output(), 0.0), CapabilitiesReceived)
    assert ours.accept(SETTINGS, 0.0)
    one(theirs.receive(ours.take_output(), 0.0), CapabilitiesAnswered)
    return ours, theirs


def said(session: Session) -> list[Message]:
    """What the session has to say, read."""
    octets, messages = session.take_output(), []
    while octets:
        length = int.from_bytes(octets[1:4], "big")
        decoded = decode_message(octets[:length])
        assert isinstance(decoded, Message)
        messages.append(decoded)
        octets = octets[length:]
    return messages


def request(**changes: object) -> bytes:
    """The golden update with other contents."""
    assert isinstance(UPDATE.message.body, CreditControlRequest)
    return encode_message(replace(UPDATE.message, body=replace(UPDATE.message.body, **changes)))


def rar() -> ReAuthRequest:
    kind = ReAuthRequestType.AUTHORIZE_ONLY
    return ReAuthRequest(
        "pgw;1", US.host, US.realm, THEM.realm, THEM.host, ApplicationId.CREDIT_CONTROL, kind
    )


def test_capabilities_name_host_realm_addresses_application_and_vendor() -> None:
    session = responder()
    session.receive(NAMED["CER"].octets, 0.0)
    session.accept(SETTINGS, 0.0)
    (answer,) = said(session)
    body = answer.body
    assert isinstance(body, CapabilitiesExchangeAnswer)
    assert (body.result_code, body.origin_host, body.origin_realm) == (2001, US.host, US.realm)
    assert (body.auth_application_ids, body.supported_vendor_ids) == ((4,), (10415,))
    assert (body.host_addresses, body.inband_security_ids) == (ADDRESSES, (0,))
    assert session.state is State.OPEN


def test_a_peer_that_is_refused_is_told_why_and_the_connection_ends() -> None:
    session = responder()
    session.receive(NAMED["CER"].octets, 0.0)
    session.refuse(ResultCode.UNKNOWN_PEER, "who?")
    (answer,) = said(session)
    assert answer.flags & Flag.ERROR
    assert isinstance(answer.body, ErrorAnswer)
    assert (answer.body.result_code, answer.body.error_message) == (3010, "who?")
    assert session.closed


CER = NAMED["CER"].message.body
assert isinstance(CER, CapabilitiesExchangeRequest)
WRONG_CAPABILITIES = [
    (5010, replace(CER, auth_application_ids=(16777238,), vendor_specific_applications=())),
    (5017, replace(CER, inband_security_ids=(1,))),
]


@pytest.mark.parametrize(("code", "body"), WRONG_CAPABILITIES)
def test_a_peer_with_nothing_in_common_is_refused(code: int, body: CapabilitiesExchangeRequest) -> None:
    session = responder()
    events = session.receive(encode_message(replace(NAMED["CER"].message, body=body)), 0.0)
    if any(isinstance(event, CapabilitiesReceived) for event in events):
        assert not session.accept(SETTINGS, 0.0)
    (answer,) = said(session)
    assert isinstance(answer.body, CapabilitiesExchangeAnswer)
    assert answer.body.result_code == code
    assert session.closed


def test_a_relay_has_every_application_in_common() -> None:
    session = responder()
    body = replace(CER, auth_application_ids=(0xFFFFFFFF,), vendor_specific_applications=())
    session.receive(encode_message(replace(NAMED["CER"].message, body=body)), 0.0)
    assert session.accept(SETTINGS, 0.0)


def test_a_peer_that_begins_with_something_else_is_cut_off() -> None:
    session = responder()
    assert one(session.receive(UPDATE.octets, 0.0), PeerFailed).failure is Failure.NO_CAPABILITIES
    assert session.closed
    assert session.take_output() == b""


def test_a_peer_that_says_nothing_is_cut_off_in_time() -> None:
    session = responder()
    assert session.tick(session.next_tick - 0.1) == []
    assert one(session.tick(session.next_tick), PeerFailed).failure is Failure.NO_CAPABILITIES


def test_a_request_is_answered_with_its_ids_its_session_and_its_proxies() -> None:
    session = opened()
    octets = NAMED["CCR initial of a call"].octets
    received = one(session.receive(octets, 1.0), CreditControlReceived)
    session.answer_credit_control(received.ticket, CreditControlAnswer(services=(ServiceAnswer(2001, 100),)))
    (answer,) = said(session)
    assert (answer.flags, answer.hop_by_hop, answer.end_to_end) == (Flag.PROXIABLE, 0x10, 0x20)
    body = answer.body
    assert isinstance(body, CreditControlAnswer)
    assert (body.session_id, body.request_type, body.request_number) == (
        "tas.host.example;1;1",
        RequestType.INITIAL,
        0,
    )
    assert (body.origin_host, body.origin_realm, body.origin_state_id) == (US.host, US.realm, 9)
    assert body.proxies == received.request.proxies != ()


def test_answers_may_go_in_any_order_and_are_one_write() -> None:
    session = opened()
    events = session.receive(UPDATE.octets + NAMED["CCR termination of a call"].octets, 1.0)
    first, second = [event for event in events if isinstance(event, CreditControlReceived)]
    session.answer_credit_control(second.ticket, CreditControlAnswer())
    session.answer_credit_control(first.ticket, CreditControlAnswer())
    assert [answer.hop_by_hop for answer in said(session)] == [0x12, 0x11]


# Result, E bit, and what is changed.
REFUSED = [
    (3003, True, {"destination_realm": "elsewhere.example"}),
    (3002, True, {"destination_host": "other.onecard.example"}),
    (3005, True, {"routes": ("relay.example", "OCS.onecard.example")}),
    (5004, False, {"auth_application_id": 5}),
    (5005, False, {"request_type": RequestType.EVENT}),
]


@pytest.mark.parametrize(("code", "error_bit", "changes"), REFUSED)
def test_a_request_that_is_not_for_us_is_refused(
    code: int, error_bit: bool, changes: dict[str, object]
) -> None:
    session = opened()
    assert session.receive(request(**changes), 1.0) == []
    (answer,) = said(session)
    assert isinstance(answer.body, CreditControlAnswer | ErrorAnswer)
    assert (answer.body.result_code, bool(answer.flags & Flag.ERROR)) == (code, error_bit)


def test_names_know_no_case() -> None:
    session = opened()
    octets = request(destination_realm="OneCard.Example", destination_host="OCS.OneCard.example")
    one(session.receive(octets, 1.0), CreditControlReceived)


def test_an_application_that_the_peer_may_not_is_refused() -> None:
    session = opened()
    session.settings = SessionSettings(applications=frozenset())
    session.receive(UPDATE.octets, 1.0)
    (answer,) = said(session)
    assert isinstance(answer.body, ErrorAnswer)
    assert answer.body.result_code == ResultCode.APPLICATION_UNSUPPORTED


def test_requests_over_the_bound_are_told_that_we_are_busy() -> None:
    session = opened(SessionSettings(requests_most=2))
    events = session.receive(UPDATE.octets * 3, 1.0)
    assert len(events) == 2
    (answer,) = said(session)
    assert isinstance(answer.body, ErrorAnswer)
    assert answer.body.result_code == ResultCode.TOO_BUSY


def test_an_unreadable_request_is_answered_by_its_command_with_the_avp_that_is_wrong() -> None:
    session = opened()
    octets = message(272, avp(263, b"s"), number(416, 1), number(415, 0), number(9999, 1))
    assert session.receive(octets, 1.0) == []
    (answer,) = said(session)
    body = answer.body
    assert isinstance(body, CreditControlAnswer)
    assert (body.session_id, body.result_code, body.request_type) == ("s", 5001, RequestType.INITIAL)
    assert body.failed_avps == (number(9999, 1),)
    assert not answer.flags & Flag.ERROR


def test_an_unknown_command_and_a_rar_are_refused_as_unsupported() -> None:
    session = opened()
    session.receive(message(999, avp(263, b"s")) + NAMED["RAR"].octets, 1.0)
    answers = said(session)
    assert [answer.command for answer in answers] == [999, CommandCode.RE_AUTH]
    assert all(answer.flags & Flag.ERROR for answer in answers)
    assert all(isinstance(a.body, ErrorAnswer) and a.body.result_code == 3001 for a in answers)


def test_a_length_that_cannot_be_ends_the_connection() -> None:
    session = opened(SessionSettings(message_octets_most=1000))
    octets = message(272, bytes(1000))
    assert one(session.receive(octets, 1.0), PeerFailed).failure is Failure.NOT_DIAMETER
    (answer,) = said(session)
    assert isinstance(answer.body, CreditControlAnswer | ErrorAnswer)
    assert answer.body.result_code == ResultCode.INVALID_MESSAGE_LENGTH
    assert session.closed


def test_the_watchdog_is_answered_also_with_a_request_under_way() -> None:
    session = opened()
    session.receive(UPDATE.octets + NAMED["DWR"].octets, 1.0)
    (answer,) = said(session)
    assert isinstance(answer.body, WatchdogAnswer)
    assert answer.body.result_code == ResultCode.SUCCESS


def test_a_silent_peer_is_asked_then_suspected_then_given_up() -> None:
    session = opened()
    assert session.next_tick == 30.0
    session.tick(30.0)
    (asked,) = said(session)
    assert isinstance(asked.body, WatchdogRequest)
    session.tick(60.0)
    assert session.suspect
    assert session.take_output() == b""
    assert one(session.tick(90.0), PeerFailed).failure is Failure.LINK_DEAD
    assert session.closed


def test_any_message_of_a_suspected_peer_clears_it() -> None:
    session = opened()
    session.tick(30.0)
    session.tick(60.0)
    session.receive(UPDATE.octets, 70.0)
    assert not session.suspect
    assert session.next_tick == 100.0


def test_the_watchdog_takes_its_jitter_from_outside() -> None:
    session = Session(Role.RESPONDER, US, SETTINGS, 0.0, jitter_seconds=lambda: -1.5)
    session.receive(NAMED["CER"].octets, 0.0)
    session.accept(SETTINGS, 0.0)
    assert session.next_tick == 28.5


def test_a_peer_that_is_probed_and_keeps_silent_is_given_up_soon() -> None:
    session = opened()
    session.probe(10.0)
    assert isinstance(said(session)[0].body, WatchdogRequest)
    assert one(session.tick(15.0), PeerFailed).failure is Failure.LINK_DEAD


def test_a_peer_that_leaves_gets_its_answers_first() -> None:
    session = opened()
    received = one(session.receive(UPDATE.octets, 1.0), CreditControlReceived)
    assert one(session.receive(NAMED["DPR"].octets, 2.0), DisconnectReceived).cause is DisconnectCause.BUSY
    assert session.take_output() == b""
    session.receive(request(request_number=4), 2.0)
    session.answer_credit_control(received.ticket, CreditControlAnswer())
    commands = [(answer.command, bool(answer.flags & Flag.ERROR)) for answer in said(session)]
    assert commands == [(272, True), (272, False), (282, False)]
    assert session.closed


def test_a_peer_that_leaves_does_not_wait_for_ever() -> None:
    session = opened()
    received = one(session.receive(UPDATE.octets, 1.0), CreditControlReceived)
    session.receive(NAMED["DPR"].octets, 2.0)
    session.tick(session.next_tick)
    assert [answer.command for answer in said(session)] == [282]
    session.answer_credit_control(received.ticket, CreditControlAnswer())
    assert session.take_output() == b""


def test_we_leave_and_the_peer_agrees() -> None:
    ours, theirs = pair()
    ours.disconnect(DisconnectCause.REBOOTING, 5.0)
    one(theirs.receive(ours.take_output(), 5.0), DisconnectReceived)
    one(ours.receive(theirs.take_output(), 5.0), DisconnectAnswered)
    assert ours.closed
    assert theirs.closed


def test_we_leave_though_the_peer_does_not_answer() -> None:
    session = opened()
    session.disconnect(DisconnectCause.REBOOTING, 5.0)
    assert isinstance(said(session)[0].body, DisconnectRequest)
    assert one(session.tick(session.next_tick), PeerFailed).failure is Failure.DISCONNECT_TIMEOUT


def test_what_we_ask_is_answered_by_its_id() -> None:
    session = opened()
    first, second = session.ask(rar(), 1.0), session.ask(rar(), 1.0)
    asked = said(session)
    assert [each.hop_by_hop for each in asked] == [first, second]
    raa = NAMED["RAA"].message
    events = session.receive(
        encode_message(replace(raa, hop_by_hop=second)) + encode_message(replace(raa, hop_by_hop=77)), 1.0
    )
    answered = one(events, RequestAnswered)
    assert answered.hop_by_hop == second
    assert isinstance(answered.answer, ReAuthAnswer)
    assert session.unanswered == (first,)
    assert session.tick(11.0) == [RequestTimedOut(first)]


def test_ids_go_round_and_leave_out_those_that_wait() -> None:
    _, theirs = pair()
    ids = [theirs.ask(rar(), 1.0) for _ in range(3)]
    assert ids == [0, 1, 2]


def test_a_cea_that_refuses_ends_the_connection() -> None:
    theirs = Session(Role.INITIATOR, THEM, SETTINGS, 0.0)
    theirs.start(0.0)
    ours = responder()
    ours.receive(theirs.take_output(), 0.0)
    ours.refuse(ResultCode.UNKNOWN_PEER)
    events = theirs.receive(ours.take_output(), 0.0)
    assert one(events, PeerFailed).failure is Failure.CAPABILITIES_REFUSED
    assert theirs.closed


def test_octets_in_pieces_of_any_size_mean_the_same() -> None:
    octets = NAMED["CCR initial of a call"].octets + NAMED["DWR"].octets + UPDATE.octets
    whole = opened().receive(octets, 1.0)
    assert len(whole) == 2
    for cut in range(1, len(octets)):
        session = opened()
        assert session.receive(octets[:cut], 1.0) + session.receive(octets[cut:], 1.0) == whole
    session = opened()
    assert [event for octet in octets for event in session.receive(bytes([octet]), 1.0)] == whole


def test_fifty_thousand_mutated_messages_do_not_raise() -> None:
    chance = random.Random(5)  # noqa: S311
    seeds = [vector.octets for vector in VECTORS]
    session = opened()
    answered = 0
    for _ in range(50_000):
        if session.closed or chance.random() < 0.2:  # a wrong length swallows what comes after it
            session = opened()
        for event in session.receive(mutate(chance.choice(seeds), chance), 1.0):
            if isinstance(event, CreditControlReceived):
                session.answer_credit_control(event.ticket, CreditControlAnswer())
                answered += 1
        session.take_output()
        assert session._framing.waiting_octets <= SETTINGS.message_octets_most
    assert answered > 500
