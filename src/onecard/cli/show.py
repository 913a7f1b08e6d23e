"""Write answers: tables and sentences for people, one JSON document for programs."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from enum import Enum
from typing import Any

import msgspec
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from onecard.cli.failures import Failure
from onecard.values.money import Money, format_micros

Document = Mapping[str, Any]
GAP = 2
"""Spaces between columns."""


@dataclass(frozen=True, slots=True)
class Table:
    """Rows for people: the columns named, of documents that may have more."""

    columns: Sequence[str]
    rows: Sequence[Document]
    empty: str = "none"
    is_headless: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command has to say: `document` for programs, `parts` for people, in this order."""

    document: Document
    parts: Sequence[str | Table]
    zone: tzinfo = UTC
    hint: str | None = None
    """How to go on, for people: on stderr, so that what is piped holds the answer only."""
    is_good: bool = True
    """False makes the exit code 1."""


def show(answer: Answer, *, as_json: bool) -> None:
    """Write an answer to stdout."""
    if as_json:
        write_json(_plain(answer.document, answer.zone))
        return
    for part in answer.parts:
        if isinstance(part, Table):
            _show_table(part, answer.zone)
        else:
            sys.stdout.write(f"{part}\n")
    if answer.hint:
        sys.stdout.flush()
        sys.stderr.write(f"{answer.hint}\n")


def show_failure(failure: Failure, *, as_json: bool) -> None:
    """Write what went wrong to stderr, and for programs the code to stdout."""
    if as_json:
        write_json({"error": failure.code, "message": failure.sentence})
    sys.stderr.write(f"onecard: {failure.sentence}\n")


def write_json(document: Any) -> None:
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(document), indent=2).decode() + "\n")


def _plain(value: Any, zone: tzinfo) -> Any:
    """A document with nothing in it that JSON does not know."""
    if isinstance(value, Mapping):
        return {key: _plain(item, zone) for key, item in value.items()}
    if isinstance(value, datetime):
        return value.astimezone(zone).isoformat()
    if isinstance(value, Money):
        return {"amount": format_micros(value.micros), "currency": value.currency}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, list | tuple):
        return [_plain(item, zone) for item in value]
    return value


def say_time(instant: datetime, zone: tzinfo) -> str:
    """An instant as the operator's clock shows it, with its offset from UTC."""
    return instant.astimezone(zone).isoformat(" ", "seconds")


def _cell(value: Any, zone: tzinfo) -> str:
    if value is None or value == "":
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return say_time(value, zone)
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, list | tuple):
        return ", ".join(_cell(item, zone) for item in value) or "-"
    return str(value)


def _show_table(table: Table, zone: tzinfo) -> None:
    if not table.rows:
        sys.stdout.write(f"{table.empty}\n")
        return
    titles = ["" if table.is_headless else column.replace("_", " ") for column in table.columns]
    rows = [[_cell(row[column], zone) for column in table.columns] for row in table.rows]
    right = [all(_is_quantity(row[column]) for row in table.rows) for column in table.columns]
    widths = [max(map(cell_len, column)) for column in zip(titles, *rows, strict=True)]
    console = Console(highlight=False)
    if sys.stdout.isatty() and sum(widths) + GAP * len(widths) <= console.width:
        console.print(_draw(titles, rows, right))
    else:
        _show_aligned(rows if table.is_headless else [titles, *rows], widths, right)


def _is_quantity(value: Any) -> bool:
    return isinstance(value, int | Money | None) and not isinstance(value, bool)


def _draw(titles: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[bool]) -> RichTable:
    drawn = RichTable(box=None, padding=(0, GAP, 0, 0), header_style="bold", show_header=any(titles))
    for title, is_right in zip(titles, right, strict=True):
        drawn.add_column(title, justify="right" if is_right else "left", no_wrap=True)
    for row in rows:
        drawn.add_row(*map(Text, row))
    return drawn


def _show_aligned(rows: Sequence[Sequence[str]], widths: Sequence[int], right: Sequence[bool]) -> None:
    """Columns of one width each and no line broken: for files, other programs, and terminals too narrow."""
    for row in rows:
        cells = (_pad(*cell) for cell in zip(row, widths, right, strict=True))
        sys.stdout.write((" " * GAP).join(cells).rstrip() + "\n")


def _pad(cell: str, width: int, is_right: bool) -> str:
    space = " " * (width - cell_len(cell))
    return space + cell if is_right else cell + space
