"""The command line with its clock ahead: what it does bears the time that it was given."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

PLAN = Path(__file__).parents[2] / "plans" / "cmlink-canada-2021.toml"
YEAR = timedelta(days=365)


def test_a_command_with_its_clock_ahead_goes_by_that_clock() -> None:
    arguments = [str(int(YEAR.total_seconds())), "winddown", "show", str(PLAN), "--json"]
    ran = subprocess.run(
        [sys.executable, "-m", "onecard.cli.later", *arguments], capture_output=True, check=True, text=True
    )
    ahead = datetime.fromisoformat(json.loads(ran.stdout)["at"]) - datetime.now(UTC)
    assert abs(ahead - YEAR) < timedelta(hours=1)
