"""The alphabets of short texts and the segments that they make."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onecard.values.alphabet import (
    Alphabet,
    DataCoding,
    Waiting,
    choose_encoding,
    count_segments,
    decode_gsm7,
    decode_text,
    encode_gsm7,
    read_data_coding,
    split_segments,
    split_udh,
)

GSM_7BIT, ASCII, LATIN_1, OCTETS, UCS2 = 0x00, 0x01, 0x03, 0x04, 0x08
GSM_CHARACTERS = decode_gsm7(bytes(code for code in range(128) if code != 0x1B)) + "\f^{}\\[~]|€"
GSM_TEXT = st.text(st.sampled_from(GSM_CHARACTERS))
HEADER = b"\x05\x00\x03\x2a\x02\x01"


def test_the_gsm_alphabet_has_137_different_characters() -> None:
    assert len(GSM_CHARACTERS) == len(set(GSM_CHARACTERS)) == 127 + 10


@pytest.mark.parametrize(
    ("text", "octets"),
    [
        ("hello", b"hello"),
        ("@£$¥", b"\x00\x01\x02\x03"),
        ("Ça va? é è à", b"\x09a va? \x05 \x04 \x7f"),
        ("Δ_ΦΓΛΩΠΨΣΘΞ", bytes(range(0x10, 0x1B))),
        ("ÆæßÉ", b"\x1c\x1d\x1e\x1f"),
        ("¤¡ÄÖÑÜ§¿äöñü", b"\x24\x40\x5b\x5c\x5d\x5e\x5f\x60\x7b\x7c\x7d\x7e"),
        ("5 € [x]", b"5 \x1be \x1b<x\x1b>"),
        ("\f^{}\\~|", b"\x1b\x0a\x1b\x14\x1b\x28\x1b\x29\x1b\x2f\x1b\x3d\x1b\x40"),
        ("a\r\nb", b"a\x0d\x0ab"),
    ],
)
def test_a_gsm_text_is_written_and_read(text: str, octets: bytes) -> None:
    assert encode_gsm7(text) == octets
    assert decode_gsm7(octets) == text


@pytest.mark.parametrize("text", ["ç", "你好", "ê", "\x1b", "`", "a😀"])
def test_a_text_outside_the_gsm_alphabet_is_not_written_in_it(text: str) -> None:
    assert encode_gsm7(text) is None


@pytest.mark.parametrize(
    ("octets", "text"),
    [
        (b"\x1bA", "A"),
        (b"a\x1b", "a "),
        (b"\x1b\x1b", " "),
        (b"a\x80\xff", "a\ufffd\ufffd"),
        (b"\x1b\x80", "\ufffd"),
    ],
)
def test_septets_that_the_standard_does_not_define_are_read_all_the_same(octets: bytes, text: str) -> None:
    assert decode_gsm7(octets) == text


@given(GSM_TEXT)
def test_a_gsm_text_survives(text: str) -> None:
    data_coding, octets = choose_encoding(text)
    assert data_coding == GSM_7BIT
    assert decode_text(octets, data_coding) == text


@given(st.text())
def test_any_text_survives_in_the_encoding_chosen_for_it(text: str) -> None:
    data_coding, octets = choose_encoding(text)
    assert decode_text(octets, data_coding) == text


@pytest.mark.parametrize(
    ("text", "data_coding"), [("", GSM_7BIT), ("hello €", GSM_7BIT), ("你好", UCS2), ("ê", UCS2)]
)
def test_gsm_is_chosen_if_it_fits_and_ucs2_if_not(text: str, data_coding: int) -> None:
    assert choose_encoding(text)[0] == data_coding


@pytest.mark.parametrize(
    ("data_coding", "reading"),
    [
        (0x00, DataCoding(Alphabet.GSM_7BIT)),
        (0x01, DataCoding(Alphabet.ASCII)),
        (0x02, DataCoding(Alphabet.OCTETS)),
        (0x03, DataCoding(Alphabet.LATIN_1)),
        (0x04, DataCoding(Alphabet.OCTETS)),
        (0x06, DataCoding(Alphabet.CYRILLIC)),
        (0x08, DataCoding(Alphabet.UCS2)),
        (0x09, DataCoding(Alphabet.OCTETS)),
        (0x7F, DataCoding(Alphabet.OCTETS)),
        (0xC8, DataCoding(Alphabet.GSM_7BIT, None, Waiting.VOICE, waiting_active=True, discardable=True)),
        (0xD1, DataCoding(Alphabet.GSM_7BIT, None, Waiting.FAX)),
        (0xEA, DataCoding(Alphabet.UCS2, None, Waiting.MAIL, waiting_active=True)),
        (0xF0, DataCoding(Alphabet.GSM_7BIT, message_class=0)),
        (0xF2, DataCoding(Alphabet.GSM_7BIT, message_class=2)),
        (0xF5, DataCoding(Alphabet.OCTETS, message_class=1)),
    ],
)
def test_data_coding_is_read(data_coding: int, reading: DataCoding) -> None:
    assert read_data_coding(data_coding) == reading


@given(st.binary(max_size=40), st.integers(0, 255))
def test_any_octets_are_text_or_none(octets: bytes, data_coding: int) -> None:
    is_text = read_data_coding(data_coding).alphabet is not Alphabet.OCTETS
    assert (decode_text(octets, data_coding) is not None) is is_text


@pytest.mark.parametrize(
    ("body", "data_coding", "has_udh", "segments"),
    [
        (b"", GSM_7BIT, False, 1),
        (b"a" * 160, GSM_7BIT, False, 1),
        (b"a" * 161, GSM_7BIT, False, 2),
        (b"a" * 306, GSM_7BIT, False, 2),
        (b"a" * 307, GSM_7BIT, False, 3),
        (b"\x1be" * 80, GSM_7BIT, False, 1),
        (b"a" * 152 + b"\x1be" * 77, GSM_7BIT, False, 3),
        (b"a" * 152 + b"\x1be" * 76, GSM_7BIT, False, 2),
        (b"a" * 160, 0xF0, False, 1),
        (b"a" * 160, ASCII, False, 1),
        (b"a" * 161, ASCII, False, 2),
        (b"[" * 81, ASCII, False, 2),
        (b"`" * 160, ASCII, False, 1),
        (b"a" * 140, LATIN_1, False, 1),
        (b"a" * 141, LATIN_1, False, 2),
        (b"a" * 268, OCTETS, False, 2),
        (b"a" * 269, OCTETS, False, 3),
        (b"\x4f\x60" * 70, UCS2, False, 1),
        (b"\x4f\x60" * 71, UCS2, False, 2),
        (b"\x4f\x60" * 134, UCS2, False, 2),
        (b"\x4f\x60" * 135, UCS2, False, 3),
        (HEADER + b"a" * 153, GSM_7BIT, True, 1),
        (HEADER + b"a" * 154, GSM_7BIT, True, 2),
        (HEADER + b"a" * 134, OCTETS, True, 1),
        (HEADER + b"\x4f\x60" * 67, UCS2, True, 1),
        (b"", GSM_7BIT, True, 1),
        (b"\xff" + b"a" * 139, GSM_7BIT, True, 1),
    ],
)
def test_segments_are_counted_as_the_network_makes_them(
    body: bytes, data_coding: int, has_udh: bool, segments: int
) -> None:
    assert count_segments(body, data_coding, has_udh=has_udh) == segments


@given(st.binary(max_size=500), st.integers(0, 255), st.booleans())
def test_any_body_has_at_least_one_segment(body: bytes, data_coding: int, has_udh: bool) -> None:
    assert count_segments(body, data_coding, has_udh=has_udh) >= 1


@given(GSM_TEXT.map(lambda text: text * 20) | st.text(min_size=50, max_size=400), st.integers(0, 255))
def test_segments_put_together_are_the_text_and_each_is_readable(text: str, reference: int) -> None:
    data_coding, octets = choose_encoding(text)
    segments = split_segments(text, reference)
    assert b"".join(body for _, body in segments) == octets
    assert "".join(decode_text(body, data_coding) or "" for _, body in segments) == text
    assert len(segments) == count_segments(octets, data_coding, has_udh=False)
    for udh, body in segments:
        assert count_segments(udh + body, data_coding, has_udh=bool(udh)) == 1


def test_segments_are_numbered() -> None:
    segments = split_segments("你" * 140, reference=7)
    assert [udh for udh, _ in segments] == [bytes([5, 0, 3, 7, 3, number]) for number in (1, 2, 3)]
    assert [len(body) for _, body in segments] == [134, 134, 12]


def test_a_text_of_one_segment_has_no_header() -> None:
    assert split_segments("hello", reference=7) == [(b"", b"hello")]


def test_neither_an_escape_pair_nor_a_surrogate_pair_is_parted() -> None:
    assert [body[-1:] for _, body in split_segments("a" * 152 + "€" * 10, 0)] == [b"a", b"e"]
    assert [len(body) for _, body in split_segments("你" * 66 + "😀" * 10, 0)] == [132, 40]


def test_a_header_is_parted_from_its_body() -> None:
    assert split_udh(HEADER + b"abc") == (HEADER, b"abc")
    assert split_udh(b"") == (b"", b"")
    assert split_udh(b"\xffshort") == (b"\xffshort", b"")
