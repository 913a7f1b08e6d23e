"""Pure rules of texts: when to try again, until when to try, and what a subscriber's command means."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum

BACKOFF_LEAST_SECONDS = 2
BACKOFF_MOST_SECONDS = 900


def decide_next_attempt(attempts: int, now: datetime) -> datetime:
    """When to hand a text over again after `attempts` that failed: twice as long each time, 15 minutes at most."""
    assert attempts > 0
    seconds = min(BACKOFF_LEAST_SECONDS * 2 ** min(attempts - 1, 20), BACKOFF_MOST_SECONDS)
    return now + timedelta(seconds=seconds)


def decide_expiry(wanted: datetime | None, now: datetime, most: timedelta) -> datetime:
    """Until when a text is tried: as long as its sender wanted, and no longer than the operator allows."""
    latest = now + most
    return latest if wanted is None else min(wanted, latest)


class CommandKind(Enum):
    """What a subscriber can ask for by a text to the service code."""

    BALANCE = "balance"
    LINES = "lines"
    LINE_ON = "line_on"
    LINE_OFF = "line_off"
    TOP_UP = "top_up"
    PORT_PIN = "port_pin"
    """What the operator asks for that a number is to be taken to."""
    HELP = "help"


@dataclass(frozen=True, slots=True)
class Command:
    """One command; `slot` is the line it is about, where it is about one; `pin` the digits of a top-up, or what there
    are of them."""

    kind: CommandKind
    slot: int | None = None
    pin: str | None = field(default=None, repr=False)


_WORDS = {
    CommandKind.BALANCE: {
        "balance",
        "bal",
        "solde",
        "余额",
        "余额查询",
        "查询余额",
        "餘額",
        "餘額查詢",
        "查詢餘額",
        "结余",
        "結餘",
    },
    CommandKind.LINES: {
        "lines",
        "line",
        "lignes",
        "ligne",
        "号码",
        "我的号码",
        "副号",
        "號碼",
        "我的號碼",
        "副號",
    },
    CommandKind.LINE_ON: {
        "on",
        "marche",
        "activer",
        "开",
        "开机",
        "开启",
        "打开",
        "開",
        "開機",
        "開啟",
        "打開",
    },
    CommandKind.LINE_OFF: {"off", "arret", "desactiver", "关", "关机", "关闭", "關", "關機", "關閉"},
    CommandKind.TOP_UP: {
        "topup",
        "top up",
        "top-up",
        "recharge",
        "recharger",
        "充值",
        "储值",
        "儲值",
        "增值",
        "加值",
    },
    CommandKind.PORT_PIN: {"port", "portage", "porter", "携号转网", "携转", "攜號轉網", "攜碼", "轉台"},
    CommandKind.HELP: {"help", "aide", "帮助", "幫助", "?", "h"},
}
_ABOUT_A_LINE = re.compile(
    r"(?:line|ligne|号码|號碼|副号|副號)? ?(\d) ?(\D+)|(\D+?) ?(?:line|ligne|号码|號碼|副号|副號)? ?(\d)"
)
_TOP_UP = re.compile(
    rf"(?:{'|'.join(sorted(map(re.escape, _WORDS[CommandKind.TOP_UP])))})(?:[: ]*([0-9][0-9 -]*))?"
)


def read_command(text: str) -> Command | None:
    """Read a command in any of the languages, whatever its case, accents and width; None if it is none."""
    words = _plain(text)
    for kind in (CommandKind.BALANCE, CommandKind.LINES, CommandKind.PORT_PIN, CommandKind.HELP):
        if words in _WORDS[kind]:
            return Command(kind)
    top_up = _TOP_UP.fullmatch(words)
    if top_up is not None:
        return Command(CommandKind.TOP_UP, pin=re.sub("[ -]", "", top_up[1] or ""))
    match = _ABOUT_A_LINE.fullmatch(words)
    if match is None:
        return None
    slot, verb = (match[1], match[2]) if match[1] else (match[4], match[3])
    for kind in (CommandKind.LINE_ON, CommandKind.LINE_OFF):
        if verb.strip() in _WORDS[kind]:
            return Command(kind, int(slot))
    return None


def _plain(text: str) -> str:
    """Lower case, no accents, no fullwidth forms, single spaces, no full stop that a keyboard put at the end."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return " ".join("".join(c for c in decomposed if not unicodedata.combining(c)).split()).rstrip(" .!。")
