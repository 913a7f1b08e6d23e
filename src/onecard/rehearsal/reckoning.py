"""What must be open and what closed, reckoned from the plan once more, in another way than the gates are.

Pure. The rehearsal compares what every action answered with this.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from onecard.values.gate import OPENED_BY_A_STAGE, Capability
from onecard.winddown.reading import PlanFile
from onecard.winddown.rules import date_stages


def must_be_closed(file: PlanFile | None, capability: Capability, at: datetime) -> bool:
    """Whether nobody may do this at an instant."""
    come = [] if file is None else [one for one in date_stages(file.plan, file.stays) if one.has_come(at)]
    closes = any(capability in one.stage.closes for one in come)
    opens = any(capability in one.stage.opens for one in come)
    return closes or (capability in OPENED_BY_A_STAGE and not opens)


def any_must_be_closed(file: PlanFile | None, capabilities: Collection[Capability], at: datetime) -> bool:
    return any(must_be_closed(file, one, at) for one in capabilities)
