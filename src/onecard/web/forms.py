"""Read what a form sends: bounded text, and a word for each field that cannot be used."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from litestar.datastructures import FormMultiDict
from litestar.exceptions import ClientException

T = TypeVar("T")

FIELDS_MOST = 200
TEXT_LENGTH_MOST = 2000


class Form:
    """The fields of one form. Reading one that cannot be used notes the key of a word in `errors`."""

    def __init__(self, fields: FormMultiDict) -> None:
        if len(fields) > FIELDS_MOST:
            raise ClientException("too many fields")
        self._fields = fields
        self.errors: dict[str, str] = {}

    def text(self, name: str, *, most: int = TEXT_LENGTH_MOST, required: bool = True) -> str:
        """A field without the space around it; empty where it is missing or cannot be used, which is an error."""
        value = self._fields.get(name, "")
        text = value.strip() if isinstance(value, str) else ""
        if len(text) > most:
            self.errors[name] = "form.too_long"
            return ""
        if "\0" in text:  # no key types it, and no database keeps it
            self.errors[name] = "form.wrong"
            return ""
        if required and not text:
            self.errors[name] = "form.missing"
        return text

    def texts(self, name: str, *, most: int = TEXT_LENGTH_MOST) -> list[str]:
        """All values of a field that comes several times."""
        return [value.strip() for value in self._fields.getall(name, []) if _is_text(value, most)]

    def has(self, name: str) -> bool:
        """Whether a box is ticked, or a button was pressed."""
        return name in self._fields

    def read(
        self,
        name: str,
        parse: Callable[[str], T],
        refused: type[Exception] | tuple[type[Exception], ...],
        word: str,
    ) -> T | None:
        """A field through a parser; None, and the word noted, where that raises one of `refused`."""
        text = self.text(name)
        if name in self.errors:
            return None
        try:
            return parse(text)
        except refused:
            self.errors[name] = word
            return None

    @property
    def is_good(self) -> bool:
        return not self.errors


def _is_text(value: object, most: int) -> bool:
    return isinstance(value, str) and len(value) <= most and "\0" not in value
