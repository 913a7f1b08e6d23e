"""What happened on a subscriber's lines: texts, calls, data, in one order of time, with every charge explained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from onecard.charging.records import StoredRecord, list_records
from onecard.database.pool import Connection
from onecard.lines.store import CardWithLines
from onecard.messages.model import Direction, Trace
from onecard.messages.store import list_traces
from onecard.values.money import Money
from onecard.values.phone import mask
from onecard.web import store
from onecard.web.selfcare.charges import Reason, reasons_of_record, reasons_of_text
from onecard.web.selfcare.me import Me

ID_MOST = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Activity:
    """One text, call or session of data."""

    at: datetime
    kind: str
    """`text_in`, `text_out`, `text_ours`, `call_out`, `call_in`, `data`: the key of its word."""
    number: str
    """Of the line."""
    far: str
    """Masked, as it was written down."""
    units: int
    price: Money
    allowance_units: int
    why: Sequence[Reason]
    """How the charge came about: one for each rate."""
    trace: Trace | None = None


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where the next page begins: before these ids, of texts and of usage records."""

    text: int = ID_MOST
    record: int = ID_MOST


@dataclass(frozen=True, slots=True)
class ActivityPage:
    """A page of one card, the latest first; `next` is None at the end."""

    rows: list[Activity]
    next: Cursor | None = None


async def list_activity(
    borrowed: Connection, me: Me, *, most: int, card: CardWithLines | None = None, after: Cursor = Cursor()
) -> ActivityPage:
    """The latest of one card, the first where none is given; none where there is no card."""
    card = card or (me.cards[0] if me.cards else None)
    if card is None:
        return ActivityPage([])
    texts = await list_traces(borrowed, me.part, card.card.id, before=after.text, most=most + 1)
    records = await list_records(borrowed, me.part, card.card.id, before=after.record, most=most + 1)
    numbers = await store.list_numbers_of_card(borrowed, me.part, card.card.id)
    found: list[Trace | StoredRecord] = [*texts, *records]
    latest = sorted(found, key=_time, reverse=True)
    shown = latest[:most]
    rows = [
        _of_text(one, card, numbers) if isinstance(one, Trace) else _of_record(one, numbers) for one in shown
    ]
    return ActivityPage(rows, _following(shown, after) if len(latest) > most else None)


def _time(one: Trace | StoredRecord) -> datetime:
    return one.accepted_at if isinstance(one, Trace) else one.ended_at


def _following(shown: Sequence[Trace | StoredRecord], after: Cursor) -> Cursor:
    texts = [one.id for one in shown if isinstance(one, Trace)]
    records = [one.id for one in shown if isinstance(one, StoredRecord)]
    return Cursor(min([*texts, after.text]), min([*records, after.record]))


_KINDS = {
    Direction.TO_CARD: "text_in",
    Direction.FROM_CARD: "text_out",
    Direction.ANSWER: "text_ours",
}


def _of_text(trace: Trace, card: CardWithLines, numbers: Mapping[int, str]) -> Activity:
    return Activity(
        at=trace.accepted_at,
        kind=_KINDS[trace.direction],
        number=numbers[trace.line_id],
        far=trace.far,
        units=trace.segments,
        price=Money(trace.price_micros, card.currency),
        allowance_units=0,
        why=reasons_of_text(trace),
        trace=trace,
    )


def _of_record(record: StoredRecord, numbers: Mapping[int, str]) -> Activity:
    """The number of the line stands masked in the record; its owner may see it whole."""
    whole = next((one for one in numbers.values() if mask(one) == record.msisdn), record.msisdn)
    return Activity(
        at=record.ended_at,
        kind=record.usage.value,
        number=whole,
        far=record.far,
        units=record.units,
        price=Money(record.price_micros, record.currency),
        allowance_units=record.allowance_units,
        why=reasons_of_record(record),
    )
