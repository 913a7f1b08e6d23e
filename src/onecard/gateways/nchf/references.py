"""Name charging sessions to their consumers (ChargingDataRef). Pure.

A reference is made from what the consumer sent, with a key that all nodes of a network share. So no node has to
remember it: the same initial request gets the same reference wherever it is repeated, other consumers cannot guess it,
and what is charged can be read off its first letter when an update comes without saying.
"""

from __future__ import annotations

import re
from hashlib import blake2b

import msgspec
from msgspec.structs import replace

from onecard.catalogue.model import UsageKind
from onecard.gateways.nchf.codec import ChargingDataRequest

KEY_BYTES = 32
_LETTERS = {UsageKind.DATA: "d", UsageKind.TEXT: "t", UsageKind.CALL_OUT: "o", UsageKind.CALL_IN: "i"}
_USAGES = {letter: usage for usage, letter in _LETTERS.items()}
_REFERENCE = re.compile(r"[dtoi][0-9a-f]{40}")


def make_reference(key: bytes, consumer: str, usage: UsageKind, request: ChargingDataRequest) -> str:
    """The reference of the session that an initial request opens.

    Requests that differ in anything but retransmissionIndicator open different sessions: consumers tell theirs apart
    by invocationTimeStamp, subscriber, chargingId and the identifiers of the service.
    """
    contents = msgspec.msgpack.encode((consumer, replace(request, is_repeat=False)))
    return _LETTERS[usage] + blake2b(contents, key=key, digest_size=20).hexdigest()


def usage_of(reference: str) -> UsageKind | None:
    """What the session of a reference uses; None if it is no reference of ours."""
    return _USAGES[reference[0]] if _REFERENCE.fullmatch(reference) else None


def session_id_of(consumer: str, reference: str) -> str:
    """Our name of the session. It holds the consumer's: with the reference of another it finds nothing."""
    return f"nchf:{consumer}:{reference}"
