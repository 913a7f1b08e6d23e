"""Decide about numbers, applications, schedules and lists. Pure: no I/O, no clock, no randomness."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import phonenumbers
from phonenumbers import timezone

from onecard.cards.model import Card, CardState
from onecard.lines.model import (
    Application,
    ApplicationState,
    Line,
    LineLimits,
    LineRefusal,
    Usage,
    Verification,
    Window,
)
from onecard.values.hours import BadHours, format_hours, parse_hours, zone_named
from onecard.values.phone import (
    E164,
    BadNumber,
    Country,
    country_of,
    is_short_code,
    parse_country,
    parse_msisdn,
    parse_number,
)

NUMBER_COLUMNS = ("msisdn",)
NUMBER_COLUMNS_OPTIONAL = ("country",)

WINDOWS_MOST = 50
ENTRY_LENGTH_MOST = 20
_SHORT_CODE_LENGTH_MOST = 8


class BadSchedule(ValueError):
    """Words that are not a schedule."""


class BadListEntry(ValueError):
    """Characters that are not an entry of a block or allow list."""


# Numbers


def parse_pool_number(cells: Mapping[str, str]) -> tuple[E164, Country]:
    """Read one row of a pool: a valid number, of the country given if one is; raises `BadNumber`."""
    msisdn = parse_msisdn(cells["msisdn"])
    country = country_of(msisdn)
    if country is None or not phonenumbers.is_valid_number(phonenumbers.parse(msisdn)):
        raise BadNumber(f"{cells['msisdn']!r} is not a number of any country's plan")
    if cells["country"] and parse_country(cells["country"]) != country:
        raise BadNumber(f"{msisdn} is a number of {country}, not of {cells['country']}")
    return msisdn, country


def default_time_zone(msisdn: E164) -> str:
    """The time zone (IANA name) that a number's area, or country, keeps."""
    zones: Sequence[str] = timezone.time_zones_for_number(phonenumbers.parse(msisdn))
    return "UTC" if zones[0] == timezone.UNKNOWN_TIMEZONE else zones[0]


# Applications


def decide_application(
    card: Card | None,
    *,
    secondaries: int,
    open_applications: int,
    applications_this_month: int,
    limits: LineLimits,
) -> LineRefusal | None:
    """Whether a card may apply for one more secondary number; None is yes."""
    if card is None:
        return LineRefusal.UNKNOWN_CARD
    if card.state is CardState.ENDED:
        return LineRefusal.CARD_ENDED
    if secondaries + open_applications >= limits.secondaries_most:
        return LineRefusal.TOO_MANY_SECONDARIES
    if applications_this_month >= limits.applications_a_month_most:
        return LineRefusal.TOO_MANY_APPLICATIONS
    return None


def decide_outcome(application: Application, verification: Verification, at: datetime) -> Verification:
    """The outcome that counts: what comes when the time is over is a time-out."""
    assert application.state is ApplicationState.APPLIED
    return Verification.TIME_OUT if at >= application.expires_at else verification


def decide_end(line: Line, at: datetime) -> LineRefusal | None:
    """Whether the end of a line may be confirmed now; None is yes."""
    if line.porting_since is not None:
        return LineRefusal.PORTING
    if line.ending_until is None:
        return LineRefusal.NOT_ENDING
    return LineRefusal.CONFIRMATION_TOO_LATE if at > line.ending_until else None


def month_of(at: datetime, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """The instants at which the calendar month of `at`, as the zone counts it, begins and ends."""
    begin = at.astimezone(zone).replace(day=1, hour=0, minute=0, second=0, microsecond=0, fold=0)
    end = (begin + timedelta(days=32)).replace(day=1)
    return begin, end


def lowest_free_slot(lines: Iterable[Line]) -> int:
    """The slot that the next secondary line of a card goes to."""
    taken = {line.slot for line in lines}
    return next(slot for slot in range(1, len(taken) + 2) if slot not in taken)


# Schedules


def takes(line: Line, usage: Usage, at: datetime) -> bool:
    """Whether the line's schedule lets this usage in now; with no window for a usage it always does.

    The hours are those of a clock on the wall of the line's time zone: an hour that a clock change repeats
    counts both times, one that it leaves out does not come.
    """
    hours = [window.hours for window in line.schedule if window.usage is usage]
    if not hours:
        return True
    local = at.astimezone(zone_named(line.time_zone))
    return any(one.hold(local) for one in hours)


def parse_schedule(text: str) -> tuple[Window, ...]:
    """Read windows such as ``mon-fri 08:00-22:00 texts; daily 09:00-21:00 calls``; raises `BadSchedule`.

    Days are names, ranges (``fri-mon`` too) or ``daily``; without ``texts`` or ``calls`` it is for both.
    Hours that end at or before their beginning run past midnight. Empty text is no window: always.
    """
    windows = [
        window for piece in text.lower().split(";") if piece.strip() for window in _parse_window(piece)
    ]
    if len(windows) > WINDOWS_MOST:
        raise BadSchedule(f"a schedule has at most {WINDOWS_MOST} windows")
    return tuple(windows)


def _parse_window(piece: str) -> list[Window]:
    words = piece.split()
    if len(words) not in (2, 3):
        raise BadSchedule(f"{piece.strip()[:60]!r} is not like 'mon-fri 08:00-22:00 texts'")
    try:
        hours = parse_hours(" ".join(words[:2]))
    except BadHours as error:
        raise BadSchedule(str(error)) from None
    return [Window(usage, hours) for usage in _parse_usages(words[2:])]


def _parse_usages(words: Sequence[str]) -> tuple[Usage, ...]:
    if not words:
        return tuple(Usage)
    try:
        return (Usage(words[0]),)
    except ValueError:
        raise BadSchedule(f"{words[0][:20]!r} is neither texts nor calls") from None


def format_schedule(windows: Iterable[Window]) -> str:
    """Write windows as `parse_schedule` reads them."""
    return "; ".join(f"{format_hours(window.hours)} {window.usage.value}" for window in windows)


# Block and allow lists


def parse_list_entry(text: str, country: Country) -> str:
    """Read an entry of a list; raises `BadListEntry`.

    It is a number (national of the line's country, or international: kept as E.164), a short code of that
    country, a sender's name (kept without regard to case), or the beginning of any of these and ``*``.
    """
    entry = text.strip()
    if not (entry.isprintable() and 0 < len(entry.removesuffix("*")) <= ENTRY_LENGTH_MOST):
        raise BadListEntry(f"{text[:40]!r} is not a number, a sender's name, or the beginning of one and *")
    if any(letter.isalpha() for letter in entry):
        return entry.casefold()
    if entry.endswith("*"):
        return _parse_prefix(entry)
    try:
        return entry if is_short_code(entry, country) else parse_number(entry, country)
    except BadNumber as error:
        raise BadListEntry(str(error)) from None


def _parse_prefix(entry: str) -> str:
    if re.fullmatch(r"\+?\d+\*", entry, re.ASCII) is None:
        raise BadListEntry(f"{entry!r} is not the beginning of a number, such as +8610*")
    return entry


def is_blocked(line: Line, sender: str) -> bool:
    """Whether the lists keep a sender out: it is on the block list, or there is an allow list without it.

    `sender` is as the network wrote it: a name, a short code, or a number with or without its plus sign.
    """
    if not line.blocked and not line.allowed:
        return False
    forms = _forms_of(sender, line.country)
    if _is_listed(line.blocked, forms):
        return True
    return bool(line.allowed) and not _is_listed(line.allowed, forms)


def _is_listed(entries: Iterable[str], forms: Sequence[str]) -> bool:
    for entry in entries:
        if entry.endswith("*"):
            if any(form.startswith(entry[:-1]) for form in forms):
                return True
        elif entry in forms:
            return True
    return False


def _forms_of(sender: str, country: Country) -> tuple[str, ...]:
    """The ways in which an entry may name a sender: a number without its plus sign has more than one."""
    plain = sender.casefold()
    if not (plain.isascii() and plain.isdigit()) or len(plain) <= _SHORT_CODE_LENGTH_MOST:
        return (plain,)
    try:
        return plain, f"+{plain}", parse_number(plain, country)
    except BadNumber:
        return plain, f"+{plain}"
