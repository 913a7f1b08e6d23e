"""Delivery receipts: what became of a text, as optional parameters and as the text of old.

Both forms are written, because peers read one or the other. When reading, an optional parameter is believed
before the text, and the text is read with patience: message centres differ in case, order and what they leave
out. Message ids stay texts: whether one is decimal or hexadecimal is for their maker to know.

Source: SMPP Protocol Specification v3.4, issue 1.2, sections 5.3.2.12, 5.3.2.31, 5.3.2.35 and Appendix B.
"""

import re
from contextlib import suppress
from datetime import UTC, datetime

import msgspec

from onecard.gateways.smpp.constants import MessageState, Tag
from onecard.gateways.smpp.pdus import ShortMessage, Tlvs, find_tlv
from onecard.values.alphabet import Alphabet, read_data_coding, split_udh

_STATE_WORDS = {
    MessageState.ENROUTE: "ENROUTE",
    MessageState.DELIVERED: "DELIVRD",
    MessageState.EXPIRED: "EXPIRED",
    MessageState.DELETED: "DELETED",
    MessageState.UNDELIVERABLE: "UNDELIV",
    MessageState.ACCEPTED: "ACCEPTD",
    MessageState.UNKNOWN: "UNKNOWN",
    MessageState.REJECTED: "REJECTD",
}
_SIGNIFICANT_LETTERS = 5  # enough to tell the words apart, and to know DELIVERED for DELIVRD
_STATES = {word[:_SIGNIFICANT_LETTERS]: state for state, word in _STATE_WORDS.items()}

_NAMES = r"id|sub|dlvrd|submit[ _]date|done[ _]date|stat|err|text"
_FIELD = re.compile(rf"(?<!\w)({_NAMES})\s*:\s*((?!(?:{_NAMES})\s*:)\S*)", re.IGNORECASE)
_TEXT = re.compile(r"(?<!\w)text\s*:", re.IGNORECASE)
_MOST_ID_LETTERS = 64
_NETWORK_ERROR_OCTETS = 3


class NetworkError(msgspec.Struct, frozen=True, gc=False):
    """Section 5.3.2.31. `network`: 1 ANSI-136, 2 IS-95, 3 GSM; `code` 0 to 65,535 is of that network."""

    network: int
    code: int


class Receipt(msgspec.Struct, frozen=True, gc=False):
    """What a message centre reports about one text. Times are UTC; read ones are the peer's local time.

    `error` is the peer's own code, three letters or digits. Of the text nothing is kept.
    """

    message_id: str
    state: MessageState
    submitted: datetime | None = None
    done: datetime | None = None
    error: str = "000"
    network_error: NetworkError | None = None


def build_receipt(receipt: Receipt) -> tuple[bytes, Tlvs]:
    """Write the body, without any words of the text, and the optional parameters of a receipt."""
    delivered = int(receipt.state is MessageState.DELIVERED)
    body = (
        f"id:{receipt.message_id} sub:001 dlvrd:{delivered:03}"
        f" submit date:{_format_date(receipt.submitted)} done date:{_format_date(receipt.done)}"
        f" stat:{_STATE_WORDS[receipt.state]} err:{receipt.error} text:"
    )
    tlvs: list[tuple[int, bytes]] = [
        (Tag.RECEIPTED_MESSAGE_ID, receipt.message_id.encode("latin-1") + b"\0"),
        (Tag.MESSAGE_STATE, bytes([receipt.state])),
    ]
    if receipt.network_error is not None:
        tlvs.append((Tag.NETWORK_ERROR_CODE, _write_network_error(receipt.network_error)))
    return body.encode("latin-1"), tuple(tlvs)


def parse_receipt(message: ShortMessage) -> Receipt | None:
    """Read a receipt; None if neither form names the text that it is about.

    A state that cannot be read is MessageState.UNKNOWN.
    """
    fields = _read_fields(_read_body(message))
    message_id = _read_id(message.tlvs) or fields.get("id", "")
    if not message_id:
        return None
    return Receipt(
        message_id[:_MOST_ID_LETTERS],
        _read_state(message.tlvs, fields.get("stat", "")),
        _parse_date(fields.get("submit date", "")),
        _parse_date(fields.get("done date", "")),
        fields.get("err") or "000",
        _read_network_error(message.tlvs),
    )


def _read_body(message: ShortMessage) -> str:
    """Read the body as Latin-1 unless it is UCS-2: ids may hold signs that the GSM alphabet has elsewhere."""
    octets = split_udh(message.body)[1] if message.has_udh else message.body
    if read_data_coding(message.data_coding).alphabet is Alphabet.UCS2:
        return octets.decode("utf-16-be", errors="replace")
    return octets.decode("latin-1")


def _read_fields(body: str) -> dict[str, str]:
    """Read the fields before `text:`; where one comes twice the first counts."""
    start_of_text = _TEXT.search(body)
    described = body[: start_of_text.start()] if start_of_text else body
    fields: dict[str, str] = {}
    for name, value in _FIELD.findall(described):
        fields.setdefault(name.lower().replace("_", " "), value)
    return fields


def _read_id(tlvs: Tlvs) -> str:
    value = find_tlv(tlvs, Tag.RECEIPTED_MESSAGE_ID) or b""
    return value.partition(b"\0")[0].decode("latin-1")


def _read_state(tlvs: Tlvs, word: str) -> MessageState:
    value = find_tlv(tlvs, Tag.MESSAGE_STATE)
    if value is not None and len(value) == 1:
        with suppress(ValueError):
            return MessageState(value[0])
    return _STATES.get(word[:_SIGNIFICANT_LETTERS].upper(), MessageState.UNKNOWN)


def _write_network_error(error: NetworkError) -> bytes:
    return bytes([error.network]) + error.code.to_bytes(2, "big")


def _read_network_error(tlvs: Tlvs) -> NetworkError | None:
    value = find_tlv(tlvs, Tag.NETWORK_ERROR_CODE)
    if value is None or len(value) != _NETWORK_ERROR_OCTETS:
        return None
    return NetworkError(value[0], int.from_bytes(value[1:], "big"))


def _format_date(moment: datetime | None) -> str:
    if moment is None:
        return "0000000000"
    utc = moment.astimezone(UTC)  # strftime would take three times as long, on the hot path
    return f"{utc.year % 100:02}{utc.month:02}{utc.day:02}{utc.hour:02}{utc.minute:02}"


def _parse_date(text: str) -> datetime | None:
    """Read YYMMDDhhmm or YYMMDDhhmmss; None for anything else."""
    if not (text.isascii() and text.isdigit() and len(text) in (10, 12)):
        return None
    pairs = text.ljust(12, "0")
    year, month, day, hour, minute, second = (int(pairs[place : place + 2]) for place in range(0, 12, 2))
    with suppress(ValueError):
        return datetime(2000 + year, month, day, hour, minute, second, tzinfo=UTC)
    return None
