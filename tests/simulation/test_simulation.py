"""Days of traffic: the operator and the independent auditor agree about everything."""

from __future__ import annotations

import pytest

from onecard.database.pool import Database
from simulation.audit import audit
from simulation.story import tell_story


@pytest.mark.parametrize("seed", [1, 2, 3, 4])
async def test_the_operator_and_the_auditor_agree_about_a_day(database: Database, seed: int) -> None:
    done = await audit(database.pool, tell_story(seed))
    assert done.refusals["accepted"] > 100, "too little traffic to prove anything"
