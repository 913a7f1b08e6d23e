"""Check the password of a peer against the hash in the configuration (argon2, RFC 9106)."""

from __future__ import annotations

import asyncio

import argon2

CHECKS_AT_ONCE = 2
"""A check costs memory and tens of milliseconds on purpose: no crowd of guesses may take the machine."""


class PasswordCheck:
    """Checks passwords beside the event loop, a few at a time. Shared by all gateways of a node."""

    def __init__(self) -> None:
        self._hasher = argon2.PasswordHasher()
        self._places = asyncio.Semaphore(CHECKS_AT_ONCE)

    async def is_right(self, password_hash: str, password: str) -> bool:
        """Whether this is the password of the hash."""
        async with self._places:
            return await asyncio.to_thread(self._verify, password_hash, password)

    def _verify(self, password_hash: str, password: str) -> bool:
        try:
            return self._hasher.verify(password_hash, password)
        except argon2.exceptions.VerifyMismatchError:
            return False


def hash_password(password: str) -> str:
    """The hash to write into the configuration."""
    return argon2.PasswordHasher().hash(password)
