"""The steps of a plan: its first days, its allowance used before cash, its renewal.

The renewal is not waited for: a second onecard, whose clock is ahead, does on the same database what is due then.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from onecard.charging.periods import Period, first_period, midnight, next_renewal
from onecard.story.act import Act
from onecard.story.children import run_command, start_later_node
from onecard.story.place import TIME_ZONE
from onecard.story.sessions import data_of_card, read_grant
from onecard.story.stage import Stage, come_about, say_money
from onecard.story.usage_steps import MEGABYTE, ask_credit, expect_told, read_usage, write_octets
from onecard.values.money import parse_micros

PLAN, FEE, PLAN_OCTETS = "Bridge", "9.00", 300 * MEGABYTE
PAID_OCTETS, PAID = 10 * MEGABYTE, "1.00"
RENEWS_IN = timedelta(days=2)
"""Within the days before a renewal in which its fee is held: that is seen without moving a clock."""
ZONE = ZoneInfo(TIME_ZONE)


async def subscribe_to_plan(stage: Stage, act: Act) -> None:
    """The first month is two days long, costs and gives as much; its allowance is used before cash."""
    day = (datetime.now(ZONE).date() + RENEWS_IN).day
    document = await run_command(stage.place, "plan", "subscribe", stage.primary, PLAN, "--day", str(day))
    act.say("shop", "onecard", f"onecard plan subscribe {stage.primary} {PLAN} --day {day}")
    period = first_period(_day_of(document["started_at"]), day)
    fee_micros = period.share_of_fee(parse_micros(FEE))
    act.say(
        "onecard",
        "shop",
        f"renews {_day_of(document['renews_at'])}; until then {_say_share(period)}",
        say_money(fee_micros),
    )
    act.verify("renewed on the day", _day_of(document["renews_at"]), period.until)
    await stage.check_fee(act, fee_micros)
    await _use_allowance(stage, act, period.share_of_units(PLAN_OCTETS))
    await _expect_reserve(stage, act)


def _day_of(instant: str) -> date:
    return datetime.fromisoformat(instant).astimezone(ZONE).date()


def _say_share(period: Period) -> str:
    return f"{period.days} of {period.days_of_whole} days of {FEE} CAD and {write_octets(PLAN_OCTETS)}"


async def _use_allowance(stage: Stage, act: Act, octets: int) -> None:
    """More is used than the allowance has; the rest is paid."""
    used = octets + PAID_OCTETS
    session = data_of_card(stage.primary)
    act.say("card", "internet", "another video")
    granted = await ask_credit(stage, act, session.open(used), f"{write_octets(used)}?")
    act.verify("allowance and cash in one grant", read_grant(granted).units, used)
    await ask_credit(stage, act, session.end(used), "all of it used; the session is over")
    row = await read_usage(stage, act)
    told = (row["units"], row["allowance_units"], row["price"]["amount"])
    act.verify(f"{write_octets(octets)} of the plan, then {PAID} CAD", told, (used, octets, PAID))
    await stage.check_usage(act, parse_micros(PAID))
    said = f"您的{octets // MEGABYTE}MB流量已用完，此后由余额支付。"
    await expect_told(stage, act, said, "the data of the plan is used up; now the balance pays")


async def _expect_reserve(stage: Stage, act: Act) -> None:
    """The fee of the next month is held some days before."""
    fee_micros = parse_micros(FEE)

    async def find() -> bool | None:
        return True if (await stage.account()).held_micros == fee_micros else None

    await come_about(find, "the fee of the next month held")
    act.say("onecard", "account", "the fee of the next month is held", f"{FEE} held")
    left = stage.expected_micros - fee_micros
    act.verify(f"{FEE} CAD held, {say_money(left)} left to spend", await stage.balance_micros(), left)


async def renew_plan(stage: Stage, act: Act) -> None:
    """A second onecard, whose clock has reached the day, renews the plan and tells the subscriber."""
    [subscription] = await _list(stage, "plan", "subscriptions")
    renews_at = datetime.fromisoformat(subscription["renews_at"])
    day = _day_of(subscription["renews_at"])
    act.say("staff", "second onecard", f"starts beside the first, its clock ahead: at {day}, 00:01")
    async with start_later_node(stage.place, renews_at - datetime.now(UTC) + timedelta(minutes=1)) as later:
        until = next_renewal(day, day.day)
        await expect_told(
            stage, act, f"您的套餐{PLAN}已续订至{until}，费用CA${FEE}。", f"renewed until {until}"
        )
    act.verify("the second onecard logged no error", later.read_errors(), [])
    await stage.check_fee(act, parse_micros(FEE))
    act.verify("paid from what was held", (await stage.account()).held_micros, 0)
    await _expect_new_allowance(stage, act, until)


async def _expect_new_allowance(stage: Stage, act: Act, until: date) -> None:
    [allowance] = await _list(stage, "allowance", "allowances")
    act.say("shop", "onecard", f"onecard allowance list {stage.primary}")
    fact = f"{write_octets(allowance['available'])} of data until {_day_of(allowance['expires_at'])}"
    act.say("onecard", "shop", fact)
    told = (allowance["available"], datetime.fromisoformat(allowance["expires_at"]))
    act.verify(fact, told, (PLAN_OCTETS, midnight(until, ZONE)))


async def _list(stage: Stage, group: str, name: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = (await run_command(stage.place, group, "list", stage.primary))[name]
    return rows
