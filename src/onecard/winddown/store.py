"""The versions of the plan, as they were written."""

from __future__ import annotations

from onecard.database.pool import Connection
from onecard.winddown.reading import PlanFile, read_plan

LOAD_IN_FORCE = """
SELECT plan FROM winddown_version WHERE in_force_since IS NOT NULL ORDER BY version DESC LIMIT 1"""


async def load_in_force(connection: Connection) -> PlanFile | None:
    """The version of the plan that is in force, with its stays; None: there is no order, or it was not started."""
    text = await connection.fetchval(LOAD_IN_FORCE)
    return None if text is None else read_plan(text)
