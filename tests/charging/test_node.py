"""A whole node over Diameter, on a real socket: calls, data, the end of a balance, a top-up, a restart."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from itertools import count

from msgspec.structs import replace

import shop
from charging.desk import NOON
from gateways.diameter.partners import RawPeer, call
from onecard.cards.model import Card
from onecard.catalogue.actions import import_price_book
from onecard.catalogue.model import PriceBook
from onecard.catalogue.reading import read_csv_price_list
from onecard.database.pool import Database, connection, transaction
from onecard.gateways.diameter.constants import (
    FinalUnitAction,
    Flag,
    RequestType,
    ResultCode,
    RoleOfNode,
    SubscriptionIdType,
)
from onecard.gateways.diameter.messages import (
    CreditControlAnswer,
    CreditControlRequest,
    ImsInformation,
    Message,
    ReAuthAnswer,
    ReAuthRequest,
    RequestedUnits,
    ServiceInformation,
    ServiceRequest,
    SubscriptionId,
    UsedUnits,
)
from onecard.ledger.actions import top_up
from onecard.values.clock import MovedClock
from onecard.values.money import Money, parse_micros
from town import Town, open_town, sell_card_with_two_lines

GATEWAY = "pgw.host.example"
REALM = "host.example"
PRICES = [
    "usage,line_country,prefix,price,per,first_block,next_block\n",
    "call_out,CA,1,0.06,min,1,1\n",
    "call_out,CN,86,0.12,min,1,1\n",
    "call_in,CN,,0.03,min,1,1\n",
    "data,CA,,0.01,MB,1000,1000\n",
]
DIAMETER = {
    "host": "ocs.onecard.example",
    "realm": "onecard.example",
    "listen": "127.0.0.1:0",
    "peers": [{"host": GATEWAY}],
}
INITIAL, UPDATE, TERMINATION = RequestType.INITIAL, RequestType.UPDATE, RequestType.TERMINATION

_ids = count(1)


@dataclass
class Network:
    """A gateway of the host operator, which charges one card."""

    peer: RawPeer
    msisdn: str

    async def charge(
        self, session: str, number: int, kind: RequestType, context: str, **changes: object
    ) -> CreditControlAnswer:
        """Ask, and read the answer."""
        place = next(_ids)
        body = CreditControlRequest(
            session, GATEWAY, REALM, "onecard.example", 4, context, kind, number,
            subscription_ids=(SubscriptionId(SubscriptionIdType.E164, self.msisdn),),
        )  # fmt: skip
        message = Message(272, Flag.REQUEST | Flag.PROXIABLE, 4, place, place, replace(body, **changes))
        answer = await asyncio.wait_for(self.peer.ask(message), 10)
        assert isinstance(answer.body, CreditControlAnswer)
        return answer.body

    async def call(
        self,
        session: str,
        number: int,
        kind: RequestType,
        *,
        used: int = 0,
        wanted: int | None = None,
        **ims: object,
    ) -> CreditControlAnswer:
        return await self.charge(
            session,
            number,
            kind,
            "32260@3gpp.org",
            service_information=ServiceInformation(ims=replace(ImsInformation(), **ims)),
            requested=RequestedUnits(time_seconds=wanted) if wanted else None,
            used=(UsedUnits(time_seconds=used),) if used else (),
        )

    async def data(
        self, session: str, number: int, kind: RequestType, *, used: int = 0, wanted: int = 0
    ) -> CreditControlAnswer:
        requested = RequestedUnits(total_octets=wanted) if wanted else None
        used_units = (UsedUnits(total_octets=used),) if used else ()
        return await self.charge(
            session,
            number,
            kind,
            "32251@3gpp.org",
            services=(ServiceRequest(10, requested=requested, used=used_units),),
        )

    async def asked_again(self) -> str:
        """Wait for a re-authorisation, and agree; the session that it is for."""
        asked = await asyncio.wait_for(self.peer.read(), 10)
        assert isinstance(asked.body, ReAuthRequest)
        body = ReAuthAnswer(asked.body.session_id, ResultCode.LIMITED_SUCCESS, GATEWAY, REALM)
        self.peer.send(Message(asked.command, Flag.PROXIABLE, 4, asked.hop_by_hop, asked.end_to_end, body))
        return asked.body.session_id


async def stock(database: Database, balance: str) -> Card:
    """A card with two lines, and prices for calls and data."""
    async with connection(database.pool) as borrowed:
        await shop.open_shop(borrowed)
        at = shop.AT + timedelta(days=1)
        prices = read_csv_price_list(PRICES, name="first", currency=shop.CAD, effective_from=at)
        book = await import_price_book(borrowed, shop.AT, actor=shop.STAFF, prices=prices)
        assert isinstance(book, PriceBook), book
        return await sell_card_with_two_lines(borrowed, balance)


@asynccontextmanager
async def open_network(
    database: Database, card: Card, clock: MovedClock
) -> AsyncIterator[tuple[Town, Network]]:
    async with open_town(database, clock=clock, cards=[card], diameter=DIAMETER) as town:
        assert town.node.addresses.diameter is not None
        peer = await call(int(town.node.addresses.diameter.rpartition(":")[2]))
        [primary, _] = await town.lines(card)
        yield town, Network(peer, primary.msisdn.removeprefix("+"))
        peer.close()


async def test_a_whole_call_is_charged_to_the_line_that_was_dialled(database: Database) -> None:
    card, clock = await stock(database, "1.00"), MovedClock(NOON)
    async with open_network(database, card, clock) as (town, network):
        dialled = "tel:12583113800138000"
        first = await network.call("c1", 0, INITIAL, wanted=60, called_party=dialled)
        assert (first.result_code, first.granted and first.granted.time_seconds) == (2001, 60)
        clock.move(timedelta(seconds=60))
        await network.call("c1", 1, UPDATE, used=60, wanted=60, called_party=dialled)
        clock.move(timedelta(seconds=30))
        last = await network.call("c1", 2, TERMINATION, used=30, called_party=dialled)
        assert last.cost is not None
        assert (last.result_code, last.cost.value.digits) == (2001, 180_000)
        assert await town.balance(card) == 820_000
        await town.proved()


async def test_a_call_in_is_charged_to_the_line_that_was_called(database: Database) -> None:
    card, clock = await stock(database, "1.00"), MovedClock(NOON)
    async with open_network(database, card, clock) as (town, network):
        [_, secondary] = await town.lines(card)
        ims = {
            "role_of_node": RoleOfNode.TERMINATING,
            "called_party": f"tel:{secondary.msisdn}",
            "calling_parties": ("tel:+8613912345678",),
        }
        await network.call("c1", 0, INITIAL, wanted=60, **ims)  # type: ignore[arg-type]
        clock.move(timedelta(seconds=60))
        await network.call("c1", 1, TERMINATION, used=60, **ims)  # type: ignore[arg-type]
        assert await town.balance(card) == 970_000


async def test_data_is_cut_when_the_balance_ends(database: Database) -> None:
    card, clock = await stock(database, "0.05"), MovedClock(NOON)
    async with open_network(database, card, clock) as (town, network):
        [first] = (await network.data("d1", 0, INITIAL, wanted=3_000_000)).services
        assert (first.granted and first.granted.total_octets, first.final_unit) == (3_000_000, None)
        [second] = (await network.data("d1", 1, UPDATE, used=3_000_000, wanted=3_000_000)).services
        assert second.granted is not None
        assert second.final_unit is not None
        assert second.granted.total_octets == 2_000_000
        assert second.final_unit.action is FinalUnitAction.TERMINATE
        [third] = (await network.data("d1", 2, UPDATE, used=2_000_000, wanted=3_000_000)).services
        assert (third.result_code, third.granted) == (ResultCode.CREDIT_LIMIT_REACHED, None)
        assert (await network.data("d1", 3, TERMINATION)).result_code == ResultCode.SUCCESS
        refused = await network.data("d2", 0, INITIAL, wanted=1)
        assert refused.result_code == ResultCode.CREDIT_LIMIT_REACHED
        assert await town.balance(card) == 0
        await town.proved()


async def test_a_top_up_has_the_network_ask_again(database: Database) -> None:
    card, clock = await stock(database, "0.05"), MovedClock(NOON)
    async with open_network(database, card, clock) as (town, network):
        [first] = (await network.data("d1", 0, INITIAL, wanted=9_000_000)).services
        assert first.final_unit is not None
        async with transaction(town.database.pool) as borrowed:
            await top_up(
                borrowed,
                clock.now(),
                actor=shop.STAFF,
                part=card.part,
                account_id=card.account_id,
                amount=Money(parse_micros("1.00"), shop.CAD),
                event="voucher 1",
            )
        assert await network.asked_again() == "d1"
        [second] = (await network.data("d1", 1, UPDATE, used=1_000_000, wanted=9_000_000)).services
        assert (second.granted and second.granted.total_octets, second.final_unit) == (9_000_000, None)


async def test_a_session_goes_on_after_a_restart_and_a_repeat_finds_its_answer(database: Database) -> None:
    card, clock = await stock(database, "1.00"), MovedClock(NOON)
    async with open_network(database, card, clock) as (_, network):
        first = await network.data("d1", 0, INITIAL, wanted=9_000_000)
    async with open_network(database, card, clock) as (town, network):
        again = await network.data("d1", 0, INITIAL, wanted=9_000_000)
        assert (again.services, again.cost) == (first.services, first.cost)
        assert await town.balance(card) == 910_000
        await network.data("d1", 1, UPDATE, used=9_000_000, wanted=9_000_000)
        await network.data("d1", 2, TERMINATION, used=1_000_000)
        assert await town.balance(card) == 900_000
        await town.proved()


async def test_who_is_no_subscriber_is_unknown(database: Database) -> None:
    card, clock = await stock(database, "1.00"), MovedClock(NOON)
    async with open_network(database, card, clock) as (_, network):
        stranger = Network(network.peer, "16045550188")
        assert (await stranger.data("d1", 0, INITIAL, wanted=1)).result_code == ResultCode.USER_UNKNOWN
        assert (await network.data("d2", 1, UPDATE)).result_code == ResultCode.UNKNOWN_SESSION_ID
