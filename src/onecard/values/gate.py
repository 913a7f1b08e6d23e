"""What the service may do at an instant: one gate a capability, open or closed by a stage of the order.

A gate is a value. `winddown` makes all of them from plan and time, and hands them down; whoever acts asks here first.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Capability(StrEnum):
    """Something the service does, behind a gate of its own."""

    SALE = "sale"
    ACTIVATION = "activation"
    PORT_IN = "port_in"
    TOP_UP = "top_up"
    RENEWAL = "renewal"
    RENEWAL_FEE = "renewal_fee"
    """Money is taken for a renewal. Closed while `RENEWAL` is open, plans are renewed free of charge."""
    PLAN_CHANGE = "plan_change"
    SIM_REPLACEMENT = "sim_replacement"
    NEW_APPLICATION = "new_application"
    CHARGING = "charging"
    """Money is taken for usage. Closed, usage that is still carried is free."""
    DATA = "data"
    VOICE = "voice"
    TEXTS = "texts"
    SECONDARY_LINES = "secondary_lines"
    PORT_OUT = "port_out"
    REFUND = "refund"
    SUPPORT = "support"
    EMERGENCY = "emergency"
    """Emergency calls."""
    NUMBER_RETURN = "number_return"
    """Numbers go back to whom they came from."""
    PURGE = "purge"
    """What was kept of persons is destroyed."""


OPENED_BY_A_STAGE = frozenset({Capability.REFUND, Capability.NUMBER_RETURN, Capability.PURGE})
"""These have no place in a running service. All others are open until a stage closes them."""


@dataclass(frozen=True, slots=True)
class Open:
    """The capability is there."""


@dataclass(frozen=True, slots=True)
class Closed:
    """It is not, and why. An action that meets a closed gate returns this as its refusal."""

    capability: Capability
    stage: str | None
    """Which closed it, or is to open it; None if no stage of a plan does."""
    since: datetime | None
    """The instant, in UTC, at which that stage closed it; None if it was never open."""
    opens_at: datetime | None = None
    """The instant, in UTC, at which the stage that is to open it comes; None if it has no date, or comes never."""


Gate = Open | Closed


@dataclass(frozen=True, slots=True)
class Gates:
    """All gates, as they are until an instant."""

    closed: Mapping[Capability, Closed]
    """Those that are not here are open."""
    until: datetime | None = None
    """When the next stage comes, in UTC, and they must be asked for anew; None: no stage is to come."""

    def find_closed(self, *capabilities: Capability) -> Closed | None:
        """The first of these gates that is closed; None: all are open."""
        for one in capabilities:  # no generator: every text asks
            if one in self.closed:
                return self.closed[one]
        return None

    def is_open(self, capability: Capability) -> bool:
        return capability not in self.closed

    def gate(self, capability: Capability) -> Gate:
        return self.closed.get(capability) or Open()


NO_ORDER = Gates({one: Closed(one, None, None) for one in sorted(OPENED_BY_A_STAGE)})
"""The gates of a service that nobody has ordered to stop."""

GatesAt = Callable[[datetime], Gates]
"""Tells the gates at an instant, also one to come: in memory, fast enough to be asked for every text."""


def find_closing(
    gates_at: GatesAt, capabilities: Collection[Capability], after: datetime, before: datetime
) -> datetime | None:
    """When the first of these gates closes after an instant, if it does before another."""
    gates = gates_at(after)
    while gates.until is not None and gates.until < before:
        following = gates_at(gates.until)
        if any(gates.is_open(one) and not following.is_open(one) for one in capabilities):
            return gates.until
        gates = following
    return None
