"""Seal bytes with AES-256-GCM (NIST SP 800-38D).

A sealed value is a version byte, a random nonce of 12 bytes, then the ciphertext with its tag of 16 bytes.
What it is bound to (``b"contact:<part>:<id>"``) is authenticated with it, so that a sealed value moved to
another row does not open.
"""

from __future__ import annotations

import base64
import binascii
import os
import stat
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

MASTER_KEY_VARIABLE = "ONECARD_MASTER_KEY"
KEY_BYTES = 32
NONCE_BYTES = 12
TAG_BYTES = 16
VERSION = b"\x01"
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
    """The key that wraps all others; it lives in a file or in the environment, never in the database."""

    __slots__ = ("_derivation", "_key")

    def __init__(self, key: bytes) -> None:
        self._key = SealingKey(key)
        self._derivation = key

    def derive(self, purpose: bytes) -> bytes:
        """A key of 32 bytes for one purpose, the same on every node; it tells nothing of the master key."""
        return blake2b(key=self._derivation, digest_size=KEY_BYTES, person=purpose).digest()

    def new_key(self, bound_to: bytes) -> tuple[SealingKey, bytes]:
        """Make a data key; returns it and its wrapped form, which is what to store."""
        key = os.urandom(KEY_BYTES)
        return SealingKey(key), self._key.seal(key, bound_to)

    def unwrap(self, wrapped: bytes, bound_to: bytes) -> SealingKey:
        """Open a wrapped data key; raises `WrongMasterKey`."""
        try:
            return SealingKey(self._key.open(wrapped, bound_to))
        except SealBroken:
            raise WrongMasterKey(
                "the master key is not the one this database was sealed with: "
                f"set {MASTER_KEY_VARIABLE} or restore the key file"
            ) from None


def load_master_key(file: Path, environment: Mapping[str, str] | None = None) -> MasterKey:
    """Take the master key from ``ONECARD_MASTER_KEY`` or else from its file; raises `BadMasterKey`."""
    text = (os.environ if environment is None else environment).get(MASTER_KEY_VARIABLE)
    try:
        return MasterKey(decode_key(text, MASTER_KEY_VARIABLE) if text is not None else read_key_file(file))
    except FileNotFoundError:
        raise BadMasterKey(
            f"there is no master key: {file} is missing and {MASTER_KEY_VARIABLE} is not set"
        ) from None
    except BadKey as error:
        raise BadMasterKey(f"the master key cannot be used: {error}") from None


def create_key_file(file: Path) -> bool:
    """Make a file with a new key, mode 0600, unless it is there; returns whether it was made.

    It appears whole or not at all: of two that make it at once, one wins and both then load the same key.
    """
    if file.exists():
        return False
    file.parent.mkdir(parents=True, exist_ok=True)
    draft_number, draft = tempfile.mkstemp(dir=file.parent)  # mode 0600 from the start
    try:
        with os.fdopen(draft_number, "wb") as out:
            out.write(base64.b64encode(os.urandom(KEY_BYTES)) + b"\n")
            out.flush()
            os.fsync(out.fileno())
        with suppress(FileExistsError):
            os.link(draft, file)
            return True
        return False
    finally:
        Path(draft).unlink()


def read_key_file(file: Path) -> bytes:
    """The key that a file holds, of `KEY_BYTES`; raises `BadKey`, FileNotFoundError."""
    try:
        mode = file.stat().st_mode
        text = file.read_text(encoding="ascii")
    except FileNotFoundError:
        raise
    except (OSError, UnicodeDecodeError) as error:
        raise BadKey(f"{file} cannot be read: {error}") from None
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise BadKey(f"others may read it: run chmod 600 {file}")
    return decode_key(text, str(file))


def decode_key(text: str, source: str) -> bytes:
    """Read a key in base64; `source` is where it stands. Raises `BadKey`."""
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != KEY_BYTES:
        raise BadKey(f"{source} does not hold a key: base64 of {KEY_BYTES} bytes")
    return key
