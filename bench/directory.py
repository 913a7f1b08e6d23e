"""Memory of the directory: a million lines on half a million cards, as they come from the database."""

from __future__ import annotations

import gc
from pathlib import Path
from time import perf_counter

from bench import Figure
from onecard.cards.model import Card, CardState
from onecard.lines.model import Line
from onecard.switching.directory import Directory, Key
from onecard.switching.model import CardEntry
from onecard.values.card import Iccid, Imsi
from onecard.values.language import Language
from onecard.values.money import Currency
from onecard.values.phone import E164, Country

LINES = 1_000_000
LOOK_UPS = 1_000_000


async def measure() -> list[Figure]:
    """Fill the directory, then look numbers up."""
    gc.collect()
    before = _resident_bytes()
    directory = Directory(_load_nothing, cards_most=LINES)
    for number in range(LINES // 2):
        directory.keep(_entry(number))
    gc.collect()
    held = _resident_bytes() - before
    return [
        Figure("memory of a million lines on half a million cards", held / 2**20, "MiB"),
        Figure("look-ups in memory", LOOK_UPS / _look_up_seconds(directory), "look-ups/s"),
    ]


def _look_up_seconds(directory: Directory) -> float:
    numbers = [_primary(number % (LINES // 2)) for number in range(0, LOOK_UPS * 7, 7)]
    begun = perf_counter()
    for number in numbers:
        directory.peek(number)
    return perf_counter() - begun


def _entry(number: int) -> CardEntry:
    """A card with two lines, no object of it shared with another card but what the database interns."""
    part = number % 4 + 1
    card = Card(
        part,
        number,
        number,
        number,
        Iccid(f"89302990{number:011d}"),
        Imsi(f"30299{number:010d}"),
        CardState.ACTIVE,
    )
    lines = (
        Line(part, 2 * number, number, 0, _primary(number), _country("CA"), _zone("America/Vancouver")),
        Line(
            part,
            2 * number + 1,
            number,
            1,
            E164(f"+86138{number:08d}"),
            _country("CN"),
            _zone("Asia/Shanghai"),
        ),
    )
    return CardEntry(card, Language.ENGLISH, Currency("CAD"), lines)


def _primary(number: int) -> E164:
    return E164(f"+1604{number:07d}")


def _country(code: str) -> Country:
    return Country(str(code.encode(), "ascii"))  # a string of its own, as a row brings it


def _zone(name: str) -> str:
    return str(name.encode(), "ascii")


async def _load_nothing(_: Key) -> CardEntry | None:
    return None


def _resident_bytes() -> int:
    """What the process holds in memory, by the kernel's count."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096
