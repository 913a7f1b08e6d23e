"""The terms of port-outs, and PINs for them by text to the service code."""

from __future__ import annotations

from datetime import timedelta
from zoneinfo import ZoneInfo

from onecard.database.pool import Connection, Pool, connection
from onecard.messages.phrases import Phrase, say
from onecard.node.config import Config
from onecard.portability.actions import issue_port_pin
from onecard.portability.model import PortPin, PortTerms
from onecard.sealing.keys import MasterKey
from onecard.switching.model import CardEntry
from onecard.values.business import BusinessCalendar
from onecard.values.clock import Clock
from onecard.values.gate import GatesAt
from onecard.values.hours import parse_hours
from onecard.winddown.store import load_in_force


async def load_port_terms(connection: Connection, config: Config) -> PortTerms:
    """What the configuration says, and the closed days of the order's plan."""
    file = await load_in_force(connection)
    return PortTerms(
        BusinessCalendar(
            parse_hours(config.portability.business_hours),
            config.operator.time_zone,
            frozenset() if file is None else file.plan.closed_days,
        ),
        involves_reseller=config.portability.involves_reseller,
        pin_life=timedelta(days=config.portability.pin_days),
    )


class PortPinDesk:
    """Gives subscribers who ask by text the PIN that another operator will ask them for."""

    def __init__(
        self, pool: Pool, master: MasterKey, clock: Clock, *, gates: GatesAt, config: Config
    ) -> None:
        self._pool = pool
        self._master = master
        self._clock = clock
        self._gates = gates
        self._config = config

    async def issue(self, entry: CardEntry) -> str:
        """Give the card a PIN, in place of the one before; returns the answer."""
        now = self._clock.now()
        async with connection(self._pool) as borrowed:
            issued = await issue_port_pin(
                borrowed,
                now,
                actor=f"subscriber:{entry.card.subscriber_id}",
                master=self._master,
                gates=self._gates(now),
                part=entry.card.part,
                card_id=entry.card.id,
                terms=await load_port_terms(borrowed, self._config),
            )
        if not isinstance(issued, PortPin):  # the order has ended it, or the card has just ended
            return say(Phrase.PORT_OUTS_ENDED, entry.language)
        day = issued.expires_at.astimezone(ZoneInfo(self._config.operator.time_zone)).date()
        return say(Phrase.PORT_PIN, entry.language, pin=issued.pin, day=day.isoformat())
