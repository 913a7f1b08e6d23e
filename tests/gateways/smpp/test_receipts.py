"""Receipts in both forms, and as real message centres write them."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onecard.gateways.smpp.codec import decode_pdu
from onecard.gateways.smpp.constants import CommandId, MessageState, Tag
from onecard.gateways.smpp.pdus import ShortMessage, Tlvs
from onecard.gateways.smpp.receipts import NetworkError, Receipt, build_receipt, parse_receipt

from .golden import NAMED, ONE, RECEIPT, TWO

SUBMITTED = datetime(2026, 11, 24, 20, 33, tzinfo=UTC)
DONE = datetime(2026, 11, 24, 20, 34, tzinfo=UTC)
DELIVERED = Receipt("a1b2c3", MessageState.DELIVERED, SUBMITTED, DONE)


def message_of(body: bytes, tlvs: Tlvs = (), data_coding: int = 0, esm_class: int = 4) -> ShortMessage:
    return ShortMessage(
        CommandId.DELIVER_SM, ONE, TWO, body, esm_class=esm_class, data_coding=data_coding, tlvs=tlvs
    )


def test_a_receipt_is_written_in_both_forms() -> None:
    body, tlvs = build_receipt(DELIVERED)
    assert body == RECEIPT
    assert tlvs == ((Tag.RECEIPTED_MESSAGE_ID, b"a1b2c3\0"), (Tag.MESSAGE_STATE, b"\2"))


def test_the_golden_receipt_is_read() -> None:
    message = decode_pdu(NAMED["deliver_sm with a receipt"]).body
    assert isinstance(message, ShortMessage)
    assert parse_receipt(message) == Receipt(
        "a1b2c3", MessageState.DELIVERED, SUBMITTED, DONE, network_error=NetworkError(3, 0)
    )


IDS = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=64)
MINUTES = st.datetimes(
    datetime(2000, 1, 1),  # noqa: DTZ001 -- made aware by `timezones`
    datetime(2099, 12, 31),  # noqa: DTZ001
    timezones=st.just(UTC),
).map(lambda moment: moment.replace(second=0, microsecond=0))
RECEIPTS = st.builds(
    Receipt,
    IDS.filter(lambda text: ":" not in text),
    st.sampled_from(MessageState),
    MINUTES | st.none(),
    MINUTES | st.none(),
    st.from_regex(r"[0-9A-F]{3}", fullmatch=True),
)


@given(RECEIPTS)
def test_either_form_alone_says_the_same(receipt: Receipt) -> None:
    body, tlvs = build_receipt(receipt)
    assert len(body) <= 254
    assert parse_receipt(message_of(body)) == receipt
    assert parse_receipt(message_of(b"", tlvs)) == Receipt(receipt.message_id, receipt.state)


@given(RECEIPTS, st.builds(NetworkError, st.integers(0, 255), st.integers(0, 0xFFFF)))
def test_a_network_error_is_kept(receipt: Receipt, error: NetworkError) -> None:
    _, tlvs = build_receipt(Receipt(receipt.message_id, receipt.state, network_error=error))
    read = parse_receipt(message_of(b"", tlvs))
    assert read is not None
    assert read.network_error == error


@pytest.mark.parametrize(
    ("body", "receipt"),
    [
        pytest.param(
            b"id:0123456789 sub:001 dlvrd:001 submit date:2611242033 done date:2611242034 "
            b"stat:DELIVRD err:000 Text:id:999 stat:UNDELIV",
            Receipt("0123456789", MessageState.DELIVERED, SUBMITTED, DONE),
            id="the text looks like a receipt",
        ),
        pytest.param(
            b"ID:7F2A DONE DATE:261124203400 STAT:undeliv ERR:1B4",
            Receipt("7F2A", MessageState.UNDELIVERABLE, done=DONE, error="1B4"),
            id="capitals, seconds, fields left out",
        ),
        pytest.param(
            b"id: 42 stat: EXPIRED err: text:", Receipt("42", MessageState.EXPIRED), id="spaces, no error"
        ),
        pytest.param(b"stat:REJECTED id:42", Receipt("42", MessageState.REJECTED), id="order, whole word"),
        pytest.param(b"id:42 stat:SKIPPED", Receipt("42", MessageState.UNKNOWN), id="unknown state"),
        pytest.param(b"id:42", Receipt("42", MessageState.UNKNOWN), id="no state"),
        pytest.param(
            b"id:42 stat:DELIVRD submit date:never done date:2613992034",
            Receipt("42", MessageState.DELIVERED),
            id="dates that are none",
        ),
        pytest.param(b"id:a@b_c stat:DELIVRD", Receipt("a@b_c", MessageState.DELIVERED), id="signs"),
        pytest.param(b"id: sub:001 stat:DELIVRD", None, id="empty id"),
        pytest.param(b"paid:42 stat:DELIVRD", None, id="no id but a word that ends like it"),
        pytest.param(b"hello", None, id="no receipt"),
        pytest.param(b"", None, id="nothing"),
    ],
)
def test_receipts_are_read_with_patience(body: bytes, receipt: Receipt | None) -> None:
    assert parse_receipt(message_of(body)) == receipt


def test_a_receipt_in_ucs2_is_read() -> None:
    body = "id:42 stat:DELIVRD".encode("utf-16-be")
    assert parse_receipt(message_of(body, data_coding=8)) == Receipt("42", MessageState.DELIVERED)


def test_a_receipt_after_a_user_data_header_is_read() -> None:
    body = b"\5\0\3\1\1\1id:42 stat:DELIVRD"
    assert parse_receipt(message_of(body, esm_class=0x44)) == Receipt("42", MessageState.DELIVERED)


def test_optional_parameters_are_believed_before_the_text() -> None:
    tlvs = ((Tag.RECEIPTED_MESSAGE_ID, b"7F2A\0"), (Tag.MESSAGE_STATE, b"\5"))
    receipt = parse_receipt(message_of(b"id:32554 stat:DELIVRD", tlvs))
    assert receipt == Receipt("7F2A", MessageState.UNDELIVERABLE)


@pytest.mark.parametrize("state", [b"", b"\x63", b"\1\2"])
def test_a_state_parameter_that_says_nothing_leaves_it_to_the_text(state: bytes) -> None:
    tlvs = ((Tag.MESSAGE_STATE, state), (Tag.NETWORK_ERROR_CODE, b"\3"))
    receipt = parse_receipt(message_of(b"id:42 stat:DELIVRD", tlvs))
    assert receipt == Receipt("42", MessageState.DELIVERED)


@given(st.binary(max_size=300), st.integers(0, 255), st.integers(0, 255))
def test_any_body_is_read_or_is_no_receipt(body: bytes, data_coding: int, esm_class: int) -> None:
    receipt = parse_receipt(message_of(body, data_coding=data_coding, esm_class=esm_class))
    assert receipt is None or 1 <= len(receipt.message_id) <= 64
