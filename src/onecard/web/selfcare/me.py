"""The subscriber who is signed in, with their cards and lines."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from litestar.di import NamedDependency
from litestar.exceptions import NotFoundException
from litestar.params import SkipValidation

from onecard.cards.model import CardState
from onecard.cards.store import list_cards_of_subscriber
from onecard.database.pool import connection
from onecard.lines.model import Line
from onecard.lines.store import CardWithLines, find_card_with_lines_by_id
from onecard.subscribers.model import Subscriber
from onecard.web.given import GivenSite, GivenVisit
from onecard.web.sessions import Session


class SignInNeeded(Exception):
    """The page is of somebody who is signed in."""


@dataclass(frozen=True, slots=True)
class Me:
    """Who is signed in. Whatever a page shows or changes is looked for in here, so that it is theirs."""

    session: Session
    subscriber: Subscriber
    cards: tuple[CardWithLines, ...]
    """Those that have not ended."""

    @property
    def part(self) -> int:
        return self.subscriber.part

    @property
    def actor(self) -> str:
        return self.session.actor

    @property
    def lines(self) -> Iterator[Line]:
        for card in self.cards:
            yield from card.lines

    def line(self, line_id: int) -> tuple[CardWithLines, Line]:
        """A line of theirs and its card; raises NotFoundException."""
        for card in self.cards:
            for line in card.lines:
                if line.id == line_id:
                    return card, line
        raise NotFoundException

    def card(self, card_id: int) -> CardWithLines:
        """A card of theirs; raises NotFoundException."""
        for card in self.cards:
            if card.card.id == card_id:
                return card
        raise NotFoundException


async def find_me(site: GivenSite, visit: GivenVisit) -> Me:
    """Who is signed in; raises SignInNeeded."""
    if visit.session is None or visit.subscriber is None:
        raise SignInNeeded
    subscriber = visit.subscriber
    async with connection(site.pool) as borrowed:
        cards = [
            await find_card_with_lines_by_id(borrowed, card.part, card.id)
            for card in await list_cards_of_subscriber(borrowed, subscriber.part, subscriber.id)
            if card.state is not CardState.ENDED
        ]
    return Me(visit.session, subscriber, tuple(card for card in cards if card and card.lines))


GivenMe: TypeAlias = NamedDependency[SkipValidation[Me]]
