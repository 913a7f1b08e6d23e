"""The gates of now, in memory: made anew when a stage comes, or when another version of the plan comes into force."""

from __future__ import annotations

from datetime import datetime

from onecard.values.gate import NO_ORDER, Gates
from onecard.winddown.reading import PlanFile
from onecard.winddown.rules import gates_at


class Gatekeeper:
    """Tells the gates at an instant. One a node; `at` is fast enough to be asked for every text."""

    def __init__(self, in_force: PlanFile | None = None) -> None:
        self._in_force = in_force
        self._gates = NO_ORDER
        self._since: datetime | None = None

    def put_in_force(self, file: PlanFile | None) -> None:
        """Go by another version of the plan, with its stays, from now on; None: there is no order."""
        self._in_force = file
        self._since = None

    def at(self, now: datetime) -> Gates:
        """Every gate at an instant."""
        if self._in_force is None:
            return NO_ORDER
        if self._since is None or not self._holds(self._since, now):
            self._gates = gates_at(self._in_force.plan, self._in_force.stays, now)
            self._since = now
        return self._gates

    def _holds(self, since: datetime, now: datetime) -> bool:
        """Whether no stage has come since; a clock that was put back asks anew too."""
        return since <= now and (self._gates.until is None or now < self._gates.until)
