"""Octets of Diameter to frozen values and back, by the tables of `dictionary`.

Pure: no I/O, no clock, no randomness. `decode_message` takes one whole message and returns a `Message`, or an
`Unreadable` that says what to answer; it never raises. `encode_message` is its inverse. The tables are compiled once,
into one reader and one writer an AVP.

Groups are read as deep as the tables go and no deeper; what the tables do not name is passed over unread, so that
nothing a peer sends can nest without end. An AVP that is not known, with the M bit set, is refused in a request
(RFC 6733 section 4.1) and passed over in an answer, for which there is nobody to refuse it to; nor is anything there
that came twice.

Source: RFC 6733 sections 3, 4 and 7.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntEnum
from functools import cache, partial
from ipaddress import IPv4Address, IPv6Address
from typing import Any, Final, cast

import msgspec

from onecard.gateways.diameter import messages
from onecard.gateways.diameter.constants import (
    HEADER_OCTETS,
    VENDOR_3GPP,
    VERSION,
    ApplicationId,
    CommandCode,
    Flag,
    RequestType,
    ResultCode,
)
from onecard.gateways.diameter.dictionary import (
    CC_REQUEST_NUMBER,
    CC_REQUEST_TYPE,
    CONTENTS,
    FORBIDDEN,
    PASSED_OVER,
    PASSES_OVER_3GPP,
    PROXY_INFO,
    SESSION_ID,
    Avp,
    Kind,
)
from onecard.gateways.diameter.messages import Body, Message, Unreadable

MOST_REPEATED: Final = 128
"""How often one AVP may stand in one message or group."""
_MOST_LENGTH: Final = 0xFFFFFF
_VENDOR_BIT: Final = 0x80_000000
_MANDATORY_BIT: Final = 0x40_000000
_REQUEST_BIT: Final = Flag.REQUEST << 24
_ERROR_BIT: Final = Flag.ERROR << 24
_REPEATED_BIT: Final = Flag.RETRANSMITTED << 24
_3GPP: Final = VENDOR_3GPP.to_bytes(4, "big")
_PADDING: Final = (b"", b"\0\0\0", b"\0\0", b"\0")
_EPOCH_SECONDS: Final = 2_208_988_800
"""From 1900, where Diameter begins, to 1970."""
_ERA_SECONDS: Final = 1 << 32

_HEADER = struct.Struct(">IIIII")
_TWO = struct.Struct(">II")
_THREE = struct.Struct(">III")
_read_header = _HEADER.unpack_from
_read_two = _TWO.unpack_from

Reader = Callable[[bytes], Any]
Writer = Callable[[Any], bytes]
_Entry = tuple[int, Reader, int, bool]
"""The field, how to read its payload, how long that has to be (0: any length), and whether it may be repeated."""


class _Fault(Exception):
    """What is wrong with an AVP; `octets` is the AVP for Failed-AVP, None for the one that is being read."""

    def __init__(self, result_code: ResultCode, octets: bytes | None = None) -> None:
        super().__init__(result_code)
        self.result_code = result_code
        self.octets = octets


class _Overrun(Exception):
    """An AVP is shorter than its header, or longer than what it stands in."""


def decode_message(frame: bytes) -> Message | Unreadable:
    """Read one whole message, of 20 octets at least."""
    first, second, application, hop_by_hop, end_to_end = _read_header(frame)
    command, flags = second & _MOST_LENGTH, second >> 24
    try:
        body = _read_body(frame, first, second, application)
    except _Fault as fault:
        session_id, request_type, request_number, proxies = _salvage(frame)
        return Unreadable(
            command,
            flags,
            application,
            hop_by_hop,
            end_to_end,
            fault.result_code,
            fault.octets,
            session_id,
            request_type,
            request_number,
            proxies,
        )
    return Message(command, flags, application, hop_by_hop, end_to_end, body)


def encode_message(message: Message) -> bytes:
    """Write one message. Raises ValueError if a value is out of the range of its AVP, or the whole is too long."""
    body = message.body
    try:
        octets = _write_group(_compile(type(body)), body)
    except struct.error as error:
        raise ValueError(f"{type(body).__name__}: {error}") from None
    length = HEADER_OCTETS + len(octets)
    if length > _MOST_LENGTH:
        raise ValueError(f"a message of {length} octets is longer than {_MOST_LENGTH}")
    return (
        _HEADER.pack(
            VERSION << 24 | length,
            message.flags << 24 | message.command,
            message.application_id,
            message.hop_by_hop,
            message.end_to_end,
        )
        + octets
    )


def example_avp(avp: Avp, value: Any = None) -> bytes:
    """An AVP in octets, for Failed-AVP: with this value, or with the least that its type has (RFC 6733 section 7.5)."""
    return _example(avp) if value is None else _writer_of(avp)(value)


# ---- Messages.


def _read_body(frame: bytes, first: int, second: int, application: int) -> Body:
    if first >> 24 != VERSION:
        raise _Fault(ResultCode.UNSUPPORTED_VERSION)
    if first & _MOST_LENGTH != len(frame) or len(frame) & 3:
        raise _Fault(ResultCode.INVALID_MESSAGE_LENGTH)
    if not second & _REQUEST_BIT:
        return _read_answer(frame, second)
    if second & _ERROR_BIT:
        raise _Fault(ResultCode.INVALID_HEADER_BITS)
    entry = _REQUESTS.get(second & _MOST_LENGTH)
    if entry is None:
        raise _Fault(ResultCode.COMMAND_UNSUPPORTED)
    group, expected = entry
    if application != expected:
        raise _Fault(ResultCode.APPLICATION_UNSUPPORTED)
    if group is _CREDIT_CONTROL:
        return cast(Body, _read_group(group, frame, HEADER_OCTETS, bool(second & _REPEATED_BIT)))
    return cast(Body, _read_group(group, frame, HEADER_OCTETS))


def _read_answer(frame: bytes, second: int) -> Body:
    """Read an answer by its command; one that is short of what its command wants, as a refusal is, by what it has."""
    group = _ANSWERS.get(second & _MOST_LENGTH)
    if group is not None and not second & _ERROR_BIT:
        try:
            return cast(Body, _read_group(group, frame, HEADER_OCTETS))
        except _Fault:
            pass
    return cast(Body, _read_group(_ERROR_ANSWER, frame, HEADER_OCTETS))


def _salvage(frame: bytes) -> tuple[str | None, RequestType | None, int | None, tuple[bytes, ...]]:
    """What of a message that cannot be read its answer has to repeat, as far as it can be found."""
    found: dict[int, bytes] = {}
    proxies: list[bytes] = []
    for key, payload in _walk(frame):
        if key == PROXY_INFO.key and len(proxies) < MOST_REPEATED:
            proxies.append(payload)
        else:
            found.setdefault(key, payload)
    session_id = found.get(SESSION_ID.key)
    request_type = found.get(CC_REQUEST_TYPE.key, b"")
    number = found.get(CC_REQUEST_NUMBER.key, b"")
    return (
        None if session_id is None else session_id.decode("utf-8", "replace"),
        _REQUEST_TYPES.get(int.from_bytes(request_type, "big")),
        int.from_bytes(number, "big") if len(number) == 4 else None,
        tuple(proxies),
    )


def _walk(frame: bytes) -> Iterator[tuple[int, bytes]]:
    """Go over the AVPs of a message, to the first that is broken."""
    position, end = HEADER_OCTETS, len(frame)
    while position + 8 <= end:
        code, word = _read_two(frame, position)
        start = position + (12 if word & _VENDOR_BIT else 8)
        stop = position + (word & _MOST_LENGTH)
        if stop < start or stop > end:
            return
        vendor = int.from_bytes(frame[position + 8 : start], "big")
        yield code | vendor << 32, frame[start:stop]
        position = stop + 3 & ~3


# ---- Groups.


@dataclass(slots=True)
class _Group:
    """A message or a group, compiled."""

    type: type[msgspec.Struct]
    avps: tuple[Avp, ...]
    blank: list[Any]
    """The defaults of the fields that are AVPs; None also where one must be there."""
    required_count: int
    """They come first."""
    readers: dict[int, _Entry]
    """How to read the AVPs of the specification of Diameter, by their codes."""
    readers_3gpp: dict[int, _Entry]
    """And those of 3GPP, by theirs: the two tables save the making of a key."""
    writers: tuple[Writer, ...]
    unread: tuple[()] | None
    """What is to be thought of an AVP in none of the tables: () if it is passed over, None if that is to be seen."""
    ignored: frozenset[int]
    ignores_all: bool
    forbidden: frozenset[int]


def _read_group(  # noqa: C901  (a call an AVP would cost a tenth of the time of a message)
    group: _Group, frame: bytes, position: int = 0, *others: Any
) -> msgspec.Struct:
    """Read the AVPs from `position` to the end; `others` are the fields after the last that is an AVP."""
    blank = group.blank
    values = blank.copy()
    find, find_3gpp, unread = group.readers.get, group.readers_3gpp.get, group.unread
    end = len(frame)
    stop = position
    try:
        while position < end:
            code, word = _read_two(frame, position)
            if word & _VENDOR_BIT:
                start = position + 12
                entry = find_3gpp(code, unread) if frame[position + 8 : start] == _3GPP else None
            else:
                start = position + 8
                entry = find(code, unread)
            stop = position + (word & _MOST_LENGTH)
            if stop < start or stop > end:
                raise _Overrun
            if entry is None:
                if word & _MANDATORY_BIT:
                    _check_ignorable(group, code, frame[position + 8 : start])
            elif entry:
                index, read, octets, many = entry
                if octets and stop - start != octets:
                    raise _Fault(ResultCode.INVALID_AVP_LENGTH)
                if many:
                    if len(values[index]) == MOST_REPEATED:
                        raise _Fault(ResultCode.AVP_OCCURS_TOO_MANY_TIMES)
                    values[index] += (read(frame[start:stop]),)
                elif values[index] is blank[index]:
                    values[index] = read(frame[start:stop])
                elif not group.ignores_all:
                    raise _Fault(ResultCode.AVP_OCCURS_TOO_MANY_TIMES)
            position = stop + 3 & ~3
    except (_Overrun, struct.error):
        raise _Fault(ResultCode.INVALID_AVP_LENGTH, _cut_off(frame, position, end)) from None
    except _Fault as fault:
        culprit = frame[position:stop] if fault.octets is None else frame[position:start] + fault.octets
        raise _Fault(fault.result_code, _with_its_length(culprit)) from None
    except (KeyError, ValueError):  # a value that its type does not have, or no UTF-8
        raise _Fault(ResultCode.INVALID_AVP_VALUE, _padded(frame[position:stop])) from None
    if group.required_count and None in values[: group.required_count]:
        avp = group.avps[values.index(None)]
        raise _Fault(ResultCode.MISSING_AVP, _example(avp))
    return group.type(*values, *others)


def _check_ignorable(group: _Group, code: int, vendor: bytes) -> None:
    """Refuse an AVP with the M bit that has no place in this group."""
    key = code | int.from_bytes(vendor, "big") << 32
    if key in group.forbidden:
        raise _Fault(ResultCode.AVP_NOT_ALLOWED)
    if not (group.ignores_all or key in group.ignored):
        raise _Fault(ResultCode.AVP_UNSUPPORTED)


def _padded(octets: bytes) -> bytes:
    return octets + _PADDING[len(octets) & 3]


# ---- Failed-AVP: RFC 6733 section 7.5.


def _with_its_length(octets: bytes) -> bytes:
    """An AVP of which the contents were reduced to the culprit, or were not."""
    code, word = _read_two(octets)
    return _padded(_TWO.pack(code, word & ~_MOST_LENGTH | len(octets)) + octets[8:])


def _cut_off(frame: bytes, position: int, end: int) -> bytes:
    """An AVP with a length that cannot be: its header, and as many zeros as its type has at least."""
    header = frame[position : min(position + 12, end)].ljust(12, b"\0")
    code, word = _read_two(header)
    vendor = int.from_bytes(header[8:], "big") if word & _VENDOR_BIT else 0
    avp = _AVPS.get(code | vendor << 32, Avp(code, "unknown", Kind.OCTETS, vendor))
    return _example(avp)


def _example(avp: Avp) -> bytes:
    """An AVP with the least payload that its type has, all zeros."""
    payload = bytes(_LEAST_OCTETS.get(avp.kind, 0)) if isinstance(avp.kind, Kind) else b""
    if isinstance(avp.kind, type) and issubclass(avp.kind, IntEnum):
        payload = bytes(4)
    return _write_octets(*_header_of(avp), payload)


# ---- Reading one value. What is wrong with it is a KeyError or a ValueError: 5004.


def _read_identity(payload: bytes) -> str:
    if not payload:
        raise ValueError("a name of no letters")
    return payload.decode("ascii")


def _read_address(payload: bytes) -> IPv4Address | IPv6Address:
    """An address of the families of IP: RFC 6733 section 4.3.1."""
    family, octets = payload[:2], payload[2:]
    if family == b"\0\1" and len(octets) == 4:
        return IPv4Address(octets)
    if family == b"\0\2" and len(octets) == 16:
        return IPv6Address(octets)
    raise ValueError("no address of IP")


def _read_time(payload: bytes) -> datetime:
    """Seconds since 1900, or since 2036 if the highest bit is not set (RFC 6733 section 4.3.1, RFC 5905)."""
    seconds = int.from_bytes(payload, "big")
    if seconds < 0x8000_0000:
        seconds += _ERA_SECONDS
    return datetime.fromtimestamp(seconds - _EPOCH_SECONDS, UTC)


_read_signed = partial(int.from_bytes, byteorder="big", signed=True)

# By these letters `struct` writes them.
_NUMBERS = {
    Kind.UNSIGNED32: "I",
    Kind.UNSIGNED64: "Q",
    Kind.INTEGER32: "i",
    Kind.INTEGER64: "q",
}
_OCTETS = {Kind.TIME: 4} | {kind: struct.calcsize(">" + letter) for kind, letter in _NUMBERS.items()}
_LEAST_OCTETS = _OCTETS | {Kind.ADDRESS: 6}
_READERS: dict[Kind, Reader] = {
    Kind.OCTETS: bytes,
    Kind.TEXT: bytes.decode,
    Kind.IDENTITY: _read_identity,
    Kind.ADDRESS: _read_address,
    Kind.TIME: _read_time,
    Kind.UNSIGNED32: int.from_bytes,  # big-endian unless told otherwise
    Kind.UNSIGNED64: int.from_bytes,
    Kind.INTEGER32: _read_signed,
    Kind.INTEGER64: _read_signed,
}


def _reader_of(avp: Avp) -> tuple[Reader, int]:
    """How to read the payload, and how many octets it has to have; 0: any."""
    if isinstance(avp.kind, Kind):
        return _READERS[avp.kind], _OCTETS.get(avp.kind, 0)
    if issubclass(avp.kind, IntEnum):
        members = {member.to_bytes(4, "big"): member for member in avp.kind}
        return members.__getitem__, 4
    return partial(_read_group, _compile(avp.kind)), 0


# ---- Writing one value, with its header.


def _header_of(avp: Avp) -> tuple[int, int, int]:
    """The code, the flags where they stand in the second word, and the vendor."""
    flags = (_MANDATORY_BIT if avp.mandatory else 0) | (_VENDOR_BIT if avp.vendor else 0)
    return avp.code, flags, avp.vendor


def _write_octets(code: int, flags: int, vendor: int, value: bytes) -> bytes:
    length = len(value) + (12 if vendor else 8)
    if length > _MOST_LENGTH:
        raise ValueError(f"an AVP of {length} octets is longer than {_MOST_LENGTH}")
    header = _THREE.pack(code, flags | length, vendor) if vendor else _TWO.pack(code, flags | length)
    return header + value + _PADDING[length & 3]


def _write_text(code: int, flags: int, vendor: int, value: str) -> bytes:
    return _write_octets(code, flags, vendor, value.encode())


def _write_address(code: int, flags: int, vendor: int, value: IPv4Address | IPv6Address) -> bytes:
    family = b"\0\1" if value.version == 4 else b"\0\2"
    return _write_octets(code, flags, vendor, family + value.packed)


def _write_time(code: int, flags: int, vendor: int, value: datetime) -> bytes:
    assert value.tzinfo is not None
    seconds = (int(value.timestamp()) + _EPOCH_SECONDS) % _ERA_SECONDS
    return _write_octets(code, flags, vendor, seconds.to_bytes(4, "big"))


def _number_writer(avp: Avp, letter: str) -> Writer:
    """One call in C: header and value are packed together."""
    code, flags, vendor = _header_of(avp)
    layout = struct.Struct((">III" if vendor else ">II") + letter)
    header = (code, flags | layout.size, vendor) if vendor else (code, flags | layout.size)
    return partial(layout.pack, *header)


_WRITERS: dict[Kind, Callable[[int, int, int, Any], bytes]] = {
    Kind.OCTETS: _write_octets,
    Kind.TEXT: _write_text,
    Kind.IDENTITY: _write_text,
    Kind.ADDRESS: _write_address,
    Kind.TIME: _write_time,
}


def _writer_of(avp: Avp) -> Writer:
    if not isinstance(avp.kind, Kind):
        if issubclass(avp.kind, IntEnum):
            return _number_writer(avp, "I")
        return _group_writer(avp, _compile(avp.kind))
    letter = _NUMBERS.get(avp.kind)
    return _number_writer(avp, letter) if letter else partial(_WRITERS[avp.kind], *_header_of(avp))


def _group_writer(avp: Avp, group: _Group) -> Writer:
    header = _header_of(avp)

    def write(value: msgspec.Struct) -> bytes:
        return _write_octets(*header, _write_group(group, value))

    return write


def _repeated(write: Writer) -> Writer:
    def write_all(values: tuple[Any, ...]) -> bytes:
        return b"".join(map(write, values))

    return write_all


def _write_group(group: _Group, value: msgspec.Struct) -> bytes:
    # Not strict: the last field of a request may be no AVP.
    pairs = zip(msgspec.structs.astuple(value), group.writers)  # noqa: B905
    return b"".join([write(field) for field, write in pairs if field is not None])


# ---- The tables.


@cache
def _compile(kind: type[msgspec.Struct], *, ignores_all: bool = False) -> _Group:
    avps = CONTENTS[kind]
    fields = msgspec.structs.fields(kind)[: len(avps)]
    assert all(avp.vendor in (0, VENDOR_3GPP) for avp in avps)
    readers: dict[int, _Entry] = {}
    readers_3gpp: dict[int, _Entry] = {}
    writers = []
    for index, (avp, field) in enumerate(zip(avps, fields, strict=True)):
        many = field.default == ()
        table = readers_3gpp if avp.vendor else readers
        table[avp.code] = (index, *_reader_of(avp), many)
        writers.append(_repeated(_writer_of(avp)) if many else _writer_of(avp))
    return _Group(
        kind,
        avps,
        [None if field.required else field.default for field in fields],
        sum(field.required for field in fields),
        readers,
        readers_3gpp,
        tuple(writers),
        () if kind in PASSES_OVER_3GPP else None,
        PASSED_OVER.get(kind, frozenset()),
        ignores_all,
        FORBIDDEN.get(kind, frozenset()),
    )


_AVPS = {avp.key: avp for avps in CONTENTS.values() for avp in avps}
_REQUEST_TYPES = {int(member): member for member in RequestType}
_CREDIT_CONTROL = _compile(messages.CreditControlRequest)
_ERROR_ANSWER = _compile(messages.ErrorAnswer, ignores_all=True)
_BASE, _CHARGING = ApplicationId.BASE, ApplicationId.CREDIT_CONTROL
_REQUESTS: dict[int, tuple[_Group, int]] = {
    CommandCode.CAPABILITIES_EXCHANGE: (_compile(messages.CapabilitiesExchangeRequest), _BASE),
    CommandCode.DEVICE_WATCHDOG: (_compile(messages.WatchdogRequest), _BASE),
    CommandCode.DISCONNECT_PEER: (_compile(messages.DisconnectRequest), _BASE),
    CommandCode.CREDIT_CONTROL: (_CREDIT_CONTROL, _CHARGING),
    CommandCode.RE_AUTH: (_compile(messages.ReAuthRequest), _CHARGING),
    CommandCode.ABORT_SESSION: (_compile(messages.AbortSessionRequest), _CHARGING),
}
_ANSWERS: dict[int, _Group] = {
    command: _compile(answer, ignores_all=True)
    for command, answer in (
        (CommandCode.CAPABILITIES_EXCHANGE, messages.CapabilitiesExchangeAnswer),
        (CommandCode.DEVICE_WATCHDOG, messages.WatchdogAnswer),
        (CommandCode.DISCONNECT_PEER, messages.DisconnectAnswer),
        (CommandCode.CREDIT_CONTROL, messages.CreditControlAnswer),
        (CommandCode.RE_AUTH, messages.ReAuthAnswer),
        (CommandCode.ABORT_SESSION, messages.AbortSessionAnswer),
    )
}
