"""The terms of port-outs: what the configuration says, and the closed days of the order's plan."""

from __future__ import annotations

from datetime import timedelta

from onecard.database.pool import Connection
from onecard.node.config import Config
from onecard.portability.model import PortTerms
from onecard.values.business import BusinessCalendar
from onecard.values.hours import parse_hours
from onecard.winddown.store import load_in_force


async def load_port_terms(connection: Connection, config: Config) -> PortTerms:
    """How long a port-out may take that is asked for now."""
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
