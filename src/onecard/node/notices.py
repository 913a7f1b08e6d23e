"""Tell subscribers what waits for them in the outbox of notices: by text, in their language."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from onecard.catalogue.model import UsageKind
from onecard.charging.notices import Notice, NoticeKind, claim_notices, close_notice
from onecard.database.pool import Pool, connection
from onecard.lines.store import find_card_with_lines_by_id
from onecard.messages.commands import write_amount
from onecard.messages.phrases import Phrase, say
from onecard.switching.model import CardEntry, TextRefusal
from onecard.values.clock import Clock
from onecard.values.language import Language
from onecard.values.money import Currency, Money

Tell = Callable[[CardEntry, str], Awaitable[int | TextRefusal]]

PHRASES = {
    NoticeKind.LOW_BALANCE: Phrase.LOW_BALANCE,
    NoticeKind.ALLOWANCE_USED: Phrase.ALLOWANCE_USED,
    NoticeKind.ALLOWANCE_USED_UP: Phrase.ALLOWANCE_USED_UP,
    NoticeKind.ALLOWANCE_EXPIRES: Phrase.ALLOWANCE_EXPIRES,
    NoticeKind.PLAN_RENEWS: Phrase.PLAN_RENEWS,
    NoticeKind.PLAN_RENEWED: Phrase.PLAN_RENEWED,
    NoticeKind.PLAN_RENEWED_FREE: Phrase.PLAN_RENEWED_FREE,
    NoticeKind.PLAN_NOT_RENEWED: Phrase.PLAN_NOT_RENEWED,
    NoticeKind.PLAN_ENDED: Phrase.PLAN_ENDED,
    NoticeKind.PAYEE_CHANGED: Phrase.PAYEE_CHANGED,
    NoticeKind.PLAN_STOPPED: Phrase.PLAN_STOPPED,
}
PHRASES_WITHOUT_OVERAGE = {
    NoticeKind.ALLOWANCE_USED: Phrase.ALLOWANCE_USED_TO_END,
    NoticeKind.ALLOWANCE_USED_UP: Phrase.ALLOWANCE_ENDED,
}
"""Where cash does not pay when the allowance is used up."""
UNITS = {
    UsageKind.TEXT: (Phrase.UNITS_TEXT, 1),
    UsageKind.CALL_OUT: (Phrase.UNITS_CALL, 60),
    UsageKind.CALL_IN: (Phrase.UNITS_CALL, 60),
    UsageKind.DATA: (Phrase.UNITS_DATA, 1_000_000),
}
"""What units are called, and how many make one that people count in."""


class NoticeTeller:
    """Empties the outbox. Every node has one; each notice is told by one of them."""

    def __init__(self, pool: Pool, parts: Sequence[int], tell: Tell, clock: Clock, zone: ZoneInfo) -> None:
        self._pool = pool
        self._parts = tuple(parts)
        self._tell = tell
        self._clock = clock
        self._zone = zone

    async def tell_due(self) -> int:
        """Tell what is due; returns how many notices were told. One that cannot be sent now is due again soon."""
        told = 0
        for part in self._parts:
            async with connection(self._pool) as borrowed:
                notices = await claim_notices(borrowed, part, self._clock.now())
            for notice in notices:
                told += await self._tell_one(notice)
        return told

    async def _tell_one(self, notice: Notice) -> bool:
        async with connection(self._pool) as borrowed:
            found = await find_card_with_lines_by_id(borrowed, notice.part, notice.card_id)
        if found is None or not found.lines:  # the card has ended
            await self._close(notice, told=False)
            return False
        entry = CardEntry(*found)
        if isinstance(await self._tell(entry, word(notice, entry.language, self._zone)), TextRefusal):
            return False
        await self._close(notice, told=True)
        return True

    async def _close(self, notice: Notice, *, told: bool) -> None:
        async with connection(self._pool) as borrowed:
            await close_notice(borrowed, notice, self._clock.now(), told=told)


def word(notice: Notice, language: Language, zone: ZoneInfo) -> str:
    """A notice in the words of a language."""
    phrases = PHRASES if notice.parameters.get("overage", True) else PHRASES | PHRASES_WITHOUT_OVERAGE
    return say(phrases[notice.kind], language, **_values(notice, language, zone))


def _values(notice: Notice, language: Language, zone: ZoneInfo) -> dict[str, str]:
    said = notice.parameters
    values: dict[str, str] = {name: said[name] for name in ("plan", "day") if name in said}
    if "micros" in said:
        values["amount"] = write_amount(Money(said["micros"], Currency(said["currency"])), language)
    for name in ("left", "granted"):
        if name in said:
            values[name] = write_units(UsageKind(said["usage"]), said[name], language)
    if "expires_at" in said:
        values["day"] = datetime.fromisoformat(said["expires_at"]).astimezone(zone).date().isoformat()
    return values


def write_units(usage: UsageKind, units: int, language: Language) -> str:
    """Units as people count them: whole minutes and megabytes, rounded down."""
    phrase, size = UNITS[usage]
    return say(phrase, language, count=units // size)
