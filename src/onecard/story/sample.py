"""A sample of an operator's life, to look at: subscribers, weeks of traffic, applications, refunds, an order.

The same seed gives the same life. All of it goes through the actions and statements of the domains, so that
`onecard db check` proves it.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from uuid import UUID
from zoneinfo import ZoneInfo

from onecard.cards.actions import activate_card, import_stock
from onecard.cards.model import Card
from onecard.catalogue.actions import import_price_book
from onecard.catalogue.reading import read_toml_price_list
from onecard.catalogue.store import load_tariff
from onecard.database.pool import Connection, Pool, connection
from onecard.ledger import find_account, top_up
from onecard.lines.actions import apply_for_line, decide_on_application, import_numbers
from onecard.lines.model import Application, Line, LineLimits, Verification
from onecard.lines.store import list_lines
from onecard.payments.payees import make_payee, parse_canadian_account
from onecard.payments.payouts.actions import make_payout_run
from onecard.payments.payouts.model import Route
from onecard.payments.refunds.actions import change_refund, request_refund
from onecard.payments.refunds.model import Approve, Refund, Reject, Verify, Wish
from onecard.sales.actions import sell_card_to_newcomer
from onecard.sealing.keys import MasterKey
from onecard.story.place import PRICES
from onecard.subscribers.model import Contact
from onecard.values.card import luhn_is_valid
from onecard.values.gate import NO_ORDER, Gates
from onecard.values.language import Language
from onecard.values.money import Currency, Money
from onecard.values.phone import Country
from onecard.winddown.actions import amend_plan, approve_version, draft_plan, start
from onecard.winddown.model import Version

CAD = Currency("CAD")
CA, CN, HK, GB = map(Country, ("CA", "CN", "HK", "GB"))
SHOP, ALICE, BOB = "staff:shop", "staff:alice", "staff:bob"
ALL_OPEN = Gates({})
"""For refunds of before the order, which was slower than the life here."""
LIMITS = LineLimits()
SURNAMES = (
    "Wang",
    "Li",
    "Zhang",
    "Chen",
    "Liu",
    "Tremblay",
    "Roy",
    "Singh",
    "Smith",
    "Brown",
    "黄",
    "陳",
    "周",
)
GIVEN = ("Fang", "Wei", "Min", "Jun", "Émilie", "Luc", "Anna", "Noah", "Priya", "美玲", "志強", "敏")
LANGUAGES = (
    Language.CHINESE_SIMPLIFIED,
    Language.CHINESE_SIMPLIFIED,
    Language.CHINESE_TRADITIONAL,
    Language.ENGLISH,
    Language.FRENCH,
)


@dataclass(frozen=True, slots=True)
class Scale:
    """How much life there is."""

    subscribers: int = 300
    days: int = 28
    texts_a_day: float = 5.0
    """Of each subscriber, on average."""
    sessions_a_day: float = 0.4
    seed: int = 1


@dataclass(frozen=True, slots=True)
class Someone:
    """A card in use, and its lines."""

    card: Card
    since: datetime
    lines: Sequence[Line]


@dataclass(slots=True)
class Life:
    """What the sample has so far."""

    scale: Scale
    now: datetime
    zone: ZoneInfo
    chance: random.Random
    people: list[Someone] = field(default_factory=list)
    texts: int = 0
    sessions: int = 0
    refunds: int = 0

    @property
    def began(self) -> datetime:
        return self.now - timedelta(days=self.scale.days)

    def between(self, since: datetime, until: datetime) -> datetime:
        """Some instant of a span; its beginning where it is none."""
        return since + max(timedelta(0), until - since) * self.chance.random()


async def fill(pool: Pool, master: MasterKey, *, now: datetime, zone: ZoneInfo, scale: Scale) -> Life:
    """Fill a database that has its parts. It may have other subscribers: theirs is left alone."""
    from onecard.story.sample_traffic import send_traffic  # which leans on what is here

    life = Life(scale, now, zone, random.Random(scale.seed))  # noqa: S311  # a made-up life
    async with connection(pool) as borrowed:
        await _open_shop(borrowed, life)
        await _sell_cards(borrowed, life, master)
        await _apply_for_numbers(borrowed, life)
    await send_traffic(pool, master, life)
    async with connection(pool) as borrowed:
        await _ask_for_refunds(borrowed, life, master)
        await _enter_order(borrowed, life)
    return life


def make_iccid(number: int) -> str:
    """The ICCID of this number, with its check digit."""
    body = f"89302991{number:010d}"
    return next(body + str(digit) for digit in range(10) if luhn_is_valid(body + str(digit)))


async def _open_shop(borrowed: Connection, life: Life) -> None:
    """Stock, numbers, and a price book unless there is one."""
    cards = life.scale.subscribers * 3 // 2
    sims = [
        "iccid,imsi\n",
        *(f"{make_iccid(number)},302990{900_000_000 + number}\n" for number in range(cards)),
    ]
    await import_stock(borrowed, life.began, actor=SHOP, lines=sims)
    pools = [
        (CA, "+1604{:07d}", 2_200_000, cards),
        (CN, "+86139{:08d}", 10_000_000, cards),
        (HK, "+8526{:07d}", 1_000_000, cards // 2),
        (GB, "+447400{:06d}", 100_000, cards // 2),
    ]
    rows = [
        f"{form.format(first + number)},{country}\n"
        for country, form, first, many in pools
        for number in range(many)
    ]
    await import_numbers(borrowed, life.began, actor=SHOP, lines=["msisdn,country\n", *rows])
    if not (await load_tariff(borrowed)).books:
        await import_price_book(
            borrowed, life.began - timedelta(days=900), actor=SHOP, prices=read_toml_price_list(PRICES)
        )


async def _sell_cards(borrowed: Connection, life: Life, master: MasterKey) -> None:
    """Sell through the weeks; most are activated soon, and topped up now and then."""
    latest = life.now - timedelta(hours=12)
    times = sorted(life.between(life.began, latest) for _ in range(life.scale.subscribers))
    for number, at in enumerate(times):
        name = f"{life.chance.choice(GIVEN)} {life.chance.choice(SURNAMES)}"
        card = await sell_card_to_newcomer(
            borrowed,
            at,
            actor=SHOP,
            gates=NO_ORDER,
            master=master,
            contact=Contact(name, f"someone.{number}@example.com", f"{number + 1} Main Street\nVancouver"),
            language=life.chance.choice(LANGUAGES),
            currency=CAD,
            country=CA,
        )
        assert isinstance(card, Card), card
        if life.chance.random() < 0.93:
            await _put_to_use(borrowed, life, card, at)


async def _put_to_use(borrowed: Connection, life: Life, card: Card, sold_at: datetime) -> None:
    since = min(life.now, sold_at + timedelta(minutes=life.chance.randint(5, 300)))
    await activate_card(borrowed, since, actor="onecard", gates=NO_ORDER, part=card.part, card_id=card.id)
    for number in range(life.chance.choice((1, 1, 2, 3))):
        at = since if number == 0 else life.between(since, life.now)
        amount = Money(life.chance.choice((10, 20, 20, 30, 50)) * 1_000_000, CAD)
        event = f"sample {card.id} {number}"
        await top_up(
            borrowed,
            at,
            actor="onecard",
            part=card.part,
            account_id=card.account_id,
            amount=amount,
            event=event,
        )
    lines = await list_lines(borrowed, card.part, card.id)
    life.people.append(Someone(card, since, lines))


async def _apply_for_numbers(borrowed: Connection, life: Life) -> None:
    """Most want a number from home; some wait for it still, and some were refused."""
    for place, someone in enumerate(life.people):
        wishes = life.chance.choices((0, 1, 2), (25, 60, 15))[0]
        for country in life.chance.sample((CN, CN, HK, GB), wishes):
            await _apply(borrowed, life, someone, country)
        lines = await list_lines(borrowed, someone.card.part, someone.card.id)
        life.people[place] = Someone(someone.card, someone.since, lines)


async def _apply(borrowed: Connection, life: Life, someone: Someone, country: Country) -> None:
    at = life.between(someone.since, min(life.now, someone.since + timedelta(days=20)))
    application = await apply_for_line(
        borrowed,
        at,
        actor=f"subscriber:{someone.card.subscriber_id}",
        gates=NO_ORDER,
        part=someone.card.part,
        card_id=someone.card.id,
        country=country,
        limits=LIMITS,
        operator_time_zone=life.zone,
    )
    if not isinstance(application, Application):
        return
    decided_at = at + timedelta(hours=life.chance.uniform(0.2, 60))
    if decided_at > life.now:
        return  # it waits still
    outcome = life.chance.choices(
        (Verification.MATCH, Verification.MISMATCH, Verification.FIVE_NUMBER_LIMIT), (90, 7, 3)
    )[0]
    await decide_on_application(
        borrowed,
        decided_at,
        actor=life.chance.choice(("link:home-cn", ALICE)),
        gates=NO_ORDER,
        part=someone.card.part,
        application_id=application.id,
        verification=outcome,
    )


async def _ask_for_refunds(borrowed: Connection, life: Life, master: MasterKey) -> None:
    """Some want their balance back; their refunds have come to different places on their way."""
    events = count(1)
    for place, someone in enumerate(life.chance.sample(life.people, len(life.people) // 6)):
        card = someone.card
        account = await find_account(borrowed, card.part, card.account_id)
        assert account is not None
        if not account.available_micros:
            continue
        at = life.between(life.now - timedelta(days=4), life.now - timedelta(days=3))
        payee = make_payee(
            f"Account Holder {card.id}", parse_canadian_account(f"004-12345-{1_000_000 + card.id}")
        )
        wish = Wish(card.account_id, UUID(int=next(events)), payee=payee)
        actor = f"subscriber:{card.subscriber_id}"
        refund = await request_refund(
            borrowed,
            at,
            actor=actor,
            gates=ALL_OPEN,
            master=master,
            part=card.part,
            wish=wish,
            cooling_off=timedelta(hours=24),
        )
        assert isinstance(refund, Refund), refund
        life.refunds += 1
        changes = (
            Verify("sign-in"),
            Approve() if place % 7 else Reject("the account is not the subscriber's"),
        )
        for step, (change, who) in enumerate(zip(changes, (ALICE, BOB), strict=True)):
            if place % 4 > step:
                at += timedelta(hours=3)
                await change_refund(
                    borrowed, at, actor=who, part=card.part, refund_id=refund.id, change=change
                )
    await _make_run(borrowed, life)


async def _make_run(borrowed: Connection, life: Life) -> None:
    """The first approved refunds are in a run, which waits for a second person."""
    await make_payout_run(
        borrowed,
        life.now - timedelta(days=1),
        actor=BOB,
        currency=CAD,
        route=Route.BANK,
        execution_on=life.now.date(),
        limit=Money(250_000_000, CAD),
    )


PLAN = """\
name = "The end of Maple Bridge Mobile"
time_zone = "{zone}"
version = {version}

[order]
issuer = "The Governor in Council"
legal_basis = "Investment Canada Act: divest or wind up"
received = {received}
document_sha256 = "{document}"

[[stage]]
name = "refunds begin"
at = {refunds}
opens = ["refund"]

[[stage]]
name = "sales end"
at = {sales}
closes = ["sale", "port_in", "new_application", "top_up", "plan_change", "renewal_fee"]

[[stage]]
name = "operations cease"
at = {cease}
closes = ["activation", "charging", "sim_replacement"]
voids = ["unactivated_cards"]

[[stage]]
name = "service ends"
at = {end}
closes = ["renewal", "secondary_lines", "port_out", "data", "voice", "texts"]

[last_days]
port_out = {last_day}

[refunds]
cash = "full"
unused_plan_value = "pro_rata"
vouchers = "full"
deposits = "full"
disputed = "when_decided"
promotional = "nothing"
unactivated_cards = "as_paid"
"""


async def _enter_order(borrowed: Connection, life: Life) -> None:
    """An order is in force, whose first stage has come; an extension of it awaits approval."""
    received = life.now - timedelta(days=12)
    version = await draft_plan(borrowed, received, actor=ALICE, text=_write_plan(life, 1, timedelta(0)))
    assert isinstance(version, Version), version
    for at, who in ((timedelta(hours=2), ALICE), (timedelta(hours=5), BOB)):
        await approve_version(borrowed, received + at, actor=who, number=1)
    await start(borrowed, received + timedelta(hours=6), actor=BOB)
    later = life.now - timedelta(hours=20)
    await amend_plan(borrowed, later, actor=ALICE, text=_write_plan(life, 2, timedelta(days=14)))
    await approve_version(borrowed, later, actor=ALICE, number=2)


def _write_plan(life: Life, version: int, extension: timedelta) -> str:
    today = life.now.astimezone(life.zone).replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
    end = today + timedelta(days=75) + extension
    return PLAN.format(
        zone=life.zone.key,
        version=version,
        received=(today - timedelta(days=13)).date(),
        document="5d" * 32,
        refunds=(today - timedelta(days=5)).isoformat(),
        sales=(today + timedelta(days=9)).isoformat(),
        cease=(today + timedelta(days=30) + extension).isoformat(),
        end=end.isoformat(),
        last_day=(end - timedelta(days=1)).date(),
    )
