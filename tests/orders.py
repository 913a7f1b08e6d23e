"""Gates as tests close them."""

from __future__ import annotations

from datetime import UTC, datetime

from onecard.values.gate import NO_ORDER, Capability, Closed, Gates

SINCE = datetime(2026, 1, 5, 5, tzinfo=UTC)
STAGE = "operations cease"


def closing(*capabilities: Capability) -> Gates:
    """The gates of a service under an order that has closed these."""
    return Gates({**NO_ORDER.closed, **{one: Closed(one, STAGE, SINCE) for one in capabilities}})
