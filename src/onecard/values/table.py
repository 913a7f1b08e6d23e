"""Read tables that people prepare by hand (CSV, RFC 4180), and name every fault of one at once."""

from __future__ import annotations

import csv
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

T = TypeVar("T")
K = TypeVar("K")

FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What begins with one of these a spreadsheet runs, whoever wrote it."""
CHUNK_SIZE = 2000
PROBLEMS_MOST = 1000
"""After so many faults the file is not read further."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One fault of a table, and where it is: ``line 7``."""

    place: str
    reason: str

    def __str__(self) -> str:
        return f"{self.place}: {self.reason}"


class BadTable(ValueError):
    """A table that was not taken; `problems` names every fault."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        assert problems
        self.problems = tuple(problems)
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        super().__init__(f"{problems[0]}{more}")


@dataclass(frozen=True, slots=True)
class Row:
    """A row's cells by column, stripped; an optional column that is absent reads as empty."""

    line: int
    cells: Mapping[str, str]


def read_table(
    lines: Iterable[str], *, required: Sequence[str], optional: Sequence[str] = (), rows_most: int
) -> Iterator[Row | Problem]:
    """Read the rows below a header one by one; raises `BadTable` when the rest cannot be read at all."""
    reader = csv.reader(_without_mark(lines), strict=True)
    try:
        columns = _read_header(next(reader, []), required, optional)
        for count, cells in enumerate((cells for cells in reader if cells), 1):
            if count > rows_most:
                raise BadTable([Problem(f"line {reader.line_num}", f"there are more than {rows_most} rows")])
            yield _read_row(reader.line_num, columns, cells, optional)
    except (csv.Error, UnicodeDecodeError) as error:
        raise BadTable([Problem(f"line {reader.line_num + 1}", f"cannot be read: {error}")]) from None


def parse_rows(
    rows: Iterable[Row | Problem], parse: Callable[[Mapping[str, str]], T]
) -> Iterator[tuple[str, T] | Problem]:
    """Turn rows into (place, value); a ValueError of `parse` becomes the row's problem."""
    for row in rows:
        if isinstance(row, Problem):
            yield row
            continue
        place = f"line {row.line}"
        try:
            yield place, parse(row.cells)
        except ValueError as error:
            yield Problem(place, str(error))


def _in_chunks(rows: Iterable[T], size: int) -> Iterator[list[T]]:
    """Cut into lists of at most `size`."""
    iterator = iter(rows)
    while chunk := list(islice(iterator, size)):
        yield chunk


def _without_mark(lines: Iterable[str]) -> Iterator[str]:
    """Spreadsheets put a byte order mark first."""
    for number, line in enumerate(lines):
        yield line if number else line.removeprefix("\ufeff")


def _read_header(cells: Sequence[str], required: Sequence[str], optional: Sequence[str]) -> list[str]:
    columns = [cell.strip().lower() for cell in cells]
    missing = [column for column in required if column not in columns]
    unknown = [column for column in columns if column not in (*required, *optional)]
    if missing or unknown or len(set(columns)) < len(columns):
        wanted = ",".join(required) + "".join(f"[,{column}]" for column in optional)
        raise BadTable([Problem("line 1", f"the header must be {wanted}, not {','.join(columns)!r}")])
    return columns


def _read_row(
    line: int, columns: Sequence[str], cells: Sequence[str], optional: Sequence[str]
) -> Row | Problem:
    if len(cells) != len(columns):
        return Problem(f"line {line}", f"has {len(cells)} cells where the header has {len(columns)}")
    absent = dict.fromkeys(optional, "")
    return Row(line, absent | dict(zip(columns, (cell.strip() for cell in cells), strict=True)))


async def take_rows(
    rows: Iterable[tuple[str, T] | Problem],
    insert: Callable[[Sequence[T]], Awaitable[set[K]]],
    *,
    key: Callable[[T], K],
    taken: str,
) -> int:
    """Insert all values a chunk at a time, and return how many; or raise `BadTable` so that none stays.

    `insert` answers with the keys it added; for the others the problem is `taken`. To be called in a
    transaction.
    """
    count = 0
    problems: list[Problem] = []
    for chunk in _in_chunks(rows, CHUNK_SIZE):
        good = [row for row in chunk if not isinstance(row, Problem)]
        problems += [row for row in chunk if isinstance(row, Problem)]
        added = await insert([value for _, value in good])
        count += len(added)
        for place, value in good:
            if key(value) not in added:
                problems.append(Problem(place, f"{key(value)} {taken}"))
            added.discard(key(value))  # a second row of this chunk with the same key was not added
        if len(problems) >= PROBLEMS_MOST:
            break
    if problems:
        raise BadTable(sorted(problems, key=_line_of)[:PROBLEMS_MOST])
    return count


def _line_of(problem: Problem) -> int:
    return int(problem.place.removeprefix("line "))
