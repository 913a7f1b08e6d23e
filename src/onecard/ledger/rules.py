"""How commands from outside get their event ids and content hashes. Pure."""

from __future__ import annotations

from hashlib import blake2b
from uuid import UUID, uuid5

from onecard.ledger.model import MOST_POSTING_MICROS, EntryKind, Posting

EVENTS = UUID("6b1f3f0e-3a64-4f0c-9a52-0d6f0c5b6e11")
"""The name space of event ids made from names (RFC 9562 section 5.5)."""


def name_event(source: str, name: str) -> UUID:
    """The event id of what `source` (``top_up``, ``link:cn-home``) calls `name`: one for all its repeats."""
    return uuid5(EVENTS, f"{len(source)}:{source}{name}")


def hash_contents(*contents: str | int) -> int:
    """A signed 64-bit hash of a command's contents, in order, to tell a repeat from a conflict.

    Hash what the sender said, not what we made of it: a price may change between a command and its repeat.
    """
    digest = blake2b(digest_size=8)
    for content in contents:
        octets = str(content).encode()
        digest.update(b"%d:" % len(octets))  # ("ab", "c") is not ("a", "bc")
        digest.update(octets)
    return int.from_bytes(digest.digest(), "big", signed=True)


def may_be_posted(posting: Posting) -> bool:
    """Whether a posting is well formed; a caller that makes another kind has a bug."""
    changes_most = max(abs(posting.available), abs(posting.held))
    return posting.kind is not EntryKind.COUNTERPART and changes_most <= MOST_POSTING_MICROS
