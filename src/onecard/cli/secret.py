"""Secrets: typed where others cannot see them, and written to files that only their owner may read."""

from __future__ import annotations

import getpass
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, TextIO

from onecard.cli.failures import Failure, Misuse

TYPED_LENGTH_MOST = 200


@contextmanager
def new_private_file(file: Path) -> Iterator[TextIO]:
    """A new file that only its owner may read; it is taken away again where something fails meanwhile."""
    with create_private_file(file) as out:
        try:
            yield out
        except BaseException:
            file.unlink()
            raise


@contextmanager
def create_private_file(file: Path) -> Iterator[TextIO]:
    """A new file that only its owner may read; what was written stays where something fails meanwhile."""
    with os.fdopen(_open_new(file), "w", encoding="utf-8", newline="") as out:
        yield out


@contextmanager
def new_private_binary(file: Path) -> Iterator[BinaryIO]:
    """As `new_private_file`, for bytes."""
    with os.fdopen(_open_new(file), "wb") as out:
        try:
            yield out
        except BaseException:
            file.unlink()
            raise


def _open_new(file: Path) -> int:
    try:
        return os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise Failure(
            "file_exists", f"{file} is there already: secrets are written to a new file only"
        ) from None


def put_on_disk(out: TextIO) -> None:
    """Return when what was written would survive a loss of power."""
    out.flush()
    os.fsync(out.fileno())


def read_secret(given: str, prompt: str) -> str:
    """What was given on the command line; ``-``: a line that is typed, or piped, which no list of processes shows."""
    if given != "-":
        return given
    line = getpass.getpass(prompt) if sys.stdin.isatty() else sys.stdin.readline(TYPED_LENGTH_MOST + 1)
    if len(line) > TYPED_LENGTH_MOST:
        raise Misuse(f"a secret has {TYPED_LENGTH_MOST} characters at most")
    return line.strip()
