"""The rows of notices: what was made, who is to be told, and every attempt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import asyncpg

from onecard.database.pool import Connection
from onecard.values.language import Language
from onecard.winddown.model import NoticeKind
from onecard.winddown.notices.model import (
    TOLD,
    Channel,
    Dates,
    MadeNotice,
    NewNotice,
    Outcome,
    Recipient,
    RecipientState,
    Result,
    Words,
)

SETTLED_AFTER = timedelta(minutes=1)
"""Newcomers are made recipients when so old: ids may be committed in another order than they were given."""
COMMITTED_WITHIN = timedelta(minutes=10)
"""How long what a bank says of many payments may take to be written."""
CAUSES = {
    NoticeKind.REFUND_PAID: ("settle",),
    NoticeKind.REFUND_RETURNED: ("refuse", "bring_back"),
}
"""What must happen to a refund for its subscriber to be told, in the words of refund_history."""
_TOLD = ", ".join(f"'{state}'" for state in TOLD)
_NOTICE = "id, key, kind, stage, version, dates, languages, is_urgent, made_at, withdrawn_at"
RECIPIENT_COLUMNS = """
    r.part, r.notice_id, r.subscriber_id, r.occasion, r.language, r.channel, r.attempts, r.tried_since,
    r.particulars"""

# ---- notices

INSERT_NOTICE = """
INSERT INTO winddown_notice (key, kind, stage, version, dates, languages, is_urgent, made_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING RETURNING id"""
INSERT_WORDS = """
INSERT INTO notice_wording (notice_id, language, subject, text, body) VALUES ($1, $2, $3, $4, $5)"""
INSERT_COPY = "INSERT INTO notice_copy (notice_id, address, due_at) VALUES ($1, $2, $3)"
WITHDRAW = """
UPDATE winddown_notice SET withdrawn_at = $2 WHERE id = $1 AND withdrawn_at IS NULL RETURNING id"""
LIST_NOTICES = f"SELECT {_NOTICE} FROM winddown_notice ORDER BY id"  # noqa: S608  # constants only
FIND_NOTICE = f"SELECT {_NOTICE} FROM winddown_notice WHERE id = $1"  # noqa: S608
LIST_WORDS = "SELECT language, subject, text, body FROM notice_wording WHERE notice_id = $1"


async def insert_notice(
    connection: Connection,
    notice: NewNotice,
    words: Mapping[Language, Words],
    at: datetime,
    *,
    version: int,
    copy_to: str | None,
) -> int | None:
    """Write a notice with its words; None if one of this key stands already."""
    fresh: int | None = await connection.fetchval(
        INSERT_NOTICE,
        notice.key,
        notice.kind.value,
        notice.stage,
        version,
        _write_dates(notice.dates),
        [language.value for language in notice.languages],
        notice.is_urgent,
        at,
    )
    if fresh is None:
        return None
    rows = [(fresh, language.value, one.subject, one.text, one.body) for language, one in words.items()]
    await connection.executemany(INSERT_WORDS, rows)
    if copy_to is not None:
        await connection.execute(INSERT_COPY, fresh, copy_to, at)
    return fresh


async def withdraw_notice(connection: Connection, notice_id: int, at: datetime) -> bool:
    """Note that a notice stands no more; False if it did not already."""
    return await connection.fetchval(WITHDRAW, notice_id, at) is not None


async def list_notices(connection: Connection) -> tuple[MadeNotice, ...]:
    """All that were made, in order: as many as a plan asks for, with its corrections."""
    return tuple(_notice(row) for row in await connection.fetch(LIST_NOTICES))


async def find_notice(connection: Connection, notice_id: int) -> MadeNotice | None:
    row = await connection.fetchrow(FIND_NOTICE, notice_id)
    return None if row is None else _notice(row)


async def get_words(connection: Connection, notice_id: int) -> Mapping[Language, Words]:
    """The exact words of a notice, by language."""
    rows = await connection.fetch(LIST_WORDS, notice_id)
    return {Language(row["language"]): Words(row["subject"], row["text"], row["body"]) for row in rows}


def _write_dates(dates: Dates) -> dict[str, str | None]:
    return {stage: None if at is None else at.isoformat() for stage, at in dates.items()}


def _notice(row: asyncpg.Record) -> MadeNotice:
    dates = {stage: at and datetime.fromisoformat(at) for stage, at in row["dates"].items()}
    languages = tuple(Language(one) for one in row["languages"])
    changed = {"kind": NoticeKind(row["kind"]), "dates": dates, "languages": languages}
    return MadeNotice(**{**row, **changed})


# ---- recipients

FIND_PROGRESS = "SELECT through_id FROM notice_progress WHERE part = $1 AND notice_id = $2"
KEEP_PROGRESS = """
INSERT INTO notice_progress (part, notice_id, through_id) VALUES ($1, $2, $3)
ON CONFLICT (part, notice_id) DO UPDATE SET through_id = greatest(notice_progress.through_id, excluded.through_id)"""
# Whom a notice concerns. $9: the dates of a correction, $10: only those who have money with us.
_CONCERNED = f"""
    NOT EXISTS (SELECT FROM notice_recipient r JOIN winddown_notice n ON n.id = r.notice_id
                WHERE r.part = $1 AND r.subscriber_id = p.id AND n.key = $8 AND n.id <> $2 AND r.state IN ({_TOLD}))
    AND (EXISTS (SELECT FROM account a WHERE a.part = $1 AND a.id = p.account_id AND a.available + a.held > 0)
         OR NOT $10 AND EXISTS (SELECT FROM card c WHERE c.part = $1 AND c.subscriber_id = p.id AND c.state <> 'ended'))
    AND ($9::jsonb IS NULL OR EXISTS (
        SELECT FROM jsonb_each($9) now WHERE now.value <> (
            SELECT n.dates -> now.key FROM notice_recipient r JOIN winddown_notice n ON n.id = r.notice_id
             WHERE r.part = $1 AND r.subscriber_id = p.id AND n.id < $2 AND n.dates ? now.key AND r.state IN ({_TOLD})
             ORDER BY n.id DESC LIMIT 1)))"""  # noqa: S608  # constants only
ADD_PAGE = f"""
WITH page AS (
    SELECT id, account_id, language FROM subscriber
    WHERE part = $1 AND id > $3 AND created_at <= $5 ORDER BY id LIMIT $4
), added AS (
    INSERT INTO notice_recipient (part, subscriber_id, notice_id, language, is_urgent, state, channel,
                                  due_at)
    SELECT $1, p.id, $2, CASE WHEN p.language = ANY ($6::text[]) THEN p.language ELSE ($6::text[])[1] END, $11,
           '{RecipientState.WAITING}', $7, $12
    FROM page p WHERE {_CONCERNED}
    ON CONFLICT DO NOTHING
)
SELECT max(id) FROM page"""  # noqa: S608
# Of refunds that the bank paid, or did not pay, since the last look: an occasion each. What was committed late is seen
# in the next looks, of which each goes back a little.
ADD_OF_REFUNDS = f"""
INSERT INTO notice_recipient (part, subscriber_id, notice_id, occasion, language, particulars, is_urgent, state,
                              channel, due_at)
SELECT $1, r.subscriber_id, $2, h.refund_id * 1000 + least(h.version, 999), s.language,
       jsonb_build_object('micros', r.amount_micros::text, 'currency', r.currency), false,
       '{RecipientState.WAITING}', $3, $4
FROM refund_history h
JOIN refund r ON r.part = $1 AND r.id = h.refund_id
JOIN subscriber s ON s.part = $1 AND s.id = r.subscriber_id
WHERE h.part = $1 AND h.what = ANY ($5) AND h.at > $6
ON CONFLICT DO NOTHING"""  # noqa: S608
IS_ANY_REFUND = "SELECT EXISTS (SELECT FROM refund_history WHERE part = $1 AND what = ANY ($2))"
WITHDRAW_WAITING = f"""
UPDATE notice_recipient r SET state = '{RecipientState.WITHDRAWN}'
FROM winddown_notice n WHERE n.withdrawn_at IS NOT NULL
 AND r.part = $1 AND r.notice_id = n.id AND r.state = '{RecipientState.WAITING}'"""  # noqa: S608


async def add_recipients(
    connection: Connection, part: int, notice: MadeNotice, channel: Channel, at: datetime, *, most: int
) -> bool:
    """Make the next page of a part's subscribers recipients, of those whom the notice concerns; False at the end."""
    through: int = await connection.fetchval(FIND_PROGRESS, part, notice.id) or 0
    is_correction = notice.kind is NoticeKind.CORRECTION
    last: int | None = await connection.fetchval(
        ADD_PAGE,
        part,
        notice.id,
        through,
        most,
        at - SETTLED_AFTER,
        [language.value for language in notice.languages],
        channel.value,
        notice.key,
        _write_dates(notice.dates) if is_correction else None,
        notice.kind is NoticeKind.REFUND,
        notice.is_urgent,
        at,
    )
    if last is None:
        return False
    await connection.execute(KEEP_PROGRESS, part, notice.id, last)
    return True


async def is_any_refund(connection: Connection, part: int, kind: NoticeKind) -> bool:
    """Whether somebody of a part has ever to be told such a thing of a refund."""
    found: bool = await connection.fetchval(IS_ANY_REFUND, part, list(CAUSES[kind]))
    return found


async def add_of_refunds(
    connection: Connection, part: int, notice: MadeNotice, channel: Channel, at: datetime
) -> None:
    """Make those of a part recipients whose refunds the bank paid, or did not, since the last look."""
    through = await connection.fetchval(FIND_PROGRESS, part, notice.id)
    since = datetime.fromtimestamp(through or 0, UTC) - COMMITTED_WITHIN
    causes = list(CAUSES[notice.kind])
    await connection.execute(ADD_OF_REFUNDS, part, notice.id, channel.value, at, causes, since)
    await connection.execute(KEEP_PROGRESS, part, notice.id, int(at.timestamp()))


async def withdraw_waiting(connection: Connection, part: int) -> None:
    """Let those who were not told of withdrawn notices not be told of them."""
    await connection.execute(WITHDRAW_WAITING, part)


# ---- sending

CLAIM = f"""
WITH due AS (
    SELECT r.subscriber_id, r.notice_id, r.occasion FROM notice_recipient r
    WHERE r.part = $1 AND r.channel = $2
      AND r.state IN ('{RecipientState.WAITING}', '{RecipientState.SENDING}') AND r.due_at <= $3
      AND NOT EXISTS (SELECT FROM winddown_notice n WHERE n.id = r.notice_id AND n.withdrawn_at IS NOT NULL)
    ORDER BY r.is_urgent DESC, r.due_at LIMIT $5 FOR UPDATE OF r SKIP LOCKED
)
UPDATE notice_recipient r SET state = '{RecipientState.SENDING}', due_at = $4
FROM due d
WHERE r.part = $1 AND r.subscriber_id = d.subscriber_id AND r.notice_id = d.notice_id AND r.occasion = d.occasion
RETURNING {RECIPIENT_COLUMNS}, r.is_urgent"""  # noqa: S608
PUT_OFF = f"""
UPDATE notice_recipient SET state = '{RecipientState.WAITING}', due_at = $5
WHERE part = $1 AND subscriber_id = $2 AND notice_id = $3 AND occasion = $4 AND state = '{RecipientState.SENDING}'"""  # noqa: S608
INSERT_ATTEMPT = """
INSERT INTO notice_attempt (part, subscriber_id, notice_id, occasion, number, channel, language, at, result, result_at,
                            detail, sha256, message_ids, letters_id)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $8, $10, $11, $12, $13)"""
MOVE_ON = """
UPDATE notice_recipient
SET state = $5, channel = $6, tried_since = CASE WHEN channel = $6 THEN coalesce(tried_since, $8) END, due_at = $7,
    attempts = $9, done_at = CASE WHEN $5 IN ('reached', 'unreached') THEN $8::timestamptz END
WHERE part = $1 AND subscriber_id = $2 AND notice_id = $3 AND occasion = $4"""
CLOSE_ATTEMPT = """
UPDATE notice_attempt SET result = $6, result_at = $7, detail = CASE WHEN $8 = '' THEN detail ELSE $8 END
WHERE part = $1 AND subscriber_id = $2 AND notice_id = $3 AND occasion = $4 AND number = $5"""
# Texts that are on their way: delivered when all their segments are. The numbers are those of messages.model.TextState.
LOOK = f"""
SELECT {RECIPIENT_COLUMNS}, m.is_delivered, m.is_refused, m.is_expired
FROM notice_recipient r
JOIN notice_attempt a ON a.part = $1 AND a.subscriber_id = r.subscriber_id AND a.notice_id = r.notice_id
                     AND a.occasion = r.occasion AND a.number = r.attempts
CROSS JOIN LATERAL (
    SELECT bool_and(state = 3) AS is_delivered, bool_or(state IN (4, 6)) AS is_refused,
           bool_or(state IN (5, 7)) AS is_expired
    FROM message WHERE part = $1 AND id = ANY (a.message_ids)) m
WHERE r.part = $1 AND r.state = '{RecipientState.SENT}' AND r.channel = '{Channel.TEXT}' AND r.due_at <= $2
ORDER BY r.due_at LIMIT $3"""  # noqa: S608
LOOK_LATER = f"""
UPDATE notice_recipient SET due_at = $5
WHERE part = $1 AND subscriber_id = $2 AND notice_id = $3 AND occasion = $4 AND state = '{RecipientState.SENT}'"""  # noqa: S608


@dataclass(frozen=True, slots=True)
class OnTheWay:
    """A text that was sent, and what the network said of it so far."""

    recipient: Recipient
    result: Result | None
    """None: nothing final yet."""


async def claim_recipients(
    connection: Connection, part: int, channel: Channel, at: datetime, until: datetime, *, most: int
) -> list[tuple[Recipient, bool]]:
    """Take recipients whose turn it is, and whether they are told by night; due again at `until` if not settled."""
    rows = await connection.fetch(CLAIM, part, channel.value, at, until, most)
    return [(read_recipient(row), row["is_urgent"]) for row in rows]


async def put_off(connection: Connection, recipient: Recipient, until: datetime) -> None:
    """Let a recipient who was taken wait; no attempt was made."""
    await connection.execute(PUT_OFF, *_key(recipient), until)


async def record_attempts(connection: Connection, outcomes: Sequence[Outcome], at: datetime) -> None:
    """Write attempts, and what follows from them, in one transaction."""
    async with connection.transaction():
        await connection.executemany(INSERT_ATTEMPT, [_attempt(one, at) for one in outcomes])
        await connection.executemany(
            MOVE_ON, [_step(one, at, one.recipient.attempts + 1) for one in outcomes]
        )


async def record_results(connection: Connection, outcomes: Sequence[Outcome], at: datetime) -> None:
    """Write what came of the latest attempt of each."""
    async with connection.transaction():
        rows = [
            (*_key(one.recipient), one.recipient.attempts, one.result.value, at, one.detail)
            for one in outcomes
        ]
        await connection.executemany(CLOSE_ATTEMPT, rows)
        await connection.executemany(MOVE_ON, [_step(one, at, one.recipient.attempts) for one in outcomes])


async def find_on_the_way(connection: Connection, part: int, at: datetime, *, most: int) -> list[OnTheWay]:
    """Texts without a result that are to be looked at."""
    rows = await connection.fetch(LOOK, part, at, most)
    return [OnTheWay(read_recipient(row), _read_result(row)) for row in rows]


def _read_result(row: asyncpg.Record) -> Result | None:
    if row["is_delivered"]:
        return Result.DELIVERED
    if row["is_refused"]:
        return Result.REFUSED
    return Result.NO_RECEIPT if row["is_expired"] else None


async def look_later(connection: Connection, waiting: Sequence[tuple[Recipient, datetime]]) -> None:
    await connection.executemany(LOOK_LATER, [(*_key(one), until) for one, until in waiting])


def _key(recipient: Recipient) -> tuple[int, int, int, int]:
    return recipient.part, recipient.subscriber_id, recipient.notice_id, recipient.occasion


def _attempt(one: Outcome, at: datetime) -> tuple[object, ...]:
    told = one.recipient
    return (
        *_key(told),
        told.attempts + 1,
        told.channel.value,
        told.language.value,
        at,
        one.result.value,
        one.detail,
        one.sha256,
        list(one.message_ids),
        one.letters_id,
    )


def _step(one: Outcome, at: datetime, attempts: int) -> tuple[object, ...]:
    return *_key(one.recipient), one.state.value, one.channel.value, one.due_at, at, attempts


def read_recipient(row: asyncpg.Record) -> Recipient:
    return Recipient(
        row["part"],
        row["notice_id"],
        row["subscriber_id"],
        row["occasion"],
        Language(row["language"]),
        Channel(row["channel"]),
        row["attempts"],
        row["tried_since"],
        row["particulars"],
    )
