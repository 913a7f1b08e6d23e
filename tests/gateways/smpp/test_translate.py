"""Between SMPP's words and ours: no refusal without its status, nothing of a text lost or invented."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onecard.gateways.smpp import translate
from onecard.gateways.smpp.constants import CommandId, CommandStatus, MessageState, Tag
from onecard.gateways.smpp.pdus import ShortMessage, find_tlv
from onecard.gateways.smpp.receipts import parse_receipt
from onecard.gateways.smpp.translate import Answer
from onecard.messages.model import (
    CancelRefusal,
    Content,
    Envelope,
    Receipt,
    ReceiptWish,
    Submitted,
    TextState,
)
from onecard.switching.model import TextRefusal
from onecard.values.address import Address, international

NOW = datetime(2026, 3, 20, 12, tzinfo=UTC)
ICBC = Address(5, 0, "ICBC")
CHINESE = international("+8613800138000")
CONTENT = Content(b"\x05\x00\x03\x4d\x02\x01\x4f\x60", 0x08, 0x41, True, 7, False, ((0x1400, b"x"),))


def message(**changes: object) -> ShortMessage:
    fields = {"operation": CommandId.SUBMIT_SM, "source": ICBC, "destination": CHINESE}
    return ShortMessage(**{**fields, **changes})  # type: ignore[arg-type]


def receipt(state: TextState, error: int = 0) -> Receipt:
    return Receipt(1, 42, "bank", Submitted(ICBC, CHINESE), state, error, NOW, NOW + timedelta(minutes=3))


# ---- tables


@pytest.mark.parametrize("refusal", TextRefusal)
def test_every_refusal_of_a_text_has_its_status(refusal: TextRefusal) -> None:
    assert translate.STATUS_OF_REFUSAL[refusal] is not CommandStatus.ESME_ROK


@pytest.mark.parametrize("refusal", CancelRefusal)
def test_every_refusal_to_cancel_or_replace_has_its_status(refusal: CancelRefusal) -> None:
    assert translate.STATUS_OF_CANCEL_REFUSAL[refusal] is not CommandStatus.ESME_ROK
    assert translate.STATUS_OF_REPLACE_REFUSAL[refusal] is not CommandStatus.ESME_ROK


@pytest.mark.parametrize("state", TextState)
def test_every_state_of_a_text_has_one_of_smpp_and_final_ones_stay_final(state: TextState) -> None:
    on_its_way = translate.SMPP_STATE[state] is MessageState.ENROUTE
    assert on_its_way is not state.is_final


@pytest.mark.parametrize("state", MessageState)
def test_every_final_state_of_a_next_hop_ends_a_text(state: MessageState) -> None:
    ends = state not in (MessageState.ENROUTE, MessageState.ACCEPTED)
    assert (state in translate.FINAL_STATE) is ends
    assert not ends or translate.FINAL_STATE[state].is_final


@pytest.mark.parametrize(
    ("status", "answer"),
    [
        (CommandStatus.ESME_ROK, Answer.TAKEN),
        (CommandStatus.ESME_RTHROTTLED, Answer.LATER),
        (CommandStatus.ESME_RMSGQFUL, Answer.LATER),
        (CommandStatus.ESME_RSYSERR, Answer.LATER),
        (CommandStatus.ESME_RX_T_APPN, Answer.LATER),
        (CommandStatus.ESME_RINVBNDSTS, Answer.LATER),
        (CommandStatus.ESME_RINVDSTADR, Answer.NEVER),
        (CommandStatus.ESME_RX_P_APPN, Answer.NEVER),
        (CommandStatus.ESME_RUNKNOWNERR, Answer.NEVER),
        (0x0400, Answer.NEVER),
        (0xFFFF_FFFF, Answer.NEVER),
    ],
)
def test_an_answer_means_taken_later_or_never(status: int, answer: Answer) -> None:
    assert translate.read_answer(status) is answer


# ---- texts in


def test_an_arrival_keeps_the_octets_and_how_to_read_them() -> None:
    arrival = translate.read_arrival(
        "bank",
        message(
            body=CONTENT.body,
            esm_class=0x43,  # as Kannel sends it: UDH, and a mode that means nothing here
            data_coding=0x08,
            protocol_id=0x41,
            default_message_id=7,
            tlvs=((0x1400, b"x"),),
        ),
        NOW,
    )
    assert (arrival.link, arrival.source, arrival.destination) == ("bank", ICBC, CHINESE)
    assert arrival.content == CONTENT
    assert (arrival.receipt_wanted, arrival.expires_at) == (ReceiptWish.NEVER, None)


@pytest.mark.parametrize(
    ("registered_delivery", "wish"),
    [
        (0x00, ReceiptWish.NEVER),
        (0x01, ReceiptWish.ALWAYS),
        (0x02, ReceiptWish.ON_FAILURE),
        (0x03, ReceiptWish.NEVER),
        (0x11, ReceiptWish.ALWAYS),
        (0x1D, ReceiptWish.ALWAYS),
        (0x10, ReceiptWish.NEVER),
    ],
)
def test_the_wish_for_a_receipt_is_read_from_its_two_bits(
    registered_delivery: int, wish: ReceiptWish
) -> None:
    arrival = translate.read_arrival("bank", message(registered_delivery=registered_delivery), NOW)
    assert arrival.receipt_wanted is wish


@pytest.mark.parametrize(
    ("times", "status"),
    [
        ({"schedule": "000001000000000R"}, CommandStatus.ESME_RINVSCHED),
        ({"schedule": "nonsense"}, CommandStatus.ESME_RINVSCHED),
        ({"validity": "nonsense"}, CommandStatus.ESME_RINVEXPIRY),
        ({"validity": "260320115959900+"}, CommandStatus.ESME_RINVEXPIRY),
        ({"validity": "000000000000000R"}, CommandStatus.ESME_RINVEXPIRY),
    ],
)
def test_times_that_cannot_be_kept_are_refused(times: dict[str, str], status: CommandStatus) -> None:
    with pytest.raises(translate.BadTimes) as caught:
        translate.read_arrival("bank", message(**times), NOW)
    assert caught.value.status is status


def test_a_validity_is_read_absolute_and_relative() -> None:
    for validity in ("260320140000000+", "000000020000000R", "260320220000032+"):
        assert translate.read_arrival("bank", message(validity=validity), NOW).expires_at == NOW + timedelta(
            hours=2
        )


@pytest.mark.parametrize(
    ("esm_class", "is_receipt"),
    [(0x00, False), (0x03, False), (0x40, False), (0x04, True), (0x44, True), (0x08, True), (0x20, False)],
)
def test_a_receipt_is_known_by_its_type_bits(esm_class: int, is_receipt: bool) -> None:
    assert translate.is_receipt(message(esm_class=esm_class)) is is_receipt


# ---- texts out


@given(st.binary(max_size=140), st.integers(0, 255), st.integers(0, 255), st.booleans(), st.booleans())
def test_what_came_in_goes_out_the_same(
    body: bytes, data_coding: int, protocol_id: int, has_udh: bool, in_payload: bool
) -> None:
    arrived = message(
        body=body,
        data_coding=data_coding,
        protocol_id=protocol_id,
        esm_class=0x40 if has_udh else 0,
        body_in_payload=in_payload,
        tlvs=((Tag.SAR_MSG_REF_NUM, b"\x00\x01"),),
    )
    content = translate.read_arrival("bank", arrived, NOW).content
    out = translate.write_text(
        Envelope(ICBC, CHINESE, content), CommandId.SUBMIT_SM, valid_seconds=60, wants_receipt=True
    )
    kept = ("body", "data_coding", "protocol_id", "esm_class", "body_in_payload", "tlvs")
    assert [getattr(out, name) for name in kept] == [getattr(arrived, name) for name in kept]


def test_a_centre_is_told_the_validity_and_a_bound_peer_is_not() -> None:
    envelope = Envelope(ICBC, CHINESE, CONTENT)
    to_centre, to_peer = (
        translate.write_text(envelope, operation, valid_seconds=90_061, wants_receipt=False)
        for operation in (CommandId.SUBMIT_SM, CommandId.DELIVER_SM)
    )
    assert (to_centre.validity, to_centre.default_message_id) == ("000001010101000R", 7)
    assert (to_peer.validity, to_peer.default_message_id) == ("", 0)
    assert to_centre.registered_delivery == to_peer.registered_delivery == 0


def test_a_validity_that_is_over_is_still_a_second() -> None:
    out = translate.write_text(
        Envelope(ICBC, CHINESE, CONTENT), CommandId.SUBMIT_SM, valid_seconds=-5, wants_receipt=True
    )
    assert (out.validity, out.registered_delivery) == ("000000000001000R", 1)


# ---- receipts out


@pytest.mark.parametrize("state", [state for state in TextState if state.is_final])
def test_a_receipt_is_read_back_as_it_was_meant(state: TextState) -> None:
    written = translate.write_receipt(receipt(state, error=0x45), CommandId.DELIVER_SM)
    read = parse_receipt(written)
    assert read is not None
    assert (read.message_id, read.state, read.error) == ("42", translate.SMPP_STATE[state], "069")
    assert (read.submitted, read.done) == (NOW, NOW + timedelta(minutes=3))
    assert find_tlv(written.tlvs, Tag.RECEIPTED_MESSAGE_ID) == b"42\0"


def test_in_a_receipt_the_addresses_change_places_and_its_type_depends_on_the_direction() -> None:
    to_peer, to_centre = (
        translate.write_receipt(receipt(TextState.DELIVERED), operation)
        for operation in (CommandId.DELIVER_SM, CommandId.SUBMIT_SM)
    )
    assert (to_peer.source, to_peer.destination) == (CHINESE, ICBC)
    assert (to_peer.esm_class, to_centre.esm_class) == (0x04, 0x08)


@pytest.mark.parametrize(
    ("written", "read"), [("000", 0), ("069", 69), ("", 0), ("A1F", 0), ("٣", 0), ("-1", 0)]
)
def test_an_error_code_is_a_number_or_none(written: str, read: int) -> None:
    assert translate.read_error(written) == read
