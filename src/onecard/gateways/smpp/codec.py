"""Octets of SMPP 3.4 to frozen values and back.

Pure: no I/O, no clock, no randomness. `decode_pdu` takes one whole PDU and either returns a `Pdu` or raises
the one `DecodeError`, which says what to answer. `encode_pdu` is its inverse. C-octet strings are read as
Latin-1, so that every octet a peer may send survives the way through. Layouts are a table at the end of the
module, except those of submit_sm, deliver_sm, data_sm and their responses: all traffic passes there, so they
are written out.

Source: SMPP Protocol Specification v3.4, issue 1.2, sections 3.2, 4 and 5.
"""

from collections.abc import Callable
from dataclasses import dataclass
from struct import Struct as Packer
from typing import Any, Protocol

from onecard.gateways.smpp.constants import (
    HEADER_OCTETS,
    MOST_PDU_OCTETS,
    RESPONSE_BIT,
    CommandId,
    CommandStatus,
    Tag,
)
from onecard.gateways.smpp.pdus import (
    Alert,
    Bind,
    BindAnswer,
    Body,
    Cancel,
    MessageId,
    Outbind,
    Pdu,
    Query,
    QueryAnswer,
    Replace,
    ShortMessage,
    SubmitMulti,
    SubmitMultiAnswer,
    Tlvs,
    find_tlv,
)
from onecard.values.address import Address

_HEADER = Packer(">IIII")
_TLV_HEADER = Packer(">HH")
_MOST_SHORT_MESSAGE_OCTETS = 255  # the specification says 254, and peers do send 255


class DecodeError(Exception):
    """A PDU that cannot be read, and what its sender has to be told.

    `command` and `sequence` are the numbers of its header; `command` may be none that we know.
    """

    def __init__(self, status: CommandStatus, command: int, sequence: int) -> None:
        super().__init__(f"{status.name} for command {command:#010x}, sequence {sequence}")
        self.status = status
        self.command = command
        self.sequence = sequence


def decode_pdu(frame: bytes) -> Pdu:
    """Read one whole PDU of 16 to 65,536 octets. Raises DecodeError."""
    length, number, status, sequence = _HEADER.unpack_from(frame)
    if length != len(frame):
        raise DecodeError(CommandStatus.ESME_RINVCMDLEN, number, sequence)
    entry = _READERS.get(number)
    if entry is None:
        raise DecodeError(CommandStatus.ESME_RINVCMDID, number, sequence)
    command, read = entry
    if number & RESPONSE_BIT and length == HEADER_OCTETS:
        return Pdu(command, status, sequence, None)
    try:
        body = read(frame)
    except (DecodeError, ValueError, IndexError) as error:
        if status and number & RESPONSE_BIT:
            return Pdu(command, status, sequence, None)  # a refusal says enough by its status
        if isinstance(error, DecodeError):
            raise
        # a terminator or an octet was looked for beyond the end
        raise DecodeError(CommandStatus.ESME_RINVCMDLEN, number, sequence) from None
    return Pdu(command, status, sequence, body)


def encode_pdu(pdu: Pdu) -> bytes:
    """Write one PDU. Raises ValueError if a field is longer than the protocol carries."""
    body = b"" if pdu.body is None else _WRITERS[pdu.command](pdu.body)
    length = HEADER_OCTETS + len(body)
    if length > MOST_PDU_OCTETS:
        raise ValueError(f"a PDU of {length} octets is longer than {MOST_PDU_OCTETS}")
    return _HEADER.pack(length, pdu.command, pdu.status, pdu.sequence) + body


def _refusal(frame: bytes, status: CommandStatus) -> DecodeError:
    _, command, _, sequence = _HEADER.unpack_from(frame)
    return DecodeError(status, command, sequence)


def _read_tlvs(frame: bytes, position: int) -> Tlvs:
    end = len(frame)
    tlvs = []
    while position < end:
        if position + 4 > end:
            raise _refusal(frame, CommandStatus.ESME_RINVOPTPARSTREAM)
        tag, length = _TLV_HEADER.unpack_from(frame, position)
        start = position + 4
        position = start + length
        if position > end:
            raise _refusal(frame, CommandStatus.ESME_RINVPARLEN)
        tlvs.append((tag, frame[start:position]))
    return tuple(tlvs)


def _write_tlvs(tlvs: Tlvs) -> bytes:
    if not tlvs:
        return b""
    if any(len(value) > 0xFFFF for _, value in tlvs):
        raise ValueError("an optional parameter is longer than 65,535 octets")
    return b"".join(_TLV_HEADER.pack(tag, len(value)) + value for tag, value in tlvs)


def _c_octets(text: str, most: int) -> bytes:
    """Encode a C-octet string without its terminator; `most` does not count that either."""
    if not text:
        return b""
    octets = text.encode("latin-1")
    if len(octets) > most or 0 in octets:
        raise ValueError(f"a text of {len(octets)} octets does not fit a C-octet string of at most {most}")
    return octets


# Bounds of C-octet strings, without the terminator.
# The specification gives passwords 8 octets; peers use longer ones.
_SERVICE_TYPE_MOST = 5
_DIGITS_MOST = 20
_LONG_DIGITS_MOST = 64
_TIME_MOST = 16
_MESSAGE_ID_MOST = 64
_SYSTEM_ID_MOST = 15
_PASSWORD_MOST = 64
_SYSTEM_TYPE_MOST = 12
_ADDRESS_RANGE_MOST = 40
_LIST_NAME_MOST = 20


def _message_bounds_refusal(
    frame: bytes, service_type: int, source: int, destination: int, schedule: int, validity: int
) -> DecodeError:
    """Say which of the lengths given, of which one is over its bound, it was."""
    if service_type > _SERVICE_TYPE_MOST:
        return _refusal(frame, CommandStatus.ESME_RINVSERTYP)
    if source > _DIGITS_MOST:
        return _refusal(frame, CommandStatus.ESME_RINVSRCADR)
    if destination > _DIGITS_MOST:
        return _refusal(frame, CommandStatus.ESME_RINVDSTADR)
    if schedule > _TIME_MOST:
        return _refusal(frame, CommandStatus.ESME_RINVSCHED)
    assert validity > _TIME_MOST
    return _refusal(frame, CommandStatus.ESME_RINVEXPIRY)


def _split_payload(frame: bytes, body: bytes, tlvs: Tlvs) -> tuple[bytes, bool, Tlvs]:
    """Take message_payload out of the optional parameters: body, whether it came that way, the others."""
    payload = find_tlv(tlvs, Tag.MESSAGE_PAYLOAD)
    if payload is None:
        return body, False, tlvs
    others = tuple(tlv for tlv in tlvs if tlv[0] != Tag.MESSAGE_PAYLOAD)
    if body or len(others) != len(tlvs) - 1:
        raise _refusal(frame, CommandStatus.ESME_ROPTPARNOTALLWD)
    return payload, True, others


def _read_message(frame: bytes, operation: CommandId) -> ShortMessage:
    type_end = frame.index(0, HEADER_OCTETS)
    source_end = frame.index(0, type_end + 3)
    destination_end = frame.index(0, source_end + 3)
    schedule_end = frame.index(0, destination_end + 4)
    validity_end = frame.index(0, schedule_end + 1)
    if (
        type_end > HEADER_OCTETS + _SERVICE_TYPE_MOST
        or source_end > type_end + 3 + _DIGITS_MOST
        or destination_end > source_end + 3 + _DIGITS_MOST
        or schedule_end > destination_end + 4 + _TIME_MOST
        or validity_end > schedule_end + 1 + _TIME_MOST
    ):
        raise _message_bounds_refusal(
            frame,
            type_end - HEADER_OCTETS,
            source_end - type_end - 3,
            destination_end - source_end - 3,
            schedule_end - destination_end - 4,
            validity_end - schedule_end - 1,
        )
    body_start = validity_end + 6
    body_end = body_start + frame[validity_end + 5]
    if body_end > len(frame):
        raise _refusal(frame, CommandStatus.ESME_RINVMSGLEN)
    tlvs: Tlvs = ()
    body, in_payload = frame[body_start:body_end], False
    if body_end < len(frame):
        body, in_payload, tlvs = _split_payload(frame, body, _read_tlvs(frame, body_end))
    return ShortMessage(
        operation,
        Address(frame[type_end + 1], frame[type_end + 2], frame[type_end + 3 : source_end].decode("latin-1")),
        Address(
            frame[source_end + 1],
            frame[source_end + 2],
            frame[source_end + 3 : destination_end].decode("latin-1"),
        ),
        body,
        frame[HEADER_OCTETS:type_end].decode("latin-1"),
        frame[destination_end + 1],
        frame[destination_end + 2],
        frame[destination_end + 3],
        frame[destination_end + 4 : schedule_end].decode("latin-1"),
        frame[schedule_end + 1 : validity_end].decode("latin-1"),
        frame[validity_end + 1],
        frame[validity_end + 2],
        frame[validity_end + 3],
        frame[validity_end + 4],
        in_payload,
        tlvs,
    )


def _read_submit(frame: bytes) -> ShortMessage:
    return _read_message(frame, CommandId.SUBMIT_SM)


def _read_deliver(frame: bytes) -> ShortMessage:
    return _read_message(frame, CommandId.DELIVER_SM)


def _write_message(message: ShortMessage) -> bytes:
    source, destination = message.source, message.destination
    body = b"" if message.body_in_payload else message.body
    if len(body) > _MOST_SHORT_MESSAGE_OCTETS:
        raise ValueError(f"a body of {len(body)} octets does not fit short_message")
    fixed = b"%b\0%c%c%b\0%c%c%b\0%c%c%c%b\0%b\0%c%c%c%c%c%b" % (
        _c_octets(message.service_type, _SERVICE_TYPE_MOST),
        source.ton,
        source.npi,
        _c_octets(source.digits, _DIGITS_MOST),
        destination.ton,
        destination.npi,
        _c_octets(destination.digits, _DIGITS_MOST),
        message.esm_class,
        message.protocol_id,
        message.priority,
        _c_octets(message.schedule, _TIME_MOST),
        _c_octets(message.validity, _TIME_MOST),
        message.registered_delivery,
        message.replace_if_present,
        message.data_coding,
        message.default_message_id,
        len(body),
        body,
    )
    if message.body_in_payload:
        fixed += _write_tlvs(((Tag.MESSAGE_PAYLOAD, message.body),))
    return fixed + _write_tlvs(message.tlvs)


def _read_data(frame: bytes) -> ShortMessage:
    service_type, position = _SERVICE_TYPE.read(frame, HEADER_OCTETS)
    source, position = _LONG_SOURCE.read(frame, position)
    destination, position = _LONG_DESTINATION.read(frame, position)
    esm_class, registered, coding = frame[position], frame[position + 1], frame[position + 2]
    body, in_payload, tlvs = _split_payload(frame, b"", _read_tlvs(frame, position + 3))
    return ShortMessage(
        CommandId.DATA_SM,
        source,
        destination,
        body,
        service_type,
        esm_class,
        registered_delivery=registered,
        data_coding=coding,
        body_in_payload=in_payload,
        tlvs=tlvs,
    )


def _write_data(message: ShortMessage) -> bytes:
    """Write a data_sm: a body only as message_payload, and no times, no priority, no protocol id."""
    parts = [
        _SERVICE_TYPE.write(message.service_type),
        _LONG_SOURCE.write(message.source),
        _LONG_DESTINATION.write(message.destination),
        b"%c%c%c" % (message.esm_class, message.registered_delivery, message.data_coding),
    ]
    if message.body or message.body_in_payload:
        parts.append(_write_tlvs(((Tag.MESSAGE_PAYLOAD, message.body),)))
    parts.append(_write_tlvs(message.tlvs))
    return b"".join(parts)


def _read_message_id(frame: bytes) -> MessageId:
    end = frame.index(0, HEADER_OCTETS)
    if end > HEADER_OCTETS + _MESSAGE_ID_MOST:
        raise _refusal(frame, CommandStatus.ESME_RINVMSGID)
    message_id = frame[HEADER_OCTETS:end].decode("latin-1")
    if end + 1 == len(frame):
        return MessageId(message_id)
    return MessageId(message_id, _read_tlvs(frame, end + 1))


def _write_message_id(answer: MessageId) -> bytes:
    return _c_octets(answer.message_id, _MESSAGE_ID_MOST) + b"\0" + _write_tlvs(answer.tlvs)


class _Field(Protocol):
    """How one field of a body is read and written. `read` gives the value and the position after it."""

    def read(self, frame: bytes, position: int) -> tuple[Any, int]: ...

    def write(self, value: Any) -> bytes: ...


class _Octet:
    def read(self, frame: bytes, position: int) -> tuple[int, int]:
        return frame[position], position + 1

    def write(self, value: int) -> bytes:
        return b"%c" % value


@dataclass(frozen=True, slots=True)
class _COctetString:
    most: int
    refusal: CommandStatus

    def read(self, frame: bytes, position: int) -> tuple[str, int]:
        end = frame.index(0, position)
        if end - position > self.most:
            raise _refusal(frame, self.refusal)
        return frame[position:end].decode("latin-1"), end + 1

    def write(self, value: str) -> bytes:
        return _c_octets(value, self.most) + b"\0"


@dataclass(frozen=True, slots=True)
class _AddressField:
    digits: _COctetString

    def read(self, frame: bytes, position: int) -> tuple[Address, int]:
        digits, end = self.digits.read(frame, position + 2)
        return Address(frame[position], frame[position + 1], digits), end

    def write(self, value: Address) -> bytes:
        return b"%c%c%b" % (value.ton, value.npi, self.digits.write(value.digits))


class _ShortMessageField:
    """sm_length and short_message."""

    def read(self, frame: bytes, position: int) -> tuple[bytes, int]:
        start = position + 1
        end = start + frame[position]
        if end > len(frame):
            raise _refusal(frame, CommandStatus.ESME_RINVMSGLEN)
        return frame[start:end], end

    def write(self, value: bytes) -> bytes:
        if len(value) > _MOST_SHORT_MESSAGE_OCTETS:
            raise ValueError(f"a body of {len(value)} octets does not fit short_message")
        return b"%c%b" % (len(value), value)


class _Destinations:
    """number_of_dests and dest_address(es): section 4.5.1.1."""

    def read(self, frame: bytes, position: int) -> tuple[tuple[Address | str, ...], int]:
        count = frame[position]
        if count == 0:
            raise _refusal(frame, CommandStatus.ESME_RINVNUMDESTS)
        position += 1
        destinations: list[Address | str] = []
        for _ in range(count):
            destination, position = self._read_one(frame, position)
            destinations.append(destination)
        return tuple(destinations), position

    def _read_one(self, frame: bytes, position: int) -> tuple[Address | str, int]:
        if frame[position] == 1:
            return _DESTINATION.read(frame, position + 1)
        if frame[position] == 2:
            return _LIST_NAME.read(frame, position + 1)
        raise _refusal(frame, CommandStatus.ESME_RINVDESTFLAG)

    def write(self, value: tuple[Address | str, ...]) -> bytes:
        return b"%c" % len(value) + b"".join(map(self._write_one, value))

    def _write_one(self, value: Address | str) -> bytes:
        if isinstance(value, str):
            return b"\2" + _LIST_NAME.write(value)
        return b"\1" + _DESTINATION.write(value)


class _Failures:
    """no_unsuccess and unsuccess_sme(s): section 4.5.2.1."""

    def read(self, frame: bytes, position: int) -> tuple[tuple[tuple[Address, int], ...], int]:
        count = frame[position]
        position += 1
        failures = []
        for _ in range(count):
            address, end = _DESTINATION.read(frame, position)
            position = end + 4
            if position > len(frame):
                raise _refusal(frame, CommandStatus.ESME_RINVCMDLEN)
            failures.append((address, int.from_bytes(frame[end:position], "big")))
        return tuple(failures), position

    def write(self, value: tuple[tuple[Address, int], ...]) -> bytes:
        each = (_DESTINATION.write(address) + status.to_bytes(4, "big") for address, status in value)
        return b"%c" % len(value) + b"".join(each)


_OCTET = _Octet()
_SERVICE_TYPE = _COctetString(_SERVICE_TYPE_MOST, CommandStatus.ESME_RINVSERTYP)
_SYSTEM_ID = _COctetString(_SYSTEM_ID_MOST, CommandStatus.ESME_RINVSYSID)
_PASSWORD = _COctetString(_PASSWORD_MOST, CommandStatus.ESME_RINVPASWD)
_SYSTEM_TYPE = _COctetString(_SYSTEM_TYPE_MOST, CommandStatus.ESME_RINVSYSTYP)
_ADDRESS_RANGE = _AddressField(_COctetString(_ADDRESS_RANGE_MOST, CommandStatus.ESME_RBINDFAIL))
_MESSAGE_ID = _COctetString(_MESSAGE_ID_MOST, CommandStatus.ESME_RINVMSGID)
_SCHEDULE = _COctetString(_TIME_MOST, CommandStatus.ESME_RINVSCHED)
_VALIDITY = _COctetString(_TIME_MOST, CommandStatus.ESME_RINVEXPIRY)
_FINAL_DATE = _COctetString(_TIME_MOST, CommandStatus.ESME_RUNKNOWNERR)
_LIST_NAME = _COctetString(_LIST_NAME_MOST, CommandStatus.ESME_RINVDLNAME)
_SOURCE = _AddressField(_COctetString(_DIGITS_MOST, CommandStatus.ESME_RINVSRCADR))
_DESTINATION = _AddressField(_COctetString(_DIGITS_MOST, CommandStatus.ESME_RINVDSTADR))
_LONG_SOURCE = _AddressField(_COctetString(_LONG_DIGITS_MOST, CommandStatus.ESME_RINVSRCADR))
_LONG_DESTINATION = _AddressField(_COctetString(_LONG_DIGITS_MOST, CommandStatus.ESME_RINVDSTADR))
_SHORT_MESSAGE = _ShortMessageField()


@dataclass(frozen=True, slots=True)
class _Layout:
    """The fields of a body in the order of the wire, which is that of its attributes; `tlvs` follow."""

    build: Callable[..., Body]
    fields: tuple[_Field, ...]

    def read(self, frame: bytes) -> Body:
        values = []
        position = HEADER_OCTETS
        for field in self.fields:
            value, position = field.read(frame, position)
            values.append(value)
        return self.build(*values, _read_tlvs(frame, position))

    def write(self, body: Body) -> bytes:
        names = body.__struct_fields__
        fields = zip(self.fields, names, strict=False)  # the last name is `tlvs`
        fixed = b"".join(field.write(getattr(body, name)) for field, name in fields)
        return fixed + _write_tlvs(body.tlvs)


_BIND = _Layout(Bind, (_SYSTEM_ID, _PASSWORD, _SYSTEM_TYPE, _OCTET, _ADDRESS_RANGE))
_BIND_ANSWER = _Layout(BindAnswer, (_SYSTEM_ID,))
_MULTI_TAIL = (
    *(_OCTET, _OCTET, _OCTET, _SCHEDULE, _VALIDITY),
    *(_OCTET, _OCTET, _OCTET, _OCTET, _SHORT_MESSAGE),
)

_LAYOUTS: dict[CommandId, _Layout] = {
    CommandId.BIND_RECEIVER: _BIND,
    CommandId.BIND_TRANSMITTER: _BIND,
    CommandId.BIND_TRANSCEIVER: _BIND,
    CommandId.BIND_RECEIVER_RESP: _BIND_ANSWER,
    CommandId.BIND_TRANSMITTER_RESP: _BIND_ANSWER,
    CommandId.BIND_TRANSCEIVER_RESP: _BIND_ANSWER,
    CommandId.OUTBIND: _Layout(Outbind, (_SYSTEM_ID, _PASSWORD)),
    CommandId.SUBMIT_MULTI: _Layout(SubmitMulti, (_SERVICE_TYPE, _SOURCE, _Destinations(), *_MULTI_TAIL)),
    CommandId.SUBMIT_MULTI_RESP: _Layout(SubmitMultiAnswer, (_MESSAGE_ID, _Failures())),
    CommandId.QUERY_SM: _Layout(Query, (_MESSAGE_ID, _SOURCE)),
    CommandId.QUERY_SM_RESP: _Layout(QueryAnswer, (_MESSAGE_ID, _FINAL_DATE, _OCTET, _OCTET)),
    CommandId.CANCEL_SM: _Layout(Cancel, (_SERVICE_TYPE, _MESSAGE_ID, _SOURCE, _DESTINATION)),
    CommandId.REPLACE_SM: _Layout(
        Replace, (_MESSAGE_ID, _SOURCE, _SCHEDULE, _VALIDITY, _OCTET, _OCTET, _SHORT_MESSAGE)
    ),
    CommandId.ALERT_NOTIFICATION: _Layout(Alert, (_LONG_SOURCE, _LONG_DESTINATION)),
}


def _read_nothing(_frame: bytes) -> None:
    """Read a body that should be empty; octets that a peer puts there mean nothing."""


_READERS: dict[int, tuple[CommandId, Callable[[bytes], Body | None]]] = {
    **{command.value: (command, _read_nothing) for command in CommandId},
    **{command.value: (command, layout.read) for command, layout in _LAYOUTS.items()},
    CommandId.SUBMIT_SM.value: (CommandId.SUBMIT_SM, _read_submit),
    CommandId.DELIVER_SM.value: (CommandId.DELIVER_SM, _read_deliver),
    CommandId.DATA_SM.value: (CommandId.DATA_SM, _read_data),
    CommandId.SUBMIT_SM_RESP.value: (CommandId.SUBMIT_SM_RESP, _read_message_id),
    CommandId.DELIVER_SM_RESP.value: (CommandId.DELIVER_SM_RESP, _read_message_id),
    CommandId.DATA_SM_RESP.value: (CommandId.DATA_SM_RESP, _read_message_id),
}

_WRITERS: dict[CommandId, Callable[[Any], bytes]] = {
    **{command: layout.write for command, layout in _LAYOUTS.items()},
    CommandId.SUBMIT_SM: _write_message,
    CommandId.DELIVER_SM: _write_message,
    CommandId.DATA_SM: _write_data,
    CommandId.SUBMIT_SM_RESP: _write_message_id,
    CommandId.DELIVER_SM_RESP: _write_message_id,
    CommandId.DATA_SM_RESP: _write_message_id,
}
