"""Decide what becomes of a text. Pure: the entry comes from the directory, all else from memory.

What an order to stop has ended is refused first, and all is free once it has ended charging. The order of the checks on
the way in: the card, lists, bars, off, schedule. A text of an application link (a bank's verification code, say) passes
lists, off and schedule: only a bar, which the subscriber set on purpose, stops it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from onecard.cards.model import CardState
from onecard.catalogue.model import Tariff, UsageKind, Use
from onecard.catalogue.rules import explain, facts_of, find_rate
from onecard.lines.model import Line, Usage
from onecard.lines.rules import is_blocked, takes
from onecard.switching.dialling import read_destination, read_dialled, read_sender, show_sender
from onecard.switching.gates import gates_before, rate_under
from onecard.switching.model import (
    CardEntry,
    FromCard,
    LinkRole,
    Route,
    TextRefusal,
    ToCard,
    ToServiceCode,
)
from onecard.values.address import Address, international, unknown
from onecard.values.card import Imsi
from onecard.values.gate import Capability, Gates
from onecard.values.phone import E164, BadNumber


@dataclass(frozen=True, slots=True)
class Routes:
    """Which link a line's outgoing texts leave by, and which link a card is reached by."""

    routes: tuple[Route, ...]

    def role_of(self, link: str) -> LinkRole:
        return next(route.role for route in self.routes if route.link == link)

    def link_for_line(self, msisdn: E164) -> str | None:
        """The link with the longest number prefix of the line."""
        return _longest(
            (prefix, route.link)
            for route in self.routes
            for prefix in route.numbers
            if msisdn.startswith(prefix)
        )

    def link_for_card(self, imsi: Imsi) -> str | None:
        """The link with the longest IMSI prefix of the card."""
        return _longest(
            (prefix, route.link) for route in self.routes for prefix in route.cards if imsi.startswith(prefix)
        )

    def serves(self, link: str, msisdn: E164) -> bool:
        """Whether the number is in the range of the link's operator."""
        return any(
            msisdn.startswith(prefix)
            for route in self.routes
            if route.link == link
            for prefix in route.numbers
        )


def _longest(matches: Iterable[tuple[str, str]]) -> str | None:
    best = max(matches, key=lambda match: len(match[0]), default=None)
    return best[1] if best else None


@dataclass(frozen=True, slots=True)
class Setting:
    """What every decision leans on besides the card: configuration and price books, replaced whole when they change."""

    service_code: str
    routes: Routes
    tariff: Tariff


def decide_text_to_card(
    entry: CardEntry,
    called: E164,
    source: Address,
    *,
    role: LinkRole,
    setting: Setting,
    gates: Gates,
    at: datetime,
) -> ToCard | TextRefusal:
    """Decide on a text to one of the card's numbers."""
    line = entry.line_of(called)
    refusal = _refusal_by_order(line, gates) or _refusal_on_the_way_in(line, source, role, at)
    if refusal:
        return refusal
    link = setting.routes.link_for_card(entry.card.imsi)
    if link is None:
        return TextRefusal.NO_ROUTE
    shown = show_source(line, source, setting.service_code)
    return ToCard(entry, line, link, shown, international(entry.primary.msisdn), far=source.dialled)


ENDED: dict[Capability, TextRefusal] = {
    Capability.TEXTS: TextRefusal.TEXTS_ENDED,
    Capability.SECONDARY_LINES: TextRefusal.SECONDARY_LINES_ENDED,
}
"""What is answered where an order to stop has closed the gate of a text."""


def _refusal_by_order(line: Line, gates: Gates) -> TextRefusal | None:
    closed = gates.find_closed(*gates_before(UsageKind.TEXT, is_secondary=not line.is_primary))
    return ENDED[closed.capability] if closed else None


def _refusal_on_the_way_in(line: Line, source: Address, role: LinkRole, at: datetime) -> TextRefusal | None:
    unstoppable = role is LinkRole.APPLICATION
    if not unstoppable and is_blocked(line, source.dialled):
        return TextRefusal.SENDER_BLOCKED
    if line.bar_texts_in:
        return TextRefusal.TEXTS_BARRED
    if not unstoppable and not line.switched_on:
        return TextRefusal.LINE_OFF
    if not unstoppable and not takes(line, Usage.TEXTS, at):
        return TextRefusal.OUTSIDE_SCHEDULE
    return None


def show_source(line: Line, source: Address, service_code: str) -> Address:
    """The service code and slot before a numeric sender on a secondary line; never cut, never invent."""
    if line.is_primary or not source.is_numeric:
        return source
    sender = read_sender(source.dialled, line.country)
    shown = show_sender(sender, line.slot, line.country, service_code)
    return unknown(shown) if shown else source


def decide_text_from_card(
    entry: CardEntry, destination: Address, *, segments: int, setting: Setting, gates: Gates, at: datetime
) -> FromCard | ToServiceCode | TextRefusal:
    """Decide on a text that the card sends: which line it leaves from is in what was dialled.

    A card that is void can still ask for help.
    """
    try:
        dialled = read_dialled(destination.dialled, setting.service_code)
    except BadNumber:
        return TextRefusal.BAD_DESTINATION
    if dialled.is_service_code_alone:
        return ToServiceCode(entry) if gates.is_open(Capability.SUPPORT) else TextRefusal.SUPPORT_ENDED
    if entry.card.state is CardState.SOLD and not gates.is_open(Capability.ACTIVATION):
        return TextRefusal.CARD_VOID
    line = entry.line_in_slot(dialled.slot or 0)
    if line is None:
        return TextRefusal.NO_LINE_IN_SLOT
    if refusal := _refusal_by_order(line, gates):
        return refusal
    if not line.switched_on:
        return TextRefusal.LINE_OFF
    try:
        number = read_destination(dialled.digits, line.country)
    except BadNumber:
        return TextRefusal.BAD_DESTINATION
    return _priced(entry, line, number, segments, setting, gates, at)


def _priced(
    entry: CardEntry,
    line: Line,
    number: E164 | str,
    segments: int,
    setting: Setting,
    gates: Gates,
    at: datetime,
) -> FromCard | TextRefusal:
    use = Use(UsageKind.TEXT, entry.currency, line.country, line.time_zone, number)
    listed = find_rate(setting.tariff, use, at)
    if listed is None:
        return TextRefusal.NO_RATE
    link = setting.routes.link_for_line(line.msisdn)
    if link is None:
        return TextRefusal.NO_ROUTE
    listed = rate_under(gates, listed)
    return FromCard(
        entry,
        line,
        link,
        source=international(line.msisdn),
        destination=international(number) if number.startswith("+") else unknown(number),
        far=number,
        explanation=explain(listed, segments),
        facts=facts_of(listed, segments),
    )
