"""What is done to numbers, applications and lines; each action is one transaction, or part of its caller's.

What counts a card's lines or applications, or changes which there are, holds the card first: so no limit is
passed by two at once, and no two actions wait for each other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from zoneinfo import ZoneInfo

from onecard import audit
from onecard.cards import store as cards
from onecard.cards.model import Card
from onecard.database.pool import Connection
from onecard.lines import store
from onecard.lines.model import (
    Application,
    ApplicationState,
    Line,
    LineLimits,
    LineRefusal,
    Number,
    Usage,
    Verification,
    Window,
)
from onecard.lines.rules import (
    NUMBER_COLUMNS,
    NUMBER_COLUMNS_OPTIONAL,
    decide_application,
    decide_end,
    decide_outcome,
    default_time_zone,
    lowest_free_slot,
    month_of,
    parse_list_entry,
    parse_pool_number,
)
from onecard.subscribers.store import next_id
from onecard.values.gate import NO_ORDER, Capability, Closed, Gates
from onecard.values.phone import E164, Country
from onecard.values.table import parse_rows, read_table, take_rows

NUMBER_ROWS_MOST = 1_000_000
REASON_CARD_ENDED = "card_ended"


# Numbers


async def import_numbers(connection: Connection, at: datetime, *, actor: str, lines: Iterable[str]) -> int:
    """Add the numbers of a CSV file (``msisdn[,country]``) to the pools, all or none; returns how many.

    Raises `BadTable` that names every row that is wrong, or whose number is in a pool already.
    """
    rows = read_table(
        lines, required=NUMBER_COLUMNS, optional=NUMBER_COLUMNS_OPTIONAL, rows_most=NUMBER_ROWS_MOST
    )
    async with connection.transaction():
        count = await take_rows(
            parse_rows(rows, parse_pool_number),
            partial(_insert_numbers, connection, at),
            key=lambda number: number[0],
            taken="is in a pool already, or further up in this file",
        )
        await audit.record(
            connection, at, actor=actor, action="import_numbers", subject="numbers", detail={"count": count}
        )
    return count


async def _insert_numbers(
    connection: Connection, at: datetime, numbers: Sequence[tuple[E164, Country]]
) -> set[E164]:
    return await store.insert_numbers(connection, numbers, at)


async def release_numbers(connection: Connection, at: datetime, *, actor: str) -> int:
    """Free the numbers whose quarantine is over; returns how many. A job calls it daily."""
    async with connection.transaction():
        count = await store.release_quarantined(connection, at)
        if count:
            await audit.record(
                connection,
                at,
                actor=actor,
                action="release_numbers",
                subject="numbers",
                detail={"count": count},
            )
    return count


# Applications


async def apply_for_line(
    connection: Connection,
    at: datetime,
    *,
    actor: str,
    gates: Gates,
    part: int,
    card_id: int,
    country: Country,
    wanted: E164 | None = None,
    limits: LineLimits,
    operator_time_zone: ZoneInfo,
) -> Application | LineRefusal | Closed:
    """Apply for a secondary number, wanted or the next free one; it is kept back until the outcome."""
    if closed := gates.find_closed(Capability.NEW_APPLICATION, Capability.SECONDARY_LINES):
        return closed
    async with connection.transaction():
        card = await cards.lock_card(connection, part, card_id)
        refusal = decide_application(
            card,
            secondaries=sum(
                not line.is_primary for line in await store.list_lines(connection, part, card_id)
            ),
            open_applications=await store.count_open_applications(connection, part, card_id),
            applications_this_month=await store.count_applications(
                connection, part, card_id, *month_of(at, operator_time_zone)
            ),
            limits=limits,
        )
        if refusal:
            return refusal
        number = await store.lock_free_number(connection, country, wanted)
        if number is None:
            return LineRefusal.NUMBER_NOT_FREE if wanted else LineRefusal.NO_NUMBER_FREE
        application = await _apply(connection, at, part, card_id, number, limits)
        await _record(connection, at, actor, "apply_for_line", application)
    return application


async def _apply(
    connection: Connection, at: datetime, part: int, card_id: int, number: Number, limits: LineLimits
) -> Application:
    application = Application(
        part=part,
        id=await next_id(connection),
        card_id=card_id,
        country=number.country,
        msisdn=number.msisdn,
        state=ApplicationState.APPLIED,
        reason=None,
        applied_at=at,
        expires_at=at + timedelta(days=limits.verification_days),
        decided_at=None,
        decided_by=None,
    )
    await store.reserve_number(connection, number.msisdn, part, card_id, application.expires_at)
    await store.insert_application(connection, application)
    return application


async def decide_on_application(
    connection: Connection,
    at: datetime,
    *,
    actor: str,
    gates: Gates,
    part: int,
    application_id: int,
    verification: Verification,
) -> Application | LineRefusal | Closed:
    """Take the outcome of the check, from staff or the home operator: a match makes the line, all else refuses.

    An outcome that comes when the time is over counts as a time-out. What was applied for in time may still be
    decided when nothing new is applied for, but no line is made any more once secondary lines are out of service.
    """
    async with connection.transaction():
        application = await _lock_application(connection, part, application_id)
        if isinstance(application, LineRefusal):
            return application
        outcome = decide_outcome(application, verification, at)
        approved = outcome is Verification.MATCH
        if approved and (closed := gates.find_closed(Capability.SECONDARY_LINES)):
            return closed
        decided = replace(
            application,
            state=ApplicationState.APPROVED if approved else ApplicationState.REFUSED,
            reason=None if approved else outcome.value,
            decided_at=at,
            decided_by=actor,
        )
        await _carry_out(connection, at, decided)
        await _record(connection, at, actor, "decide_on_application", decided)
    return decided


async def _lock_application(
    connection: Connection, part: int, application_id: int
) -> Application | LineRefusal:
    """Take hold of an application by its card, and look at it only then: another may just have decided it."""
    found = await store.find_application(connection, part, application_id)
    if found is None:
        return LineRefusal.UNKNOWN_APPLICATION
    await cards.lock_card(connection, part, found.card_id)
    application = await store.find_application(connection, part, application_id)
    assert application is not None
    undecided = application.state is ApplicationState.APPLIED
    return application if undecided else LineRefusal.ALREADY_DECIDED


async def _carry_out(connection: Connection, at: datetime, decided: Application) -> None:
    await store.update_decision(connection, decided)
    if decided.state is ApplicationState.REFUSED:
        await store.free_number(connection, decided.msisdn)
        return
    slot = lowest_free_slot(await store.list_lines(connection, decided.part, decided.card_id))
    await open_line(
        connection,
        at,
        part=decided.part,
        card_id=decided.card_id,
        slot=slot,
        msisdn=decided.msisdn,
        country=decided.country,
    )
    await cards.record_change(connection, decided.card_id, at)


async def refuse_expired_applications(
    connection: Connection, at: datetime, *, actor: str, most: int = 100
) -> int:
    """Refuse applications to which no outcome came in time; returns how many. A job calls it until it is 0."""
    expired = await store.list_expired_applications(connection, at, most=most)
    for application in expired:
        await decide_on_application(
            connection,
            at,
            actor=actor,
            gates=NO_ORDER,  # no gate stands before a refusal
            part=application.part,
            application_id=application.id,
            verification=Verification.TIME_OUT,
        )
    return len(expired)


async def refuse_applications_of_ended_card(
    connection: Connection, at: datetime, *, actor: str, card: Card
) -> None:
    """Refuse what a card that ends still applied for. The caller holds the card."""
    for application in await store.list_applications_of_card(connection, card.part, card.id):
        if application.state is ApplicationState.APPLIED:
            refused = replace(
                application,
                state=ApplicationState.REFUSED,
                reason=REASON_CARD_ENDED,
                decided_at=at,
                decided_by=actor,
            )
            await _carry_out(connection, at, refused)
            await _record(connection, at, actor, "decide_on_application", refused)


async def _record(
    connection: Connection, at: datetime, actor: str, action: str, application: Application
) -> None:
    detail = {"card": application.card_id, "state": application.state.value, "reason": application.reason}
    subject = f"application:{application.id}"
    await audit.record(connection, at, actor=actor, action=action, subject=subject, detail=detail)


# A number's place on a card


async def open_line(
    connection: Connection,
    at: datetime,
    *,
    part: int,
    card_id: int,
    slot: int,
    msisdn: E164,
    country: Country,
) -> Line:
    """Put a number that the caller holds on a card that the caller holds."""
    line = Line(
        part=part,
        id=await next_id(connection),
        card_id=card_id,
        slot=slot,
        msisdn=msisdn,
        country=country,
        time_zone=default_time_zone(msisdn),
    )
    await store.assign_number(connection, msisdn, part, card_id)
    await store.insert_line(connection, line, at)
    return line


async def close_line(connection: Connection, at: datetime, line: Line, limits: LineLimits) -> None:
    """Take a number off its card, for quarantine. The caller holds the card."""
    await store.quarantine_number(connection, line.msisdn, at + timedelta(days=limits.quarantine_days))
    await store.end_line(connection, line.part, line.id, at)


async def hold_for_port(connection: Connection, at: datetime, line: Line) -> None:
    """A line is being taken to another operator: it serves on, and cannot end. The caller holds the card."""
    await store.mark_porting(connection, line.part, line.id, at)
    await cards.record_change(connection, line.card_id, at)


async def keep_after_port(connection: Connection, at: datetime, line: Line) -> None:
    """A line stays after all. The caller holds the card."""
    await store.mark_porting(connection, line.part, line.id, None)
    await cards.record_change(connection, line.card_id, at)


async def port_line(connection: Connection, at: datetime, line: Line, gaining: str) -> None:
    """A line ends, since its number is another operator's now. The caller holds the card."""
    await store.port_number(connection, line.msisdn, gaining, at)
    await store.end_line(connection, line.part, line.id, at)
    await cards.record_change(connection, line.card_id, at)


async def ask_to_end_line(
    connection: Connection, at: datetime, *, actor: str, part: int, line_id: int, limits: LineLimits
) -> Line | LineRefusal:
    """Ask for the end of a secondary line, which must then be confirmed: it cannot be undone."""

    def ask(line: Line) -> Line | LineRefusal:
        if line.is_primary:
            return LineRefusal.PRIMARY_LINE
        if line.porting_since is not None:
            return LineRefusal.PORTING
        return replace(line, ending_until=at + timedelta(minutes=limits.ending_minutes))

    return await _change(connection, at, actor, "ask_to_end_line", part, line_id, ask)


async def keep_line(
    connection: Connection, at: datetime, *, actor: str, part: int, line_id: int
) -> Line | LineRefusal:
    """Keep a line after all whose end was asked for and not confirmed yet."""

    def keep(line: Line) -> Line:
        return replace(line, ending_until=None)

    return await _change(connection, at, actor, "keep_line", part, line_id, keep)


async def confirm_end_of_line(
    connection: Connection, at: datetime, *, actor: str, part: int, line_id: int, limits: LineLimits
) -> Line | LineRefusal:
    """End a line whose end was asked for; its number goes to quarantine."""
    async with connection.transaction():
        found = await store.find_line(connection, part, line_id)
        if found is None:
            return LineRefusal.UNKNOWN_LINE
        await cards.lock_card(connection, part, found.card_id)
        line = await store.lock_line(connection, part, line_id)
        if line is None:
            return LineRefusal.UNKNOWN_LINE
        refusal = decide_end(line, at)
        if refusal:
            return refusal
        await close_line(connection, at, line, limits)
        await _record_line(connection, at, actor, "confirm_end_of_line", line)
    return line


# What a subscriber sets for a line


async def switch_line(
    connection: Connection, at: datetime, *, actor: str, part: int, line_id: int, on: bool
) -> Line | LineRefusal:
    """Switch a line on or off."""

    def switch(line: Line) -> Line:
        return replace(line, switched_on=on)

    return await _change(connection, at, actor, "switch_on" if on else "switch_off", part, line_id, switch)


async def bar_line(
    connection: Connection,
    at: datetime,
    *,
    actor: str,
    part: int,
    line_id: int,
    usage: Usage,
    barred: bool,
) -> Line | LineRefusal:
    """Bar incoming texts or calls, or let them in again."""

    def bar(line: Line) -> Line:
        if usage is Usage.TEXTS:
            return replace(line, bar_texts_in=barred)
        return replace(line, bar_calls_in=barred)

    action = f"{'bar' if barred else 'unbar'}_{usage.value}_in"
    return await _change(connection, at, actor, action, part, line_id, bar)


async def set_schedule(
    connection: Connection,
    at: datetime,
    *,
    actor: str,
    part: int,
    line_id: int,
    schedule: tuple[Window, ...],
) -> Line | LineRefusal:
    """Set the windows in which the line takes texts and calls; none is always."""

    def put(line: Line) -> Line:
        return replace(line, schedule=schedule)

    return await _change(connection, at, actor, "set_schedule", part, line_id, put)


async def block_sender(
    connection: Connection,
    at: datetime,
    *,
    actor: str,
    part: int,
    line_id: int,
    entry: str,
    limits: LineLimits,
) -> Line | LineRefusal:
    """Put an entry on the block list; raises `BadListEntry`."""

    def block(line: Line) -> Line | LineRefusal:
        entries = _with_entry(line.blocked, parse_list_entry(entry, line.country), limits)
        return entries if isinstance(entries, LineRefusal) else replace(line, blocked=entries)

    return await _change(connection, at, actor, "block_sender", part, line_id, block)


async def unblock_sender(
    connection: Connection, at: datetime, *, actor: str, part: int, line_id: int, entry: str
) -> Line | LineRefusal:
    """Take an entry off the block list; raises `BadListEntry`."""

    def unblock(line: Line) -> Line:
        return replace(line, blocked=_without_entry(line.blocked, parse_list_entry(entry, line.country)))

    return await _change(connection, at, actor, "unblock_sender", part, line_id, unblock)


async def allow_sender(
    connection: Connection,
    at: datetime,
    *,
    actor: str,
    part: int,
    line_id: int,
    entry: str,
    limits: LineLimits,
) -> Line | LineRefusal:
    """Put an entry on the allow list: from then on nobody else gets through; raises `BadListEntry`."""

    def allow(line: Line) -> Line | LineRefusal:
        entries = _with_entry(line.allowed, parse_list_entry(entry, line.country), limits)
        return entries if isinstance(entries, LineRefusal) else replace(line, allowed=entries)

    return await _change(connection, at, actor, "allow_sender", part, line_id, allow)


async def disallow_sender(
    connection: Connection, at: datetime, *, actor: str, part: int, line_id: int, entry: str
) -> Line | LineRefusal:
    """Take an entry off the allow list; raises `BadListEntry`."""

    def disallow(line: Line) -> Line:
        return replace(line, allowed=_without_entry(line.allowed, parse_list_entry(entry, line.country)))

    return await _change(connection, at, actor, "disallow_sender", part, line_id, disallow)


def _with_entry(entries: tuple[str, ...], entry: str, limits: LineLimits) -> tuple[str, ...] | LineRefusal:
    if entry in entries:
        return entries
    return LineRefusal.LIST_FULL if len(entries) >= limits.list_entries_most else (*entries, entry)


def _without_entry(entries: tuple[str, ...], entry: str) -> tuple[str, ...]:
    return tuple(other for other in entries if other != entry)


async def _change(
    connection: Connection,
    at: datetime,
    actor: str,
    action: str,
    part: int,
    line_id: int,
    change: Callable[[Line], Line | LineRefusal],
) -> Line | LineRefusal:
    """Change what is set for an active line; what changes nothing is not written down."""
    async with connection.transaction():
        line = await store.lock_line(connection, part, line_id)
        if line is None:
            return LineRefusal.UNKNOWN_LINE
        changed = change(line)
        if isinstance(changed, LineRefusal) or changed == line:
            return changed
        await store.update_line(connection, changed)
        await _record_line(connection, at, actor, action, changed)
    return changed


async def _record_line(connection: Connection, at: datetime, actor: str, action: str, line: Line) -> None:
    detail = {"card": line.card_id, "slot": line.slot}
    await audit.record(connection, at, actor=actor, action=action, subject=f"line:{line.id}", detail=detail)
    await cards.record_change(connection, line.card_id, at)
