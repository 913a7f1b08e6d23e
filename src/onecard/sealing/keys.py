"""Seal bytes with AES-256-GCM (NIST SP 800-38D).

A sealed value is a version byte, a random nonce of 12 bytes, then the ciphertext with its tag of 16 bytes.
What it is bound to (``b"contact:<part>:<id>"``) is authenticated with it, so that a sealed value moved to
another row does not open.
"""

from __future__ import annotations

import os
from hashlib import blake2b
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

MASTER_KEY_VARIABLE = "ONECARD_MASTER_KEY"
KEY_BYTES = 32
NONCE_BYTES = 12
TAG_BYTES = 16
VERSION = b"\x01"
WRAPPED_IN_PERIOD = b"\x02"
"""A data key that begins with this is wrapped by the key of a period, whose number (four bytes, big-endian) follows."""
_PERIOD_BYTES = 4
_OVERHEAD_BYTES = len(VERSION) + NONCE_BYTES + TAG_BYTES


class SealingError(Exception):
    """Something sealed cannot be opened, or nothing can be sealed."""


class BadKey(SealingError):
    """What is to hold a key is malformed, or readable by others."""


class BadMasterKey(SealingError):
    """The master key is absent, malformed, or readable by others."""


class WrongMasterKey(SealingError):
    """The master key is not the one that wrapped the keys in this database."""


class SealBroken(SealingError):
    """A sealed value was changed, or belongs to another row."""


class KeyDestroyed(SealingError):
    """The key was destroyed, and with it what it had sealed."""


class Periods(Protocol):
    """The keys of periods."""

    def get(self, period: int) -> SealingKey:
        """The key of a period; raises `KeyDestroyed`."""
        ...


class SealingKey:
    """One key; about 3 us to seal or to open a text."""

    __slots__ = ("_cipher",)

    def __init__(self, key: bytes) -> None:
        assert len(key) == KEY_BYTES
        self._cipher = AESGCM(key)

    def seal(self, plain: bytes, bound_to: bytes) -> bytes:
        """Seal bytes for the row that `bound_to` names."""
        nonce = os.urandom(NONCE_BYTES)
        return VERSION + nonce + self._cipher.encrypt(nonce, plain, bound_to)

    def open(self, sealed: bytes, bound_to: bytes) -> bytes:
        """Open what `seal` gave for the same row; raises `SealBroken`."""
        if len(sealed) < _OVERHEAD_BYTES or sealed[:1] != VERSION:
            raise SealBroken("this is not a sealed value of a version known here")
        try:
            return self._cipher.decrypt(sealed[1 : 1 + NONCE_BYTES], sealed[1 + NONCE_BYTES :], bound_to)
        except InvalidTag:
            raise SealBroken("the sealed value was changed, or belongs to another row") from None


class MasterKey:
    """The key that wraps all others; it lives in a file or in the environment, never in the database.

    With the keys of periods (`sealing.periods`), each data key is wrapped by that of its period, too.
    """

    __slots__ = ("_derivation", "_key", "_periods")

    def __init__(self, key: bytes, periods: Periods | None = None) -> None:
        self._key = SealingKey(key)
        self._derivation = key
        self._periods = periods

    def derive(self, purpose: bytes) -> bytes:
        """A key of 32 bytes for one purpose, the same on every node; it tells nothing of the master key."""
        return blake2b(key=self._derivation, digest_size=KEY_BYTES, person=purpose).digest()

    def new_key(self, bound_to: bytes, period: int | None = None) -> tuple[SealingKey, bytes]:
        """Make a data key; returns it and its wrapped form, which is what to store.

        It is wrapped by the key of a period, too, where one is given; raises `KeyDestroyed` where that is not here.
        """
        key = os.urandom(KEY_BYTES)
        return SealingKey(key), self._wrap(key, bound_to, period)

    def unwrap(self, wrapped: bytes, bound_to: bytes) -> SealingKey:
        """Open a wrapped data key; raises `WrongMasterKey`, and `KeyDestroyed` when that of its period is gone."""
        return SealingKey(self.open_wrapped(wrapped, bound_to))

    def rewrap(self, wrapped: bytes, bound_to: bytes, period: int) -> bytes:
        """The same data key, wrapped by the key of another period; raises as `unwrap` does."""
        return self._wrap(self.open_wrapped(wrapped, bound_to), bound_to, period)

    def _wrap(self, key: bytes, bound_to: bytes, period: int | None) -> bytes:
        inner = self._key.seal(key, bound_to)
        if period is None:
            return inner
        number = period.to_bytes(_PERIOD_BYTES, "big")
        return WRAPPED_IN_PERIOD + number + self._get_period(period).seal(inner, number + bound_to)

    def open_wrapped(self, wrapped: bytes, bound_to: bytes) -> bytes:
        """The bytes of a wrapped key, of which hashes are made; raises as `unwrap` does."""
        try:
            return self._key.open(self._take_out(wrapped, bound_to), bound_to)
        except SealBroken:
            raise WrongMasterKey(
                "the master key is not the one this database was sealed with: "
                f"set {MASTER_KEY_VARIABLE} or restore the key file"
            ) from None

    def _take_out(self, wrapped: bytes, bound_to: bytes) -> bytes:
        """A data key as only the master key wraps it."""
        period = period_of(wrapped)
        if period is None:
            return wrapped
        body = wrapped[len(WRAPPED_IN_PERIOD) :]
        return self._get_period(period).open(body[_PERIOD_BYTES:], body[:_PERIOD_BYTES] + bound_to)

    def _get_period(self, period: int) -> SealingKey:
        if self._periods is None:
            raise KeyDestroyed(f"the key of period {period} is not here")
        return self._periods.get(period)


def period_of(wrapped: bytes) -> int | None:
    """The period whose key wraps a data key; None: only the master key does."""
    if not wrapped.startswith(WRAPPED_IN_PERIOD):
        return None
    return int.from_bytes(wrapped[1 : 1 + _PERIOD_BYTES], "big")
