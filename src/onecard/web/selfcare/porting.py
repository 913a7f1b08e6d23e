"""Take a number to another operator: the PIN that it asks for, and how far it is."""

from __future__ import annotations

from litestar import get, post
from litestar.exceptions import NotFoundException
from litestar.params import FromPath

from onecard.database.pool import connection
from onecard.portability.actions import cancel_port_out, issue_port_pin
from onecard.portability.model import PortOut, PortPin
from onecard.portability.store import find_port, list_ports_of_card
from onecard.values.gate import Capability
from onecard.web.given import GivenLayout, GivenSite, GivenVisit
from onecard.web.layout import Page
from onecard.web.selfcare.me import GivenMe
from onecard.web.selfcare.refusals import go_refused


@get("/port-out")
async def port_page(site: GivenSite, layout: GivenLayout, visit: GivenVisit, me: GivenMe) -> Page:
    """How it is done, and the numbers that are on their way."""
    async with connection(site.pool) as borrowed:
        ports = [
            port for card in me.cards for port in await list_ports_of_card(borrowed, me.part, card.card.id)
        ]
    closed = site.gates_at(visit.at).find_closed(Capability.PORT_OUT)
    return layout.page(visit, "selfcare/port_out.html", me=me, ports=ports, closed=closed)


@post("/port-out/{card_id:int}/pin")
async def give_pin(
    site: GivenSite, layout: GivenLayout, visit: GivenVisit, me: GivenMe, card_id: FromPath[int]
) -> Page:
    """Give the PIN, and show it this once."""
    card = me.card(card_id)
    async with connection(site.pool) as borrowed:
        outcome = await issue_port_pin(
            borrowed,
            visit.at,
            actor=me.actor,
            master=site.master,
            gates=site.gates_at(visit.at),
            part=me.part,
            card_id=card.card.id,
            terms=await site.port_terms(borrowed),
        )
    if isinstance(outcome, PortPin):
        return layout.page(visit, "selfcare/port_pin.html", me=me, card=card, issued=outcome)
    return go_refused(layout, visit, "/port-out", outcome)


@post("/port-out/{port_id:int}/cancel")
async def cancel(
    site: GivenSite, layout: GivenLayout, visit: GivenVisit, me: GivenMe, port_id: FromPath[int]
) -> Page:
    """Keep the number after all, or stop what one never asked for."""
    async with connection(site.pool) as borrowed:
        port = await find_port(borrowed, port_id)
        if port is None or port.account_id != me.subscriber.account_id or port.part != me.part:
            raise NotFoundException
        outcome = await cancel_port_out(
            borrowed, visit.at, actor=me.actor, port_id=port.id, limits=site.operator.limits
        )
    if isinstance(outcome, PortOut):
        site.forget_card(port.card_id)
        return layout.go("/port-out", said="port.said_cancelled")
    return go_refused(layout, visit, "/port-out", outcome)


ROUTES = (port_page, give_pin, cancel)
