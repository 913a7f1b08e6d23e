"""Read the XML of banks in pieces, trusting nothing of it.

Pure: bytes in, elements out. A file may be of any size that is allowed; what is kept of it at a time is bounded.
There are no entities and no document types, so that no file can grow while it is read or name another.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence, Set
from xml.parsers import expat

import msgspec

from onecard.payments.bank.model import BadBankFile

FILE_MOST_BYTES = 1 << 30
TOKEN_MOST_BYTES = 1 << 18
"""Of a tag or of what stands between two: expat looks at all of one again at each chunk."""
KEPT_MOST = 20_000
"""Elements that are not given away yet."""
DEPTH_MOST = 64
TEXT_MOST = 4096
CHUNK_BYTES = 1 << 16


class Element(msgspec.Struct):
    """An element of ISO 20022: its name without the namespace, and where it begins."""

    name: str
    line: int
    attributes: dict[str, str]
    text: str = ""
    children: list[Element] = []

    def find(self, path: str) -> Element | None:
        """The first element at a path of names, ``Tp/CdOrPrtry/Cd``."""
        found = self
        for name in path.split("/"):
            for child in found.children:
                if child.name == name:
                    found = child
                    break
            else:
                return None
        return found

    def get(self, path: str) -> Element:
        """As `find`, where it has to be; raises `BadBankFile`."""
        found = self.find(path)
        if found is None:
            raise BadBankFile(self.line, f"{self.name} has no {path}")
        return found

    def find_text(self, path: str) -> str | None:
        """The text at a path; None: there is no such element, or nothing in it."""
        found = self.find(path)
        return (found.text.strip() or None) if found else None

    def get_text(self, path: str) -> str:
        """As `find_text`, where there has to be some; raises `BadBankFile`."""
        found = self.get(path)
        if not found.text.strip():
            raise BadBankFile(found.line, f"{found.name} is empty")
        return found.text.strip()

    def all_of(self, name: str) -> list[Element]:
        return [child for child in self.children if child.name == name]


def read_pieces(chunks: Iterable[bytes], *, messages: Sequence[str], pieces: Set[str]) -> Iterator[Element]:
    """Give away each element that `pieces` names as soon as it ends, without those given away before it.

    The file has to be one of `messages` (``camt.053``), in any version. Raises `BadBankFile`.
    """
    reader = _Reader(messages, pieces)
    for chunk in chunks:
        for first in range(0, len(chunk), CHUNK_BYTES):
            yield from reader.take(chunk[first : first + CHUNK_BYTES])
    yield from reader.take(b"", is_last=True)


class _Reader:
    """What expat calls, and what is open and kept meanwhile."""

    def __init__(self, messages: Sequence[str], pieces: Set[str]) -> None:
        self._messages = messages
        self._pieces = pieces
        self._prefix = ""
        self._open: list[Element] = []
        self._kept = 0
        self._kept_before: list[int] = []  # how many were kept when each open one began
        self._ready: list[Element] = []
        self._bytes = 0
        self._parser = expat.ParserCreate(namespace_separator=" ")
        self._parser.buffer_text = True
        self._parser.StartDoctypeDeclHandler = self._refuse_doctype
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._add_text

    def take(self, chunk: bytes, *, is_last: bool = False) -> list[Element]:
        """Read on; returns the pieces that ended."""
        self._bytes += len(chunk)
        if self._bytes > FILE_MOST_BYTES:
            raise self._bad(f"the file is larger than {FILE_MOST_BYTES} bytes")
        try:
            self._parser.Parse(chunk, is_last)
        except expat.ExpatError as error:
            raise BadBankFile(error.lineno, f"not XML: {expat.ErrorString(error.code)}") from None
        except (LookupError, UnicodeError):
            raise self._bad("the encoding is not known") from None
        if self._bytes - max(self._parser.CurrentByteIndex, 0) > TOKEN_MOST_BYTES + CHUNK_BYTES:
            raise self._bad(f"a tag or a text is longer than {TOKEN_MOST_BYTES} bytes")
        ready, self._ready = self._ready, []
        return ready

    def _bad(self, reason: str) -> BadBankFile:
        return BadBankFile(self._parser.CurrentLineNumber, reason)

    def _refuse_doctype(self, *_: object) -> None:
        raise self._bad("a document type is not allowed")

    def _start(self, full_name: str, attributes: dict[str, str]) -> None:
        if not self._open:
            self._check_message(full_name)
        if len(self._open) >= DEPTH_MOST:
            raise self._bad(f"elements are nested deeper than {DEPTH_MOST}")
        if self._kept >= KEPT_MOST:
            raise self._bad(f"more than {KEPT_MOST} elements where fewer are usual")
        # Those of others' extensions keep their whole name, and mean nothing here.
        name = full_name.removeprefix(self._prefix)
        self._open.append(Element(name, self._parser.CurrentLineNumber, attributes))
        self._kept_before.append(self._kept)
        self._kept += 1

    def _check_message(self, full_name: str) -> None:
        namespace, space, name = full_name.rpartition(" ")
        version = namespace.rpartition(":")[2]
        if name != "Document" or not version.startswith(tuple(f"{one}." for one in self._messages)):
            wanted = " or ".join(self._messages)
            raise self._bad(
                f"this is no {wanted}: it begins with {name[:35]} of {namespace[:70] or 'nothing'}"
            )
        self._prefix = namespace + space

    def _end(self, _: str) -> None:
        element, kept_before = self._open.pop(), self._kept_before.pop()
        if element.name in self._pieces:
            self._ready.append(element)
            self._kept = kept_before
        elif self._open:
            self._open[-1].children.append(element)

    def _add_text(self, text: str) -> None:
        element = self._open[-1]
        if text.isspace() and not element.text:
            return  # between elements
        if len(element.text) + len(text) > TEXT_MOST:
            raise self._bad(f"the text of {element.name[:35]} is longer than {TEXT_MOST} characters")
        element.text += text
