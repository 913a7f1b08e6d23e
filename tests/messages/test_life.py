"""Whole lives of texts on a running node, its partners over real SMPP, by moving one clock."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

import shop
from onecard.cards.model import Card
from onecard.database.pool import Connection, Database, connection
from onecard.gateways.smpp.constants import CommandStatus, MessageState
from onecard.gateways.smpp.pdus import ShortMessage
from onecard.legal_holds.actions import add_hold, lift_hold
from onecard.legal_holds.model import LegalHold
from onecard.lines.actions import apply_for_line, decide_on_application
from onecard.lines.model import Application, Line, LineLimits, Verification
from onecard.messages.model import CancelRefusal, TextState
from onecard.story.peers import MessageCentre, PeerConnection, bind_esme, receipt_of
from onecard.subscribers.actions import change_language
from onecard.switching.model import CardEntry
from onecard.values.address import Address, international, unknown
from onecard.values.alphabet import choose_encoding, decode_text, split_udh
from onecard.values.clock import MovedClock
from onecard.values.gate import NO_ORDER
from onecard.values.language import Language
from town import (
    HOST,
    PASSWORD,
    Town,
    from_card,
    open_town,
    sell_card_with_two_lines,
    stock_up,
    to_number,
)

OPENED_AT = shop.AT + timedelta(days=2)
BANK_SENDER = Address(5, 0, "ICBC")
FRIEND = "13900001111"
OK, LATER, NEVER = CommandStatus.ESME_ROK, CommandStatus.ESME_RX_T_APPN, CommandStatus.ESME_RX_P_APPN


class Host:
    """A host operator that answers the next texts as it was told, then takes them; it reports when it is asked to."""

    def __init__(self) -> None:
        self.centre = MessageCentre(PASSWORD, on_text=self._answer)
        self.statuses: deque[CommandStatus] = deque()
        self.usual = OK
        self.taken: list[ShortMessage] = []
        self.refused = 0
        self.before_answer: Callable[[PeerConnection, ShortMessage, str], None] | None = None

    def _answer(self, connection: PeerConnection, message: ShortMessage) -> tuple[CommandStatus, str]:
        status = self.statuses.popleft() if self.statuses else self.usual
        if status != OK:
            self.refused += 1
            return status, ""
        self.taken.append(message)
        message_id = str(len(self.taken))
        if self.before_answer:
            self.before_answer(connection, message, message_id)
        return OK, message_id

    async def report(self, number: int, state: MessageState = MessageState.DELIVERED) -> CommandStatus:
        """Report on the text of this number, from 1; the status of the answer."""
        answered = await self.centre.deliver(receipt_of(self.taken[number - 1], str(number), state))
        return CommandStatus(answered.status)


class Life:
    """The town with its clock, one card, and what a test looks at."""

    def __init__(
        self, town: Town, clock: MovedClock, host: Host, card: Card, lines: tuple[Line, ...]
    ) -> None:
        self.town, self.clock, self.host, self.card = town, clock, host, card
        self.lines = lines
        self.primary, self.secondary = lines[0].msisdn, lines[1].msisdn

    async def move(self, **span: float) -> None:
        """Let time pass, and the node notice."""
        self.clock.move(timedelta(**span))
        await self.town.node.upkeep.tick()

    async def traces(self) -> list[tuple[TextState, int]]:
        """State and attempts of all texts, in the order they were accepted."""
        async with connection(self.town.database.pool) as borrowed:
            rows = await borrowed.fetch("SELECT state, attempts FROM message ORDER BY id")
        return [(TextState(row["state"]), row["attempts"]) for row in rows]

    async def until(self, *states: TextState) -> None:
        """Wait until all texts are in these states."""
        for _ in range(500):
            if [state for state, _ in await self.traces()] == list(states):
                return
            await asyncio.sleep(0.01)
        raise AssertionError(f"{await self.traces()}, not {states}")

    async def deliveries(self) -> int:
        async with connection(self.town.database.pool) as borrowed:
            return int(await borrowed.fetchval("SELECT count(*) FROM delivery"))

    async def until_waiting(self, count: int) -> None:
        """Wait until so many texts wait for their next attempt at the host."""
        queue = self.town.node.queues.of(HOST)
        await self.town.settle(lambda: len(queue) == count, f"{count} that wait")

    async def until_forgotten(self) -> None:
        for _ in range(500):
            if await self.deliveries() == 0:
                return
            await asyncio.sleep(0.01)
        raise AssertionError("work in progress is left")

    async def from_card(self, dialled: str, words: str = "hello", **changes: Any) -> CommandStatus:
        answered = await self.host.centre.deliver(from_card(self.primary, dialled, words, **changes))
        return CommandStatus(answered.status)

    async def from_bank(self, words: str = "Code 123456", **changes: Any) -> str:
        answered = await self.town.bank.send(
            to_number(BANK_SENDER, self.secondary, words, registered_delivery=1, **changes)
        )
        assert answered.status == OK
        return answered.message_id

    async def lose_home(self) -> None:
        await self.town.home.connection.close()
        await self.town.settle(lambda: not self.town.node.queues.of("cn-home").is_open, "the end of the link")

    async def bind_home(self) -> None:
        address, port = self.town.node.addresses.smpp.split(":")
        self.town.home = await bind_esme(address, int(port), "cnhome", PASSWORD)

    async def message_id(self) -> int:
        """The id of the latest text."""
        async with connection(self.town.database.pool) as borrowed:
            return int(await borrowed.fetchval("SELECT max(id) FROM message"))


async def add_line(borrowed: Connection, card: Card) -> None:
    application = await apply_for_line(
        borrowed,
        shop.AT,
        actor=shop.STAFF,
        gates=NO_ORDER,
        part=card.part,
        card_id=card.id,
        country=shop.CN,
        limits=LineLimits(),
        operator_time_zone=ZoneInfo("America/Vancouver"),
    )
    assert isinstance(application, Application), application
    await decide_on_application(
        borrowed,
        shop.AT,
        actor=shop.STAFF,
        gates=NO_ORDER,
        part=card.part,
        application_id=application.id,
        verification=Verification.MATCH,
    )


@asynccontextmanager
async def open_life(
    database: Database,
    *,
    balance: str = "10.00",
    secondaries: int = 1,
    language: Language = Language.CHINESE_SIMPLIFIED,
    **changes: Any,
) -> AsyncIterator[Life]:
    async with connection(database.pool) as borrowed:
        await stock_up(borrowed)
        card = await sell_card_with_two_lines(borrowed, balance)
        for _ in range(secondaries - 1):
            await add_line(borrowed, card)
        await change_language(
            borrowed,
            shop.AT,
            actor=shop.STAFF,
            part=card.part,
            subscriber_id=card.subscriber_id,
            language=language,
        )
    clock, host = MovedClock(OPENED_AT), Host()
    async with open_town(database, clock=clock, host=host.centre, **changes) as town:
        yield Life(town, clock, host, card, await town.lines(card))


@pytest.fixture
async def life(database: Database) -> AsyncIterator[Life]:
    async with open_life(database) as life:
        yield life


# Trying again, and giving up


async def test_a_text_that_the_next_hop_cannot_take_is_tried_less_and_less_often_until_its_validity_ends(
    life: Life,
) -> None:
    life.host.usual = LATER
    await life.from_bank(validity="000000000100000R")  # a minute
    for attempts, wait_seconds in enumerate((2, 4, 8, 16), start=1):
        await life.town.settle(lambda: life.host.refused == attempts, f"attempt {attempts}")  # noqa: B023
        await life.until_waiting(1)
        await life.move(seconds=wait_seconds - 1)
        await asyncio.sleep(0.05)
        assert life.host.refused == attempts
        await life.move(seconds=1)
    await life.town.settle(lambda: life.host.refused == 5, "the last attempt")
    await life.until(TextState.EXPIRED)
    await life.town.settle(lambda: life.town.bank.texts, "the receipt")
    assert b"stat:EXPIRED" in life.town.bank.texts[0].body
    assert await life.traces() == [(TextState.EXPIRED, 5)]
    await life.until_forgotten()


async def test_a_text_arrives_at_the_attempt_that_the_next_hop_takes(life: Life) -> None:
    life.host.statuses.extend([LATER, LATER])
    await life.from_bank()
    for attempts, wait_seconds in enumerate((2, 4), start=1):
        await life.town.settle(lambda: life.host.refused == attempts, f"attempt {attempts}")  # noqa: B023
        await life.until_waiting(1)
        await life.move(seconds=wait_seconds)
    await life.until(TextState.HANDED_OVER)
    assert [message.body for message in life.host.taken] == [b"Code 123456"]
    assert await life.host.report(1) == OK
    await life.until(TextState.DELIVERED)
    assert await life.traces() == [(TextState.DELIVERED, 3)]
    await life.until_forgotten()


async def test_a_refusal_for_good_returns_the_charge_and_is_told_to_the_sender(life: Life) -> None:
    life.host.usual = NEVER
    assert await life.from_card("6042345678") == OK
    await life.until(TextState.FAILED)
    assert await life.town.balance(life.card) == 10_000_000
    await life.from_bank()
    await life.until(TextState.FAILED, TextState.FAILED)
    await life.town.settle(lambda: life.town.bank.texts, "the receipt")
    assert b"stat:UNDELIV" in life.town.bank.texts[0].body
    await life.town.proved()
    await life.until_forgotten()


async def test_the_charge_of_a_text_that_waited_in_vain_is_returned(life: Life) -> None:
    await life.lose_home()
    assert await life.from_card(f"125831{FRIEND}") == OK
    assert await life.town.balance(life.card) == 9_900_000
    await life.move(hours=47)
    assert await life.town.balance(life.card) == 9_900_000
    await life.move(hours=1)
    await life.until(TextState.EXPIRED)
    assert await life.town.balance(life.card) == 10_000_000
    await life.bind_home()
    await life.move(seconds=20)
    assert life.town.home.texts == []
    await life.town.proved()


async def test_a_text_that_expired_while_nothing_ran_is_not_handed_over_at_the_next_start(
    database: Database,
) -> None:
    async with open_life(database) as life:
        await life.lose_home()
        await life.from_card(f"125831{FRIEND}")
        card = life.card
    later = MovedClock(OPENED_AT + timedelta(days=3))
    host = Host()
    async with open_town(database, clock=later, host=host.centre) as town:
        again = Life(town, later, host, card, await town.lines(card))
        await again.until(TextState.EXPIRED)
        await again.move(seconds=20)
        assert town.home.texts == []
        assert await town.balance(card) == 10_000_000


async def test_a_text_that_nobody_reports_on_becomes_unknown_and_its_charge_stands(life: Life) -> None:
    assert await life.from_card("6042345678") == OK
    await life.from_bank()
    await life.until(TextState.HANDED_OVER, TextState.HANDED_OVER)
    await life.move(hours=48, minutes=59)
    await life.until(TextState.HANDED_OVER, TextState.HANDED_OVER)
    await life.move(minutes=2)
    await life.until(TextState.UNKNOWN, TextState.UNKNOWN)
    assert await life.town.balance(life.card) == 9_950_000
    await life.town.settle(lambda: life.town.bank.texts, "the receipt")
    assert b"stat:UNKNOWN" in life.town.bank.texts[0].body
    assert await life.host.report(1, MessageState.UNDELIVERABLE) == OK  # too late: nothing changes
    assert [state for state, _ in await life.traces()] == [TextState.UNKNOWN, TextState.UNKNOWN]
    assert await life.town.balance(life.card) == 9_950_000
    await life.town.proved()
    await life.until_forgotten()


# Links that come and go


async def test_a_text_for_a_link_that_is_away_waits_and_goes_when_it_is_back(life: Life) -> None:
    await life.lose_home()
    assert await life.from_card(f"125831{FRIEND}", "你好") == OK
    await life.move(hours=1)
    await life.until(TextState.WAITING)
    await life.bind_home()
    await life.move(seconds=1)
    await life.town.settle(lambda: life.town.home.texts, "the text")
    [text] = life.town.home.texts
    assert text.body == "你好".encode("utf-16-be")
    assert text.source.dialled == life.secondary
    await life.until(TextState.DELIVERED)
    await life.until_forgotten()


async def test_a_receipt_whose_source_is_away_waits_for_it(life: Life) -> None:
    message_id = await life.from_bank()
    await life.until(TextState.HANDED_OVER)
    await life.town.bank.connection.close()
    await life.town.settle(lambda: not life.town.node.queues.of("bank").is_open, "the end of the link")
    await life.host.report(1)
    await life.until(TextState.DELIVERED)
    await life.move(hours=5)
    address, port = life.town.node.addresses.smpp.split(":")
    life.town.bank = await bind_esme(address, int(port), "bank", PASSWORD)
    await life.move(seconds=1)
    await life.town.settle(lambda: life.town.bank.texts, "the receipt")
    assert f"id:{message_id} ".encode() in life.town.bank.texts[0].body
    await life.until_forgotten()


async def test_a_receipt_that_nobody_comes_for_goes_with_the_key_of_its_day(life: Life) -> None:
    await life.from_bank()
    await life.until(TextState.HANDED_OVER)
    await life.town.bank.connection.close()
    await life.town.settle(lambda: not life.town.node.queues.of("bank").is_open, "the end of the link")
    await life.host.report(1)
    await life.until(TextState.DELIVERED)
    await life.move(days=3)
    assert await life.deliveries() == 1
    await life.move(days=2)
    assert await life.deliveries() == 0


async def test_a_receipt_that_overtakes_the_answer_finds_its_text(life: Life) -> None:
    def report_first(connection: PeerConnection, message: ShortMessage, message_id: str) -> None:
        connection.send_nowait(receipt_of(message, message_id, MessageState.DELIVERED))

    life.host.before_answer = report_first
    await life.from_bank()
    await life.until(TextState.DELIVERED)
    await life.town.settle(lambda: life.town.bank.texts, "the receipt")


async def test_a_text_of_our_own_by_a_secondary_line_shows_the_slot_before_the_service_code(
    life: Life,
) -> None:
    acceptor = life.town.node.acceptor
    entry = CardEntry(life.card, Language.ENGLISH, shop.CAD, life.lines)
    assert isinstance(await acceptor.tell(entry, "a test", life.lines[1]), int)
    await life.town.settle(lambda: life.host.taken, "the text")
    shown, to = life.host.taken[0].source, life.host.taken[0].destination
    assert (shown.digits, f"+{to.digits}") == ("12583112583", life.primary)


async def test_a_text_that_came_while_the_lease_had_run_out_goes_on_when_it_is_renewed(life: Life) -> None:
    """As after a jump of the clock: the link has looked, found nothing it may take, and must be told again."""
    life.clock.move(timedelta(days=240))
    await life.from_bank()
    await life.until(TextState.WAITING)
    assert not life.host.taken
    await life.move()
    await life.town.settle(lambda: life.host.taken, "the text")


async def test_a_receipt_that_comes_several_times_at_once_is_passed_on_once(life: Life) -> None:
    await life.from_bank()
    await life.until(TextState.HANDED_OVER)
    life.town.node.handover._awaited.clear()  # as after a restart: both are found in the database
    await asyncio.gather(*(life.host.report(1) for _ in range(4)))
    await life.until(TextState.DELIVERED)
    await life.until_forgotten()
    assert len(life.town.bank.texts) == 1


async def test_an_error_of_any_length_in_a_receipt_hurts_nobody(life: Life) -> None:
    await life.from_bank()
    await life.until(TextState.HANDED_OVER)
    assert await life.town.node.handover.receive_receipt(HOST, "1", TextState.FAILED, 10**30)
    await life.until(TextState.FAILED)
    await life.town.settle(lambda: life.town.bank.texts, "the receipt")


# Taking back


async def test_a_parked_text_can_be_taken_back_and_its_charge_is_returned(life: Life) -> None:
    await life.lose_home()
    await life.from_card(f"125831{FRIEND}", registered_delivery=1)
    handover, message_id = life.town.node.handover, await life.message_id()
    assert await handover.cancel("bank", message_id) is CancelRefusal.UNKNOWN_TEXT
    assert await handover.cancel(HOST, message_id) is None
    assert await handover.cancel(HOST, message_id) is CancelRefusal.OVER
    await life.until(TextState.CANCELLED)
    assert await life.town.balance(life.card) == 10_000_000
    await life.bind_home()
    await life.move(seconds=20)
    assert life.town.home.texts == []
    assert await life.deliveries() == 0
    await life.town.proved()


async def test_a_waiting_text_can_be_taken_back_once_and_is_not_handed_over(life: Life) -> None:
    life.host.usual = LATER
    message_id = int(await life.from_bank())
    await life.town.settle(lambda: life.host.refused, "an attempt")
    await life.until_waiting(1)
    handover = life.town.node.handover
    outcomes = await asyncio.gather(*(handover.cancel("bank", message_id) for _ in range(3)))
    assert outcomes.count(None) == 1
    life.host.usual = OK
    await life.move(minutes=1)
    assert life.host.taken == []
    assert await life.deliveries() == 0


async def test_a_text_that_was_handed_over_cannot_be_taken_back(life: Life) -> None:
    message_id = int(await life.from_bank())
    await life.until(TextState.HANDED_OVER)
    assert await life.town.node.handover.cancel("bank", message_id) is CancelRefusal.OVER
    assert await life.town.node.handover.replace("bank", message_id, b"other") is CancelRefusal.OVER


@pytest.mark.parametrize("parked", [False, True])
async def test_a_waiting_text_can_be_given_another_body_of_the_same_price(
    life: Life, *, parked: bool
) -> None:
    if parked:
        await life.lose_home()
        await life.from_card(f"125831{FRIEND}", "first")
        link, message_id = HOST, await life.message_id()
    else:
        life.host.usual = LATER
        link, message_id = "bank", int(await life.from_bank("first"))
        await life.town.settle(lambda: life.host.refused, "an attempt")
        await life.until_waiting(1)
    handover = life.town.node.handover
    assert await handover.replace(link, message_id, b"x" * 161) is CancelRefusal.OTHER_LENGTH
    assert await handover.replace(link, message_id, b"second") is None
    life.host.usual = OK
    if parked:
        await life.bind_home()
    await life.move(seconds=2)
    arrived = life.town.home.texts if parked else life.host.taken
    await life.town.settle(lambda: arrived, "the text")
    assert [text.body for text in arrived] == [b"second"]


# The subscriber


async def test_the_first_text_of_a_card_activates_it(life: Life) -> None:
    async def state() -> str:
        async with connection(life.town.database.pool) as borrowed:
            return str(await borrowed.fetchval("SELECT state FROM card WHERE id = $1", life.card.id))

    assert await state() == "sold"
    await life.from_bank()
    assert await state() == "sold"
    await life.from_card("12583")
    assert await state() == "active"
    await life.from_card("12583")
    assert await state() == "active"


async def test_a_subscriber_is_told_of_refused_texts_once_a_minute(life: Life) -> None:
    for _ in range(5):
        assert await life.from_card(f"125833{FRIEND}") == CommandStatus.ESME_RINVDSTADR
    await life.town.settle(lambda: life.host.taken, "the notice")
    await life.move(seconds=59)
    await life.from_card(f"125833{FRIEND}")
    assert len(life.host.taken) == 1
    await life.move(seconds=1)
    await life.from_card(f"125833{FRIEND}")
    await life.town.settle(lambda: len(life.host.taken) == 2, "the second notice")
    words = decode_text(life.host.taken[0].body, life.host.taken[0].data_coding)
    assert words == "您发往125833139 00001111的短信未发送，未收费：您的卡没有该副号。".replace(" ", "")
    assert await life.town.balance(life.card) == 10_000_000


async def test_a_text_that_cannot_be_paid_is_refused_and_said_so(database: Database) -> None:
    async with open_life(database, balance="0.15", language=Language.ENGLISH) as life:
        assert await life.from_card(f"125831{FRIEND}") == OK
        assert await life.from_card(f"125831{FRIEND}") == CommandStatus.ESME_RSUBMITFAIL
        await life.town.settle(lambda: life.host.taken, "the notice")
        assert b"the balance is too low" in life.host.taken[0].body
        assert await life.town.balance(life.card) == 50_000
        await life.from_bank()  # codes arrive all the same
        await life.town.settle(lambda: len(life.host.taken) == 2, "the code")


@pytest.mark.parametrize(
    ("language", "words", "answer"),
    [
        (Language.ENGLISH, "balance", "Your balance is CA$10.00."),
        (Language.FRENCH, "SOLDE", "Votre solde est de 10,00 $CA."),
        (Language.CHINESE_SIMPLIFIED, "余额", "您的余额为CA$10.00。"),
        (Language.CHINESE_TRADITIONAL, "餘額", "您的餘額為CA$10.00。"),
    ],
)
async def test_a_command_is_answered_in_the_language_of_the_subscriber(
    database: Database, language: Language, words: str, answer: str
) -> None:
    async with open_life(database, language=language) as life:
        assert await life.from_card("12583", words) == OK
        await life.town.settle(lambda: life.host.taken, "the answer")
        [text] = life.host.taken
        assert text.source == unknown("12583")
        assert text.destination == international(life.primary)
        assert (text.data_coding, text.body) == choose_encoding(answer)


async def test_a_long_answer_comes_in_segments_that_belong_together(database: Database) -> None:
    async with open_life(database, secondaries=3) as life:
        for _ in range(2):
            await life.from_card("12583", "号码")
        await life.town.settle(lambda: len(life.host.taken) == 4, "both answers")
        assert all(text.has_udh and text.data_coding == 8 for text in life.host.taken)
        parts = [split_udh(text.body) for text in life.host.taken]
        references = [udh[3] for udh, _ in parts]
        assert [udh[4:] for udh, _ in parts] == [bytes([2, 1]), bytes([2, 2])] * 2
        assert references[0] == references[1] != references[2] == references[3]
        words = b"".join(body for _, body in parts[:2]).decode("utf-16-be")
        assert [line[:4] for line in words.splitlines()] == ["主号：+", "副号1：", "副号2：", "副号3："]
        assert all(line.msisdn in words for line in life.lines)


async def test_a_line_switched_off_by_text_takes_no_texts_but_codes(life: Life) -> None:
    assert await life.from_card("12583", "副号1关") == OK
    refused = await life.town.home.send(to_number(international(f"+86{FRIEND}"), life.secondary, "hi"))
    assert refused.status == CommandStatus.ESME_RX_P_APPN
    await life.from_bank()
    assert await life.from_card("12583", "副号1开") == OK
    taken = await life.town.home.send(to_number(international(f"+86{FRIEND}"), life.secondary, "hi"))
    assert taken.status == OK


@pytest.mark.parametrize("slot", [0, 7])
async def test_a_line_that_cannot_be_switched_is_said_so(database: Database, slot: int) -> None:
    async with open_life(database, language=Language.ENGLISH) as life:
        await life.from_card("12583", f"line {slot} off")
        await life.town.settle(lambda: life.host.taken, "the answer")
        assert life.host.taken[0].body == b"You have no line %d that can be switched." % slot
        assert (await life.town.lines(life.card))[0].switched_on


async def test_answering_keeps_the_line(life: Life) -> None:
    await life.town.home.send(to_number(international(f"+86{FRIEND}"), life.secondary, "hi"))
    await life.town.settle(lambda: life.host.taken, "the text on the card")
    shown = life.host.taken[0].source
    assert shown == unknown(f"125831{FRIEND}")
    assert await life.from_card(shown.digits, "hi yourself") == OK
    await life.town.settle(lambda: life.town.home.texts, "the answer")
    assert life.town.home.texts[0].source.dialled == life.secondary
    assert life.town.home.texts[0].destination.dialled == f"+86{FRIEND}"


async def test_a_text_of_another_cards_secondary_number_that_comes_round_by_the_host_arrives(
    database: Database,
) -> None:
    async with open_life(database) as life:
        async with connection(database.pool) as borrowed:
            other = await sell_card_with_two_lines(borrowed)
        _, other_secondary = await life.town.lines(other)
        answered = await life.host.centre.deliver(from_card(other_secondary.msisdn, life.primary, "hello"))
        assert answered.status == OK
        await life.town.settle(lambda: life.host.taken, "the text on the card")
        assert life.host.taken[0].destination.dialled == life.primary
        assert await life.town.balance(other) == 10_000_000


@pytest.mark.parametrize(
    ("source", "dialled"), [("+16042340000", "+16042341111"), ("+8613800138009", "+16042341111")]
)
async def test_the_host_cannot_send_for_those_who_have_no_card(life: Life, source: str, dialled: str) -> None:
    answered = await life.host.centre.deliver(from_card(source, dialled, "hello"))
    assert answered.status == CommandStatus.ESME_RINVDSTADR


async def test_a_secondary_number_is_not_a_sender_that_the_host_may_use(life: Life) -> None:
    answered = await life.host.centre.deliver(from_card(life.secondary, "+16042341111", "hello"))
    assert answered.status == CommandStatus.ESME_RINVSRCADR
    assert await life.town.balance(life.card) == 10_000_000


# What is kept


async def dump(database: Database) -> str:
    """Every row of every table, as text."""
    async with connection(database.pool) as borrowed:
        tables = await borrowed.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        rows = []
        for table in tables:
            rows += await borrowed.fetch(f"SELECT t::text FROM {table['tablename']} t")  # noqa: S608
    return "\n".join(row[0] for row in rows).lower()


def assert_private(dumped: str, *secrets: str) -> None:
    for secret in secrets:
        for form in (secret, secret.encode().hex(), secret.encode("utf-16-be").hex()):
            assert form.lower() not in dumped


async def test_neither_contents_nor_far_numbers_are_to_be_read_in_the_database_at_any_time(
    life: Life,
) -> None:
    secrets = ("Code 774411", "meet me at noon", "今晚见面", FRIEND, "2345678")
    await life.lose_home()
    await life.from_card(f"125831{FRIEND}", "今晚见面", registered_delivery=1)
    life.host.statuses.extend([LATER] * 2)
    await life.from_card("6042345678", "meet me at noon")
    await life.from_bank("Code 774411")
    await life.town.settle(lambda: life.host.refused == 2, "the first attempts")
    await life.until_waiting(2)
    assert_private(await dump(life.town.database), *secrets)
    await life.bind_home()
    await life.move(seconds=2)
    await life.town.settle(lambda: len(life.host.taken) == 3, "the texts, and the receipt of the first")
    assert_private(await dump(life.town.database), *secrets)
    for number in (1, 2):
        await life.host.report(number)
    await life.until(*[TextState.DELIVERED] * 3)
    await life.until_forgotten()
    dumped = await dump(life.town.database)
    assert_private(dumped, *secrets)
    assert "+86139********" in dumped


async def test_traces_and_keys_are_destroyed_by_the_day(life: Life) -> None:
    async def count(table: str) -> int:
        async with connection(life.town.database.pool) as borrowed:
            return int(await borrowed.fetchval(f"SELECT count(*) FROM {table}"))  # noqa: S608

    await life.from_bank()
    await life.until(TextState.HANDED_OVER)
    await life.host.report(1)
    await life.until(TextState.DELIVERED)
    assert await count("body_key") == 1
    await life.move(days=3)
    assert await count("body_key") == 1
    await life.move(days=1)
    assert await count("body_key") == 0
    await life.from_bank()
    await life.until(TextState.DELIVERED, TextState.HANDED_OVER)
    await life.move(days=87)
    assert await count("message") == 1
    await life.move(days=4)
    assert await count("message") == 0
    assert await count("body_key") == 0


async def test_no_trace_goes_under_a_legal_hold_and_all_go_when_it_is_lifted(life: Life) -> None:
    async def count() -> int:
        async with connection(life.town.database.pool) as borrowed:
            return int(await borrowed.fetchval("SELECT count(*) FROM message"))

    await life.from_bank()
    await life.until(TextState.HANDED_OVER)
    await life.host.report(1)
    await life.until(TextState.DELIVERED)
    async with connection(life.town.database.pool) as borrowed:
        hold = await add_hold(borrowed, OPENED_AT, actor="staff:alice", reason="T-1502-21")
        assert isinstance(hold, LegalHold)
    await life.move(days=100)
    assert await count() == 1
    async with connection(life.town.database.pool) as borrowed:
        for actor in ("staff:alice", "staff:bob"):
            await lift_hold(borrowed, OPENED_AT, actor=actor, hold_id=hold.id)
    await life.move(days=1)
    assert await count() == 0


async def test_a_text_whose_key_is_gone_is_ended_and_its_charge_returned(life: Life) -> None:
    await life.lose_home()
    await life.from_card(f"125831{FRIEND}", registered_delivery=1)
    async with connection(life.town.database.pool) as borrowed:
        await borrowed.execute("DELETE FROM body_key")
    life.town.node.handover._body_keys.forget((OPENED_AT + timedelta(days=1)).date())
    await life.bind_home()
    await life.move(seconds=1)
    await life.until(TextState.FAILED)
    assert await life.town.balance(life.card) == 10_000_000
    await life.move(seconds=1)
    await life.until_forgotten()
    await life.town.proved()
