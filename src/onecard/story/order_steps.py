"""The steps of the order: it is entered, sales end, operations cease, the service ends.

Weeks are not waited for: the operator's node is started anew with its clock ahead, and commands go by the same clock.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from hashlib import sha256
from zoneinfo import ZoneInfo

from onecard.gateways.smpp.constants import CommandStatus
from onecard.story.act import Act
from onecard.story.cast import BANK_SENDER, CANADIAN_FRIEND
from onecard.story.exchange import bank_sends_code, card_sends, join_partners, verify_refused
from onecard.story.place import TIME_ZONE
from onecard.story.stage import Stage
from onecard.story.texts import to_number, words_of
from onecard.story.wire import Answered, Send

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
ALICE, BOB = "staff:alice", "staff:bob"
ZONE = ZoneInfo(TIME_ZONE)
MINUTES_INTO_THE_DAY = timedelta(minutes=1)


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
    await bank_sends_code(stage, act)


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


async def _let_days_pass(stage: Stage, act: Act, days: int) -> None:
    """The operator's clock shows the first minutes of a day to come."""
    day = datetime.now(ZONE).date() + timedelta(days=days)
    midnight = datetime.combine(day, time(), ZONE)
    act.verify("no error was logged until then", stage.node.read_errors(), [])
    await stage.start_node(midnight - datetime.now(UTC) + MINUTES_INTO_THE_DAY)
    act.say("clock", "onecard", f"it is {day}, 00:01: onecard serve, started anew")
    await join_partners(stage, act)
