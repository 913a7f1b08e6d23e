"""AVPs by hand, and the contents of a message without regard to order and M bits."""

from __future__ import annotations

from onecard.gateways.diameter.constants import HEADER_OCTETS

MANDATORY = 0x40
VENDOR = 0x80
Tree = tuple[tuple[int, int, "bytes | Tree"], ...]

GROUPED = frozenset(
    {260, 413, 423, 430, 431, 434, 437, 440, 443, 445, 446, 456, 457, 458}
    | {code | 10415 << 32 for code in (823, 833, 873, 874, 876, 1201, 1264, 2000, 2021, 2026, 2027, 2028)}
)


def avp(code: int, payload: bytes, flags: int = MANDATORY, vendor: int = 0) -> bytes:
    """An AVP with its padding."""
    header_octets = 12 if vendor else 8
    length = header_octets + len(payload)
    flags |= VENDOR if vendor else 0
    octets = code.to_bytes(4, "big") + bytes([flags]) + length.to_bytes(3, "big")
    octets += vendor.to_bytes(4, "big") if vendor else b""
    return octets + payload + bytes(-length % 4)


def number(code: int, value: int, flags: int = MANDATORY, vendor: int = 0) -> bytes:
    """An AVP of 32 bits."""
    return avp(code, value.to_bytes(4, "big"), flags, vendor)


def message(command: int, *avps: bytes, flags: int = 0xC0, application: int = 4, version: int = 1) -> bytes:
    """A message with the ids 0x10 and 0x20."""
    body = b"".join(avps)
    length = HEADER_OCTETS + len(body)
    return (
        bytes([version])
        + length.to_bytes(3, "big")
        + bytes([flags])
        + command.to_bytes(3, "big")
        + application.to_bytes(4, "big")
        + bytes.fromhex("00000010 00000020")
        + body
    )


def tree(octets: bytes, known: frozenset[int], start: int = HEADER_OCTETS) -> Tree:
    """Every AVP with a code in `known`, sorted: code, vendor, and its payload or what is in it."""
    found = []
    position = start
    while position < len(octets):
        code = int.from_bytes(octets[position : position + 4], "big")
        vendor_octets = 4 if octets[position + 4] & VENDOR else 0
        stop = position + int.from_bytes(octets[position + 5 : position + 8], "big")
        vendor = int.from_bytes(octets[position + 8 : position + 8 + vendor_octets], "big")
        payload = octets[position + 8 + vendor_octets : stop]
        key = code | vendor << 32
        if key in known:
            found.append((code, vendor, tree(payload, known, 0) if key in GROUPED else payload))
        position = stop + -stop % 4
    return tuple(sorted(found, key=repr))
