"""What operator and partners say to each other in several steps: binds, the bank's code, a text of the card's."""

from __future__ import annotations

import secrets

from onecard.gateways.smpp.constants import CommandStatus, MessageState
from onecard.gateways.smpp.receipts import parse_receipt
from onecard.story.act import Act
from onecard.story.cast import BANK_NAME, BANK_SENDER, CODE, write_spaced
from onecard.story.children import Partner
from onecard.story.place import NETWORK, OUR_HOST
from onecard.story.stage import Stage
from onecard.story.texts import count_parts, from_card, join_parts, status_name, to_number, words_of
from onecard.story.wire import Answered, BindTo, Bound, Joined, JoinPeer, Send
from onecard.values.address import international, unknown
from onecard.values.phone import mask


async def join_partners(stage: Stage, act: Act) -> None:
    """All that bind to the node, or call it, do so; it binds to the host operator itself."""
    await bind(stage, act, stage.home, "home-cn")
    await bind(stage, act, stage.bank, "bank")
    await join(stage, act)
    act.verify("every link bound", await stage.bound_links(), dict.fromkeys(stage.sign_ins, 1))


async def bind(stage: Stage, act: Act, partner: Partner, link: str) -> None:
    """A partner binds to the node."""
    sign_in = stage.sign_ins[link]
    address = stage.node.addresses.smpp_place
    await partner.ask(BindTo(*address, sign_in.system_id, sign_in.password), Bound)
    act.say(partner.name, "onecard", f"bind_transceiver, system_id {sign_in.system_id}")


async def join(stage: Stage, act: Act) -> None:
    """The network calls the node, to ask it for credit."""
    await stage.network.ask(JoinPeer(*stage.node.addresses.diameter_place, NETWORK), Joined)
    act.say(stage.network.name, "onecard", f"CER of {NETWORK[0]}, let in by {OUR_HOST}")


async def bank_sends_code(stage: Stage, act: Act) -> None:
    """The bank's code to the Chinese number arrives on the card, unchanged, and the bank has its receipt."""
    words = f"【大江银行】您的验证码是{secrets.randbelow(900_000) + 100_000}，五分钟内有效，请勿告诉他人。"
    sent = to_number(BANK_SENDER, stage.secondary, words, receipt=True)
    answered = await stage.bank.ask(Send(sent), Answered)
    act.say("bank", stage.secondary, words, "free", "your code, valid for five minutes")
    verify_accepted(act, answered)
    came = await stage.host.next_text()
    act.say("onecard", "card", f"the same words, sender {came.source.digits}")
    act.verify("on the card as it was written", words_of(came), words)
    act.verify("its sender unchanged", came.source, BANK_SENDER)
    act.verify("through the primary number", came.destination, international(stage.primary))
    await _bank_gets_receipt(stage, act, answered.message_id)


async def _bank_gets_receipt(stage: Stage, act: Act, message_id: str) -> None:
    receipt = parse_receipt(await stage.bank.next_text())
    assert receipt is not None
    act.say("onecard", "bank", f"receipt: {receipt.state.name.lower()}")
    reported = (receipt.message_id, receipt.state)
    act.verify("receipt back at the bank", reported, (message_id, MessageState.DELIVERED))
    trace = await stage.trace_of(int(message_id))
    await stage.check_trace(act, trace, stage.secondary, mask(BANK_NAME))


async def card_sends(
    stage: Stage, act: Act, dialled: str, words: str, cost: str = "", gloss: str = ""
) -> Answered:
    """The subscriber sends a text; where it is to be refused, the cost says so."""
    answered = await stage.host.ask(Send(from_card(stage.primary, dialled, words)), Answered)
    act.say("card", write_spaced(dialled), words, cost, gloss)
    if cost != "refused":
        verify_accepted(act, answered)
    return answered


async def expect_answer(stage: Stage, act: Act, answer: str, gloss: str = "") -> None:
    """The service code answers the card."""
    came = await stage.host.next_text()
    act.say(came.source.digits, "card", words_of(came), "free", gloss)
    act.verify("answered in Chinese", (words_of(came), came.source), (answer, unknown(CODE)))
    act.verify("on the card", came.destination, international(stage.primary))


async def expect_notice(stage: Stage, act: Act, gloss: str, *named: str) -> None:
    """The subscriber is told of the wind-down, by a text of as many parts as it takes, which names all of this."""
    first = await stage.host.next_text()
    came = [first] + [await stage.host.next_text() for _ in range(count_parts(first) - 1)]
    words = join_parts(came) if first.has_udh else words_of(first)
    act.say(first.source.digits, "card", words, "free", gloss)
    told = (first.source, [one for one in named if one not in words])
    act.verify("the subscriber is told, in Chinese", told, (unknown(CODE), []))


def verify_accepted(act: Act, answered: Answered) -> None:
    """The node has taken the text."""
    act.verify("accepted", status_name(answered.status), status_name(CommandStatus.ESME_ROK))


def verify_refused(act: Act, fact: str, answered: Answered, status: CommandStatus) -> None:
    """The node has refused the text, with this status."""
    act.verify(f"{fact}: {status_name(status)}", status_name(answered.status), status_name(status))
