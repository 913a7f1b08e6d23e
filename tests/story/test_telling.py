"""The verifier: what is not so is said, with what was expected and what came."""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from onecard.catalogue.model import UsageKind
from onecard.catalogue.reading import read_toml_price_list
from onecard.gateways.smpp.constants import CommandStatus
from onecard.node.config_reading import load_config
from onecard.story.act import Act, Event, NotAsExpected
from onecard.story.cast import CHINESE_FRIEND
from onecard.story.place import NETWORK, SPARE_NETWORK, PlaceTaken, open_place
from onecard.story.plan_steps import PLAN
from onecard.story.stage import Stage, open_stage
from onecard.story.steps import LONG_TEXT, TO_SATELLITE, Step
from onecard.story.summary import Failure
from onecard.story.telling import tell_steps
from onecard.story.texts import from_card, in_parts, join_parts, status_name, to_number, words_of
from onecard.story.timeline import Timeline
from onecard.values.address import international
from onecard.values.alphabet import count_segments
from onecard.values.card import parse_iccid
from onecard.values.phone import parse_msisdn


@pytest.fixture
def kept_logs() -> Iterator[list[Path]]:
    """Logs that a failed story keeps; removed after the test."""
    kept: list[Path] = []
    yield kept
    for logs in kept:
        shutil.rmtree(logs)


async def greet(_: Stage, act: Act) -> None:
    act.say("friend", "card", "你好", "free", "hello")
    act.verify("greeted", "你好", "你好")


async def miscount(_: Stage, act: Act) -> None:
    act.verify("one text came", 2, 1)


async def stumble(_: Stage, __: Act) -> None:
    raise ZeroDivisionError("a bug")


async def tell(kept: list[Path], *steps: Step) -> tuple[str, bool, list[bool], Failure | None]:
    """Tell a story with partners and no node; what was written, and how it went."""
    stream = io.StringIO()
    with open_place(None) as place:
        async with open_stage(place) as stage:
            summary = await tell_steps(steps, stage, Timeline(stream))
    if summary.failure:
        kept.append(Path(summary.failure.logs))
    return stream.getvalue(), summary.ok, [step.ok for step in summary.steps], summary.failure


async def test_a_story_goes_on_to_its_end_while_all_is_as_expected(kept_logs: list[Path]) -> None:
    said, ok, steps, _ = await tell(kept_logs, Step("a", "First", greet), Step("b", "Second", greet))
    assert (ok, steps) == (True, [True, True])
    assert "friend → card" in said
    assert "你好  (hello)" in said
    assert "All 2 steps verified" in said


async def test_a_step_that_is_not_as_expected_ends_the_story_and_says_why(kept_logs: list[Path]) -> None:
    said, ok, steps, failure = await tell(
        kept_logs, Step("a", "First", greet), Step("b", "Second", miscount), Step("c", "Third", greet)
    )
    assert (ok, steps) == (False, [True, False])
    assert failure is not None
    assert (failure.what, failure.expected, failure.came) == ("one text came", "1", "2")
    assert "✗ failed   one text came" in said
    assert "Third" not in said
    assert "verified in" not in said


async def test_a_bug_in_a_step_fails_the_story_and_leaves_its_traceback_with_the_logs(
    kept_logs: list[Path],
) -> None:
    _, ok, _, failure = await tell(kept_logs, Step("a", "First", stumble))
    assert not ok
    assert failure is not None
    assert failure.came == "a bug"
    assert "ZeroDivisionError" in (Path(failure.logs) / "story.log").read_text()


def test_a_fact_is_noted_only_when_it_is_so() -> None:
    act = Act(0.0)
    act.verify("right", 1, 1)
    with pytest.raises(NotAsExpected):
        act.verify("wrong", 1, 2)
    assert act.facts == ["right"]


def test_a_file_gets_no_blanks_at_the_end_of_a_line_and_no_colours() -> None:
    stream = io.StringIO()
    timeline = Timeline(stream)
    timeline.begin_step(1, "Somebody writes")
    timeline.show_event(Event(1.5, "bank", "+8613800138000", "验证码" * 30, "free", ""))
    lines = stream.getvalue().splitlines()
    assert all(line == line.rstrip() for line in lines)
    assert "\x1b" not in stream.getvalue()
    assert "".join(line.replace("free", "").split()[-1] for line in lines[2:]).endswith("验证码" * 30)


def test_the_made_up_operators_files_are_ones_that_onecard_takes() -> None:
    with open_place(None) as place:
        place.write_stock()
        hashed = "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA"
        place.write_configuration(host_port=1, host_password="x", home_hash=hashed, bank_hash=hashed)
        config = load_config(place.configuration)
        sims = place.sims.read_text().split()[1:]
        numbers = place.numbers.read_text().split()[1:]
        prices = read_toml_price_list(place.prices.read_text())
    assert [link.name for link in config.links] == ["host", "home-cn", "bank"]
    assert config.diameter is not None
    assert [peer.host for peer in config.diameter.peers] == [NETWORK[0], SPARE_NETWORK[0]]
    assert [plan.name for plan in prices.plans] == [PLAN]
    assert {rate.usage for rate in prices.rates} == {UsageKind.TEXT, UsageKind.CALL_OUT, UsageKind.DATA}
    assert all(parse_iccid(sim.split(",")[0]) for sim in sims)
    assert all(parse_msisdn(number.split(",")[0]) for number in numbers)
    assert not place.root.exists()


def test_a_directory_that_holds_something_is_not_taken(tmp_path: Path) -> None:
    (tmp_path / "precious").touch()
    with pytest.raises(PlaceTaken, match="precious"), open_place(tmp_path):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["precious"]


def test_a_long_text_is_put_together_by_the_numbers_of_its_parts() -> None:
    parts = in_parts(international(CHINESE_FRIEND), "+8613800138000", LONG_TEXT, 7)
    assert len(parts) > 1
    assert all(count_segments(part.body, part.data_coding, has_udh=True) == 1 for part in parts)
    assert join_parts(parts[::-1]) == LONG_TEXT


def test_words_are_read_as_they_were_written() -> None:
    for words in ("Dinner at seven?", "你好", "€ {}"):
        assert words_of(to_number(international(CHINESE_FRIEND), "+16045550100", words)) == words
    refused = from_card("+16045550100", "011881612345678", TO_SATELLITE)
    assert count_segments(refused.body, refused.data_coding, has_udh=False) == 2


def test_a_status_is_shown_by_its_name_where_it_has_one() -> None:
    assert status_name(CommandStatus.ESME_RX_P_APPN) == "ESME_RX_P_APPN (0x65)"
    assert status_name(0x400) == "0x400"
