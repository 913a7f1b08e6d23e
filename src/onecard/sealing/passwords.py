"""Make and check the hashes of passwords, of peers and of staff (argon2id, RFC 9106)."""

from __future__ import annotations

import asyncio
from functools import cache

import argon2

CHECKS_AT_ONCE = 2
"""A check costs memory and tens of milliseconds on purpose: no crowd of guesses may take the machine."""


class PasswordCheck:
    """Makes and checks hashes beside the event loop, a few at a time. Shared by all who ask on a node."""

    def __init__(self) -> None:
        self._hasher = argon2.PasswordHasher()
        self._places = asyncio.Semaphore(CHECKS_AT_ONCE)

    async def is_right(self, password_hash: str | None, password: str) -> bool:
        """Whether this is the password of the hash. Without a hash it is not, and the answer takes as long."""
        async with self._places:
            is_right = await asyncio.to_thread(self._verify, password_hash or _hash_of_nobody(), password)
        return is_right and password_hash is not None

    async def make_hash(self, password: str) -> str:
        """What is kept of a password."""
        async with self._places:
            return await asyncio.to_thread(self._hasher.hash, password)

    def _verify(self, password_hash: str, password: str) -> bool:
        try:
            return self._hasher.verify(password_hash, password)
        except argon2.exceptions.VerifyMismatchError:
            return False


@cache
def _hash_of_nobody() -> str:
    return hash_password("")


def hash_password(password: str) -> str:
    """The hash to write into the configuration."""
    return argon2.PasswordHasher().hash(password)
