"""Cut what comes over a connection into messages, each of which bears its own length. Pure: octets in, octets out."""

from __future__ import annotations

from collections.abc import Iterator

LENGTH_END = 4
"""Both SMPP and Diameter have the length in the first four octets."""


class Framing:
    """The octets of one connection that are not a whole message yet. `length_begin`: where the length begins."""

    def __init__(self, *, length_begin: int, header_octets: int, octets_most: int) -> None:
        self.octets_most = octets_most
        self.bad_header: bytes | None = None
        """Where a length is wrong, what stands there of the header: no message can be found any more."""
        self._length_begin = length_begin
        self._header_octets = header_octets
        self._buffer = bytearray()
        self._wanted_octets = LENGTH_END

    @property
    def waiting_octets(self) -> int:
        """How much waits for the rest of its message."""
        return len(self._buffer)

    def clear(self) -> None:
        """Forget what waits: the connection is over."""
        self._buffer.clear()

    def cut(self, data: bytes) -> Iterator[bytes]:
        """The messages that are complete with this piece, of any size. What is left of it waits for the next one."""
        if self._buffer:
            self._buffer += data
            if len(self._buffer) < self._wanted_octets:
                return
            data = bytes(self._buffer)
            self._buffer.clear()
        position = 0
        while (end := self._end_of_message(data, position)) is not None:
            yield data[position:end]
            position = end
        self._buffer += data[position:]

    def _end_of_message(self, data: bytes, position: int) -> int | None:
        """None if the message that begins at `position` is not all there, or is none."""
        available = len(data) - position
        if available < LENGTH_END:
            self._wanted_octets = LENGTH_END
            return None
        length = int.from_bytes(data[position + self._length_begin : position + LENGTH_END], "big")
        if not self._header_octets <= length <= self.octets_most:
            self.bad_header = data[position : position + self._header_octets]
            return None
        self._wanted_octets = length
        return position + length if available >= length else None
