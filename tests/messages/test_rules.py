"""When to try again, until when to try, and what subscribers' words mean."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onecard.messages.rules import (
    BACKOFF_LEAST_SECONDS,
    BACKOFF_MOST_SECONDS,
    Command,
    CommandKind,
    decide_expiry,
    decide_next_attempt,
    read_command,
)

AT = datetime(2026, 3, 11, 4, tzinfo=UTC)
BALANCE, LINES, HELP = Command(CommandKind.BALANCE), Command(CommandKind.LINES), Command(CommandKind.HELP)


def on(slot: int) -> Command:
    return Command(CommandKind.LINE_ON, slot)


def off(slot: int) -> Command:
    return Command(CommandKind.LINE_OFF, slot)


def top_up(pin: str) -> Command:
    return Command(CommandKind.TOP_UP, pin=pin)


@pytest.mark.parametrize(
    ("attempts", "seconds"), [(1, 2), (2, 4), (3, 8), (9, 512), (10, 900), (11, 900), (1_000_000, 900)]
)
def test_each_attempt_waits_twice_as_long_up_to_a_quarter_of_an_hour(attempts: int, seconds: int) -> None:
    assert decide_next_attempt(attempts, AT) == AT + timedelta(seconds=seconds)


@given(attempts=st.integers(1, 2**31))
def test_the_next_attempt_is_never_at_once_nor_far_away(attempts: int) -> None:
    wait = decide_next_attempt(attempts, AT) - AT
    assert timedelta(seconds=BACKOFF_LEAST_SECONDS) <= wait <= timedelta(seconds=BACKOFF_MOST_SECONDS)
    assert wait <= decide_next_attempt(attempts + 1, AT) - AT


@pytest.mark.parametrize(("wanted_hours", "hours"), [(None, 48), (1, 1), (48, 48), (49, 48), (24 * 365, 48)])
def test_a_text_is_tried_as_long_as_its_sender_wants_and_the_operator_allows(
    wanted_hours: int | None, hours: int
) -> None:
    wanted = None if wanted_hours is None else AT + timedelta(hours=wanted_hours)
    assert decide_expiry(wanted, AT, timedelta(hours=48)) == AT + timedelta(hours=hours)


@pytest.mark.parametrize(
    ("text", "command"),
    [
        # English
        ("BALANCE", BALANCE),
        ("  Balance.\r\n", BALANCE),
        ("bal!", BALANCE),
        ("lines", LINES),
        ("Line", LINES),
        ("LINE 1 ON", on(1)),
        ("line 2 off", off(2)),
        ("line2off", off(2)),
        ("off 3", off(3)),
        ("OFF LINE 3.", off(3)),
        ("1 on", on(1)),
        ("on1", on(1)),
        ("line 0 off", off(0)),
        ("help", HELP),
        ("?", HELP),
        # French
        ("Solde", BALANCE),
        ("LIGNES", LINES),
        ("ligne 1 marche", on(1)),
        ("LIGNE 1 ON", on(1)),
        ("Activer ligne 2", on(2)),
        ("Désactiver la ligne 2", None),
        ("désactiver ligne 2", off(2)),
        ("ligne 1 arrêt", off(1)),
        ("Aide", HELP),
        # Simplified Chinese
        ("余额", BALANCE),
        ("查询余额", BALANCE),
        ("余额。", BALANCE),
        ("号码", LINES),
        ("副号1开", on(1)),
        ("副号１关", off(1)),
        ("副号 2 关闭", off(2)),
        ("打开副号1", on(1)),
        ("关闭 副号 1", off(1)),
        ("开1", on(1)),
        ("帮助", HELP),
        ("？", HELP),
        # Traditional Chinese
        ("餘額", BALANCE),
        ("結餘", BALANCE),
        ("我的號碼", LINES),
        ("副號1開", on(1)),
        ("副號3關閉", off(3)),
        ("開啟副號2", on(2)),
        ("幫助", HELP),
        # Top-ups, with whatever of a PIN was typed
        ("TOPUP 1234567890123452", top_up("1234567890123452")),
        ("Top up: 1234 5678 9012 3452.", top_up("1234567890123452")),
        ("top-up 1234-5678-9012-3452", top_up("1234567890123452")),
        ("RECHARGE 1234567890123452", top_up("1234567890123452")),
        ("Recharger 1234 5678 9012 3452", top_up("1234567890123452")),
        ("充值1234567890123452", top_up("1234567890123452")),
        ("充值：１２３４５６７８９０１２３４５２", top_up("1234567890123452")),
        ("储值 1234567890123452", top_up("1234567890123452")),
        ("儲值1234567890123452。", top_up("1234567890123452")),
        ("增值 1234 5678 90123452", top_up("1234567890123452")),
        ("topup 12", top_up("12")),
        ("recharge", top_up("")),
        ("topup of 20 dollars", None),
        ("topup 1234567890123452 please", None),
        # None of ours
        ("", None),
        (".", None),
        ("on", None),
        ("line 1", None),
        ("line 12 off", None),
        ("line off 1 2", None),
        ("line -1 off", None),
        ("my balance please", None),
        ("12583", None),
        ("line 1 on and send 100 dollars", None),
    ],
)
def test_a_command_is_read_in_each_language(text: str, command: Command | None) -> None:
    assert read_command(text) == command


@pytest.mark.parametrize("text", ["ＢＡＬＡＮＣＥ", "ｌｉｎｅ　１　ｏｎ"])
def test_fullwidth_letters_are_letters(text: str) -> None:
    assert read_command(text) is not None


@given(text=st.text(max_size=200) | st.text("lineonf 0123副号开关 .", max_size=40))
def test_no_text_makes_reading_a_command_fail(text: str) -> None:
    command = read_command(text)
    if command is not None:
        about_a_line = command.kind in (CommandKind.LINE_ON, CommandKind.LINE_OFF)
        assert (command.slot is not None) == about_a_line
        assert command.slot is None or 0 <= command.slot <= 9


@pytest.mark.parametrize(
    "text",
    [
        "a" * 65_000,
        "on " * 20_000,
        "1" * 65_000,
        "topup" + " :" * 32_000,
        "topup 1" + " -" * 32_000 + "x",
        "line 1 " * 9_000,
    ],
)
def test_a_very_long_text_is_no_command(text: str) -> None:
    assert read_command(text) is None


def test_a_pin_does_not_show_where_a_command_is_shown() -> None:
    assert "1234567890123452" not in repr(read_command("topup 1234567890123452"))
