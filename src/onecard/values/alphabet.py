"""The alphabets of short texts: what octets mean, which ones to send, and how many segments they are.

In SMPP the GSM 7-bit default alphabet travels unpacked, one septet in an octet. Bodies may begin with a user
data header (UDH), whose first octet is the number of octets that follow it.

Source: 3GPP TS 23.038 (alphabets, data coding), 3GPP TS 23.040 sections 9.2.3.23 and 9.2.3.24 (segments),
SMPP 3.4 section 5.2.19 (data_coding).
"""

from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

# TS 23.038 section 6.2.1, in the order of the codes; 0x1B leads into the extension table.
_ESCAPE = 0x1B
_BASIC = (
    "@£$¥èéùìòÇ\nØø\rÅå"
    "Δ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ"
    " !\"#¤%&'()*+,-./"
    "0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNO"
    "PQRSTUVWXYZÄÖÑÜ§"
    "¿abcdefghijklmno"
    "pqrstuvwxyzäöñüà"
)
# Section 6.2.1.1.
_EXTENSION = {
    0x0A: "\f",
    0x14: "^",
    0x28: "{",
    0x29: "}",
    0x2F: "\\",
    0x3C: "[",
    0x3D: "~",
    0x3E: "]",
    0x40: "|",
    0x65: "€",
}
_SEPTETS = {character: bytes([code]) for code, character in enumerate(_BASIC) if code != _ESCAPE} | {
    character: bytes([_ESCAPE, code]) for code, character in _EXTENSION.items()
}

_USER_DATA_OCTETS = 140
_CONCATENATION_OCTETS = 5  # the information element of TS 23.040 section 9.2.3.24.1
_MOST_SEGMENTS = 255

GSM_7BIT_CODING = 0x00
UCS2_CODING = 0x08


class Alphabet(Enum):
    """How octets are read; the value of the last eight is the name of Python's codec."""

    GSM_7BIT = "gsm"
    OCTETS = "octets"
    ASCII = "ascii"
    LATIN_1 = "latin-1"
    CYRILLIC = "iso8859-5"
    HEBREW = "iso8859-8"
    JIS = "shift_jis"
    ISO_2022_JP = "iso2022_jp"
    KOREAN = "euc_kr"
    UCS2 = "utf-16-be"


class Waiting(Enum):
    """What the network keeps for the subscriber: TS 23.038 section 4, bits 1 and 0."""

    VOICE = 0
    FAX = 1
    MAIL = 2
    OTHER = 3


@dataclass(frozen=True, slots=True)
class DataCoding:
    """What a data_coding octet says.

    `message_class` is 0 (shown at once) to 3, or None. `waiting` is set if the text reports waiting messages:
    `waiting_active` whether there are any, `discardable` whether the text itself may be thrown away.
    """

    alphabet: Alphabet
    message_class: int | None = None
    waiting: Waiting | None = None
    waiting_active: bool = False
    discardable: bool = False


_ALPHABETS = {
    0x00: Alphabet.GSM_7BIT,
    0x01: Alphabet.ASCII,
    0x03: Alphabet.LATIN_1,
    0x05: Alphabet.JIS,
    0x06: Alphabet.CYRILLIC,
    0x07: Alphabet.HEBREW,
    0x08: Alphabet.UCS2,
    0x0A: Alphabet.ISO_2022_JP,
    0x0E: Alphabet.KOREAN,
}


def read_data_coding(data_coding: int) -> DataCoding:
    """Read the octet by SMPP 3.4 section 5.2.19; what is reserved there counts as octets of no alphabet."""
    group = data_coding & 0xF0
    if group == 0xF0:
        alphabet = Alphabet.OCTETS if data_coding & 0x04 else Alphabet.GSM_7BIT
        return DataCoding(alphabet, message_class=data_coding & 0x03)
    if group >= 0xC0:
        return DataCoding(
            Alphabet.UCS2 if group == 0xE0 else Alphabet.GSM_7BIT,
            waiting=Waiting(data_coding & 0x03),
            waiting_active=bool(data_coding & 0x08),
            discardable=group == 0xC0,
        )
    return DataCoding(_ALPHABETS.get(data_coding, Alphabet.OCTETS))


def encode_gsm7(text: str) -> bytes | None:
    """Write a text in septets, one in an octet; None if a character is not in the GSM alphabet."""
    septets = [_SEPTETS.get(character) for character in text]
    if None in septets:
        return None
    return b"".join(septet for septet in septets if septet is not None)


def decode_gsm7(octets: bytes) -> str:
    """Read septets, one in an octet. Reads anything.

    An unknown extension is read from the basic table, an escape that nothing follows is a space (section
    6.2.1), and an octet over 0x7F, which is no septet, is U+FFFD.
    """
    text = []
    escaped = False
    for octet in octets:
        if escaped:
            text.append(_EXTENSION.get(octet) or _basic_character(octet))
            escaped = False
        elif octet == _ESCAPE:
            escaped = True
        else:
            text.append(_basic_character(octet))
    if escaped:
        text.append(" ")
    return "".join(text)


def _basic_character(octet: int) -> str:
    if octet == _ESCAPE:
        return " "
    return _BASIC[octet] if octet < len(_BASIC) else "\ufffd"


def decode_text(octets: bytes, data_coding: int) -> str | None:
    """Read a body without its UDH; None if it is not text. What the alphabet lacks becomes U+FFFD."""
    alphabet = read_data_coding(data_coding).alphabet
    if alphabet is Alphabet.OCTETS:
        return None
    if alphabet is Alphabet.GSM_7BIT:
        return decode_gsm7(octets)
    return octets.decode(alphabet.value, errors="replace")


def choose_encoding(text: str) -> tuple[int, bytes]:
    """Encode a text as GSM 7-bit if it fits there, else as UCS-2: data_coding and octets."""
    septets = encode_gsm7(text)
    if septets is not None:
        return GSM_7BIT_CODING, septets
    # A lone surrogate is no character; it would not survive strict encoding.
    return UCS2_CODING, text.encode("utf-16-be", errors="replace")


def split_udh(body: bytes) -> tuple[bytes, bytes]:
    """Part a body that begins with a UDH: the header with its length octet, and the rest."""
    length = 1 + body[0] if body else 0
    return body[:length], body[length:]


def count_segments(body: bytes, data_coding: int, *, has_udh: bool) -> int:
    """Say how many segments the radio network carries this body in: 1 or more.

    `has_udh` tells that the body begins with a user data header, which every segment repeats.
    """
    header, rest = split_udh(body) if has_udh else (b"", body)
    alphabet = read_data_coding(data_coding).alphabet
    if alphabet is Alphabet.ASCII:
        rest, alphabet = _ascii_as_septets(rest), Alphabet.GSM_7BIT
    if len(rest) <= _room(len(header), alphabet):
        return 1
    header_octets = (len(header) or 1) + _CONCATENATION_OCTETS
    return len(_cut(rest, max(_room(header_octets, alphabet), 2), alphabet))


def _ascii_as_septets(octets: bytes) -> bytes:
    """Write ASCII as the radio network has it: no data coding says ASCII there, so it goes in GSM septets.

    Where a character is lacking, the network puts one septet in its place.
    """
    return encode_gsm7(octets.decode("ascii", errors="replace")) or octets


class Segment(NamedTuple):
    """One part of a text: its user data header, empty if the text is one part, and its body."""

    udh: bytes
    body: bytes


def split_segments(text: str, reference: int) -> list[Segment]:
    """Part a text of ours into segments, encoded by `choose_encoding`; all have its data_coding.

    `reference` (0 to 255) tells the segments of this text from those of another one to the same phone.
    """
    data_coding, octets = choose_encoding(text)
    alphabet = read_data_coding(data_coding).alphabet
    if len(octets) <= _room(0, alphabet):
        return [Segment(b"", octets)]
    parts = _cut(octets, _room(1 + _CONCATENATION_OCTETS, alphabet), alphabet)
    assert len(parts) <= _MOST_SEGMENTS
    return [
        Segment(bytes([5, 0, 3, reference, len(parts), number]), part)
        for number, part in enumerate(parts, start=1)
    ]


def _room(header_octets: int, alphabet: Alphabet) -> int:
    """How many octets of body, as SMPP carries them, one segment holds beside its header."""
    octets = _USER_DATA_OCTETS - header_octets
    if alphabet is Alphabet.GSM_7BIT:
        return octets * 8 // 7
    return octets & ~1 if alphabet is Alphabet.UCS2 else octets


def _cut(octets: bytes, room: int, alphabet: Alphabet) -> list[bytes]:
    parts = []
    start = 0
    while start < len(octets):
        end = start + room
        if end < len(octets) and _splits_a_pair(octets, start, end, alphabet):
            end -= 1 if alphabet is Alphabet.GSM_7BIT else 2
        parts.append(octets[start:end])
        start = end
    return parts


def _splits_a_pair(octets: bytes, start: int, end: int, alphabet: Alphabet) -> bool:
    """Whether a cut before `end` parts an escape from its character, or two surrogates."""
    if alphabet is Alphabet.UCS2:
        return end - start > 2 and octets[end - 2] & 0xFC == 0xD8
    if alphabet is not Alphabet.GSM_7BIT or end - start < 2:
        return False
    escapes = end - start - len(octets[start:end].rstrip(bytes([_ESCAPE])))
    return escapes % 2 == 1
