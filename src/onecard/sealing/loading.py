"""Load the master key, and the keys of periods that are beside it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from onecard.sealing.files import decode_key, read_key_file
from onecard.sealing.keys import MASTER_KEY_VARIABLE, BadKey, BadMasterKey, MasterKey
from onecard.sealing.periods import PeriodKeys


def periods_directory(master_key_file: Path) -> Path:
    """Where the keys of periods are: beside the master key's file."""
    return master_key_file.with_suffix(".periods")


def load_master_key(file: Path, environment: Mapping[str, str] | None = None) -> MasterKey:
    """Take the master key from ``ONECARD_MASTER_KEY`` or else from its file; raises `BadMasterKey`.

    The keys of periods are beside the file, also where the master key is in the environment.
    """
    periods = PeriodKeys(periods_directory(file))
    text = (os.environ if environment is None else environment).get(MASTER_KEY_VARIABLE)
    try:
        key = decode_key(text, MASTER_KEY_VARIABLE) if text is not None else read_key_file(file)
        return MasterKey(key, periods)
    except FileNotFoundError:
        raise BadMasterKey(
            f"there is no master key: {file} is missing and {MASTER_KEY_VARIABLE} is not set"
        ) from None
    except BadKey as error:
        raise BadMasterKey(f"the master key cannot be used: {error}") from None
