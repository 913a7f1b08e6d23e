"""Apply for one more number: a country, three numbers to choose from, and what became of it."""

from __future__ import annotations

from litestar import get, post
from litestar.params import FromQuery

from onecard.database.pool import Connection, connection
from onecard.lines.actions import apply_for_line
from onecard.lines.model import Application
from onecard.lines.store import list_applications_of_card, offer_numbers
from onecard.values.gate import Capability
from onecard.values.phone import E164, BadNumber, Country, parse_country
from onecard.web.given import GivenForm, GivenLayout, GivenSite, GivenVisit
from onecard.web.layout import Page
from onecard.web.selfcare.me import GivenMe, Me
from onecard.web.selfcare.refusals import go_refused
from onecard.web.site import Site

OFFERED = 3


@get("/apply")
async def apply_page(
    site: GivenSite, layout: GivenLayout, visit: GivenVisit, me: GivenMe, country: FromQuery[str] = ""
) -> Page:
    """Countries with free numbers; of the one that was chosen, three of them; and the applications so far."""
    chosen = _read_country(country)
    async with connection(site.pool) as borrowed:
        countries = await _list_countries(borrowed, site)
        offered = await offer_numbers(borrowed, chosen, OFFERED) if chosen else ()
        applications = await _list_applications(borrowed, me)
    return layout.page(
        visit,
        "selfcare/apply.html",
        me=me,
        countries=countries,
        country=chosen,
        offered=offered,
        applications=applications,
        closed=site.gates_at(visit.at).find_closed(Capability.NEW_APPLICATION, Capability.SECONDARY_LINES),
    )


@post("/apply")
async def apply(
    site: GivenSite, layout: GivenLayout, visit: GivenVisit, me: GivenMe, form: GivenForm
) -> Page:
    """Apply for the number that was chosen."""
    country, wanted = _read_country(form.text("country", most=2)), form.text("number", most=20)
    card = me.card(int(form.text("card", most=19)) if form.text("card", most=19).isdecimal() else 0)
    if country is None or not wanted:
        return layout.go("/apply")
    async with connection(site.pool) as borrowed:
        outcome = await apply_for_line(
            borrowed,
            visit.at,
            actor=me.actor,
            gates=site.gates_at(visit.at),
            part=me.part,
            card_id=card.card.id,
            country=country,
            wanted=E164(wanted),
            limits=site.operator.limits,
            operator_time_zone=site.operator.zone,
        )
    if isinstance(outcome, Application):
        return layout.go("/apply", said="apply.said_applied")
    return go_refused(layout, visit, f"/apply?country={country}", outcome)


async def _list_countries(borrowed: Connection, site: Site) -> list[Country]:
    """The countries whose lines have prices and whose pools have a free number."""
    priced = {country for book in site.tariff().books for _, country in book.tables}
    return [one for one in sorted(priced) if await offer_numbers(borrowed, one, 1)]


async def _list_applications(borrowed: Connection, me: Me) -> list[Application]:
    """The latest first."""
    found = [
        application
        for card in me.cards
        for application in await list_applications_of_card(borrowed, me.part, card.card.id)
    ]
    return sorted(found, key=lambda application: application.applied_at, reverse=True)


def _read_country(code: str) -> Country | None:
    try:
        return parse_country(code[:2]) if code else None
    except BadNumber:
        return None


ROUTES = (apply_page, apply)
