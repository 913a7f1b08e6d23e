"""Which versions of the plan there are, what one changes, and whether it still may.

Pure: no I/O, no clock, no randomness.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from onecard.winddown.model import (
    ChangesThePast,
    LocalTime,
    OrderRefusal,
    Stay,
    Version,
    VersionState,
)
from onecard.winddown.reading import PlanFile
from onecard.winddown.rules import DatedStage, check_told, compare, date_stages, say_effects

APPROVALS_NEEDED = 2
"""By different people; who proposed a version may be one of them."""


@dataclass(frozen=True, slots=True)
class Versions:
    """All versions, by their numbers."""

    all: Sequence[Version] = ()

    @property
    def next_number(self) -> int:
        return self.all[-1].number + 1 if self.all else 1

    @property
    def in_force(self) -> Version | None:
        """The latest that was put in force; None: the order is not started."""
        return next((one for one in reversed(self.all) if one.in_force_since is not None), None)

    @property
    def awaiting(self) -> Version | None:
        """The one that awaits approval."""
        return next((one for one in self.all if one.withdrawn_at is None and not is_approved(one)), None)

    @property
    def approved(self) -> Version | None:
        """The latest that enough people approved."""
        good = (one for one in reversed(self.all) if one.withdrawn_at is None and is_approved(one))
        return next(good, None)

    def find(self, number: int) -> Version | None:
        return next((one for one in self.all if one.number == number), None)

    def state_of(self, version: Version) -> VersionState:
        """Where a version is on its way."""
        if version.withdrawn_at is not None:
            return VersionState.WITHDRAWN
        if not is_approved(version):
            return VersionState.PROPOSED
        if version != self.approved:
            return VersionState.SUPERSEDED
        return VersionState.IN_FORCE if version.in_force_since is not None else VersionState.APPROVED


def is_approved(version: Version) -> bool:
    return len(version.approvals) >= APPROVALS_NEEDED


def refuse_approval(version: Version, file: PlanFile, actor: str) -> OrderRefusal | None:
    """Why somebody cannot approve a version, whatever time it is; None: they can."""
    if version.withdrawn_at is not None:
        return OrderRefusal.WITHDRAWN
    if is_approved(version):
        return OrderRefusal.ALREADY_APPROVED
    if any(approval.actor == actor for approval in version.approvals):
        return OrderRefusal.APPROVED_BY_SAME
    return OrderRefusal.NO_DOCUMENT if file.plan.order.document_sha256 is None else None


def refuse_withdrawal(version: Version) -> OrderRefusal | None:
    """Why a version cannot be withdrawn; None: it can."""
    if version.in_force_since is not None:
        return OrderRefusal.IN_FORCE
    return OrderRefusal.WITHDRAWN if version.withdrawn_at is not None else None


# What a version changes


def compare_files(old: PlanFile | None, new: PlanFile) -> tuple[str, ...]:
    """What is different, one sentence each; of the first version all that it does."""
    if old is None:
        return (*_say_stages(new), *_compare_stays((), new.stays))
    changes = compare(old.plan, new.plan, old.stays, new.stays)
    return (*changes, *_compare_stays(old.stays, new.stays))


def _say_stages(file: PlanFile) -> Iterator[str]:
    for dated in date_stages(file.plan, file.stays):
        at = "no date" if dated.at is None else dated.at.isoformat(" ")
        yield f"stage {dated.stage.name!r}: {at}, {say_effects(dated.stage)}"


def _compare_stays(old: Sequence[Stay], new: Sequence[Stay]) -> Iterator[str]:
    before = {_name_stay(stay): stay.until for stay in old}
    after = {_name_stay(stay): stay.until for stay in new}
    for name in [name for name in before if name not in after]:
        yield f"{name} is gone"
    for name, until in after.items():
        if name not in before:
            yield f"{name} is new: {_say_end(until)}"
        elif before[name] != until:
            yield f"{name} {_say_end(until)}; before it {_say_end(before[name])}"


def _name_stay(stay: Stay) -> str:
    stages = ", ".join(map(repr, sorted(stay.stages))) or "all stages"
    return f"the stay of {stages} from {stay.since.isoformat(' ')}"


def _say_end(until: LocalTime | None) -> str:
    return "has no end yet" if until is None else f"ends at {until.isoformat(' ')}"


# What has come


def find_changed_past(old: PlanFile | None, new: PlanFile, at: datetime) -> ChangesThePast | None:
    """Whether a version that is approved, or started, at an instant would change what has come by then.

    What has come keeps its instant and what it did, and nothing else comes to have come. A cut by the host operator
    that is entered late is no change of ours: it is what happened.
    """
    before = _stages_come(old, at)
    after = _stages_come(new, at)
    reasons = (*_find_undone(before, after), *_find_backdated(before, after))
    return ChangesThePast(reasons) if reasons else None


def _stages_come(file: PlanFile | None, at: datetime) -> dict[str, DatedStage]:
    if file is None:
        return {}
    dated = date_stages(file.plan, file.stays)
    return {one.stage.name: one for one in dated if one.has_come(at)}


def _find_undone(before: dict[str, DatedStage], after: dict[str, DatedStage]) -> Iterator[str]:
    for name, come in before.items():
        now = after.get(name)
        # A stay may have moved it: what counts is when it came, not when the plan has it.
        if now is None or (now.instant, replace(now.stage, at=come.stage.at)) != (come.instant, come.stage):
            yield f"stage {name!r} came at {_say_local(come)}, and can no longer be changed"


def _find_backdated(before: dict[str, DatedStage], after: dict[str, DatedStage]) -> Iterator[str]:
    for name, comes in after.items():
        if name not in before and not comes.stage.is_by_host:
            yield f"stage {name!r} would have come at {_say_local(comes)}, which has passed"


def _say_local(dated: DatedStage) -> str:
    assert dated.at is not None  # it has come
    return dated.at.isoformat(" ")


# Stays


def find_open_stay(file: PlanFile, now: LocalTime, since: LocalTime | None = None) -> Stay | OrderRefusal:
    """The stay that has no end yet, or whose end is to come; `since` says which, where there are several."""
    still_open = [stay for stay in file.stays if stay.until is None or stay.until > now]
    found = [stay for stay in still_open if since in (None, stay.since)]
    if not found:
        return OrderRefusal.NO_OPEN_STAY
    return found[0] if len(found) == 1 else OrderRefusal.SEVERAL_STAYS


def add_stay(file: PlanFile, number: int, stay: Stay) -> PlanFile:
    return PlanFile(replace(file.plan, version=number), (*file.stays, stay))


def lift_stay(file: PlanFile, number: int, lifted: Stay, until: LocalTime) -> PlanFile:
    """The next version, in which a stay ends."""
    stays = tuple(replace(stay, until=until) if stay == lifted else stay for stay in file.stays)
    return PlanFile(replace(file.plan, version=number), stays)


# Alarms


def find_alarms(
    file: PlanFile, proposed: PlanFile | None, at: datetime, *, is_started: bool
) -> Iterator[str]:
    """What somebody must look at, one sentence each: of the order that is in force or to be, and what is proposed."""
    yield from (problem.reason for problem in check_told(file.plan))
    if not is_started and (late := find_changed_past(None, file, at)):
        yield from (f"the order is not started: {reason}" for reason in late.reasons)
    if proposed is not None and (late := find_changed_past(file if is_started else None, proposed, at)):
        number = proposed.plan.version
        yield from (f"version {number} can no longer be approved: {reason}" for reason in late.reasons)
