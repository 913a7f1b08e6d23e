"""Read a plan from its file, and name every fault of it at once. Pure: text in, a plan and its stays out."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Annotated, Any, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from onecard.values.gate import Capability
from onecard.values.language import Language
from onecard.values.table import BadTable, Problem
from onecard.winddown.model import (
    PROTECTED,
    Disconnection,
    LocalTime,
    Notice,
    NoticeKind,
    Order,
    Plan,
    RefundPolicy,
    Stage,
    Stay,
    ValueKind,
    Void,
)
from onecard.winddown.rules import check_plan, check_stays, place_of

TABLES_MOST = 200
"""Stages, notices and stays, of each."""
TEXT_MOST = 1_000_000
"""The longest plan, in bytes of UTF-8 at the command line, and in characters."""
YEARS = range(1990, 2200)

T = TypeVar("T")
Made = TypeVar("Made", Stage, Notice, Stay)
Words = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
Local = Annotated[datetime, msgspec.Meta(tz=False)]


class BadTime(ValueError):
    """A time or a time zone that cannot be meant."""


class TopKeys(msgspec.Struct, forbid_unknown_fields=True):
    """What stands above all tables."""

    name: Words
    time_zone: Words
    version: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] = 1
    closed_days: Annotated[list[date], msgspec.Meta(max_length=1000)] = []


class OrderKeys(msgspec.Struct, forbid_unknown_fields=True):
    """``[order]``."""

    issuer: Words
    legal_basis: Words
    received: date
    document_sha256: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")] | None = None


class StageKeys(msgspec.Struct, forbid_unknown_fields=True):
    """``[[stage]]``."""

    name: Words
    at: Local | None = None
    after: date | None = None
    closes: list[Capability] = []
    opens: list[Capability] = []
    voids: list[Void] = []
    irreversible: bool = False
    by_host: bool = False


class NoticeKeys(msgspec.Struct, forbid_unknown_fields=True):
    """``[[notice]]``."""

    stage: Words
    at: Local
    languages: Annotated[list[Language], msgspec.Meta(min_length=1, max_length=10)]
    kind: NoticeKind = NoticeKind.STAGE


class StayKeys(msgspec.Struct, forbid_unknown_fields=True):
    """``[[stay]]``."""

    since: Local
    until: Local | None = None
    stages: list[Words] = []


class DisconnectionKeys(msgspec.Struct, forbid_unknown_fields=True):
    """``[disconnection]``."""

    on: date
    told: date


TABLE_NAMES = ("order", "stage", "notice", "stay", "disconnection", "last_days", "refunds")


@dataclass(frozen=True, slots=True)
class PlanFile:
    """What a file says."""

    plan: Plan
    stays: tuple[Stay, ...]


def read_plan(text: str) -> PlanFile:
    """Read a plan in TOML, with its stays; raises `BadTable` that names every fault, with its line if known."""
    if len(text) > TEXT_MOST:
        raise BadTable([Problem("the file", f"is longer than any plan: {TEXT_MOST} characters are the most")])
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadTable([Problem("the file", f"is not TOML: {error}")]) from None
    reading = _Reading(text, document)
    file = reading.read()
    if file is not None:
        faults = (*check_plan(file.plan), *check_stays(file.plan, file.stays))
        reading.problems += [Problem(reading.locate(fault.place), fault.reason) for fault in faults]
    if reading.problems:
        raise BadTable(reading.problems)
    assert file is not None  # or there was a problem
    return file


class _Reading:
    """One document on its way to be a plan, with what was found wrong so far."""

    def __init__(self, text: str, document: Mapping[str, Any]) -> None:
        self.problems: list[Problem] = []
        self._document = document
        self._lines = text.splitlines()
        self._found: dict[str, str] = {}
        """Where that is which a rule may complain about, by the name the rule gives it."""

    def read(self) -> PlanFile | None:
        """The whole file, if nothing that it is made of is missing."""
        top = self._convert(
            "top level", {k: v for k, v in self._document.items() if k not in TABLE_NAMES}, TopKeys
        )
        zone = self._read_zone(top)
        order = self._read_order()
        stages = [*self._read_each("stage", StageKeys, _make_stage)]
        notices = [*self._read_each("notice", NoticeKeys, _make_notice)]
        stays = [*self._read_each("stay", StayKeys, _make_stay)]
        disconnection = self._read_disconnection()
        last_days = self._read_last_days()
        refunds = self._read_refunds()
        self._check_years(self._document, "")
        if top is None or zone is None or order is None or self.problems:
            return None
        plan = Plan(
            version=top.version,
            name=top.name,
            time_zone=zone,
            order=order,
            stages=tuple(stages),
            last_days=last_days,
            refunds=refunds,
            notices=tuple(notices),
            disconnection=disconnection,
            closed_days=frozenset(top.closed_days),
        )
        return PlanFile(plan, tuple(stays))

    def locate(self, place: str) -> str:
        """Where a rule's complaint belongs in the file."""
        return self._found.get(place) or self._place_of_table(place)

    # The tables

    def _read_zone(self, top: TopKeys | None) -> ZoneInfo | None:
        if top is None:
            return None
        try:
            return ZoneInfo(top.time_zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            reason = f"{top.time_zone!r} is not a time zone such as America/Toronto"
            self.problems.append(Problem("time_zone", reason))
            return None

    def _read_order(self) -> Order | None:
        order = self._read_one("order", OrderKeys)
        if order is None:
            return None
        return Order(order.issuer, order.legal_basis, order.received, order.document_sha256)

    def _read_disconnection(self) -> Disconnection | None:
        if "disconnection" not in self._document:
            return None
        cut = self._read_one("disconnection", DisconnectionKeys)
        return None if cut is None else Disconnection(cut.on, cut.told)

    def _read_last_days(self) -> dict[Capability, date]:
        days = self._read_one("last_days", dict[Capability, date], {}) or {}
        place = self._place_of_table("last_days")
        for capability in sorted(days.keys() - PROTECTED):
            reason = f"{capability} has no last day: only {', '.join(sorted(PROTECTED))} have"
            self.problems.append(Problem(place, reason))
        return days

    def _read_refunds(self) -> dict[ValueKind, RefundPolicy]:
        refunds = self._read_one("refunds", dict[ValueKind, RefundPolicy], {}) or {}
        place = self._place_of_table("refunds")
        for kind in ValueKind:
            if kind not in refunds:
                self.problems.append(Problem(place, f"does not say what is paid back of {kind}"))
        return refunds

    # How a table is read

    def _read_one(self, name: str, kind: type[T], absent: object = None) -> T | None:
        if name not in self._document and absent is None:
            self.problems.append(Problem(name, f"there must be a table [{name}]"))
            return None
        return self._convert(self._place_of_table(name), self._document.get(name, absent), kind)

    def _read_each(self, name: str, keys: type[T], make: Callable[[T], Made]) -> Iterator[Made]:
        tables = self._document.get(name, [])
        if not isinstance(tables, list) or len(tables) > TABLES_MOST:
            self.problems.append(Problem(name, f"must be [[{name}]] tables, at most {TABLES_MOST}"))
            return
        for place, table in zip(self._places(name, len(tables)), tables, strict=True):
            read = self._convert(place, table, keys)
            if read is None:
                continue
            try:
                made = make(read)
            except ValueError as error:
                self.problems.append(Problem(place, str(error)))
                continue
            called = place_of(made)
            self._found.setdefault(called, f"{place} ({called})")
            yield made

    def _convert(self, place: str, value: object, kind: type[T]) -> T | None:
        try:
            return msgspec.convert(value, kind)
        except msgspec.ValidationError as error:
            self.problems.append(Problem(place, str(error)))
            return None

    def _place_of_table(self, name: str) -> str:
        [line] = self._places(name, 1, brackets=r"\[\s*{}\s*\]")
        return f"{line} ([{name}])" if line.startswith("line") else name

    def _places(self, name: str, count: int, brackets: str = r"\[\[\s*{}\s*\]\]") -> list[str]:
        """Lines, unless the tables are written inline, where only their order is known."""
        heading = re.compile(r"\s*" + brackets.format(re.escape(name)))
        lines = [number for number, line in enumerate(self._lines, 1) if heading.match(line)]
        if len(lines) == count:
            return [f"line {number}" for number in lines]
        return [f"{name} {number}" for number in range(1, count + 1)]

    def _check_years(self, value: object, key: str) -> None:
        """A slip of the pen in a year would put a stage where nobody looks for it."""
        if isinstance(value, date) and value.year not in YEARS:
            self.problems.append(Problem(key, f"{value.isoformat()} is not in {YEARS[0]} to {YEARS[-1]}"))
        for name, item in _items_of(value, key):
            self._check_years(item, name)


def _items_of(value: object, key: str) -> Iterable[tuple[str, object]]:
    if isinstance(value, dict):
        return [(f"{key}.{name}".removeprefix("."), item) for name, item in value.items()]
    if isinstance(value, list):
        return [(f"{key} {number}", item) for number, item in enumerate(value, 1)]
    return ()


def _make_stage(keys: StageKeys) -> Stage:
    return Stage(
        keys.name,
        _read_at(keys),
        frozenset(keys.closes),
        frozenset(keys.opens),
        frozenset(keys.voids),
        keys.irreversible,
        keys.by_host,
    )


def _read_at(keys: StageKeys) -> LocalTime:
    if (keys.at is None) is (keys.after is None):
        raise BadTime("has either at, a time of the clock, or after, a day that is over then")
    if keys.after is not None:
        return datetime.combine(keys.after, time()) + timedelta(days=1)
    assert keys.at is not None
    return keys.at


def _make_notice(keys: NoticeKeys) -> Notice:
    return Notice(keys.stage, keys.at, tuple(keys.languages), keys.kind)


def _make_stay(keys: StayKeys) -> Stay:
    return Stay(keys.since, keys.until, frozenset(keys.stages))
