"""Tables that are paged by key: a page is read from where the last one ended, however many rows lie before it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from urllib.parse import urlencode

from onecard.web.visit import AnyRequest

T = TypeVar("T")

ROWS_A_PAGE = 50
QUERY_LENGTH_MOST = 200
ID_HIGHEST = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked of a table: from where on, in which order, and the filters, as the address has them."""

    path: str
    after: str | None
    is_descending: bool
    filters: Mapping[str, str]

    @property
    def from_id(self) -> int:
        """Where to go on from, of a table by id; of the first page, before all of them."""
        if self.after is not None and self.after.isascii() and self.after.isdigit():
            return min(int(self.after), ID_HIGHEST)
        return ID_HIGHEST if self.is_descending else 0

    def link(self, *, after: str | None = None, is_descending: bool | None = None) -> str:
        """The address of another page of the same table."""
        descending = self.is_descending if is_descending is None else is_descending
        query = {name: value for name, value in self.filters.items() if value}
        query |= {"order": "down" if descending else "up"} | ({"after": after} if after else {})
        return f"{self.path}?{urlencode(query)}"


def read_wish(request: AnyRequest, *filters: str, is_descending: bool = True) -> Wish:
    """Read the query of an address; what is too long is left out."""

    def read(name: str) -> str:
        value = request.query_params.get(name, "").strip()
        return value if len(value) <= QUERY_LENGTH_MOST and value.isprintable() else ""

    order = read("order")
    return Wish(
        request.url.path,
        read("after") or None,
        {"up": False, "down": True}.get(order, is_descending),
        {name: read(name) for name in filters},
    )


@dataclass(frozen=True, slots=True)
class Rows(Generic[T]):
    """One page of a table."""

    wish: Wish
    rows: Sequence[T]
    next: str | None
    """The address of the next page; None: this is the last."""

    @property
    def turn(self) -> str:
        """The address of the same table in the other order, from its beginning."""
        return self.wish.link(is_descending=not self.wish.is_descending)

    @property
    def first(self) -> str | None:
        """The address of the first page; None: this is it."""
        return self.wish.link() if self.wish.after else None


def cut(wish: Wish, found: Sequence[T], key_of: Callable[[T], Any]) -> Rows[T]:
    """A page of what was found, which is one row more than a page where there is more."""
    rows = found[:ROWS_A_PAGE]
    more = wish.link(after=str(key_of(rows[-1]))) if len(found) > ROWS_A_PAGE else None
    return Rows(wish, rows, more)


def order_by(sql: str, *, is_descending: bool) -> str:
    """Fill in which way a statement goes: ``{beyond}`` compares with where to go on from, ``{way}`` sorts."""
    return sql.format(beyond="<" if is_descending else ">", way="DESC" if is_descending else "ASC")
