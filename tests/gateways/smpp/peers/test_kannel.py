"""Kannel as a peer: its bearerbox binds to us as a home operator, its smsbox sends and receives."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from onecard.values.alphabet import encode_gsm7, split_udh
from town import HOME, PASSWORD, Town, from_card

from .certificates import Certificates
from .kannel import Kannel, run_kannel

DELIVERED, FAILED, TAKEN, REFUSED = "1", "2", "8", "16"
"""What smsbox reports: bits of dlr-mask."""
LONG = "很长的短信，要分成几段才能发送。" * 10
FAR = "+8613900001111"


@pytest.fixture
async def kannel(
    request: pytest.FixtureRequest,
    town: Town,
    certificates: Certificates,
    require_program: Callable[[str], str],
    tmp_path: Path,
) -> AsyncIterator[Kannel]:
    """Kannel, bound as the home operator; a test may ask for TLS."""
    addresses = town.node.addresses
    sealed = getattr(request, "param", "plain") == "tls"
    address, tls = (addresses.smpp_tls, certificates) if sealed else (addresses.smpp, None)
    async with run_kannel(
        require_program, tmp_path, address, system_id="cnhome", password=PASSWORD, tls=tls
    ) as kannel:
        await town.settle(lambda: town.node.links[HOME].bound_count, "the bind of Kannel")
        yield kannel


@pytest.mark.parametrize("kannel", ["plain", "tls"], indirect=True)
async def test_a_text_that_kannel_sends_arrives_and_is_reported(kannel: Kannel, town: Town) -> None:
    primary, secondary = await town.lines(town.cards[0])
    assert "Accepted" in await kannel.send(FAR, secondary.msisdn, "Pay {5} € [now]~")
    await town.settle(lambda: town.host.texts, "the text at the host")
    [text] = town.host.texts
    assert text.body == encode_gsm7("Pay {5} € [now]~")
    assert text.destination.dialled == primary.msisdn
    await town.settle(lambda: len(kannel.listener.reports) == 2, "both reports")
    assert [report["status"] for report in kannel.listener.reports] == [TAKEN, DELIVERED]
    assert "stat:DELIVRD" in kannel.listener.reports[1]["answer"]


async def test_a_long_chinese_text_of_kannel_passes_in_parts(kannel: Kannel, town: Town) -> None:
    _, secondary = await town.lines(town.cards[0])
    await kannel.send(FAR, secondary.msisdn, LONG, coding="2")
    await town.settle(lambda: len(town.host.texts) == 3, "all parts at the host")
    assert all(text.has_udh for text in town.host.texts)
    parts = sorted(split_udh(text.body) for text in town.host.texts)
    words = b"".join(words for _, words in parts)
    assert words.decode("utf-16-be") == LONG
    await town.settle(lambda: len(kannel.listener.reports) == 2, "both reports on its last part")


async def test_a_text_from_a_card_reaches_the_service_behind_kannel(kannel: Kannel, town: Town) -> None:
    primary, secondary = await town.lines(town.cards[0])
    await town.host.deliver(from_card(primary.msisdn, "12583113900001111", "你好，世界"))
    await town.settle(lambda: kannel.listener.texts, "the text at the service")
    [text] = kannel.listener.texts
    assert text["words"] == "你好，世界"
    assert text["from"].lstrip("+") == secondary.msisdn.lstrip("+")
    assert text["to"].lstrip("+") == FAR.lstrip("+")


async def test_a_text_to_a_number_of_nobody_is_reported_as_refused(kannel: Kannel, town: Town) -> None:
    await kannel.send(FAR, "+8613899999999", "nobody there")
    await town.settle(lambda: kannel.listener.reports, "the report")
    assert kannel.listener.reports[0]["status"] == REFUSED
    assert town.host.texts == []
