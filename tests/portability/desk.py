"""A desk at which numbers are taken elsewhere, over a shop with two cards."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import shop
from onecard.cards.model import Card
from onecard.database.pool import Connection
from onecard.ledger import check_ledger
from onecard.lines.actions import apply_for_line, decide_on_application
from onecard.lines.model import Application, Line, LineLimits, Verification
from onecard.lines.store import list_lines
from onecard.portability import actions
from onecard.portability.model import PortFailure, PortOut, PortPin, PortRefusal, PortTerms, Proof
from onecard.values.business import BusinessCalendar
from onecard.values.clock import MovedClock
from onecard.values.gate import NO_ORDER, Closed, Gates
from onecard.values.hours import parse_hours, zone_named
from onecard.values.phone import E164

CALENDAR = BusinessCalendar(parse_hours("mon-fri 09:00-17:00"), "America/Vancouver")
TERMS = PortTerms(CALENDAR)
LIMITS = LineLimits()
GAINING = "rogue-mobile"


@dataclass(slots=True)
class PortDesk:
    """What is asked for here is asked in the name of staff, at the clock's time, under `gates`."""

    borrowed: Connection
    clock: MovedClock
    card: Card
    gates: Gates = NO_ORDER
    references: int = 0

    async def issue_pin(self, card: Card | None = None) -> PortPin | PortRefusal | Closed:
        card = card or self.card
        return await actions.issue_port_pin(
            self.borrowed,
            self.clock.now(),
            actor=shop.STAFF,
            master=shop.MASTER,
            gates=self.gates,
            part=card.part,
            card_id=card.id,
            terms=TERMS,
        )

    async def get_pin(self, card: Card | None = None) -> str:
        issued = await self.issue_pin(card)
        assert isinstance(issued, PortPin), issued
        return issued.pin

    async def request(
        self, msisdn: E164, pin: str | None = None, **over: Any
    ) -> PortOut | PortRefusal | Closed:
        self.references += 1
        values: dict[str, Any] = {
            "actor": f"operator:{GAINING}",
            "master": shop.MASTER,
            "gates": self.gates,
            "msisdn": msisdn,
            "gaining": GAINING,
            "reference": f"R{self.references}",
            "proof": Proof.PIN if pin is not None else Proof.CLAIM_CODE,
            "pin": pin,
            "terms": TERMS,
        }
        connection = over.pop("connection", self.borrowed)
        return await actions.request_port_out(connection, self.clock.now(), **{**values, **over})

    async def get_requested(self, msisdn: E164) -> PortOut:
        port = await self.request(msisdn)
        assert isinstance(port, PortOut), port
        return port

    async def get_pending(self, msisdn: E164) -> PortOut:
        started = await self.start(await self.get_requested(msisdn))
        assert isinstance(started, PortOut), started
        return started

    async def start(self, port: PortOut) -> PortOut | PortRefusal:
        return await actions.start_port_out(
            self.borrowed, self.clock.now(), actor=shop.STAFF, port_id=port.id
        )

    async def complete(self, port: PortOut) -> PortOut | PortRefusal:
        return await actions.complete_port_out(
            self.borrowed, self.clock.now(), actor=shop.STAFF, port_id=port.id, limits=LIMITS
        )

    async def fail(self, port: PortOut, failure: PortFailure = PortFailure.ROUTING) -> PortOut | PortRefusal:
        return await actions.fail_port_out(
            self.borrowed,
            self.clock.now(),
            actor=shop.STAFF,
            port_id=port.id,
            failure=failure,
            limits=LIMITS,
        )

    async def cancel(self, port: PortOut) -> PortOut | PortRefusal:
        return await actions.cancel_port_out(
            self.borrowed, self.clock.now(), actor=shop.STAFF, port_id=port.id, limits=LIMITS
        )

    async def lines(self, card: Card | None = None) -> tuple[Line, ...]:
        card = card or self.card
        return await list_lines(self.borrowed, card.part, card.id)

    async def primary(self) -> E164:
        return (await self.lines())[0].msisdn

    async def add_line(self) -> E164:
        """Give the card a Chinese number."""
        applied = await apply_for_line(
            self.borrowed,
            self.clock.now(),
            actor=shop.STAFF,
            part=self.card.part,
            card_id=self.card.id,
            country=shop.CN,
            limits=LIMITS,
            operator_time_zone=zone_named("America/Vancouver"),
            gates=self.gates,
        )
        assert isinstance(applied, Application), applied
        decided = await decide_on_application(
            self.borrowed,
            self.clock.now(),
            actor=shop.STAFF,
            part=applied.part,
            application_id=applied.id,
            verification=Verification.MATCH,
            gates=self.gates,
        )
        assert isinstance(decided, Application), decided
        return decided.msisdn

    async def state_of(self, msisdn: E164) -> str:
        state: str = await self.borrowed.fetchval("SELECT state FROM number WHERE msisdn = $1", msisdn)
        return state

    async def proved(self) -> None:
        report = await check_ledger(self.borrowed)
        assert not report.violations, report.violations

    def wait(self, **span: float) -> None:
        self.clock.move(timedelta(**span))
