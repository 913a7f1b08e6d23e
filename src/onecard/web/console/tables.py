"""Tables that are paged by key: a page is read from where the last one ended, however many rows lie before it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar
from urllib.parse import urlencode

from onecard.web.visit import AnyRequest

T = TypeVar("T")

ROWS_A_PAGE = 50
QUERY_LENGTH_MOST = 200
ID_HIGHEST = 2**63 - 1
BETWEEN = "|"
"""Stands between a value and a key. No key has it."""


@dataclass(frozen=True, slots=True)
class Start:
    """The row after which a page of a sorted table begins: its value in the column, and its key."""

    value: Any
    key: Any


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked of a table: from where on, in which order, and the filters, as the address has them."""

    path: str
    after: str | None
    is_descending: bool
    filters: Mapping[str, str]
    sort: str = ""
    """By which column the table goes; empty: by its key."""

    @property
    def from_id(self) -> int:
        """Where to go on from, of a table by id; of the first page, before all of them."""
        if self.after is not None and self.after.isascii() and self.after.isdigit():
            return min(int(self.after), ID_HIGHEST)
        return ID_HIGHEST if self.is_descending else 0

    def start(self, read_value: Callable[[str], Any], read_key: Callable[[str], Any]) -> Start | None:
        """The row to go on after, of a table that goes by a column; None: from the beginning."""
        value, between, key = (self.after or "").rpartition(BETWEEN)
        try:
            return Start(read_value(value), read_key(key)) if between else None
        except (ValueError, OverflowError):
            return None

    def by_key(self) -> Wish:
        """The same, for rows that have no order but by their key."""
        return replace(self, sort="", after=None) if self.sort else self

    def link(
        self, *, after: str | None = None, is_descending: bool | None = None, sort: str | None = None
    ) -> str:
        """The address of another page of the same table."""
        descending = self.is_descending if is_descending is None else is_descending
        column = self.sort if sort is None else sort
        query = {name: value for name, value in self.filters.items() if value}
        query |= {"sort": column} if column else {}
        query |= {"order": "down" if descending else "up"} | ({"after": after} if after else {})
        return f"{self.path}?{urlencode(query)}"


def read_wish(
    request: AnyRequest, *filters: str, is_descending: bool = True, sorts: Collection[str] = ()
) -> Wish:
    """Read the query of an address; what is too long is left out. `sorts` are the columns it can go by."""

    def read(name: str) -> str:
        value = request.query_params.get(name, "").strip()
        return value if len(value) <= QUERY_LENGTH_MOST and value.isprintable() else ""

    order = read("order")
    return Wish(
        request.url.path,
        read("after") or None,
        {"up": False, "down": True}.get(order, is_descending),
        {name: read(name) for name in filters},
        column if (column := read("sort")) in sorts else "",
    )


@dataclass(frozen=True, slots=True)
class Rows(Generic[T]):
    """One page of a table."""

    wish: Wish
    rows: Sequence[T]
    next: str | None
    """The address of the next page; None: this is the last."""

    def by(self, sort: str) -> str:
        """The address of the same table by a column, from its beginning: turned round, if it goes by it already."""
        is_descending = sort == self.wish.sort and not self.wish.is_descending
        return self.wish.link(sort=sort, is_descending=is_descending)

    @property
    def first(self) -> str | None:
        """The address of the first page; None: this is it."""
        return self.wish.link() if self.wish.after else None


def read_number(text: str) -> int:
    """An id or an amount out of an address; raises ValueError."""
    number = int(text)
    if not 0 <= number <= ID_HIGHEST:
        raise ValueError(text)
    return number


def read_instant(text: str) -> datetime:
    """An instant with its offset out of an address; raises ValueError, OverflowError."""
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        raise ValueError(text)
    return instant.astimezone(UTC)


def join_key(value: object, key: object) -> str:
    """The place of a row in a table that goes by a column, as `Wish.start` reads it."""
    return f"{value.isoformat() if isinstance(value, datetime) else value}{BETWEEN}{key}"


def cut(wish: Wish, found: Sequence[T], key_of: Callable[[T], Any]) -> Rows[T]:
    """A page of what was found, which is one row more than a page where there is more."""
    rows = found[:ROWS_A_PAGE]
    more = wish.link(after=str(key_of(rows[-1]))) if len(found) > ROWS_A_PAGE else None
    return Rows(wish, rows, more)


def order_by(sql: str, *, is_descending: bool) -> str:
    """Fill in which way a statement goes: ``{beyond}`` compares with where to go on from, ``{way}`` sorts."""
    return sql.format(beyond="<" if is_descending else ">", way="DESC" if is_descending else "ASC")


def sort_by(select: str, column: str, key: str, *, is_descending: bool, has_start: bool) -> str:
    """A page of a table by a column, whose index has the key behind it.

    ``$1``: how many rows; ``$2`` and ``$3``, where it has a start: the value and the key to go on after.
    """
    after = f" WHERE ({column}, {key}) {{beyond}} ($2, $3)" if has_start else ""
    sql = f"{select}{after} ORDER BY {column} {{way}}, {key} {{way}} LIMIT $1"
    return order_by(sql, is_descending=is_descending)
