"""Decide about port-outs. Pure: no I/O, no clock, no randomness."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from onecard.lines.model import Line
from onecard.portability.model import PortOut, PortRefusal, PortState, PortTerms
from onecard.values.business import add_business_days, add_business_time
from onecard.values.phone import E164

PIN_DIGITS = 8
PINS = 10**PIN_DIGITS

WIRELESS_SPAN = timedelta(hours=2, minutes=30)
"""Canada: a port between wireless operators takes so much business time."""
RESELLER_DAYS = 2
"""Canada: a simple port in which a reseller has a part takes so many business days."""

NAME_LENGTH_MOST = 60
REFERENCE_LENGTH_MOST = 60


def due_at(terms: PortTerms, requested_at: datetime) -> datetime:
    """By when a port-out that is asked for at an instant must be complete."""
    if terms.involves_reseller:
        return add_business_days(terms.calendar, requested_at, RESELLER_DAYS)
    return add_business_time(terms.calendar, requested_at, WIRELESS_SPAN)


def is_late(port: PortOut, at: datetime) -> bool:
    """Whether it should be complete by now."""
    return port.is_open and port.due_at < at


def find_fault(gaining: str, reference: str) -> PortRefusal | None:
    """Why these cannot name an operator and its request; None: they can."""
    if not _is_name(gaining, NAME_LENGTH_MOST):
        return PortRefusal.BAD_OPERATOR
    return None if _is_name(reference, REFERENCE_LENGTH_MOST) else PortRefusal.BAD_REFERENCE


def _is_name(text: str, length_most: int) -> bool:
    return 0 < len(text) <= length_most and text.isprintable() and text == text.strip()


def decide_start(port: PortOut) -> PortRefusal | None:
    return None if port.state is PortState.REQUESTED else PortRefusal.NOT_REQUESTED


def decide_completion(port: PortOut) -> PortRefusal | None:
    return None if port.state is PortState.PENDING else PortRefusal.NOT_PENDING


def decide_giving_up(port: PortOut) -> PortRefusal | None:
    return None if port.is_open else PortRefusal.OVER


def lost_with(line: Line, lines: Iterable[Line]) -> tuple[Line, ...]:
    """What ends with a line that is ported: with the primary goes the card, and all of it that is not ported too."""
    if not line.is_primary:
        return ()
    return tuple(other for other in lines if other.id != line.id and other.porting_since is None)


def holder_of(msisdn: E164, holders: Mapping[str, str]) -> str | None:
    """In whose range a number is: `holders` names an operator for each prefix, and the longest prefix counts."""
    prefixes = [prefix for prefix in holders if msisdn.startswith(prefix)]
    return holders[max(prefixes, key=len)] if prefixes else None
