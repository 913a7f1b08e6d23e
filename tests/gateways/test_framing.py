"""Messages are cut from a stream the same, whatever the pieces in which it comes."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from onecard.gateways.framing import Framing

HEADER_OCTETS, OCTETS_MOST = 8, 64


def framing() -> Framing:
    return Framing(length_begin=1, header_octets=HEADER_OCTETS, octets_most=OCTETS_MOST)


def message(body: bytes) -> bytes:
    return bytes([1]) + (HEADER_OCTETS + len(body)).to_bytes(3, "big") + bytes(4) + body


def cut_in_pieces(stream: bytes, places: Sequence[int]) -> tuple[list[bytes], Framing]:
    edges = [0, *sorted(place % (len(stream) + 1) for place in places), len(stream)]
    frames = framing()
    pieces = [stream[begin:end] for begin, end in itertools.pairwise(edges)]
    return [whole for piece in pieces for whole in frames.cut(piece)], frames


bodies = st.lists(st.binary(max_size=OCTETS_MOST - HEADER_OCTETS), max_size=6)
places = st.lists(st.integers(0, 10_000), max_size=8)


@given(bodies, places, st.binary(max_size=3))
def test_messages_are_whole_and_in_order(sent: list[bytes], cuts: list[int], rest: bytes) -> None:
    messages = [message(body) for body in sent]
    found, frames = cut_in_pieces(b"".join(messages) + rest, cuts)
    assert found == messages
    assert frames.bad_header is None
    assert frames.waiting_octets == len(rest)


@given(bodies, places, st.sampled_from([0, HEADER_OCTETS - 1, OCTETS_MOST + 1, 2**24 - 1]))
def test_a_wrong_length_ends_it_after_the_messages_before(
    sent: list[bytes], cuts: list[int], length: int
) -> None:
    messages = [message(body) for body in sent]
    bad = bytes([1]) + length.to_bytes(3, "big") + bytes(4)
    found, frames = cut_in_pieces(b"".join(messages) + bad, cuts)
    assert found == messages
    assert frames.bad_header is not None
    assert bad.startswith(frames.bad_header)
