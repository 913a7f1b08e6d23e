"""Sign documents that others must be able to prove: closing statements, certificates of destruction.

Ed25519 (RFC 8032) over the document's canonical form: JSON in UTF-8 without spaces, keys in order, no fractions.
Whoever has the public key, the document and any Ed25519 program proves it without onecard.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from onecard.sealing.files import read_key_file
from onecard.sealing.keys import BadKey, SealingError

ALGORITHM = "Ed25519"


class BadSigningKey(SealingError):
    """The signing key is absent, malformed, or readable by others."""


class SignatureBroken(SealingError):
    """A signed document was changed, or another key signed it."""


class SigningKey:
    """Signs; what it signed is proved with its public half."""

    __slots__ = ("_key",)

    def __init__(self, seed: bytes) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(seed)

    @property
    def public_key(self) -> str:
        """The public half: base64 of 32 bytes."""
        return base64.b64encode(self._key.public_key().public_bytes_raw()).decode("ascii")

    def sign(self, message: bytes) -> bytes:
        """The signature of some bytes, of 64 bytes."""
        return self._key.sign(message)


class Signature(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who signed, and the proof; both in base64."""

    algorithm: str
    public_key: str
    value: str


class SignedDocument(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A document with its signature, as it is written to a file."""

    document: dict[str, Any]
    signature: Signature


def load_signing_key(file: Path) -> SigningKey:
    """The key of a file that `files.create_key_file` made; raises `BadSigningKey`."""
    try:
        return SigningKey(read_key_file(file))
    except FileNotFoundError:
        raise BadSigningKey(f"there is no signing key: {file} is missing") from None
    except BadKey as error:
        raise BadSigningKey(f"the signing key cannot be used: {error}") from None


def canonical(document: Mapping[str, Any]) -> bytes:
    """The bytes of a document that are signed."""
    return msgspec.json.encode(document, order="sorted")


def sign_document(key: SigningKey, document: Mapping[str, Any]) -> SignedDocument:
    """Sign a document of strings, integers, truths, lists and tables. A fraction has more than one spelling: none."""
    _check_exact(document)
    value = base64.b64encode(key.sign(canonical(document))).decode("ascii")
    return SignedDocument(dict(document), Signature(ALGORITHM, key.public_key, value))


def _check_exact(value: Any) -> None:
    assert not isinstance(value, float), "an amount or a share is written as an integer or as text"
    for inner in value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ():
        _check_exact(inner)


def verify_document(written: bytes, public_key: str) -> dict[str, Any]:
    """The document of a signed file, if the key signed just that; raises `SignatureBroken`."""
    try:
        signed = msgspec.json.decode(written, type=SignedDocument)
        proof = Ed25519PublicKey.from_public_bytes(base64.b64decode(public_key, validate=True))
        proof.verify(base64.b64decode(signed.signature.value, validate=True), canonical(signed.document))
    except (msgspec.DecodeError, binascii.Error, ValueError, InvalidSignature):
        raise SignatureBroken("the document was changed, or another key signed it") from None
    if (signed.signature.algorithm, signed.signature.public_key) != (ALGORITHM, public_key):
        raise SignatureBroken("the document names another key than the one that signed it")
    return signed.document
