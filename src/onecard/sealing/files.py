"""Files that hold a key each: base64, mode 0600."""

from __future__ import annotations

import base64
import binascii
import os
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

from onecard.sealing.keys import KEY_BYTES, BadKey


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
