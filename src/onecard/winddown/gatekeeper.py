"""The gates of now, in memory: reckoned once for every span between two stages, whenever a plan comes into force."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from datetime import UTC, datetime

from onecard.values.gate import NO_ORDER, Gates
from onecard.winddown.reading import PlanFile
from onecard.winddown.rules import date_stages, gates_at

_BEFORE_ALL = datetime.min.replace(tzinfo=UTC)


class Gatekeeper:
    """Tells the gates at an instant. One a node; `at` is fast enough to be asked for every text.

    Between two stages it is the same object that is told, so who holds one sees by it whether anything has changed.
    """

    def __init__(self, in_force: PlanFile | None = None) -> None:
        self._stages: Sequence[datetime] = ()
        self._gates: Sequence[Gates] = (NO_ORDER,)
        self.put_in_force(in_force)

    @property
    def in_force(self) -> PlanFile | None:
        """The version of the plan that is gone by, with its stays; None: there is no order."""
        return self._file

    def put_in_force(self, file: PlanFile | None) -> None:
        """Go by another version of the plan, with its stays, from now on; None: there is no order."""
        self._file = file
        if file is None:
            self._stages, self._gates = (), (NO_ORDER,)
            return
        dated = date_stages(file.plan, file.stays)
        self._stages = sorted({one.instant for one in dated if one.instant is not None})
        self._gates = [gates_at(file.plan, file.stays, at) for at in (_BEFORE_ALL, *self._stages)]

    def at(self, now: datetime) -> Gates:
        """Every gate at an instant."""
        return self._gates[bisect_right(self._stages, now)]
