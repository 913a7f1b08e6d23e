"""A subscriber who is signed in, in a browser that runs no scripts."""

from __future__ import annotations

from pathlib import Path

import httpx

from onecard.cards.model import Card
from onecard.database.pool import Database, connection
from onecard.lines.store import list_lines
from onecard.winddown.reading import read_plan
from web.pages import Phone, post

CMLINK = read_plan(
    (Path(__file__).parents[2] / "plans" / "cmlink-canada-2021.toml").read_text(encoding="utf-8")
)
"""A plan whose dates are in the past of all these tests."""


class Self:
    """A subscriber who is signed in."""

    def __init__(self, browser: httpx.AsyncClient, database: Database, card: Card, phone: Phone) -> None:
        self.browser, self.database, self.card, self.phone = browser, database, card, phone

    async def read(self, path: str) -> str:
        page = await self.browser.get(path)
        assert page.status_code == 200, (path, page.status_code, page.headers)
        return page.text

    async def send(self, path: str, **fields: str) -> str:
        """Send a form, and read the page it leads to."""
        answer = await post(self.browser, path, **fields)
        assert answer.status_code == 303, (path, answer.status_code, answer.text)
        return await self.read(answer.headers["location"])

    async def line(self, slot: int) -> int:
        async with connection(self.database.pool) as borrowed:
            lines = await list_lines(borrowed, self.card.part, self.card.id)
        return next(line.id for line in lines if line.slot == slot)
