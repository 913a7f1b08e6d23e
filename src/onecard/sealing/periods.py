"""Keys of periods: the second wrapping of every data key, kept in files outside the database, and destroyed in time.

A backup of the database holds the data keys of its day, wrapped by the master key, which stays. It is the key of its
period that is destroyed: from then on no copy of the database from before the present period opens, whoever has it,
and whatever was destroyed in the database since is gone for good.

A directory beside the master key's file holds a file for each period: ``1.key``, ``2.key`` and so on. Every machine
that runs a node has all of them. Which of them wraps what is new the database says (`turns.join_period`), so that a key
can be made and copied ahead.
"""

from __future__ import annotations

import os
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from onecard.sealing.files import create_key_file, read_key_file
from onecard.sealing.keys import KEY_BYTES, KeyDestroyed, SealingKey

PERIOD_MOST = 2**32 - 1
_DIRECTORY_MODE = 0o700


class PeriodKeys:
    """The keys of a directory, read as they are needed: one that came since is found, one that went is forgotten."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._known: dict[int, tuple[tuple[int, int], SealingKey]] = {}

    def list_periods(self) -> tuple[int, ...]:
        """The periods whose keys are here, in order."""
        with suppress(FileNotFoundError):
            names = [file.stem for file in self.directory.glob("*.key")]
            return tuple(sorted(int(name) for name in names if name.isascii() and name.isdigit()))
        return ()

    def newest(self) -> int | None:
        """The latest period whose key is here; None: there is none yet."""
        return max(self.list_periods(), default=None)

    def get(self, period: int) -> SealingKey:
        """The key of a period; raises `KeyDestroyed` where it is not here, `BadKey`."""
        try:
            found = self._file(period).stat()
        except FileNotFoundError:
            self._known.pop(period, None)
            raise self._gone(period) from None
        signature = found.st_ino, found.st_mtime_ns
        known = self._known.get(period)
        if known is None or known[0] != signature:
            known = self._known[period] = signature, SealingKey(self._read(period))
        return known[1]

    def fingerprint(self, period: int) -> str:
        """What names a key in a certificate: SHA-256 in hexadecimal. Raises `KeyDestroyed`, `BadKey`."""
        return sha256(b"onecard period key\0" + self._read(period)).hexdigest()

    def create_next(self) -> int:
        """Make the key of one more period; returns the period."""
        self.directory.mkdir(mode=_DIRECTORY_MODE, parents=True, exist_ok=True)
        period = (self.newest() or 0) + 1
        assert period <= PERIOD_MOST
        create_key_file(self._file(period))
        self._keep_directory()
        return period

    def destroy(self, period: int) -> None:
        """Destroy a key for good: overwrite its file, as far as the disk lets us, and take it away."""
        self._known.pop(period, None)
        file = self._file(period)
        with suppress(FileNotFoundError), file.open("r+b") as out:
            out.write(os.urandom(2 * KEY_BYTES))
            out.flush()
            os.fsync(out.fileno())
        file.unlink(missing_ok=True)
        self._keep_directory()

    def _read(self, period: int) -> bytes:
        try:
            return read_key_file(self._file(period))
        except FileNotFoundError:
            raise self._gone(period) from None

    def _gone(self, period: int) -> KeyDestroyed:
        file = self._file(period)
        return KeyDestroyed(
            f"the key of period {period} was destroyed, or never copied to this machine: {file} is missing"
        )

    def _file(self, period: int) -> Path:
        return self.directory / f"{period}.key"

    def _keep_directory(self) -> None:
        """What was made or taken away in it outlasts a loss of power."""
        number = os.open(self.directory, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)
