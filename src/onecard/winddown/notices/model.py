"""A notice from the moment it is made until everybody was told, or is named as not told."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sender:
    """Who speaks, as subscribers know them."""

    name: str
    page: str | None = None
    """The address of the public statement."""
    phone: str | None = None
    """Of customer care, as people dial it."""
