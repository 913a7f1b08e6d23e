"""The npm package smpp as a peer: as an ESME that binds to us, and as a message centre that we bind to."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from onecard.database.pool import Database, connection
from onecard.gateways.smpp.constants import CommandStatus, Tag
from onecard.values.address import Address
from onecard.values.alphabet import encode_gsm7
from town import (
    HASH,
    HOME,
    HOST,
    PASSWORD,
    Town,
    from_card,
    open_town,
    sell_card_with_two_lines,
    stock_up,
    to_number,
)

from .certificates import Certificates
from .npm import Line, NpmPeer, octets, run_npm_peer

RequireProgram = Callable[[str], str]
CHINESE = "验证码：123456，请勿告诉他人。"


@asynccontextmanager
async def npm_esme(
    require_program: RequireProgram, address: str | None, ca: Certificates | None = None
) -> AsyncIterator[NpmPeer]:
    assert address is not None
    host, port = address.split(":")
    async with run_npm_peer(require_program, "esme.js") as peer:
        peer.tell("connect", host=host, port=int(port), ca=str(ca.authority) if ca else None)
        await peer.seen("connected")
        yield peer


@pytest.fixture
async def esme(town: Town, require_program: RequireProgram) -> AsyncIterator[NpmPeer]:
    """An ESME that is connected to the plain port, not bound yet."""
    async with npm_esme(require_program, town.node.addresses.smpp) as peer:
        yield peer


async def bind(peer: NpmPeer, command: str = "bind_transceiver", **changes: object) -> Line:
    fields = {"system_id": "bank", "password": PASSWORD, "interface_version": 0x50}
    return await peer.request(command, **{**fields, **changes})


async def submit(peer: NpmPeer, town: Town, command: str = "submit_sm", **fields: object) -> Line:
    _, secondary = await town.lines(town.cards[0])
    addresses = {
        "source_addr": "ICBC",
        "source_addr_ton": 5,
        "dest_addr_ton": 1,
        "dest_addr_npi": 1,
        "destination_addr": secondary.msisdn.removeprefix("+"),
    }
    return await peer.request(command, **{**addresses, **fields})


async def test_it_binds_with_interface_version_5_and_is_told_ours(esme: NpmPeer) -> None:
    answer = await bind(esme)
    assert answer["command_status"] == 0
    assert answer["sc_interface_version"] == 0x34
    assert answer["system_id"] == "onecard"


async def test_a_wrong_password_and_an_unknown_name_are_told_apart(
    town: Town, require_program: RequireProgram
) -> None:
    for changes, status in (({"password": "guess"}, 0x0E), ({"system_id": "nobody"}, 0x0F)):
        async with npm_esme(require_program, town.node.addresses.smpp) as peer:
            answer = await bind(peer, **changes)
            assert answer["command_status"] == status
            await peer.seen("closed")


async def test_a_text_of_the_gsm_alphabet_with_its_extensions_is_carried_and_reported(
    esme: NpmPeer, town: Town
) -> None:
    await bind(esme)
    answer = await submit(esme, town, short_message="Pay {5} € [now]~", registered_delivery=1)
    assert answer["command_status"] == 0
    await town.settle(lambda: town.host.texts, "the text at the host")
    assert town.host.texts[0].body == encode_gsm7("Pay {5} € [now]~")
    receipt = (await esme.seen("deliver_sm"))["pdu"]
    assert receipt["esm_class"] & 0x3C == 0x04
    assert receipt["receipted_message_id"] == answer["message_id"]
    assert receipt["message_state"] == 2
    assert receipt["short_message"]["message"].startswith(f"id:{answer['message_id']} ")
    assert "stat:DELIVRD" in receipt["short_message"]["message"]


async def test_chinese_is_carried_as_ucs2(esme: NpmPeer, town: Town) -> None:
    await bind(esme)
    await submit(esme, town, short_message=CHINESE)
    await town.settle(lambda: town.host.texts, "the text at the host")
    [text] = town.host.texts
    assert text.data_coding == 0x08
    assert text.body.decode("utf-16-be") == CHINESE


async def test_parts_with_a_udh_pass_whole(esme: NpmPeer, town: Town) -> None:
    await bind(esme)
    for part in (1, 2):
        header = bytes([5, 0, 3, 77, 2, part])
        body = {"udh": octets(header), "message": f"part {part}"}
        await submit(esme, town, short_message=body, esm_class=0x40, data_coding=0)
    await town.settle(lambda: len(town.host.texts) == 2, "both parts at the host")
    assert [text.body for text in town.host.texts] == [
        bytes([5, 0, 3, 77, 2, part]) + b"part %d" % part for part in (1, 2)
    ]
    assert all(text.has_udh for text in town.host.texts)


async def test_a_message_payload_passes_as_one(esme: NpmPeer, town: Town) -> None:
    await bind(esme)
    await submit(esme, town, message_payload=CHINESE * 20)
    await town.settle(lambda: town.host.texts, "the text at the host")
    [text] = town.host.texts
    assert text.body_in_payload
    assert text.body.decode("utf-16-be") == CHINESE * 20


async def test_parts_that_are_numbered_by_optional_parameters_keep_them(esme: NpmPeer, town: Town) -> None:
    await bind(esme)
    await submit(
        esme,
        town,
        short_message="one of two",
        sar_msg_ref_num=300,
        sar_total_segments=2,
        sar_segment_seqnum=1,
    )
    await town.settle(lambda: town.host.texts, "the text at the host")
    assert dict(town.host.texts[0].tlvs) == {
        Tag.SAR_MSG_REF_NUM: (300).to_bytes(2, "big"),
        Tag.SAR_TOTAL_SEGMENTS: b"\x02",
        Tag.SAR_SEGMENT_SEQNUM: b"\x01",
    }


async def test_a_text_by_data_sm_is_carried_and_reported_like_any_other(esme: NpmPeer, town: Town) -> None:
    await bind(esme)
    answer = await submit(
        esme, town, "data_sm", message_payload="by data", data_coding=0, registered_delivery=1
    )
    assert (answer["command"], answer["command_status"]) == ("data_sm_resp", 0)
    await town.settle(lambda: town.host.texts, "the text at the host")
    assert town.host.texts[0].body == b"by data"
    assert (await esme.seen("deliver_sm"))["pdu"]["receipted_message_id"] == answer["message_id"]


async def test_a_text_from_a_card_is_delivered_to_it(esme: NpmPeer, town: Town) -> None:
    await bind(esme, system_id="cnhome")
    primary, secondary = await town.lines(town.cards[0])
    answered = await town.host.deliver(from_card(primary.msisdn, "12583113900001111", "你好"))
    assert answered.status == CommandStatus.ESME_ROK
    text = (await esme.seen("deliver_sm"))["pdu"]
    assert text["short_message"]["message"] == "你好"
    assert text["source_addr"] == secondary.msisdn.removeprefix("+")
    assert text["destination_addr"] == "8613900001111"


async def test_what_waited_for_a_receiver_is_delivered_once_it_binds(esme: NpmPeer, town: Town) -> None:
    primary, _ = await town.lines(town.cards[0])
    await town.host.deliver(from_card(primary.msisdn, "12583113900001111", "early"))
    await bind(esme, "bind_receiver", system_id="cnhome")
    await town.node.upkeep.tick()
    text = (await esme.seen("deliver_sm"))["pdu"]
    assert text["short_message"]["message"] == "early"


async def test_a_receiver_may_not_submit_and_a_transmitter_is_delivered_nothing(
    town: Town, require_program: RequireProgram
) -> None:
    async with (
        npm_esme(require_program, town.node.addresses.smpp) as receiver,
        npm_esme(require_program, town.node.addresses.smpp) as transmitter,
    ):
        await bind(receiver, "bind_receiver")
        await bind(transmitter, "bind_transmitter")
        assert (await submit(receiver, town, short_message="no"))["command_status"] == 0x04
        answer = await submit(transmitter, town, short_message="yes", registered_delivery=1)
        assert answer["command_status"] == 0
        receipt = (await receiver.seen("deliver_sm"))["pdu"]
        assert receipt["receipted_message_id"] == answer["message_id"]
        assert transmitter.all("deliver_sm") == []


async def test_enquire_link_is_answered_and_unbind_ends_the_connection(esme: NpmPeer) -> None:
    await bind(esme)
    assert (await esme.request("enquire_link"))["command"] == "enquire_link_resp"
    answer = await esme.request("unbind")
    assert (answer["command"], answer["command_status"]) == ("unbind_resp", 0)
    await esme.seen("closed")


async def test_it_answers_our_enquiries_and_hears_us_unbind(
    database: Database, require_program: RequireProgram
) -> None:
    async with connection(database.pool) as borrowed:
        await stock_up(borrowed)
    timers = {"enquire_link_seconds": 0.1, "response_seconds": 5.0}
    async with AsyncExitStack() as peers:
        async with open_town(database, link_changes={"bank": timers}) as town:
            peer = await peers.enter_async_context(npm_esme(require_program, town.node.addresses.smpp))
            await bind(peer)
            await peer.seen("enquire_link", 3)
            assert peer.all("closed") == []
        await peer.seen("unbind")
        await peer.seen("closed")


async def test_a_text_is_queried_by_its_id(esme: NpmPeer, town: Town) -> None:
    await bind(esme)
    answer = await submit(esme, town, short_message="which state?", registered_delivery=1)
    await esme.seen("deliver_sm")
    state = await esme.request("query_sm", message_id=answer["message_id"])
    assert (state["command_status"], state["message_state"]) == (0, 2)


async def test_it_binds_and_submits_over_tls(
    town: Town, certificates: Certificates, require_program: RequireProgram
) -> None:
    async with npm_esme(require_program, town.node.addresses.smpp_tls, certificates) as peer:
        assert (await bind(peer))["command_status"] == 0
        answer = await submit(peer, town, short_message="sealed on the way", registered_delivery=1)
        assert (await peer.seen("deliver_sm"))["pdu"]["receipted_message_id"] == answer["message_id"]
    assert town.host.texts[0].body == b"sealed on the way"


@asynccontextmanager
async def town_around(
    database: Database, centre: NpmPeer, ca: Certificates | None = None
) -> AsyncIterator[Town]:
    """A town whose host is npm's message centre."""
    listen = {"certificate": str(ca.certificate), "key": str(ca.key)} if ca else {}
    centre.tell("listen", **listen)
    port = (await centre.seen("listening"))["port"]
    connect: dict[str, object] = {"address": f"localhost:{port}", "password_variable": "HOST_PASSWORD"}
    if ca:
        connect |= {"tls": True, "tls_ca": str(ca.authority)}
    links = [
        {"name": HOST, "role": "host", "system_id": "maple", "connect": connect, "cards": ["302990"]},
        {"name": HOME, "role": "home", "system_id": "cnhome", "password_hash": HASH, "numbers": ["+86"]},
        {"name": "bank", "role": "application", "system_id": "bank", "password_hash": HASH},
    ]
    async with connection(database.pool) as borrowed:
        await stock_up(borrowed)
        card = await sell_card_with_two_lines(borrowed)
    async with open_town(database, links=links) as town:
        town.cards.append(card)
        yield town


@pytest.mark.parametrize("sealed", [False, True], ids=["plain", "tls"])
async def test_we_bind_to_its_message_centre_which_takes_and_reports_texts(
    database: Database, certificates: Certificates, require_program: RequireProgram, sealed: bool
) -> None:
    async with (
        run_npm_peer(require_program, "centre.js", PASSWORD) as centre,
        town_around(database, centre, certificates if sealed else None) as town,
    ):
        primary, secondary = await town.lines(town.cards[0])
        answered = await town.bank.send(
            to_number(Address(5, 0, "ICBC"), secondary.msisdn, CHINESE, registered_delivery=1)
        )
        submitted = (await centre.seen("submit_sm"))["pdu"]
        assert submitted["short_message"]["message"] == CHINESE
        assert submitted["destination_addr"] == primary.msisdn.removeprefix("+")
        assert (await centre.seen("receipt_answered"))["pdu"]["command_status"] == 0
        await town.settle(lambda: town.bank.texts, "the receipt at the bank")
        assert f"id:{answered.message_id} ".encode() in town.bank.texts[0].body


async def test_its_message_centre_delivers_texts_and_we_bind_again_when_it_drops_us(
    database: Database, require_program: RequireProgram
) -> None:
    async with (
        run_npm_peer(require_program, "centre.js", PASSWORD) as centre,
        town_around(database, centre) as town,
    ):
        primary, secondary = await town.lines(town.cards[0])
        answer = await centre.request(
            "deliver_sm",
            source_addr=primary.msisdn.removeprefix("+"),
            source_addr_ton=1,
            destination_addr="12583113900001111",
            short_message="你好",
        )
        assert answer["command_status"] == 0
        await town.settle(lambda: town.home.texts, "the text at the home operator")
        assert town.home.texts[0].source.dialled == secondary.msisdn
        centre.tell("drop")
        await centre.seen("bind_transceiver", 2)
        await town.bank.send(to_number(Address(5, 0, "ICBC"), secondary.msisdn, "still there"))
        assert (await centre.seen("submit_sm"))["pdu"]["short_message"]["message"] == "still there"


async def test_its_message_centre_sees_us_unbind_when_the_node_stops(
    database: Database, require_program: RequireProgram
) -> None:
    async with run_npm_peer(require_program, "centre.js", PASSWORD) as centre:
        async with town_around(database, centre):
            pass
        await centre.seen("unbind")
