"""Read what somebody asks the price of: a use of a line, the far end as it would be dialled from there."""

from __future__ import annotations

from onecard.catalogue.model import UsageKind, Use
from onecard.database.pool import Connection
from onecard.lines.rules import default_time_zone
from onecard.lines.store import find_line_of_number
from onecard.switching.dialling import read_destination, read_sender
from onecard.values.money import Currency
from onecard.values.phone import E164, BadNumber, country_of, parse_number


async def read_use(
    connection: Connection, usage: UsageKind, currency: Currency, number: str, far: str
) -> Use:
    """The use of a line: of a line that there is with its own time zone, else with that of its number.

    Raises BadNumber. Data has no far end, and a call in need not show one.
    """
    msisdn = parse_number(number)
    country = country_of(msisdn)
    if country is None:
        raise BadNumber(f"{msisdn} is not a number of any country's plan")
    if usage is UsageKind.CALL_IN:
        far = read_sender(far, country)
    elif far:
        far = read_destination(far, country)
    return Use(usage, currency, country, await _find_time_zone(connection, msisdn), far)


async def _find_time_zone(connection: Connection, msisdn: E164) -> str:
    line = await find_line_of_number(connection, msisdn)
    return line.time_zone if line else default_time_zone(msisdn)
