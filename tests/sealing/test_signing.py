"""Signed documents: proved by anyone who has the public key, and broken by any change."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onecard.sealing.files import create_key_file
from onecard.sealing.signing import (
    BadSigningKey,
    SignatureBroken,
    SigningKey,
    canonical,
    load_signing_key,
    sign_document,
    verify_document,
)

DOCUMENT = {"name": "结算", "owed_micros": 0, "accounts": [{"part": 1, "count": 2}], "final": True}


def key_of(number: int) -> SigningKey:
    return SigningKey(bytes([number]) * 32)


def test_the_signature_is_that_of_rfc_8032() -> None:
    seed = bytes.fromhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb")
    key = SigningKey(seed)
    assert base64.b64decode(key.public_key).hex() == (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"
    )
    assert key.sign(b"\x72").hex() == (
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
    )


def test_a_signed_document_is_proved_however_its_file_is_laid_out() -> None:
    key = key_of(1)
    written = msgspec.json.encode(sign_document(key, DOCUMENT))
    assert verify_document(written, key.public_key) == DOCUMENT
    spread = json.dumps(json.loads(written), indent=4, sort_keys=True).encode()
    assert verify_document(spread, key.public_key) == DOCUMENT


def test_the_order_of_keys_does_not_matter_and_nothing_else_is_left_open() -> None:
    assert canonical({"b": 1, "a": {"d": "é", "c": None}}) == '{"a":{"c":null,"d":"é"},"b":1}'.encode()


@pytest.mark.parametrize(
    "changed",
    [
        {**DOCUMENT, "owed_micros": 1},
        {**DOCUMENT, "more": ""},
        {key: value for key, value in DOCUMENT.items() if key != "final"},
    ],
)
def test_a_changed_document_is_found_out(changed: dict[str, object]) -> None:
    key = key_of(1)
    signed = sign_document(key, DOCUMENT)
    forged = msgspec.json.encode({"document": changed, "signature": signed.signature})
    with pytest.raises(SignatureBroken):
        verify_document(forged, key.public_key)


def test_another_key_proves_nothing() -> None:
    written = msgspec.json.encode(sign_document(key_of(1), DOCUMENT))
    with pytest.raises(SignatureBroken):
        verify_document(written, key_of(2).public_key)


@given(st.binary(max_size=300))
def test_any_bytes_are_a_broken_signature_at_worst(written: bytes) -> None:
    with pytest.raises(SignatureBroken):
        verify_document(written, key_of(1).public_key)


def test_a_fraction_has_no_place_in_what_is_signed() -> None:
    with pytest.raises(AssertionError):
        sign_document(key_of(1), {"share": [{"of": 0.5}]})


def test_the_key_comes_from_a_private_file(tmp_path: Path) -> None:
    file = tmp_path / "signing.key"
    with pytest.raises(BadSigningKey, match="missing"):
        load_signing_key(file)
    create_key_file(file)
    assert load_signing_key(file).public_key == load_signing_key(file).public_key
    file.chmod(0o644)
    with pytest.raises(BadSigningKey, match="chmod 600"):
        load_signing_key(file)
