"""The start page: balance and what it buys, lines, what happened last."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

import phonenumbers
from litestar import get

from onecard.catalogue.model import Tariff, UsageKind, Use
from onecard.catalogue.rules import find_rate, units_affordable
from onecard.charging.allowances import list_given_allowances
from onecard.database.pool import Connection, connection
from onecard.ledger.actions import find_account
from onecard.ledger.model import Account
from onecard.lines.model import Application, ApplicationState, Line
from onecard.lines.store import list_applications_of_card
from onecard.values.gate import Capability
from onecard.values.money import Currency
from onecard.values.phone import Country
from onecard.web.given import GivenLayout, GivenSite, GivenVisit
from onecard.web.layout import Page
from onecard.web.selfcare.activity import list_activity
from onecard.web.selfcare.ending import find_ending, is_bound
from onecard.web.selfcare.me import GivenMe, Me

ACTIVITIES_MOST = 6
UNITS_WORTH_TELLING = {UsageKind.TEXT: 1, UsageKind.CALL_OUT: 60}


@dataclass(frozen=True, slots=True)
class Buys:
    """How much of one use the balance pays: segments of texts, or minutes of calls, within a line's own country."""

    country: Country
    usage: UsageKind
    count: int


@get("/")
async def home(site: GivenSite, layout: GivenLayout, visit: GivenVisit, me: GivenMe) -> Page:
    """All at a glance."""
    async with connection(site.pool) as borrowed:
        account = await get_account(borrowed, me)
        allowances = await list_given_allowances(borrowed, me.part, account.id)
        applications = await list_waiting(borrowed, me)
        activity = await list_activity(borrowed, me, most=ACTIVITIES_MOST)
        bound = await is_bound(borrowed, me)
    gates = site.gates_at(visit.at)
    return layout.page(
        visit,
        "selfcare/home.html",
        me=me,
        account=account,
        allowances=[one for one in allowances if one.gift.expires_at > visit.at and one.available],
        buys=list(find_buys(site.tariff(), account, list(me.lines), visit.at)),
        is_free=not gates.is_open(Capability.CHARGING),
        gates=gates,
        applications=applications,
        activity=activity.rows,
        ending=find_ending(site, visit.language, visit.at),
        is_bound=bound,
    )


async def get_account(borrowed: Connection, me: Me) -> Account:
    account = await find_account(borrowed, me.part, me.subscriber.account_id)
    assert account is not None  # it was opened with the subscriber
    return account


async def list_waiting(borrowed: Connection, me: Me) -> list[Application]:
    """The applications to which no outcome came yet."""
    return [
        application
        for card in me.cards
        for application in await list_applications_of_card(borrowed, me.part, card.card.id)
        if application.state is ApplicationState.APPLIED
    ]


def find_buys(tariff: Tariff, account: Account, lines: Sequence[Line], at: datetime) -> Iterator[Buys]:
    """What the balance pays, by the prices of now, for one line of each country."""
    for line in {line.country: line for line in reversed(lines)}.values():
        for usage, size in UNITS_WORTH_TELLING.items():
            units = _affordable(tariff, account, line, usage, at)
            if units is not None:
                yield Buys(line.country, usage, units // size)


def _affordable(tariff: Tariff, account: Account, line: Line, usage: UsageKind, at: datetime) -> int | None:
    """Units of a use within the line's country; None: it is not sold, or costs nothing."""
    use = Use(usage, Currency(account.currency), line.country, line.time_zone, _sample(line.country))
    listed = find_rate(tariff, use, at)
    if listed is None or not listed.rate.price_micros:
        return None
    return units_affordable(listed.rate, account.available_micros)


def _sample(country: Country) -> str:
    """A mobile number of the country's plan, to look prices up by."""
    number = phonenumbers.example_number_for_type(country, phonenumbers.PhoneNumberType.MOBILE)
    assert number is not None  # every numbering plan has one
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
