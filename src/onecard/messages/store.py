"""The SQL of texts. Batches go through `accept_messages` and `progress_messages` of migrations 0020 and 0005."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from operator import attrgetter

import asyncpg
from msgspec import convert

from onecard.catalogue.model import ChargeFacts
from onecard.database.pool import Connection, DatabaseUnavailable, Pool, connection
from onecard.messages.model import Acceptance, Direction, Progress, TextState, Trace

ACCEPT = "SELECT accept_messages($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13,$14,$15,$16,$17,$18,$19,$20,$21)"
PROGRESS = "SELECT progress_messages($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12)"
FORGET = "DELETE FROM delivery WHERE part = $1 AND id = ANY ($2)"
CLAIM_TEXTS = "SELECT * FROM claim_texts($1, $2, $3, $4, $5)"
CLAIM_RECEIPTS = "SELECT * FROM claim_receipts($1, $2, $3, $4, $5)"
TEXTS_WAIT = """
    SELECT EXISTS (SELECT FROM delivery
     WHERE part = $1 AND stage = 1 AND next_link = $2 AND (node IS NULL OR node <> $3))"""
RECEIPTS_WAIT = """
    SELECT EXISTS (SELECT FROM delivery
     WHERE part = $1 AND stage = 3 AND source_link = $2 AND (node IS NULL OR node <> $3))"""
OVERDUE = """
    SELECT * FROM delivery
     WHERE part = $1
       AND ((stage = 1 AND expires_at <= $2 AND (node IS NULL OR expires_at <= $3))
            OR (stage = 2 AND expires_at <= $3))
     LIMIT $4"""
Doubt = Callable[[Sequence[int]], None]
"""Told of ids whose claim may, or may not, become durable."""
STAGE_WAITING = 1
"""The stage of a `delivery` that the next hop has not taken."""
ID_BLOCK = 10_000
"""How many ids one value of the sequence `message_id_block` stands for."""

ACCEPTED, REPEATED = 0, 1
"""Statuses of `accept_messages` that mean the text is in."""


async def accept_batch(pool: Pool, part: int, rows: Sequence[Acceptance]) -> list[int]:
    """Charge and store texts of one part in one commit; answers the ledger's status of each."""
    async with connection(pool) as borrowed:
        statuses = await borrowed.fetchval(
            ACCEPT,
            part,
            rows[-1].accepted_at,
            [row.id for row in rows],
            [row.account_id for row in rows],
            [row.card_id for row in rows],
            [row.line_id for row in rows],
            [row.direction for row in rows],
            [row.application for row in rows],
            [row.source_link for row in rows],
            [row.next_link for row in rows],
            [row.node for row in rows],
            [row.far for row in rows],
            [row.segments for row in rows],
            [row.price_micros for row in rows],
            [row.rate for row in rows],
            [row.receipt_wanted for row in rows],
            [row.expires_at for row in rows],
            [row.sealed_body for row in rows],
            [row.sealed_addresses for row in rows],
            [row.allowance_account_id for row in rows],
            [row.facts for row in rows],
        )
    return statuses or [ACCEPTED] * len(rows)


BROKEN_OFF = (
    asyncpg.DeadlockDetectedError,
    asyncpg.InsufficientResourcesError,  # a full disk among them
    asyncpg.QueryCanceledError,
)
"""What a server says of a batch that it may well take later: what became of a text must not be lost for that."""


class StepWriter:
    """Writes the steps of texts of one part for a `BatchWriter`, which hands a batch in again after a failure."""

    def __init__(self, pool: Pool, part: int) -> None:
        self._pool = pool
        self._part = part
        self._unseen: Sequence[Progress] | None = None
        """The batch whose commit was not seen."""

    async def write(self, steps: Sequence[Progress]) -> list[bool]:
        """Write a batch, as `progress_batch` does."""
        again = steps is self._unseen
        self._unseen = steps
        try:
            made = await progress_batch(self._pool, self._part, steps, again=again)
        except BROKEN_OFF as error:
            raise DatabaseUnavailable(f"the database could not write now: {error}") from error
        self._unseen = None
        return made


async def progress_batch(
    pool: Pool, part: int, steps: Sequence[Progress], *, again: bool = False
) -> list[bool]:
    """Write the steps of texts of one part in one commit; answers for each whether the text was not over yet.

    Steps of one text in the same batch are folded into one, since one statement changes a row once. `again` says that
    the batch may have been committed unseen: then it gets the answer that it would have got.
    """
    folded = sorted(fold(steps).values(), key=attrgetter("id"))  # the order that progress_messages wants
    async with connection(pool) as borrowed:
        stale = await borrowed.fetchval(
            PROGRESS,
            part,
            steps[-1].at,
            [step.id for step in folded],
            [step.state for step in folded],
            [step.handed_over_at for step in folded],
            [step.remote_id for step in folded],
            [step.status for step in folded],
            [step.error for step in folded],
            [step.attempts for step in folded],
            [step.next_attempt_at for step in folded],
            [step.receipt_node for step in folded],
            again,
        )
    if not stale and len(folded) == len(steps):
        return [True] * len(steps)
    return _answers(steps, over=set(stale or ()))


def _answers(steps: Sequence[Progress], *, over: set[int]) -> list[bool]:
    """Of steps of one text that were folded, those up to the first final one were made."""
    made = []
    for step in steps:
        made.append(step.id not in over)
        if step.state.is_final:
            over.add(step.id)
    return made


def fold(steps: Sequence[Progress]) -> dict[int, Progress]:
    """Fold the steps of each text into its last one, which keeps when and as what it was handed over."""
    folded: dict[int, Progress] = {}
    for step in steps:
        earlier = folded.get(step.id)
        folded[step.id] = step if earlier is None else _later(earlier, step)
    return folded


def _later(earlier: Progress, step: Progress) -> Progress:
    if earlier.state.is_final:
        return earlier
    return Progress(
        step.id,
        step.state,
        step.at,
        max(earlier.attempts, step.attempts),
        step.handed_over_at or earlier.handed_over_at,
        step.remote_id or earlier.remote_id,
        earlier.status if step.status is None else step.status,
        step.error,
        step.next_attempt_at,
        step.receipt_node,
    )


async def forget_batch(pool: Pool, part: int, ids: Sequence[int]) -> list[None]:
    """Delete work in progress whose receipt was delivered: nothing is left to do."""
    async with connection(pool) as borrowed:
        await borrowed.execute(FORGET, part, list(ids))
    return [None] * len(ids)


class MessageIds:
    """Ids of texts, taken from the database in blocks, so that a text has its id before it is written."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._next = 0
        self._end = 0
        self._refill = asyncio.Lock()

    async def next(self) -> int:
        """An id that no other text has, on any node; ids of one node rise."""
        if self._next == self._end:
            async with self._refill:
                if self._next == self._end:
                    await self._take_block()
        self._next += 1
        return self._next - 1

    async def _take_block(self) -> None:
        async with connection(self._pool) as borrowed:
            last = await borrowed.fetchval("SELECT nextval('message_id_block')")
        assert isinstance(last, int)
        self._next, self._end = last - ID_BLOCK + 1, last + 1


async def claim_texts(
    pool: Pool, part: int, link: str, node: str, at: datetime, most: int, doubt: Doubt | None = None
) -> list[asyncpg.Record]:
    """Claim texts that wait for a link, most urgent first. `doubt` is told their ids before the claim is durable."""
    rows = await _claim(pool, TEXTS_WAIT, CLAIM_TEXTS, (part, link, node), at, most, doubt)
    return sorted(rows, key=lambda row: (not row["application"], row["id"]))


async def claim_receipts(
    pool: Pool, part: int, link: str, node: str, at: datetime, most: int, doubt: Doubt | None = None
) -> list[asyncpg.Record]:
    """Claim receipts that are due to a link, the oldest first. `doubt` as with texts."""
    rows = await _claim(pool, RECEIPTS_WAIT, CLAIM_RECEIPTS, (part, link, node), at, most, doubt)
    return sorted(rows, key=lambda row: row["id"])


async def _claim(
    pool: Pool,
    wait: str,
    claim: str,
    who: tuple[int, str, str],
    at: datetime,
    most: int,
    doubt: Doubt | None,
) -> list[asyncpg.Record]:
    """Claim in a transaction, so that what was claimed is known also when its commit is lost from sight.

    Mostly nothing waits, and one statement tells.
    """
    async with connection(pool) as borrowed:
        if not await borrowed.fetchval(wait, *who):
            return []
        async with borrowed.transaction():
            rows = await borrowed.fetch(claim, *who, at, most)
            if doubt is not None:
                doubt([row["id"] for row in rows])
    return rows


async def release(pool: Pool, part: int, ids: Sequence[int], node: str) -> None:
    """Give claims back, so that any node with a session of the link may have them."""
    async with connection(pool) as borrowed:
        await borrowed.execute(
            "UPDATE delivery SET node = NULL WHERE part = $1 AND node = $3 AND id IN ("
            " SELECT id FROM delivery WHERE part = $1 AND id = ANY ($2) ORDER BY id FOR UPDATE)",
            part,
            list(ids),
            node,
        )


async def release_all(pool: Pool, parts: Sequence[int], node: str) -> None:
    """Give back what this node claimed in an earlier life."""
    async with connection(pool) as borrowed:
        for part in parts:
            await borrowed.execute(
                "UPDATE delivery SET node = NULL WHERE part = $1 AND node = $2", part, node
            )


async def find_handed_over(
    pool: Pool, parts: Sequence[int], link: str, remote_id: str
) -> asyncpg.Record | None:
    """The text that the next hop knows by this id."""
    async with connection(pool) as borrowed:
        return await borrowed.fetchrow(
            "SELECT * FROM delivery WHERE part = ANY ($1) AND stage = 2 AND next_link = $2 AND remote_id = $3"
            " ORDER BY id DESC LIMIT 1",
            list(parts),
            link,
            remote_id,
        )


async def count_parked(pool: Pool, parts: Sequence[int]) -> dict[str, int]:
    """How many texts of each link wait unclaimed."""
    async with connection(pool) as borrowed:
        rows = await borrowed.fetch(
            "SELECT next_link, count(*) FROM delivery WHERE part = ANY ($1) AND stage = 1 AND node IS NULL GROUP BY 1",
            list(parts),
        )
    return {row["next_link"]: row["count"] for row in rows}


async def find_overdue(
    pool: Pool, part: int, at: datetime, receipts_until: datetime, most: int
) -> list[asyncpg.Record]:
    """Texts that are over: those that wait unclaimed past their validity, and those without a receipt since.

    One that is claimed its node ends; if that is away, it is over as late as those without a receipt.
    """
    async with connection(pool) as borrowed:
        return await borrowed.fetch(OVERDUE, part, at, receipts_until, most)


async def find_parked(pool: Pool, part: int, message_id: int) -> asyncpg.Record | None:
    """A text that waits and that no node has claimed."""
    async with connection(pool) as borrowed:
        return await borrowed.fetchrow(
            "SELECT * FROM delivery WHERE part = $1 AND id = $2 AND stage = 1 AND node IS NULL",
            part,
            message_id,
        )


async def claim_parked(pool: Pool, part: int, message_id: int, node: str) -> asyncpg.Record | None:
    """Claim one text that waits and that no node has claimed."""
    async with connection(pool) as borrowed:
        return await borrowed.fetchrow(
            "UPDATE delivery SET node = $3 WHERE part = $1 AND id = $2 AND stage = 1 AND node IS NULL RETURNING *",
            part,
            message_id,
            node,
        )


async def replace_body(pool: Pool, part: int, message_id: int, sealed_body: bytes, node: str | None) -> bool:
    """Put other contents in the place of those that wait, claimed by `node` or by none; False: they do not wait so."""
    async with connection(pool) as borrowed:
        found = await borrowed.fetchval(
            "UPDATE delivery SET sealed_body = $3"
            " WHERE part = $1 AND id = $2 AND stage = 1 AND node IS NOT DISTINCT FROM $4 RETURNING id",
            part,
            message_id,
            sealed_body,
            node,
        )
    return found is not None


async def renew_lease(pool: Pool, node: str, until: datetime) -> None:
    """Say that this node lives."""
    async with connection(pool) as borrowed:
        await borrowed.execute(
            "INSERT INTO node (name, lease_until) VALUES ($1, $2)"
            " ON CONFLICT (name) DO UPDATE SET lease_until = excluded.lease_until",
            node,
            until,
        )


async def find_trace(borrowed: Connection, parts: Sequence[int], message_id: int) -> Trace | None:
    """The trace of one text."""
    row = await borrowed.fetchrow(
        "SELECT * FROM message WHERE part = ANY ($1) AND id = $2", list(parts), message_id
    )
    return _trace(row) if row else None


async def list_traces(
    borrowed: Connection, part: int, card_id: int, *, before: int, most: int
) -> list[Trace]:
    """The traces of a card's texts, the latest first; `before` is the id to go on from."""
    rows = await borrowed.fetch(
        "SELECT * FROM message WHERE part = $1 AND card_id = $2 AND id < $3 ORDER BY id DESC LIMIT $4",
        part,
        card_id,
        before,
        most,
    )
    return [_trace(row) for row in rows]


async def list_traces_upwards(
    borrowed: Connection, part: int, card_id: int, *, after: int, most: int
) -> list[Trace]:
    """The traces of a card's texts, the first ones first; `after` is the id to go on from."""
    rows = await borrowed.fetch(
        "SELECT * FROM message WHERE part = $1 AND card_id = $2 AND id > $3 ORDER BY id LIMIT $4",
        part,
        card_id,
        after,
        most,
    )
    return [_trace(row) for row in rows]


async def delete_receipts(borrowed: Connection, part: int, before: datetime) -> None:
    """Delete the receipts of texts accepted before a time, which their source did not come for."""
    await borrowed.execute(
        "DELETE FROM delivery WHERE part = $1 AND stage = 3 AND accepted_at < $2", part, before
    )


async def delete_traces(borrowed: Connection, part: int, before: datetime) -> int:
    """Delete the traces of texts that were over before a time; answers how many."""
    done = await borrowed.execute(
        "DELETE FROM message m WHERE part = $1 AND accepted_at < $2 AND state >= 3"
        " AND NOT EXISTS (SELECT FROM delivery d WHERE d.part = m.part AND d.id = m.id)",
        part,
        before,
    )
    return int(done.split()[-1])


def _trace(row: asyncpg.Record) -> Trace:
    fields = {name: row[name] for name in Trace.__struct_fields__}
    facts = row["facts"] and convert(row["facts"], ChargeFacts)
    return Trace(
        **fields
        | {"direction": Direction(row["direction"]), "state": TextState(row["state"]), "facts": facts}
    )
