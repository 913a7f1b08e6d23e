"""Texts as the simulated partners write and read them on the wire."""

from __future__ import annotations

from collections.abc import Sequence

from onecard.gateways.smpp.constants import ESM_UDH, CommandId, CommandStatus
from onecard.gateways.smpp.pdus import ShortMessage
from onecard.values.address import Address, international, unknown
from onecard.values.alphabet import choose_encoding, decode_text, split_segments, split_udh


def to_number(source: Address, destination: str, words: str, *, receipt: bool = False) -> ShortMessage:
    """A text that a partner submits to a number in international form."""
    data_coding, body = choose_encoding(words)
    return ShortMessage(
        CommandId.SUBMIT_SM,
        source,
        international(destination),
        body,
        data_coding=data_coding,
        registered_delivery=int(receipt),
    )


def in_parts(source: Address, destination: str, words: str, reference: int) -> list[ShortMessage]:
    """A long text as its segments, each with its user data header (TS 23.040 section 9.2.3.24.1)."""
    data_coding, _ = choose_encoding(words)
    return [
        ShortMessage(
            CommandId.SUBMIT_SM,
            source,
            international(destination),
            segment.udh + segment.body,
            esm_class=ESM_UDH,
            data_coding=data_coding,
        )
        for segment in split_segments(words, reference)
    ]


def from_card(primary: str, dialled: str, words: str) -> ShortMessage:
    """A text that the host operator brings from a card: the digits are those its owner dialled."""
    data_coding, body = choose_encoding(words)
    return ShortMessage(
        CommandId.DELIVER_SM, international(primary), unknown(dialled), body, data_coding=data_coding
    )


def words_of(message: ShortMessage) -> str:
    """The words of a text as its alphabet has them."""
    body = split_udh(message.body)[1] if message.has_udh else message.body
    return decode_text(body, message.data_coding) or ""


def join_parts(messages: Sequence[ShortMessage]) -> str:
    """The words of a long text, put together as a phone does: by the numbers in the headers."""
    return "".join(words_of(message) for message in sorted(messages, key=_part_number))


def count_parts(message: ShortMessage) -> int:
    """Of how many parts a text is one."""
    return split_udh(message.body)[0][-2] if message.has_udh else 1


def _part_number(message: ShortMessage) -> int:
    header, _ = split_udh(message.body)
    return header[-1]


def status_name(status: int) -> str:
    """Such as ``ESME_RX_P_APPN (0x65)``."""
    try:
        return f"{CommandStatus(status).name} (0x{status:02X})"
    except ValueError:
        return f"0x{status:02X}"
