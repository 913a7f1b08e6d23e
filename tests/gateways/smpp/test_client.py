"""What is handed over to peers and comes back, over real sockets: retries, refusals, receipts, lost connections."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from structlog.testing import capture_logs

import shop
from onecard.cards.model import Card
from onecard.database.pool import Database
from onecard.gateways.smpp import link
from onecard.gateways.smpp.constants import CommandStatus, MessageState
from onecard.gateways.smpp.events import BindMode
from onecard.gateways.smpp.pdus import ShortMessage
from onecard.gateways.smpp.receipts import parse_receipt
from onecard.node.node import run_node
from onecard.story.peers import MessageCentre, PeerConnection, PeerRefused, bind_esme, receipt_of
from onecard.values.address import Address
from onecard.values.clock import MovedClock
from town import BANK, HOME, HOST, PASSWORD, Town, from_card, make_config, open_town, to_number

from .partners import HoldingCentre, bind

Status = CommandStatus
ICBC = Address(5, 0, "ICBC")
TO_BEIJING = "12583113900001111"
TEN_DOLLARS = 10_000_000


@pytest.fixture
def clock() -> MovedClock:
    """A clock that the test moves."""
    return MovedClock(datetime(2026, 3, 20, 12, tzinfo=UTC))


async def code(town: Town, words: str = "Code 123456", **changes: object) -> ShortMessage:
    """A text of the bank to the secondary number."""
    return to_number(ICBC, (await town.lines(town.cards[0]))[1].msisdn, words, **changes)


async def pass_time(town: Town, clock: MovedClock, seconds: int) -> None:
    """Move the clock, and do what is due."""
    clock.move(timedelta(seconds=seconds))
    await town.node.upkeep.tick()


class Answering:
    """Answers the texts it takes with these statuses, one after the other; the last one for ever."""

    def __init__(self, *statuses: CommandStatus) -> None:
        self.texts: list[ShortMessage] = []
        self._statuses = list(statuses)

    def __call__(self, _: PeerConnection, message: ShortMessage) -> tuple[CommandStatus, str]:
        self.texts.append(message)
        status = self._statuses.pop(0) if len(self._statuses) > 1 else self._statuses[0]
        return status, str(len(self.texts)) if status == Status.ESME_ROK else ""


# ---- what the next hop answers


@pytest.mark.parametrize(
    "status",
    [Status.ESME_RTHROTTLED, Status.ESME_RMSGQFUL, Status.ESME_RSYSERR, Status.ESME_RX_T_APPN],
)
async def test_a_text_that_is_not_taken_now_is_tried_again(
    database: Database, card: Card, clock: MovedClock, status: CommandStatus
) -> None:
    answering = Answering(status, Status.ESME_ROK)
    host = MessageCentre(PASSWORD, on_text=answering)
    async with open_town(database, cards=[card], clock=clock, host=host) as town:
        await town.bank.send(await code(town))
        await town.settle(lambda: answering.texts, "the first attempt")
        await pass_time(town, clock, 1)
        assert len(answering.texts) == 1
        await pass_time(town, clock, 10)
        await town.settle(lambda: len(answering.texts) == 2, "the second attempt")
        assert answering.texts[0].body == answering.texts[1].body


async def test_a_busy_link_is_spared_for_its_other_texts_too(
    database: Database, card: Card, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link, "BUSY_SECONDS", 3.0)
    answering = Answering(Status.ESME_RTHROTTLED, Status.ESME_ROK)
    host = MessageCentre(PASSWORD, on_text=answering)
    async with open_town(database, cards=[card], host=host) as town:
        await town.bank.send(await code(town, "first"))
        await town.settle(lambda: answering.texts, "the first attempt")
        await town.settle(lambda: town.node.links[HOST].spare_until, "the answer")
        await town.bank.send(await code(town, "second"))
        assert town.node.links[HOST].spare_until > asyncio.get_running_loop().time()
        assert len(answering.texts) == 1
        await town.settle(lambda: len(answering.texts) >= 2, "the second text")


async def test_a_text_that_is_refused_for_good_is_reported_and_its_charge_returned(
    database: Database, card: Card
) -> None:
    async with open_town(database, cards=[card]) as town:
        await town.home.connection.close()
        refusing = Answering(Status.ESME_RINVDSTADR)
        home = await bind_esme(*town.smpp, "cnhome", PASSWORD, on_text=refusing)
        primary, _ = await town.lines(card)
        text = from_card(primary.msisdn, TO_BEIJING, "hello", registered_delivery=1)
        assert (await town.host.deliver(text)).status == Status.ESME_ROK
        await town.settle(lambda: town.host.texts, "the receipt")
        receipt = parse_receipt(town.host.texts[0])
        assert receipt is not None
        assert receipt.state is MessageState.UNDELIVERABLE
        assert town.host.texts[0].esm_class & 0x3C == 0x08
        assert (receipt.error, len(refusing.texts)) == ("011", 1)
        assert await town.balance(card) == TEN_DOLLARS
        await town.proved()
        await home.connection.close()


async def test_a_text_without_an_answer_is_tried_again_and_the_link_lives(
    database: Database, card: Card, clock: MovedClock
) -> None:
    host = HoldingCentre()
    changes = {HOST: {"response_seconds": 0.1}}
    async with open_town(database, cards=[card], clock=clock, host=host, link_changes=changes) as town:
        await town.bank.send(await code(town))
        await town.settle(lambda: host.held, "the first attempt")
        await town.settle(lambda: len(town.node.queues.of(HOST)), "its postponement")
        await pass_time(town, clock, 10)
        await town.settle(lambda: len(host.held) == 2, "the second attempt")
        assert len(host.connections) == 1


async def test_a_text_expires_and_its_charge_is_returned(
    database: Database, card: Card, clock: MovedClock
) -> None:
    async with open_town(database, cards=[card], clock=clock) as town:
        await town.home.connection.close()
        await town.settle(lambda: not town.node.links[HOME].bound_count, "the home operator's absence")
        primary, _ = await town.lines(card)
        text = from_card(primary.msisdn, TO_BEIJING, "hello", registered_delivery=1)
        await town.host.deliver(msgspec.structs.replace(text, validity="000000010000000R"))
        assert await town.balance(card) < TEN_DOLLARS
        await pass_time(town, clock, 3601)
        await town.settle(lambda: town.host.texts, "the receipt")
        receipt = parse_receipt(town.host.texts[0])
        assert receipt is not None
        assert receipt.state is MessageState.EXPIRED
        assert await town.balance(card) == TEN_DOLLARS


async def test_texts_leave_no_faster_than_a_link_may_take_them(database: Database, card: Card) -> None:
    async with open_town(database, cards=[card], link_changes={HOST: {"texts_a_second_out": 2}}) as town:
        text = await code(town)
        await asyncio.gather(*(town.bank.send(text) for _ in range(4)))
        await town.settle(lambda: len(town.host.texts) >= 2, "what was saved up")
        assert len(town.node.queues.of(HOST)) > 0
        await town.settle(lambda: len(town.host.texts) == 4, "the rest")


async def test_no_more_texts_are_unanswered_than_the_window_has_places(
    database: Database, card: Card
) -> None:
    host = HoldingCentre()
    async with open_town(database, cards=[card], host=host, link_changes={HOST: {"window_out": 3}}) as town:
        text = await code(town)
        await asyncio.gather(*(town.bank.send(text) for _ in range(7)))
        await town.settle(lambda: len(host.held) == 3, "a full window")
        assert len(town.node.queues.of(HOST)) == 4
        host.holding[0].answer(host.held[0], "1")
        await town.settle(lambda: len(host.held) == 4, "the next text")


# ---- receipts


async def test_a_receipt_that_overtakes_the_answer_to_its_text_is_not_lost(
    database: Database, card: Card
) -> None:
    host = HoldingCentre()
    async with open_town(database, cards=[card], host=host) as town:
        answered = await town.bank.send(await code(town, registered_delivery=1))
        await town.settle(lambda: host.held, "the text at the host")
        [centre] = host.holding
        receipt = centre.send_nowait(receipt_of(host.held[0].message, "early", MessageState.DELIVERED))
        await asyncio.sleep(0.1)
        assert not receipt.done()
        centre.answer(host.held[0], "early")
        assert (await receipt).status == Status.ESME_ROK
        await town.settle(lambda: town.bank.texts, "the receipt at the bank")
        assert f"id:{answered.message_id} ".encode() in town.bank.texts[0].body


async def test_a_receipt_that_finds_the_sender_away_waits_for_it(database: Database, card: Card) -> None:
    host = MessageCentre(PASSWORD, report=None)
    async with open_town(database, cards=[card], host=host) as town:
        answered = await town.bank.send(await code(town, registered_delivery=1))
        await town.settle(lambda: host.texts, "the text at the host")
        await town.bank.connection.close()
        await town.settle(lambda: not town.node.links[BANK].bound_count, "the bank's absence")
        receipt = receipt_of(host.texts[0], "1", MessageState.DELIVERED)
        assert (await host.deliver(receipt)).status == Status.ESME_ROK
        bank = await bind_esme(*town.smpp, "bank", PASSWORD, mode=BindMode.RECEIVER)
        await town.node.upkeep.tick()
        await town.settle(lambda: bank.texts, "the receipt")
        assert f"id:{answered.message_id} ".encode() in bank.texts[0].body
        await bank.connection.close()


async def test_a_receipt_of_failure_only_comes_of_failure_only(database: Database, card: Card) -> None:
    host = MessageCentre(PASSWORD, on_text=Answering(Status.ESME_RINVDSTADR, Status.ESME_ROK), report=None)
    async with open_town(database, cards=[card], host=host) as town:
        failed = await town.bank.send(await code(town, registered_delivery=2))
        await town.settle(lambda: town.bank.texts, "the receipt of the failure")
        delivered = await town.bank.send(await code(town, registered_delivery=2))
        reported = await town.bank.send(await code(town, registered_delivery=1))
        message = await code(town)
        for remote_id in ("2", "3"):
            answered = await host.deliver(receipt_of(message, remote_id, MessageState.DELIVERED))
            assert answered.status == Status.ESME_ROK
        await town.settle(lambda: len(town.bank.texts) == 2, "the receipt of the delivery")
        ids = [receipt.message_id for receipt in map(parse_receipt, town.bank.texts) if receipt]
        assert ids == [failed.message_id, reported.message_id]
        assert delivered.message_id not in ids


async def test_a_receipt_about_nothing_is_answered_and_changes_nothing(
    database: Database, card: Card
) -> None:
    async with open_town(database, cards=[card]) as town:
        strange = receipt_of(await code(town), "12345", MessageState.DELIVERED)
        answers = await asyncio.gather(*(town.host.deliver(strange) for _ in range(3)))
        assert [answer.status for answer in answers] == [Status.ESME_ROK] * 3
        assert town.bank.texts == []


async def test_a_receipt_that_the_sender_cannot_take_now_is_given_again(
    database: Database, card: Card
) -> None:
    async with open_town(database, cards=[card]) as town:
        answering = Answering(Status.ESME_RX_T_APPN, Status.ESME_ROK)
        await town.bank.connection.close()
        bank = await bind_esme(*town.smpp, "bank", PASSWORD, on_text=answering)
        await bank.send(await code(town, registered_delivery=1))
        await town.settle(lambda: len(answering.texts) == 2, "the receipt, again")
        assert answering.texts[0].body == answering.texts[1].body
        await bank.connection.close()


# ---- connections


async def test_we_bind_again_when_a_peer_went_away_and_came_back(database: Database, card: Card) -> None:
    host = MessageCentre(PASSWORD)
    await host.listen()
    async with open_town(database, cards=[card], host=host) as town:
        await host.close()
        await town.settle(lambda: not town.node.links[HOST].bound_count, "the host's absence")
        await town.bank.send(await code(town, "while you were out"))
        await town.settle(lambda: "cannot connect" in town.node.links[HOST].last_error, "a try in vain")
        back = MessageCentre(PASSWORD)
        await back.listen(port=host.port)
        await town.settle(lambda: town.node.links[HOST].bound_count, "the bind")
        await town.node.upkeep.tick()
        await town.settle(lambda: back.texts, "what waited")
        assert back.texts[0].body == b"while you were out"
        await back.close()


async def test_what_was_under_way_when_a_connection_broke_is_handed_over_again(
    database: Database, card: Card, clock: MovedClock
) -> None:
    host = HoldingCentre()
    async with open_town(database, cards=[card], clock=clock, host=host) as town:
        await town.bank.send(await code(town))
        await town.settle(lambda: host.held, "the text at the host")
        host.holding[0].abort()
        await town.settle(lambda: len(host.holding) == 2, "the second connection")
        await town.settle(lambda: town.node.links[HOST].bound_count, "the second bind")
        await pass_time(town, clock, 10)
        await town.settle(lambda: len(host.held) == 2, "the text, again")


async def test_a_peer_that_refuses_our_password_is_told_of_and_tried_again(
    database: Database, card: Card
) -> None:
    host = MessageCentre(PASSWORD)
    await host.listen()
    async with open_town(database, cards=[card], host=host) as town:
        host._password = "another"  # the peer changed it without a word
        host.connections[0].abort()
        await town.settle(lambda: "0xe" in town.node.links[HOST].last_error, "the refusal")
        host._password = PASSWORD
        await town.settle(lambda: town.node.links[HOST].bound_count, "the bind")


@pytest.mark.parametrize("password", ["x" * 100, "密码"])
async def test_a_password_that_smpp_cannot_carry_is_told_of_and_not_shown(
    database: Database, card: Card, password: str
) -> None:
    host = MessageCentre(password)
    await host.listen()
    with capture_logs() as logged:
        async with run_node(
            make_config(host.port), database, shop.MASTER, environment={"HOST_PASSWORD": password}
        ) as node:
            for _ in range(500):
                if node.links[HOST].last_error:
                    break
                await asyncio.sleep(0.01)
            assert "password cannot be written" in node.links[HOST].last_error
    assert password not in repr(logged)
    await host.close()


# ---- what is never told


async def test_no_password_no_contents_and_no_whole_number_is_logged(
    database: Database, card: Card, caplog: pytest.LogCaptureFixture
) -> None:
    host = MessageCentre(PASSWORD, on_text=Answering(Status.ESME_RINVDSTADR, Status.ESME_ROK))
    caplog.set_level("DEBUG")
    with capture_logs() as logged:
        async with open_town(database, cards=[card], host=host) as town:
            lines = await town.lines(card)
            with pytest.raises(PeerRefused):
                await bind(town, "bank", "guess-of-a-password")
            for _ in range(2):
                await town.bank.send(await code(town, "Hush 987654", registered_delivery=1))
            await town.bank.send(await code(town, "x" * 255, body_in_payload=False))
            await town.host.deliver(from_card(lines[0].msisdn, TO_BEIJING, "Hush 987654"))
            await town.host.deliver(from_card("+16045550000", TO_BEIJING, "Hush 987654"))
            await town.settle(lambda: town.home.texts, "the text at the home operator")
    told = repr(logged) + caplog.text
    assert "bind refused" in told
    secrets = ["guess-of-a-password", PASSWORD, "Hush", "987654", "3900001111", "6045550000"]
    secrets += [line.msisdn.removeprefix("+") for line in lines]
    assert [secret for secret in secrets if secret in told] == []
