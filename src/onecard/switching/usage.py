"""Decide which line pays for a call, a text or a data session, and at which destination's price. Pure.

It is the same choice of line as for texts over SMPP, made from what a charging protocol tells. Emergency calls go
before everything: no line, no gate and no balance stops them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from onecard.cards.model import CardState
from onecard.catalogue.model import UsageKind
from onecard.lines.model import Line, Usage
from onecard.lines.rules import is_blocked, takes
from onecard.switching.dialling import read_destination, read_dialled, read_sender
from onecard.switching.gates import gates_before
from onecard.switching.model import CardEntry
from onecard.values.gate import Capability, Closed, Gates
from onecard.values.phone import E164, BadNumber, is_emergency


@dataclass(frozen=True, slots=True)
class Charged:
    """The line that pays, and the far end that the price is found for: E.164, a short code, or nothing for data."""

    line: Line
    far: str


@dataclass(frozen=True, slots=True)
class Emergency:
    """An emergency call: it goes, and costs nothing."""


class UsageRefusal(Enum):
    """Why a line may not be used."""

    NO_LINE_IN_SLOT = "no_line_in_slot"
    LINE_OFF = "line_off"
    CALLS_BARRED = "calls_barred"
    CALLER_BLOCKED = "caller_blocked"
    OUTSIDE_SCHEDULE = "outside_schedule"
    BAD_DESTINATION = "bad_destination"


def decide_usage(
    entry: CardEntry,
    usage: UsageKind,
    msisdn: E164 | None,
    far: str,
    *,
    service_code: str,
    gates: Gates,
    at: datetime,
) -> Charged | Emergency | UsageRefusal | Closed:
    """Find the line: dialled, else the one whose number the network named, else the primary.

    Data has no number: it is the card's, so its primary line's.
    """
    chosen = _choose(entry, usage, msisdn, far, service_code, at)
    if not isinstance(chosen, Charged):
        return chosen
    return gates.find_closed(*_gates_before(entry, usage, chosen.line)) or chosen


def _gates_before(entry: CardEntry, usage: UsageKind, line: Line) -> tuple[Capability, ...]:
    gates = gates_before(usage, is_secondary=not line.is_primary)
    return gates if entry.card.state is not CardState.SOLD else (Capability.ACTIVATION, *gates)


def _choose(
    entry: CardEntry, usage: UsageKind, msisdn: E164 | None, far: str, service_code: str, at: datetime
) -> Charged | Emergency | UsageRefusal:
    if usage is UsageKind.DATA:
        return Charged(entry.primary, "")
    named = next((line for line in entry.lines if line.msisdn == msisdn), entry.primary)
    if usage is UsageKind.CALL_IN:
        return _decide_call_in(named, far, at)
    return _decide_outgoing(entry, usage, named, far, service_code)


def _decide_call_in(line: Line, caller: str, at: datetime) -> Charged | UsageRefusal:
    if is_blocked(line, caller):
        return UsageRefusal.CALLER_BLOCKED
    if line.bar_calls_in:
        return UsageRefusal.CALLS_BARRED
    if not line.switched_on:
        return UsageRefusal.LINE_OFF
    if not takes(line, Usage.CALLS, at):
        return UsageRefusal.OUTSIDE_SCHEDULE
    return Charged(line, _read_caller(caller, line))


def _read_caller(caller: str, line: Line) -> str:
    """The caller's number; nothing for one that is shown as a name, or not at all."""
    digits = caller.removeprefix("+")
    return read_sender(caller, line.country) if digits.isascii() and digits.isdigit() else ""


def _decide_outgoing(
    entry: CardEntry, usage: UsageKind, named: Line, far: str, service_code: str
) -> Charged | Emergency | UsageRefusal:
    try:
        dialled = read_dialled(far, service_code)
    except BadNumber:
        return UsageRefusal.BAD_DESTINATION
    line = named if dialled.slot is None else entry.line_in_slot(dialled.slot)
    if usage is UsageKind.CALL_OUT and is_emergency(dialled.digits, (line or named).country):
        return Emergency()
    if line is None:
        return UsageRefusal.NO_LINE_IN_SLOT
    if not line.switched_on:
        return UsageRefusal.LINE_OFF
    try:
        return Charged(line, read_destination(dialled.digits, line.country))
    except BadNumber:
        return UsageRefusal.BAD_DESTINATION
