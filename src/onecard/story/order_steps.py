"""The steps of the order: it is entered, sales end, operations cease, the service ends.

Weeks are not waited for: the operator's node is started anew with its clock ahead, and commands go by the same clock.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from hashlib import sha256
from zoneinfo import ZoneInfo

from onecard.gateways.smpp.constants import CommandStatus
from onecard.story.act import Act
from onecard.story.cast import BANK_SENDER, CANADIAN_FRIEND, NAME
from onecard.story.exchange import bank_sends_code, card_sends, expect_notice, join_partners, verify_refused
from onecard.story.place import TIME_ZONE
from onecard.story.stage import MONEY_IN_HAND, Stage
from onecard.story.texts import to_number, words_of
from onecard.story.wire import Answered, Send
from onecard.values.money import format_micros, parse_micros

SALES_END, OPERATIONS_CEASE, SERVICE_ENDS = "sales end", "operations cease", "the service ends"
DAYS_TO_SALES_END, DAYS_TO_CEASE, DAYS_TO_SERVICE_END = 21, 29, 90
ORDER = "The operator is ordered to wind up its business in Canada.\n"
PLAN = """\
name = "Maple Bridge Mobile"
time_zone = "{zone}"
version = 1

[order]
issuer = "The Governor in Council"
legal_basis = "Investment Canada Act: divest or wind up"
received = {received}
document_sha256 = "{document_sha256}"

[[stage]]
name = "sales end"
at = {sales_end}T00:00:00
closes = ["sale", "port_in", "new_application", "top_up", "plan_change", "sim_replacement", "renewal_fee"]
opens = ["refund"]

[[stage]]
name = "operations cease"
at = {operations_cease}T00:00:00
closes = ["activation", "charging"]
voids = ["unactivated_cards"]

[[stage]]
name = "the service ends"
at = {service_ends}T00:00:00
closes = ["renewal", "secondary_lines", "port_out"]

[[notice]]
stage = "the service ends"
at = {sales_end}T10:00:00
languages = ["en", "fr", "zh-Hans", "zh-Hant"]

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
PAYEE_ACCOUNT = "004-12345-1234567"
ALICE, BOB = "staff:alice", "staff:bob"
ZONE = ZoneInfo(TIME_ZONE)
MORNING = time(10, 1)
"""Notices are not sent at night."""


def write_plan(received: date, document: str) -> str:
    """The plan of an order that was received on a day."""
    ends = received + timedelta(days=DAYS_TO_SERVICE_END)
    return PLAN.format(
        zone=TIME_ZONE,
        received=received,
        document_sha256=sha256(document.encode()).hexdigest(),
        sales_end=received + timedelta(days=DAYS_TO_SALES_END),
        operations_cease=received + timedelta(days=DAYS_TO_CEASE),
        service_ends=ends,
        last_day=ends - timedelta(days=1),
    )


async def enter_order(stage: Stage, act: Act) -> None:
    """One enters the plan of the order, two approve it, and from then on the clock alone decides."""
    document, plan = stage.place.root / "order.txt", stage.place.root / "plan.toml"
    document.write_text(ORDER)
    plan.write_text(write_plan(datetime.now(ZONE).date(), ORDER))
    drafted = await stage.run("winddown", "draft", str(plan), actor=ALICE)
    act.say("alice", "onecard", "onecard winddown draft plan.toml")
    version = str(drafted["version"])
    for person in (ALICE, BOB):
        approved = await stage.run("winddown", "approve", version, actor=person)
        act.say(person.removeprefix("staff:"), "onecard", f"onecard winddown approve {version}")
    approvers = [one["actor"] for one in approved["approvals"]]
    act.verify("approved by two people", approvers, [ALICE, BOB])
    await stage.run("winddown", "start", actor=ALICE)
    act.say("alice", "onecard", "onecard winddown start")
    status = await stage.run("winddown", "status")
    for one in status["stages"]:
        act.say("onecard", "alice", f"{one['at'][:10]}  {one['stage']}: {one['effects']}")
    await _apply(stage, stage.own_bank.write_statement(datetime.now(ZONE).date()))
    act.say("the operator's bank", "onecard", f"camt.053: {MONEY_IN_HAND} CAD in hand")
    coming = (status["next_stage"]["stage"], [one["has_come"] for one in status["stages"]])
    act.verify("nothing is stopped yet", coming, (SALES_END, [False] * 3))


async def end_sales(stage: Stage, act: Act) -> None:
    """Three weeks later nothing is sold or applied for any more; what was sold goes on."""
    await _let_days_pass(stage, act, DAYS_TO_SALES_END)
    sell = ("card", "sell", "--name", "Late Comer", "--email", "late@example.com")
    apply = ("line", "apply", stage.primary, "--country", "CN")
    top_up = ("account", "topup", stage.primary, "10.00", "--reference", "too-late")
    for command in (sell, apply, top_up):
        refused = await stage.run_refused(*command)
        act.say("shop", "onecard", f"onecard {' '.join(command[:2])} …", "refused")
        act.say("onecard", "shop", refused["message"])
        told = (refused["error"], SALES_END in refused["message"])
        act.verify("sale, application and top-up refused by the order", told, ("closed_by_order", True))
    end = datetime.now(ZONE).date() + timedelta(days=DAYS_TO_SERVICE_END)
    await expect_notice(
        stage, act, "from that day the secondary numbers end", f"{end.year}年{end.month}月{end.day}日"
    )
    await bank_sends_code(stage, act)


async def record_balances(stage: Stage, act: Act) -> None:
    """What everybody had when sales ended is recorded; what was not used of the plan is put on the account."""
    taken = await stage.run("winddown", "snapshot")
    act.say("staff", "onecard", "onecard winddown snapshot")
    owed = {row["value"]: row["owed"]["amount"] for row in taken["balances"]}
    for value, amount in owed.items():
        act.say("onecard", "staff", f"{value.replace('_', ' ')}", f"{amount} CAD")
    act.verify("cash as the story reckons", owed["cash"], format_micros(stage.expected_micros))
    await stage.check_fee(act, -parse_micros(owed["unused_plan_value"]))


async def refund_balance(stage: Stage, act: Act) -> None:
    """The subscriber asks for the balance with a code on paper; one sees it, another approves, the bank pays."""
    refund = await _request_refund(stage, act)
    made = await stage.run("payout", "make", actor=ALICE)
    run = str(made["run"])
    refused = await stage.run_refused("payout", "release", run, actor=ALICE)
    act.verify("who made the run cannot release it", refused["error"], "same_person")
    await stage.run("payout", "release", run, actor=BOB)
    file = stage.place.root / f"run-{run}.xml"
    await stage.run("payout", "write", run, "--file", str(file), actor=BOB)
    act.say("bob", "the operator's bank", f"pain.001: {made['count']} payment, {made['total']['amount']} CAD")
    answer = stage.own_bank.pay(file.read_bytes())
    for _ in range(2):  # a bank may say it twice
        await _apply(stage, answer)
    act.say("the operator's bank", "onecard", "camt.053: paid; and once more, by mistake")
    await expect_notice(stage, act, "your refund is paid", f"{made['total']['amount']}")
    shown = await stage.run("refund", "show", refund)
    act.verify("settled once", shown["state"], "settled")
    account = await stage.account()
    act.verify("nothing is left on the account", (account.available_micros, account.held_micros), (0, 0))
    stage.expected_micros = 0


async def _apply(stage: Stage, statement: bytes) -> None:
    file = stage.place.root / "statement.camt.053.xml"
    file.write_bytes(statement)
    await stage.run("payout", "apply", str(file), actor=ALICE)


async def _request_refund(stage: Stage, act: Act) -> str:
    """The refund of all that is there, requested and approved; returns its number."""
    code = (await stage.run("claim", "issue", stage.primary))["claim_code"]
    act.say("onecard", "subscriber", "by letter: a claim code, which needs no phone")
    payee = ("--payee", NAME, "--canadian", PAYEE_ACCOUNT)
    requested = await stage.run("refund", "request", stage.primary, "--claim-code", code, *payee, actor=ALICE)
    refund = str(requested["refund"])
    act.say("subscriber", "onecard", f"claim code; refund to {NAME}, account {requested['paid_to']}")
    act.verify("known by the claim code", requested["verified_how"], "claim code")
    act.verify("the whole balance", requested["amount"]["amount"], format_micros(stage.expected_micros))
    await stage.run("refund", "approve", refund, actor=BOB)
    act.say("bob", "onecard", f"onecard refund approve {refund}")
    return refund


async def cease_operations(stage: Stage, act: Act) -> None:
    """A week on, nothing is charged any more; texts go on, free."""
    await _let_days_pass(stage, act, DAYS_TO_CEASE)
    words = "Keep this number for now: it costs nothing."
    await card_sends(stage, act, CANADIAN_FRIEND.removeprefix("+1"), words)
    came = await stage.host.next_text()
    act.say("onecard", CANADIAN_FRIEND, f"the same words, sender {came.source.dialled}", "free")
    act.verify("at the friend's as it was written", words_of(came), words)
    await stage.check_balance(act)


async def end_service(stage: Stage, act: Act) -> None:
    """After three months the numbers beside the primary one are suspended."""
    await _let_days_pass(stage, act, DAYS_TO_SERVICE_END)
    words = "您的验证码是000000。"
    sent = to_number(BANK_SENDER, stage.secondary, words, receipt=True)
    refused = await stage.bank.ask(Send(sent), Answered)
    act.say("bank", stage.secondary, words, "refused", "a code")
    verify_refused(act, "no text to the Chinese number any more", refused, CommandStatus.ESME_RX_P_APPN)
    await stage.check_balance(act)


async def close_books(stage: Stage, act: Act) -> None:
    """Ledger, payout files and bank agree, nothing is owed to anybody, and the statement that says so is signed."""
    reconciled = await stage.run("payout", "reconcile")
    act.say("staff", "onecard", "onecard payout reconcile")
    act.verify("ledger, payout file and bank agree", reconciled["differences"], [])
    named = await stage.run("winddown", "residue")
    act.say("staff", "onecard", "onecard winddown residue")
    act.verify("nothing is left that would need a name", named["residue"], [])
    statement = stage.place.root / "statement.json"
    closed = await stage.run("winddown", "close", str(statement), "--pdf", str(statement.with_suffix(".pdf")))
    act.say("staff", "onecard", "onecard winddown close statement.json --pdf statement.pdf")
    proved = await stage.run("winddown", "verify", str(statement), "--key", closed["public_key"])
    act.say("anybody", "statement.json", "onecard winddown verify statement.json --key …")
    act.verify("signed, and unchanged", proved["proved"], True)
    checked = await stage.run("db", "check")
    act.verify("ledger proved", (checked["good"], checked["violations"]), (True, []))


async def _let_days_pass(stage: Stage, act: Act, days: int) -> None:
    """The operator's clock shows the morning of a day to come."""
    day = datetime.now(ZONE).date() + timedelta(days=days)
    act.verify("no error was logged until then", stage.node.read_errors(), [])
    await stage.start_node(datetime.combine(day, MORNING, ZONE) - datetime.now(UTC))
    act.say("clock", "onecard", f"it is {day}, {MORNING:%H:%M}: onecard serve, started anew")
    await join_partners(stage, act)
