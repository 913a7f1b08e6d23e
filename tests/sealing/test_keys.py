"""What is sealed opens with its key, in its place, and in no other way."""

from __future__ import annotations

import base64
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onecard.sealing.files import create_key_file
from onecard.sealing.keys import BadMasterKey, MasterKey, SealBroken, SealingKey, WrongMasterKey
from onecard.sealing.loading import load_master_key

KEY = SealingKey(bytes(32))


@given(st.binary(max_size=500), st.binary(max_size=50))
def test_what_is_sealed_opens_again(plain: bytes, bound_to: bytes) -> None:
    sealed = KEY.seal(plain, bound_to)
    assert KEY.open(sealed, bound_to) == plain
    assert len(sealed) == len(plain) + 29


@given(st.binary(max_size=100), st.data())
def test_one_changed_bit_breaks_the_seal(plain: bytes, data: st.DataObject) -> None:
    sealed = bytearray(KEY.seal(plain, b"row"))
    bit = data.draw(st.integers(0, len(sealed) * 8 - 1))
    sealed[bit // 8] ^= 1 << bit % 8
    with pytest.raises(SealBroken):
        KEY.open(bytes(sealed), b"row")


@given(st.binary(max_size=60))
def test_bytes_that_were_never_sealed_do_not_open(noise: bytes) -> None:
    with pytest.raises(SealBroken):
        KEY.open(noise, b"row")


def test_a_seal_is_bound_to_its_row() -> None:
    with pytest.raises(SealBroken):
        KEY.open(KEY.seal(b"secret", b"contact:1:2"), b"contact:1:3")


def test_the_same_bytes_never_look_the_same() -> None:
    assert KEY.seal(b"secret", b"row") != KEY.seal(b"secret", b"row")


def test_a_wrapped_key_opens_with_its_master_key_only() -> None:
    master = MasterKey(os.urandom(32))
    key, wrapped = master.new_key(b"body_key:2026-01-01")
    sealed = key.seal(b"text", b"row")
    assert master.unwrap(wrapped, b"body_key:2026-01-01").open(sealed, b"row") == b"text"
    with pytest.raises(WrongMasterKey, match="ONECARD_MASTER_KEY"):
        MasterKey(os.urandom(32)).unwrap(wrapped, b"body_key:2026-01-01")


def test_a_master_key_file_is_made_once_and_is_private(tmp_path: Path) -> None:
    file = tmp_path / "keys" / "master.key"
    assert create_key_file(file)
    assert file.stat().st_mode & 0o777 == 0o600
    content = file.read_bytes()
    assert not create_key_file(file)
    assert file.read_bytes() == content
    assert list(file.parent.iterdir()) == [file]
    wrapped = load_master_key(file, {}).new_key(b"x")[1]
    load_master_key(file, {}).unwrap(wrapped, b"x")


def test_of_many_that_make_the_file_at_once_one_does(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as threads:
        made = list(threads.map(create_key_file, [tmp_path / "master.key"] * 16))
    assert made.count(True) == 1
    assert len(base64.b64decode((tmp_path / "master.key").read_bytes())) == 32


def test_the_environment_goes_before_the_file(tmp_path: Path) -> None:
    file = tmp_path / "master.key"
    create_key_file(file)
    environment = {"ONECARD_MASTER_KEY": base64.b64encode(bytes(32)).decode()}
    wrapped = load_master_key(file, environment).new_key(b"x")[1]
    MasterKey(bytes(32)).unwrap(wrapped, b"x")


def test_a_missing_master_key_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(BadMasterKey, match="missing"):
        load_master_key(tmp_path / "master.key", {})


def test_a_master_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "master.key"
    create_key_file(file)
    file.chmod(0o640)
    with pytest.raises(BadMasterKey, match="chmod 600"):
        load_master_key(file, {})


@pytest.mark.parametrize("text", ["", "abc", "!" * 44, base64.b64encode(bytes(16)).decode(), "é" * 40])
def test_text_that_is_no_master_key_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(BadMasterKey):
        load_master_key(tmp_path / "none", {"ONECARD_MASTER_KEY": text})
    file = tmp_path / "master.key"
    file.write_text(text, encoding="utf-8")
    file.chmod(0o600)
    with pytest.raises(BadMasterKey):
        load_master_key(file, {})
