"""Where the order stands: what staff are shown at the command line and in the console."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from onecard.database.pool import Connection
from onecard.values.gate import NO_ORDER, Gates
from onecard.winddown import store
from onecard.winddown.model import Version, VersionRehearsal
from onecard.winddown.reading import PlanFile, read_plan
from onecard.winddown.rules import DatedStage, date_stages, gates_at
from onecard.winddown.versions import Versions, find_alarms


@dataclass(frozen=True, slots=True)
class OrderStatus:
    """All versions, and the one that counts: in force, or else approved, or else proposed."""

    versions: Versions
    version: Version
    file: PlanFile
    gates: Gates
    stages: tuple[DatedStage, ...]
    next_stage: DatedStage | None
    """None: none with a date is still to come."""
    alarms: tuple[str, ...]
    rehearsals: Mapping[int, VersionRehearsal]
    """The latest of each version that was rehearsed, by its number."""

    @property
    def never_rehearsed(self) -> tuple[int, ...]:
        """Which of the versions that are in force, approved or proposed nobody has rehearsed."""
        count = (self.versions.in_force, self.versions.approved, self.versions.awaiting)
        return tuple(sorted({one.number for one in count if one is not None} - self.rehearsals.keys()))


async def load_status(connection: Connection, at: datetime) -> OrderStatus | None:
    """Where the order stands at an instant; None: there is none, nor a draft of one."""
    versions = await store.list_versions(connection)
    version = versions.in_force or versions.approved or versions.awaiting
    if version is None:
        return None
    file = await _load(connection, version)
    proposed = None if versions.awaiting is None else await _load(connection, versions.awaiting)
    return _tell(versions, version, file, proposed, at, await store.list_rehearsals(connection))


async def _load(connection: Connection, version: Version) -> PlanFile:
    return read_plan(await store.get_text(connection, version.number))


def _tell(
    versions: Versions,
    version: Version,
    file: PlanFile,
    proposed: PlanFile | None,
    at: datetime,
    rehearsals: Mapping[int, VersionRehearsal],
) -> OrderStatus:
    is_started = versions.in_force is not None
    stages = date_stages(file.plan, file.stays)
    to_come = (one for one in stages if one.instant is not None and one.instant > at)
    return OrderStatus(
        versions,
        version,
        file,
        gates_at(file.plan, file.stays, at) if is_started else NO_ORDER,
        stages,
        next(to_come, None),
        tuple(find_alarms(file, proposed, at, is_started=is_started)),
        rehearsals,
    )
