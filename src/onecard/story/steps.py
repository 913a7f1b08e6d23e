"""The story, step by step. Each step does one thing for real and verifies what came of it, everywhere."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from onecard.cards.model import CardState
from onecard.database.pool import connection
from onecard.gateways.smpp.constants import CommandStatus
from onecard.ledger.actions import check_ledger, list_entries
from onecard.ledger.model import EntryKind
from onecard.lines.store import find_card_with_lines
from onecard.messages.model import Direction
from onecard.story.act import Act
from onecard.story.cast import (
    BRITISH_FRIEND,
    CANADIAN_FRIEND,
    CHINESE_FRIEND,
    CODE,
    EMAIL,
    NAME,
    SATELLITE_PHONE,
    dial_from_line_1,
    write_spaced,
)
from onecard.story.children import run_command
from onecard.story.exchange import (
    bank_sends_code,
    bind,
    card_sends,
    expect_answer,
    join,
    verify_accepted,
    verify_refused,
)
from onecard.story.order_steps import (
    cease_operations,
    close_books,
    end_sales,
    end_service,
    enter_order,
    record_balances,
    refund_balance,
)
from onecard.story.place import CANADIAN_NUMBERS, CHINESE_NUMBERS, SIMS
from onecard.story.plan_steps import renew_plan, subscribe_to_plan
from onecard.story.stage import CAD, Stage, Subscriber, come_about, say_money
from onecard.story.texts import in_parts, join_parts, to_number, words_of
from onecard.story.usage_steps import call_friend, sum_usage_micros, use_data
from onecard.story.wire import Answered, Posted, PostOutcome, Send
from onecard.values.address import international, unknown
from onecard.values.money import MICROS, parse_micros
from onecard.values.phone import mask, parse_msisdn

TOP_UP = "20.00"
USAGE_KINDS = (EntryKind.HOLD, EntryKind.SETTLE, EntryKind.RELEASE, EntryKind.USAGE_CHARGE)
LONG_TEXT = (
    "小雨，聚会定在下周六晚上七点，地点是人民公园旁边的老茶馆。张老师和李叔叔都会来，他们常常问起你在温哥华过得怎么样。"
    "如果那天方便，我们用视频连线，让大家都看看你。另外你妈妈托我转告：家里一切都好，药也按时吃，请你放心工作，别太晚睡。"
    "天冷了，记得添衣服。收到请回我一声。"
)
TO_SATELLITE = (
    "船长您好，我是小雨。听说你们已经过了赤道，海上风浪大不大？家里人都很惦记，看到请回一个短信报平安。"
    "下个月我去码头接你们，带上你最爱吃的月饼和茶叶。一路顺风！"
)


@dataclass(frozen=True, slots=True)
class Step:
    """One step: a name for programs, a title for people, and what is done."""

    name: str
    title: str
    tell: Callable[[Stage, Act], Awaitable[None]]


async def open_business(stage: Stage, act: Act) -> None:
    """Make the database, run the node, bind the partners, import stock, numbers and prices."""
    made = await run_command(stage.place, "db", "init")
    act.say("staff", "onecard", "onecard db init")
    act.verify(f"{len(made['parts'])} parts", made["parts"], [1, 2, 3, 4])
    await stage.start_node()
    act.say("staff", "onecard", "onecard serve")
    act.say("onecard", stage.host.name, f"bind_transceiver, system_id {stage.sign_ins['host'].system_id}")
    async with asyncio.TaskGroup() as group:
        group.create_task(bind(stage, act, stage.home, "home-cn"))
        group.create_task(bind(stage, act, stage.bank, "bank"))
        group.create_task(join(stage, act))
        sims = group.create_task(_import(stage, act, "card", stage.place.sims))
        numbers = group.create_task(_import(stage, act, "number", stage.place.numbers))
        prices = group.create_task(
            _import(stage, act, "tariff", stage.place.prices, "--effective-from", "now")
        )
    act.verify("every link bound", await stage.bound_links(), dict.fromkeys(stage.sign_ins, 1))
    act.verify(f"{SIMS} SIM cards in stock", sims.result()["in_stock"], SIMS)
    count = CANADIAN_NUMBERS + CHINESE_NUMBERS
    act.verify(f"{count} numbers in the pools", numbers.result()["imported"], count)
    act.verify("prices in effect", prices.result()["in_effect"], True)


async def _import(stage: Stage, act: Act, group: str, file: Path, *options: str) -> dict[str, Any]:
    document = await run_command(stage.place, group, "import", str(file), *options)
    act.say("staff", "onecard", " ".join(("onecard", group, "import", file.name, *options)))
    return document


async def sell_card(stage: Stage, act: Act) -> None:
    """Sell a card with a Canadian number to somebody who is spoken to in Chinese."""
    sold = await run_command(
        stage.place, "card", "sell", "--name", NAME, "--email", EMAIL, "--language", "zh-Hans"
    )
    primary = sold["numbers"][0]
    act.say("shop", "onecard", f"onecard card sell --name '{NAME}' --language zh-Hans …")
    act.say("onecard", "shop", f"number {primary}, ICCID {sold['iccid']}")
    async with connection(stage.open_pool) as borrowed:
        found = await find_card_with_lines(borrowed, parse_msisdn(primary))
    assert found is not None
    stage.subscriber = Subscriber(NAME, found.card, found.lines[0])
    act.verify("card sold", (found.card.state, found.card.iccid), (CardState.SOLD, sold["iccid"]))
    act.verify("a Canadian number in slot 0", (found.lines[0].country, found.lines[0].slot), ("CA", 0))
    await stage.check_balance(act)


async def add_chinese_number(stage: Stage, act: Act) -> None:
    """Apply for a Chinese number; the home operator posts that name and identity match."""
    assert stage.subscriber is not None
    applied = await run_command(stage.place, "line", "apply", stage.primary, "--country", "CN")
    number, application = applied["number"], applied["application"]
    act.say("shop", "onecard", f"onecard line apply {stage.primary} --country CN")
    act.verify(f"{number} kept back until the outcome", applied["state"], "applied")
    sign_in = stage.sign_ins["home-cn"]
    posted = await stage.home.ask(
        PostOutcome(
            *stage.node.addresses.http_place, sign_in.system_id, sign_in.password, application, "match"
        ),
        Posted,
    )
    act.say(stage.home.name, "onecard", f"POST …/applications/{application}/outcome  match")
    answer: dict[str, Any] = msgspec.json.decode(posted.body)
    act.verify("approved", (posted.status, answer.get("state")), (200, "approved"))
    async with connection(stage.open_pool) as borrowed:
        found = await find_card_with_lines(borrowed, parse_msisdn(number))
    assert found is not None
    stage.subscriber = replace(stage.subscriber, secondary=found.lines[-1])
    act.verify("the card's line 1", [line.msisdn for line in found.lines], [stage.primary, number])


async def top_up(stage: Stage, act: Act) -> None:
    """Put money on the one account that pays for all numbers."""
    reference = f"shop-{secrets.token_hex(4)}"
    arguments = ("account", "topup", stage.primary, TOP_UP, "--reference", reference)
    await run_command(stage.place, *arguments)
    act.say("shop", "onecard", f"onecard account topup {stage.primary} {TOP_UP} --reference {reference}")
    stage.expected_micros += parse_micros(TOP_UP)
    await stage.check_balance(act)
    repeated = await run_command(stage.place, *arguments)
    act.verify("the same reference again adds nothing", repeated["repeated"], True)
    await stage.check_balance(Act(act.began_at_seconds))


async def receive_code(stage: Stage, act: Act) -> None:
    """The bank's code goes to the Chinese number, and arrives on the card in Canada."""
    await bank_sends_code(stage, act)
    await stage.check_balance(act)


async def answer_chinese_friend(stage: Stage, act: Act) -> None:
    """A friend writes to the Chinese number; the subscriber answers by dialling what the phone shows."""
    shown = await _friend_writes(stage, act, "小雨，好久不见！你在加拿大还好吗？", "how are you in Canada?")
    await stage.check_balance(Act(act.began_at_seconds))
    words = "一切都好！这个号码以后都能找到我。"
    await card_sends(stage, act, shown, words, gloss="all is well; this number will always reach me")
    came = await stage.home.next_text()
    act.say("onecard", CHINESE_FRIEND, f"the same words, sender {came.source.dialled}", "0.10 CAD")
    act.verify("at the friend's as it was written", words_of(came), words)
    act.verify("from the Chinese number", came.source, international(stage.secondary))
    act.verify("to the friend", came.destination, international(CHINESE_FRIEND))
    await _check_sent(stage, act, stage.secondary, CHINESE_FRIEND, "0.10")


async def _friend_writes(stage: Stage, act: Act, words: str, gloss: str) -> str:
    """A Chinese friend writes to the Chinese number; returns the digits that the card shows as the sender."""
    sent = to_number(international(CHINESE_FRIEND), stage.secondary, words)
    answered = await stage.home.ask(Send(sent), Answered)
    act.say(CHINESE_FRIEND, stage.secondary, words, "free", gloss)
    verify_accepted(act, answered)
    came = await stage.host.next_text()
    act.say("onecard", "card", f"the same words, sender {write_spaced(came.source.digits)}")
    act.verify("on the card as it was written", words_of(came), words)
    act.verify("12583 1 before its sender", came.source, unknown(dial_from_line_1(CHINESE_FRIEND)))
    return came.source.digits


async def text_from_primary(stage: Stage, act: Act) -> None:
    """Without the service code, the primary number is meant."""
    words = "Dinner at seven? I'll bring the moon cakes."
    await card_sends(stage, act, CANADIAN_FRIEND.removeprefix("+1"), words)
    came = await stage.host.next_text()
    act.say("onecard", CANADIAN_FRIEND, f"the same words, sender {came.source.dialled}", "0.05 CAD")
    act.verify("at the friend's as it was written", words_of(came), words)
    act.verify("from the Canadian number", came.source, international(stage.primary))
    act.verify("to the friend", came.destination, international(CANADIAN_FRIEND))
    await _check_sent(stage, act, stage.primary, CANADIAN_FRIEND, "0.05")


async def receive_long_text(stage: Stage, act: Act) -> None:
    """A long Chinese text comes in parts, and every part arrives as it was sent."""
    parts = in_parts(international(CHINESE_FRIEND), stage.secondary, LONG_TEXT, secrets.randbelow(256))
    for part in parts:
        verify_accepted(act, await stage.home.ask(Send(part), Answered))
    act.say(CHINESE_FRIEND, stage.secondary, LONG_TEXT, "free", "come to the party on Saturday, by video")
    came = [await stage.host.next_text() for _ in parts]
    shown = {message.source.digits for message in came}
    act.say("onecard", "card", f"{len(came)} parts, sender {write_spaced(*sorted(shown))}")
    act.verify(f"{len(parts)} parts whole, with their headers", _bodies(came), _bodies(parts))
    act.verify(f"{len(LONG_TEXT)} characters put together", join_parts(came), LONG_TEXT)
    act.verify("12583 1 before its sender", shown, {dial_from_line_1(CHINESE_FRIEND)})
    await stage.check_balance(act)


def _bodies(messages: list[Any]) -> list[tuple[bool, bytes]]:
    return sorted((message.has_udh, message.body) for message in messages)


async def switch_line_off(stage: Stage, act: Act) -> None:
    """The subscriber switches the Chinese number off by text: friends are refused, the bank's codes still arrive."""
    said = f"副号1（{stage.secondary}）已关闭。银行验证码仍会送达。"
    await _command(stage, act, "副号1关", said, "line 1 off", "it is off; codes from banks still arrive")
    words = "在吗？"
    refused = await stage.home.ask(
        Send(to_number(international(CHINESE_FRIEND), stage.secondary, words)), Answered
    )
    act.say(CHINESE_FRIEND, stage.secondary, words, "refused", "are you there?")
    verify_refused(act, "the friend is refused", refused, CommandStatus.ESME_RX_P_APPN)
    await bank_sends_code(stage, act)
    await _command(stage, act, "副号1开", f"副号1（{stage.secondary}）已开启。", "line 1 on", "it is on")
    await _friend_writes(stage, act, "现在收到了吗？", "and now?")
    await stage.check_balance(act)


async def refuse_texts(stage: Stage, act: Act) -> None:
    """What the balance does not cover, and what is not served, is refused, not charged, and said."""
    dialled = f"011{SATELLITE_PHONE.removeprefix('+')}"
    refused = await card_sends(stage, act, dialled, TO_SATELLITE, "refused", gloss="to a satellite phone")
    verify_refused(
        act, "balance too low for 2 segments at 12.50 CAD", refused, CommandStatus.ESME_RSUBMITFAIL
    )
    said = f"您发往{dialled}的短信未发送，未收费：余额不足。"
    await expect_answer(stage, act, said, "not sent, not charged: the balance is too low")
    dialled = f"{CODE}100{BRITISH_FRIEND.removeprefix('+')}"
    refused = await card_sends(stage, act, dialled, "Hello, London!", "refused")
    verify_refused(act, "destination not served", refused, CommandStatus.ESME_RINVDSTADR)
    await stage.check_balance(act)


async def ask_balance(stage: Stage, act: Act) -> None:
    """The subscriber asks by text; the shop looks at the account and its entries."""
    amount = say_money(stage.expected_micros).split()[0]
    rounded = Decimal(stage.expected_micros) / MICROS
    await _command(stage, act, "余额", f"您的余额为CA${rounded:.2f}。", "balance")
    shown = await run_command(stage.place, "account", "show", stage.primary)
    act.say("shop", "onecard", f"onecard account show {stage.primary}")
    act.verify(f"account shows {amount} CAD", shown["available"], {"amount": amount, "currency": CAD})
    listed = await run_command(stage.place, "account", "entries", stage.primary)
    act.say("shop", "onecard", f"onecard account entries {stage.primary}")
    sums = _sum_by_kind(listed["entries"])
    for kind, (count, micros) in sums.items():
        said = f"{kind.replace('_', ' ')}, {count} entr{'y' if count == 1 else 'ies'}"
        act.say("onecard", "shop", said, f"{micros / MICROS:+.2f} CAD" if micros else "")
    total = sum(micros for _, micros in sums.values())
    act.verify(f"{len(listed['entries'])} entries add up to it", total, stage.expected_micros)
    await stage.check_balance(act)


def _sum_by_kind(entries: list[dict[str, Any]]) -> dict[str, tuple[int, int]]:
    """How many entries of a kind there are and what they come to; what is only held has not gone."""
    sums: dict[str, tuple[int, int]] = {}
    for entry in reversed(entries):
        count, micros = sums.get(entry["kind"], (0, 0))
        change = parse_micros(entry["change"]["amount"]) + parse_micros(entry["held_change"]["amount"])
        sums[entry["kind"]] = (count + 1, micros + change)
    return sums


async def prove(stage: Stage, act: Act) -> None:
    """Prove the ledger; nothing is left over anywhere."""
    checked = stage.check = await run_command(stage.place, "db", "check")
    act.say("staff", "onecard", "onecard db check")
    act.verify("ledger and numbers proved", (checked["good"], checked["violations"]), (True, []))
    async with connection(stage.open_pool) as borrowed:
        entries = await list_entries(borrowed, stage.card.part, stage.card.account_id, most=1000)
        report = await check_ledger(borrowed)
    act.verify(f"{report.entries} entries of money and units sum to zero", report.violations, ())
    priced = sum(trace.price_micros for trace in await stage.traces())
    charged = -sum(entry.available_micros for entry in entries if entry.kind is EntryKind.TEXT_CHARGE)
    act.verify(f"texts cost {say_money(priced)}, as charged", (priced, charged), (stage.charged_micros,) * 2)
    fees = -sum(
        entry.available_micros + entry.held_micros for entry in entries if entry.kind is EntryKind.PLAN_FEE
    )
    act.verify(f"the plan {say_money(fees)}", fees, stage.fee_micros)
    used = await sum_usage_micros(stage)
    settled = -sum(
        entry.available_micros + entry.held_micros for entry in entries if entry.kind in USAGE_KINDS
    )
    act.verify(f"calls and data {say_money(used)}, as settled", (used, settled), (stage.used_micros,) * 2)
    await come_about(lambda: _nothing_waits(stage), "an empty table of texts under way")
    act.verify("no text's body is kept", await _nothing_waits(stage), True)
    partners = (stage.host, stage.home, stage.bank)
    act.verify("the node logged no error", stage.node.read_errors(), [])
    act.verify("nobody was sent anything else", [text for one in partners for text in one.unread], [])
    await stage.check_balance(act)


async def _nothing_waits(stage: Stage) -> bool | None:
    async with connection(stage.open_pool) as borrowed:
        return None if await borrowed.fetchval("SELECT EXISTS (SELECT FROM delivery)") else True


async def _command(
    stage: Stage, act: Act, words: str, answer: str, gloss: str, answer_gloss: str = ""
) -> None:
    """The subscriber texts the service code, and is answered."""
    await card_sends(stage, act, CODE, words, "free", gloss)
    await expect_answer(stage, act, answer, answer_gloss)


async def _check_sent(stage: Stage, act: Act, line: str, far: str, cost: str) -> None:
    trace = await stage.latest_trace(Direction.FROM_CARD)
    await stage.check_trace(act, trace, line, mask(far), parse_micros(cost))
    await stage.check_balance(act, parse_micros(cost))


BUSINESS = (
    Step("open", "The operator opens: database, node, partners, stock, numbers, prices", open_business),
    Step("sell", "A card is sold, with a Canadian number", sell_card),
    Step("apply", "A Chinese number is added, verified by its home operator", add_chinese_number),
    Step("top_up", "The account is topped up; it pays for all numbers", top_up),
    Step("code", "The bank's code to the Chinese number arrives on the card", receive_code),
    Step("answer", "A friend in China is answered from the Chinese number", answer_chinese_friend),
    Step("primary", "A friend in Vancouver is texted from the Canadian number", text_from_primary),
    Step("long", "A long Chinese text comes whole, in parts", receive_long_text),
    Step("off", "The Chinese number is switched off and on by text", switch_line_off),
    Step("refuse", "Texts are refused with their reason, and not charged", refuse_texts),
    Step("call", "A call from the Chinese number: priced before, explained after", call_friend),
    Step("data", "Data is cut when the balance ends, and goes on after a top-up", use_data),
    Step("plan", "A plan is subscribed to; its allowance is used before cash", subscribe_to_plan),
    Step("renew", "The plan is renewed, by a second onecard whose clock is ahead", renew_plan),
    Step("balance", "The balance is asked for by text; the account explains itself", ask_balance),
    Step("prove", "The ledger is proved", prove),
)
END = (
    Step("order", "An order comes: its plan is entered, approved by two, started", enter_order),
    Step("sales_end", "Three weeks later: sales have ended, the bank's codes arrive", end_sales),
    Step("gate", "Balances are recorded as they were when sales ended", record_balances),
    Step("refund", "The balance is paid back, by the bank, once", refund_balance),
    Step("cease", "A week on: operations have ceased, texts are free", cease_operations),
    Step("service_ends", "After three months: the Chinese number is suspended", end_service),
    Step("close", "The books are closed: a signed statement that nothing is owed", close_books),
)
STORY = BUSINESS + END
