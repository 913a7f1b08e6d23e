"""What an order to stop leaves of texts, calls and data: the gates before them, and what they cost then. Pure."""

from __future__ import annotations

from functools import lru_cache

from msgspec.structs import replace

from onecard.catalogue.model import ListedRate, UsageKind
from onecard.values.gate import Capability, Closed, Gates

GATE_OF_USAGE: dict[UsageKind, Capability] = {
    UsageKind.TEXT: Capability.TEXTS,
    UsageKind.CALL_OUT: Capability.VOICE,
    UsageKind.CALL_IN: Capability.VOICE,
    UsageKind.DATA: Capability.DATA,
}


def gates_before(usage: UsageKind, *, is_secondary: bool) -> tuple[Capability, ...]:
    """What must be open for a line to be used: the kind of usage, and secondary lines if it is one."""
    gate = GATE_OF_USAGE[usage]
    return (gate, Capability.SECONDARY_LINES) if is_secondary else (gate,)


def rate_under(gates: Gates, listed: ListedRate) -> ListedRate:
    """The rate by which a price is reckoned: a free one that names the stage, once that has ended charging."""
    closed = gates.find_closed(Capability.CHARGING)
    return listed if closed is None else _make_free(listed, closed)


@lru_cache(maxsize=4096)
def _make_free(listed: ListedRate, closed: Closed) -> ListedRate:
    assert closed.stage is not None and closed.since is not None  # charging is open until a stage ends it
    rate = replace(listed.rate, price_micros=0, setup_micros=0, minimum_micros=0)
    return ListedRate(closed.stage, closed.since, listed.currency, rate, is_free_by_order=True)
