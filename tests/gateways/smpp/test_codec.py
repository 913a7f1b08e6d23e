"""The codec against golden vectors, against itself, and against what is wrong."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onecard.gateways.smpp.codec import DecodeError, decode_pdu, encode_pdu
from onecard.gateways.smpp.constants import CommandId, CommandStatus, Tag
from onecard.gateways.smpp.pdus import (
    Alert,
    Bind,
    BindAnswer,
    Body,
    Cancel,
    MessageId,
    Outbind,
    Pdu,
    Query,
    QueryAnswer,
    Replace,
    ShortMessage,
    SubmitMulti,
    SubmitMultiAnswer,
    Tlvs,
)
from onecard.values.address import Address

from .golden import NAMED, ONE, TWO, VECTORS, Vector

NUL = st.characters(max_codepoint=0xFF, exclude_characters="\0")
OCTET = st.integers(0, 0xFF)


def c_octets(most: int) -> st.SearchStrategy[str]:
    return st.text(NUL, max_size=most)


def addresses(most: int = 20) -> st.SearchStrategy[Address]:
    return st.builds(Address, OCTET, OCTET, c_octets(most))


TIME = c_octets(16)
SHORT = st.binary(max_size=255)
MESSAGE_ID = c_octets(64)
TAGS = st.integers(0, 0xFFFF).filter(lambda tag: tag != Tag.MESSAGE_PAYLOAD)
TLVS: st.SearchStrategy[Tlvs] = st.lists(st.tuples(TAGS, st.binary(max_size=40)), max_size=4).map(tuple)
BINDS = st.builds(Bind, c_octets(15), c_octets(64), c_octets(12), OCTET, addresses(40), TLVS)


@st.composite
def messages(draw: st.DrawFn, operation: CommandId) -> ShortMessage:
    in_payload = draw(st.booleans())
    return ShortMessage(
        operation,
        draw(addresses()),
        draw(addresses()),
        draw(st.binary(max_size=600) if in_payload else SHORT),
        draw(c_octets(5)),
        *draw(st.tuples(OCTET, OCTET, OCTET)),
        draw(TIME),
        draw(TIME),
        *draw(st.tuples(OCTET, OCTET, OCTET, OCTET)),
        in_payload,
        draw(TLVS),
    )


@st.composite
def data_messages(draw: st.DrawFn) -> ShortMessage:
    body = draw(st.binary(max_size=600))
    return ShortMessage(
        CommandId.DATA_SM,
        draw(addresses(64)),
        draw(addresses(64)),
        body,
        draw(c_octets(5)),
        draw(OCTET),
        registered_delivery=draw(OCTET),
        data_coding=draw(OCTET),
        body_in_payload=bool(body) or draw(st.booleans()),
        tlvs=draw(TLVS),
    )


DESTINATIONS = st.lists(addresses() | c_octets(20), min_size=1, max_size=5).map(tuple)
FAILURES = st.lists(st.tuples(addresses(), st.integers(0, 0xFFFF_FFFF)), max_size=5).map(tuple)
ANSWERS = st.builds(MessageId, MESSAGE_ID, TLVS)
NOTHING = st.none()
BODIES: dict[CommandId, st.SearchStrategy[Body | None]] = {
    CommandId.BIND_RECEIVER: BINDS,
    CommandId.BIND_TRANSMITTER: BINDS,
    CommandId.BIND_TRANSCEIVER: BINDS,
    CommandId.BIND_RECEIVER_RESP: st.builds(BindAnswer, c_octets(15), TLVS) | NOTHING,
    CommandId.OUTBIND: st.builds(Outbind, c_octets(15), c_octets(64), TLVS),
    CommandId.UNBIND: NOTHING,
    CommandId.SUBMIT_SM: messages(CommandId.SUBMIT_SM),
    CommandId.DELIVER_SM: messages(CommandId.DELIVER_SM),
    CommandId.DATA_SM: data_messages(),
    CommandId.SUBMIT_SM_RESP: ANSWERS | NOTHING,
    CommandId.DELIVER_SM_RESP: ANSWERS | NOTHING,
    CommandId.DATA_SM_RESP: ANSWERS | NOTHING,
    CommandId.SUBMIT_MULTI: st.builds(
        SubmitMulti,
        *(c_octets(5), addresses(), DESTINATIONS, OCTET, OCTET, OCTET, TIME, TIME),
        *(OCTET, OCTET, OCTET, OCTET, SHORT, TLVS),
    ),
    CommandId.SUBMIT_MULTI_RESP: st.builds(SubmitMultiAnswer, MESSAGE_ID, FAILURES, TLVS),
    CommandId.QUERY_SM: st.builds(Query, MESSAGE_ID, addresses(), TLVS),
    CommandId.QUERY_SM_RESP: st.builds(QueryAnswer, MESSAGE_ID, TIME, OCTET, OCTET, TLVS) | NOTHING,
    CommandId.CANCEL_SM: st.builds(Cancel, c_octets(5), MESSAGE_ID, addresses(), addresses(), TLVS),
    CommandId.REPLACE_SM: st.builds(Replace, MESSAGE_ID, addresses(), TIME, TIME, OCTET, OCTET, SHORT, TLVS),
    CommandId.ALERT_NOTIFICATION: st.builds(Alert, addresses(64), addresses(64), TLVS),
}


@st.composite
def pdus(draw: st.DrawFn) -> Pdu:
    command = draw(st.sampled_from(sorted(BODIES)))
    status, sequence = draw(st.tuples(st.integers(0, 0xFFFF_FFFF), st.integers(0, 0xFFFF_FFFF)))
    return Pdu(command, status, sequence, draw(BODIES[command]))


def with_length(frame: bytes) -> bytes:
    return len(frame).to_bytes(4, "big") + frame[4:]


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector.name)
def test_a_golden_vector_is_read_and_written(vector: Vector) -> None:
    assert decode_pdu(vector.octets) == vector.pdu
    assert encode_pdu(vector.pdu) == vector.octets


def test_every_command_has_a_golden_vector() -> None:
    assert {vector.pdu.command for vector in VECTORS} == set(CommandId)


@given(pdus())
def test_what_is_written_is_read_again(pdu: Pdu) -> None:
    assert decode_pdu(encode_pdu(pdu)) == pdu


def command_and_sequence(frame: bytes) -> tuple[int, int]:
    try:
        pdu = decode_pdu(frame)
    except DecodeError as error:
        return error.command, error.sequence
    return pdu.command, pdu.sequence


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector.name)
def test_a_pdu_cut_short_anywhere_is_read_or_refused_with_its_own_sequence(vector: Vector) -> None:
    for end in range(16, len(vector.octets)):
        named = command_and_sequence(with_length(vector.octets[:end]))
        assert named == (vector.pdu.command, vector.pdu.sequence)


SUBMIT = NAMED["submit_sm with a user data header"]
SAR = NAMED["submit_sm with SAR parameters"]
PAYLOAD = NAMED["submit_sm with message_payload"]


@pytest.mark.parametrize(
    ("frame", "status"),
    [
        pytest.param(SUBMIT + b"\0", CommandStatus.ESME_RINVCMDLEN, id="other length than its header says"),
        pytest.param(SUBMIT[:4] + b"\0\0\0\x63" + SUBMIT[8:], CommandStatus.ESME_RINVCMDID, id="command"),
        pytest.param(SUBMIT[:20], CommandStatus.ESME_RINVCMDLEN, id="no terminator"),
        pytest.param(SUBMIT[:34], CommandStatus.ESME_RINVCMDLEN, id="ends before sm_length"),
        pytest.param(SUBMIT[:-1], CommandStatus.ESME_RINVMSGLEN, id="sm_length over the end"),
        pytest.param(SUBMIT + b"\2\4\0", CommandStatus.ESME_RINVOPTPARSTREAM, id="half a parameter"),
        pytest.param(SAR[:-1], CommandStatus.ESME_RINVPARLEN, id="parameter over the end"),
        pytest.param(
            SUBMIT + PAYLOAD[-9:], CommandStatus.ESME_ROPTPARNOTALLWD, id="both short_message and payload"
        ),
        pytest.param(PAYLOAD + PAYLOAD[-9:], CommandStatus.ESME_ROPTPARNOTALLWD, id="two payloads"),
        pytest.param(
            SUBMIT[:16] + b"TOOLONG" + SUBMIT[16:], CommandStatus.ESME_RINVSERTYP, id="service_type"
        ),
        pytest.param(SUBMIT[:19] + b"1" * 20 + SUBMIT[19:], CommandStatus.ESME_RINVSRCADR, id="source"),
        pytest.param(SUBMIT[:23] + b"1" * 20 + SUBMIT[23:], CommandStatus.ESME_RINVDSTADR, id="destination"),
        pytest.param(SUBMIT[:28] + b"1" * 17 + SUBMIT[28:], CommandStatus.ESME_RINVSCHED, id="schedule"),
        pytest.param(SUBMIT[:29] + b"1" * 17 + SUBMIT[29:], CommandStatus.ESME_RINVEXPIRY, id="validity"),
    ],
)
def test_a_wrong_submit_sm_is_refused_with_the_status_that_names_it(
    frame: bytes, status: CommandStatus
) -> None:
    whole = frame if status is CommandStatus.ESME_RINVCMDLEN and frame[:-1] == SUBMIT else with_length(frame)
    with pytest.raises(DecodeError) as refusal:
        decode_pdu(whole)
    assert refusal.value.status is status
    assert refusal.value.sequence == int.from_bytes(frame[12:16], "big")


BIND = NAMED["bind_receiver"]
MULTI = NAMED["submit_multi to an address and a list"]


@pytest.mark.parametrize(
    ("frame", "status"),
    [
        pytest.param(BIND[:16] + b"x" * 12 + BIND[16:], CommandStatus.ESME_RINVSYSID, id="system_id"),
        pytest.param(BIND[:21] + b"x" * 63 + BIND[21:], CommandStatus.ESME_RINVPASWD, id="password"),
        pytest.param(BIND[:24] + b"x" * 13 + BIND[24:], CommandStatus.ESME_RINVSYSTYP, id="system_type"),
        pytest.param(MULTI[:31] + b"\0" + MULTI[32:], CommandStatus.ESME_RINVNUMDESTS, id="no destination"),
        pytest.param(MULTI[:32] + b"\3" + MULTI[33:], CommandStatus.ESME_RINVDESTFLAG, id="destination flag"),
        pytest.param(MULTI[:48] + b"x" * 14 + MULTI[48:], CommandStatus.ESME_RINVDLNAME, id="list name"),
    ],
)
def test_other_wrong_requests_are_refused_with_the_status_that_names_it(
    frame: bytes, status: CommandStatus
) -> None:
    with pytest.raises(DecodeError) as refusal:
        decode_pdu(with_length(frame))
    assert refusal.value.status is status


def test_a_password_longer_than_the_specification_has_it_is_read() -> None:
    pdu = Pdu(CommandId.BIND_TRANSCEIVER, 0, 1, Bind("bank", "correct horse battery staple"))
    assert decode_pdu(encode_pdu(pdu)) == pdu


def test_a_refusal_without_a_readable_body_is_read_by_its_status() -> None:
    frame = with_length(NAMED["submit_sm_resp"][:8] + b"\0\0\0\x58\0\0\0\x08" + b"no terminator")
    assert decode_pdu(frame) == Pdu(CommandId.SUBMIT_SM_RESP, CommandStatus.ESME_RTHROTTLED, 8)


def test_octets_after_a_command_without_a_body_mean_nothing() -> None:
    assert decode_pdu(with_length(NAMED["enquire_link"] + b"\1\2\3")) == Pdu(CommandId.ENQUIRE_LINK, 0, 6)


@pytest.mark.parametrize(
    "message",
    [
        ShortMessage(CommandId.SUBMIT_SM, ONE, TWO, bytes(256)),
        ShortMessage(CommandId.SUBMIT_SM, Address(1, 1, "1" * 21), TWO),
        ShortMessage(CommandId.DATA_SM, Address(1, 1, "1" * 65), TWO),
        ShortMessage(CommandId.SUBMIT_SM, Address(5, 0, "no\0"), TWO),
        ShortMessage(CommandId.SUBMIT_SM, Address(5, 0, "€"), TWO),
        ShortMessage(CommandId.SUBMIT_SM, ONE, TWO, bytes(65_500), body_in_payload=True),
        ShortMessage(CommandId.SUBMIT_SM, ONE, TWO, bytes(65_536), body_in_payload=True),
    ],
)
def test_what_the_protocol_cannot_carry_is_not_written(message: ShortMessage) -> None:
    with pytest.raises(ValueError, match=r"octets|codec"):
        encode_pdu(Pdu(message.operation, 0, 1, message))


@pytest.mark.parametrize(
    ("esm_class", "receipt", "intermediate", "udh"),
    [
        (0x00, False, False, False),
        (0x03, False, False, False),
        (0x43, False, False, True),
        (0x04, True, False, False),
        (0x07, True, False, False),
        (0x84, True, False, False),
        (0x08, False, False, False),
        (0x20, False, True, False),
        (0x63, False, True, True),
    ],
)
def test_esm_class_is_read_by_its_bits(esm_class: int, receipt: bool, intermediate: bool, udh: bool) -> None:
    message = ShortMessage(CommandId.DELIVER_SM, ONE, TWO, esm_class=esm_class)
    assert message.is_receipt is receipt
    assert message.is_intermediate_notification is intermediate
    assert message.has_udh is udh


@pytest.mark.parametrize(
    ("registered_delivery", "when_delivered", "when_failed"),
    [
        (0x00, False, False),
        (0x01, True, True),
        (0x11, True, True),
        (0x0D, True, True),
        (0x02, False, True),
        (0x10, False, False),
    ],
)
def test_registered_delivery_is_read_by_its_bits(
    registered_delivery: int, when_delivered: bool, when_failed: bool
) -> None:
    message = ShortMessage(CommandId.SUBMIT_SM, ONE, TWO, registered_delivery=registered_delivery)
    assert message.wants_receipt(delivered=True) is when_delivered
    assert message.wants_receipt(delivered=False) is when_failed
