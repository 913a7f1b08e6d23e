"""The steps in which the network asks for credit: a call, and data.

Nobody waits until minutes are talked or megabytes loaded: the network reports them at once.
"""

from __future__ import annotations

import secrets
from decimal import Decimal
from typing import Any

from onecard.catalogue.model import UsageKind
from onecard.database.pool import connection
from onecard.gateways.diameter.constants import ResultCode
from onecard.gateways.diameter.messages import CreditControlAnswer, CreditControlRequest
from onecard.story.act import Act
from onecard.story.cast import CHINESE_FRIEND, CODE, dial_from_line_1, write_spaced
from onecard.story.children import run_command
from onecard.story.sessions import CreditSession, call_from_card, data_of_card, read_cost_micros, read_grant
from onecard.story.stage import Stage, say_money
from onecard.story.texts import words_of
from onecard.story.wire import Charge, Charged
from onecard.values.address import unknown
from onecard.values.money import format_micros, parse_micros
from onecard.values.phone import mask

MEGABYTE = 1_000_000
CALL_SECONDS, CALL_PRICE = 47, "0.154"
"""47 s count as 30 and 3 times 6: 48 s at 0.13 a minute, and 0.05 for setting up."""
DATA_OCTETS = 80 * MEGABYTE
TOP_UP = "20.00"
OCTETS_AFTER_TOP_UP, AFTER_TOP_UP = 5 * MEGABYTE, "0.50"
SUM_USAGE = (
    "SELECT coalesce(sum(price_micros), 0)::bigint FROM usage_record WHERE part = $1 AND account_id = $2"
)


async def call_friend(stage: Stage, act: Act) -> None:
    """A call from the Chinese number, whose price is known before, and explained after."""
    explained = await _ask_price(stage, act)
    call = call_from_card(stage.primary, dial_from_line_1(CHINESE_FRIEND))
    act.say("card", CHINESE_FRIEND, f"a call, dialled {write_spaced(dial_from_line_1(CHINESE_FRIEND))}")
    await ask_credit(stage, act, call.open(30), "may it call? 30 s")
    await _expect_held(stage, act, "0.115")
    await ask_credit(stage, act, call.go_on(30, 30), "30 s used; 30 s more?")
    ended = await ask_credit(stage, act, call.end(CALL_SECONDS - 30), f"hung up after {CALL_SECONDS} s")
    act.verify(f"the call cost {CALL_PRICE} CAD", read_cost_micros(ended), parse_micros(CALL_PRICE))
    await _expect_held(stage, act, "0")
    row = await read_usage(stage, act)
    act.verify("explained in the words of the price enquiry", row["why"], [explained])
    told = (row["far"], row["line"], row["units"], row["price"]["amount"])
    expected = (mask(CHINESE_FRIEND), mask(stage.secondary), CALL_SECONDS, CALL_PRICE)
    act.verify("both numbers masked", told, expected)
    await stage.check_usage(act, parse_micros(CALL_PRICE))


async def _ask_price(stage: Stage, act: Act) -> str:
    """The price of the call, and by which rule; returns the explanation."""
    far = CHINESE_FRIEND.removeprefix("+86")
    priced = await run_command(
        stage.place, "tariff", "price", "call_out", stage.secondary, far, "--seconds", str(CALL_SECONDS)
    )
    act.say(
        "shop", "onecard", f"onecard tariff price call_out {stage.secondary} {far} --seconds {CALL_SECONDS}"
    )
    explained: str = priced["explanation"]
    act.say("onecard", "shop", explained)
    act.verify("priced beforehand", priced["price"]["amount"], CALL_PRICE)
    return explained


async def use_data(stage: Stage, act: Act) -> None:
    """Data is granted as far as the balance goes, cut there, and goes on when money was added."""
    session = data_of_card(stage.primary)
    price = format_micros(stage.expected_micros + parse_micros(AFTER_TOP_UP))
    await _use_up(stage, act, session)
    await _top_up_and_go_on(stage, act, session)
    row = await read_usage(stage, act)
    told = (row["usage"], row["price"]["amount"], row["unpaid"]["amount"])
    act.verify(f"data for {price} CAD, none unpaid", told, (UsageKind.DATA.value, price, "0.00"))
    await stage.check_usage(act, parse_micros(price))


async def _use_up(stage: Stage, act: Act, session: CreditSession) -> None:
    """Each grant is what is asked for, the last what the balance pays; then there is none."""
    left = stage.expected_micros * MEGABYTE // parse_micros("0.10")
    asked = session.open(DATA_OCTETS)
    act.say("card", "internet", "a video")
    words = "may it load? 80 MB"
    while left > DATA_OCTETS:
        await ask_credit(stage, act, asked, words)
        left -= DATA_OCTETS
        asked, words = session.go_on(DATA_OCTETS, DATA_OCTETS), "80 MB used; 80 MB more?"
    last = read_grant(await ask_credit(stage, act, asked, words))
    act.verify(f"the last grant is {write_octets(left)}", (last.units, last.is_last), (left, True))
    cut = await ask_credit(stage, act, session.go_on(left, None), f"{write_octets(left)} used, service ended")
    act.say(stage.network.name, "card", "no more data")
    act.verify("nothing more granted", read_grant(cut).units, 0)
    act.verify("balance 0.00 CAD", await stage.balance_micros(), 0)
    await ask_credit(stage, act, session.go_on(0, DATA_OCTETS), "it tries again: 80 MB?", refused=True)
    await expect_told(stage, act, "您的余额不足：CA$0.00，请及时充值。", "your balance is low, please top up")


async def _top_up_and_go_on(stage: Stage, act: Act, session: CreditSession) -> None:
    """Whoever holds a session of the account is asked to come again."""
    reference = f"shop-{secrets.token_hex(4)}"
    await run_command(stage.place, "account", "topup", stage.primary, TOP_UP, "--reference", reference)
    act.say("shop", "onecard", f"onecard account topup {stage.primary} {TOP_UP} --reference {reference}")
    stage.expected_micros += parse_micros(TOP_UP)
    act.verify("asked to authorise anew", await stage.network.next_asked_again(), session.id)
    act.say("onecard", stage.network.name, "RAR: ask anew for the session")
    on = await ask_credit(stage, act, session.go_on(0, DATA_OCTETS), "80 MB?")
    granted = read_grant(on)
    act.verify("the session goes on", (granted.units, granted.is_last), (DATA_OCTETS, False))
    await ask_credit(stage, act, session.end(OCTETS_AFTER_TOP_UP), "5 MB used; the session is over")
    await _expect_held(stage, act, "0")


# ---- what several steps do


async def ask_credit(
    stage: Stage, act: Act, request: CreditControlRequest, words: str, *, refused: bool = False
) -> CreditControlAnswer:
    """The network asks for credit and is answered; `refused`: because the account cannot pay."""
    came = await stage.network.ask(Charge(request), Charged)
    act.say(stage.network.name, "onecard", f"CCR {request.request_type.name.lower()}: {words}")
    grant = read_grant(came.answer)
    code = ResultCode.CREDIT_LIMIT_REACHED if refused else ResultCode.SUCCESS
    act.say("onecard", stage.network.name, _say_answer(came.answer), "refused" if refused else "")
    fact = "refused with 4012" if refused else "granted"
    act.verify(fact, (came.answer.result_code, grant.result_code), (ResultCode.SUCCESS, code))
    return came.answer


def _say_answer(answer: CreditControlAnswer) -> str:
    grant = read_grant(answer)
    said = [f"CCA {ResultCode(grant.result_code).name}"]
    if grant.units:
        said.append(_say_units(answer, grant.units))
    if grant.is_last:
        said.append("the last (Final-Unit-Indication)")
    cost_micros = read_cost_micros(answer)
    if cost_micros:
        said.append(f"cost so far {say_money(cost_micros)}")
    return ", ".join(said)


def _say_units(answer: CreditControlAnswer, units: int) -> str:
    granted = answer.services[0].granted
    assert granted is not None
    return f"{units} s" if granted.time_seconds else write_octets(units)


def write_octets(octets: int) -> str:
    """Such as `36.96 MB`, to the octet."""
    return f"{Decimal(octets) / MEGABYTE:f} MB"


async def _expect_held(stage: Stage, act: Act, amount: str) -> None:
    account = await stage.account()
    fact = f"{amount} CAD held" if parse_micros(amount) else "nothing held any more"
    act.verify(fact, account.held_micros, parse_micros(amount))


async def read_usage(stage: Stage, act: Act) -> dict[str, Any]:
    """The usage record of what the card used last."""
    listed = await run_command(stage.place, "usage", "list", stage.primary, "--most", "1")
    act.say("shop", "onecard", f"onecard usage list {stage.primary} --most 1")
    row: dict[str, Any] = listed["records"][0]
    act.say("onecard", "shop", " ".join(row["why"]), f"{row['price']['amount']} CAD")
    return row


async def expect_told(stage: Stage, act: Act, words: str, gloss: str) -> None:
    """The subscriber is told something, in Chinese, without having asked."""
    came = await stage.host.next_text()
    act.say(came.source.digits, "card", words_of(came), "free", gloss)
    act.verify("told in Chinese", (words_of(came), came.source), (words, unknown(CODE)))


async def sum_usage_micros(stage: Stage) -> int:
    """What all usage of the account cost by its records."""
    async with connection(stage.open_pool) as borrowed:
        total: int = await borrowed.fetchval(SUM_USAGE, stage.card.part, stage.card.account_id)
    return total
