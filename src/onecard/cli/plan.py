"""`onecard plan`: the plans of cards."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import typer

from onecard import ledger
from onecard.catalogue.model import Plan, PlanAllowance, Tariff, say_units
from onecard.catalogue.rules import find_book
from onecard.catalogue.store import load_tariff
from onecard.charging import subscription_store
from onecard.charging.periods import Subscription, SubscriptionState, fee_to_renew, midnight, plan_under
from onecard.charging.subscriptions import cancel_plan, change_plan, get_plan_of_old, subscribe
from onecard.cli.command import desk_command, new_group
from onecard.cli.desk import Desk
from onecard.cli.failures import accept
from onecard.cli.find import find_card
from onecard.cli.show import Answer, Table, say_time
from onecard.values.money import Currency, Money

app = new_group("Plans: monthly fees with allowances.")

CardArgument = Annotated[
    str, typer.Argument(metavar="CARD", help="Any number of the card, its ICCID or its id.")
]
PlanArgument = Annotated[str, typer.Argument(metavar="PLAN", help="Its name: see `onecard plan list`.")]


@desk_command(app, "subscribe")
async def subscribe_(
    desk: Desk,
    card: CardArgument,
    plan: PlanArgument,
    day: Annotated[
        int | None,
        typer.Option(
            "--day",
            metavar="DAY",
            min=1,
            max=31,
            help="Day of the month on which it renews, or the last of a shorter one; today's unless given.",
        ),
    ] = None,
) -> Answer:
    """Give a card a plan from now on, and take the fee of its first month."""
    found = (await find_card(desk.connection, card)).card
    tariff = await load_tariff(desk.connection)
    subscription = accept(
        await subscribe(
            desk.connection,
            desk.at,
            actor=desk.actor,
            gates=desk.gates,
            part=found.part,
            card_id=found.id,
            plan_name=plan,
            tariff=tariff,
            zone=desk.zone,
            renewal_day=day,
        )
    )
    document = await _describe(desk, tariff, subscription)
    until = say_time(document["renews_at"], desk.zone)
    return Answer(document, [f"card {found.id} has the plan {plan}; it renews at {until}"], desk.zone)


@desk_command(app, "change")
async def change(desk: Desk, card: CardArgument, plan: PlanArgument) -> Answer:
    """Have another plan, or again one that was cancelled, from the next renewal on."""
    found = (await find_card(desk.connection, card)).card
    tariff = await load_tariff(desk.connection)
    subscription = accept(
        await change_plan(
            desk.connection,
            desk.at,
            actor=desk.actor,
            gates=desk.gates,
            part=found.part,
            card_id=found.id,
            plan_name=plan,
            tariff=tariff,
            zone=desk.zone,
        )
    )
    document = await _describe(desk, tariff, subscription)
    since = say_time(document["renews_at"], desk.zone)
    return Answer(document, [f"card {found.id} has the plan {plan} from {since} on"], desk.zone)


@desk_command(app, "cancel")
async def cancel(
    desk: Desk,
    card: CardArgument,
    now: Annotated[
        bool,
        typer.Option("--now", help="At once: its allowances end too, and the fee is not given back."),
    ] = False,
) -> Answer:
    """End a card's plan when its month is over."""
    found = (await find_card(desk.connection, card)).card
    tariff = await load_tariff(desk.connection)
    subscription = accept(
        await cancel_plan(
            desk.connection,
            desk.at,
            actor=desk.actor,
            part=found.part,
            card_id=found.id,
            at_once=now,
            zone=desk.zone,
        )
    )
    document = await _describe(desk, tariff, subscription)
    if subscription.state is SubscriptionState.ENDED:
        said = f"the plan {subscription.plan} of card {found.id} has ended"
    else:
        said = f"the plan {subscription.plan} of card {found.id} ends at {say_time(document['renews_at'], desk.zone)}"
    return Answer(document, [said], desk.zone)


@desk_command(app, "list")
async def list_(
    desk: Desk,
    card: Annotated[
        str | None,
        typer.Argument(metavar="[CARD]", help="Of this card, past ones too; else the plans that are sold."),
    ] = None,
) -> Answer:
    """List the plans that are sold now, or those of a card."""
    tariff = await load_tariff(desk.connection)
    if card is None:
        return _list_sold(desk, tariff)
    found = (await find_card(desk.connection, card)).card
    subscriptions = await subscription_store.list_of_card(desk.connection, found.part, found.id)
    rows = [await _describe(desk, tariff, one) for one in subscriptions]
    columns = ("plan", "state", "next_plan", "renews_at", "ends", "fee", "reserved", "started_at", "ended_at")
    table = Table(columns, rows, empty=f"card {found.id} has no plan")
    return Answer({"card": found.id, "subscriptions": rows}, [table], desk.zone)


def _list_sold(desk: Desk, tariff: Tariff) -> Answer:
    currencies = sorted({book.prices.currency for book in tariff.books})
    books = filter(None, (find_book(tariff, currency, desk.at) for currency in currencies))
    rows = [_describe_plan(plan, book.prices.currency) for book in books for plan in book.prices.plans]
    columns = ("plan", "fee", "first_months_free", "prorating", "reserve_days", "allowances")
    table = Table(columns, rows, empty="no plan is sold: import a price book that has some")
    return Answer({"plans": rows}, [table], desk.zone)


def _describe_plan(plan: Plan, currency: Currency) -> dict[str, Any]:
    return {
        "plan": plan.name,
        "fee": Money(plan.fee_micros, currency),
        "first_months_free": plan.first_months_free,
        "prorating": plan.prorating,
        "reserve_days": plan.reserve_days,
        "allowances": [_say_allowance(one) for one in plan.allowances],
    }


def _say_allowance(one: PlanAllowance) -> str:
    lines = f" of lines of {' '.join(one.line_countries)}" if one.line_countries else ""
    zones = f" in {' '.join(one.zones)}" if one.zones else ""
    return f"{one.usage} {say_units(one.units_a_month, one.usage.unit)}{lines}{zones}"


async def _describe(desk: Desk, tariff: Tariff, subscription: Subscription) -> dict[str, Any]:
    account = await ledger.find_account(desk.connection, subscription.part, subscription.account_id)
    assert account is not None
    plan_of_old = get_plan_of_old(tariff, account.currency, subscription.plan_to_renew, desk.at)
    plan = plan_under(desk.gates, plan_of_old)
    is_over = subscription.state is SubscriptionState.ENDED
    renews_at: datetime | None = None if is_over else midnight(subscription.renews_on, desk.zone)
    goes_on = not is_over and not subscription.ends
    return {
        "subscription": subscription.id,
        "card": subscription.card_id,
        "plan": subscription.plan,
        "next_plan": subscription.next_plan,
        "state": subscription.state,
        "ends": subscription.ends,
        "renews_at": renews_at,
        "fee": Money(fee_to_renew(subscription, plan), account.currency) if goes_on else None,
        "reserved": Money(subscription.reserved_micros, account.currency),
        "started_at": subscription.started_at,
        "ended_at": subscription.ended_at,
    }
