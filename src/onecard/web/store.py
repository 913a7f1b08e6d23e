"""What only pages read: numbers of a card, and what its lines cost."""

from __future__ import annotations

from datetime import datetime

from onecard.database.pool import Connection

LIST_NUMBERS = "SELECT id, msisdn FROM line WHERE part = $1 AND card_id = $2"
SUM_BY_LINE = """
SELECT line_id, sum(price_micros)::bigint AS micros FROM (
    SELECT line_id, price_micros FROM message WHERE part = $1 AND card_id = $2 AND accepted_at >= $3
    UNION ALL
    SELECT line_id, price_micros FROM usage_record WHERE part = $1 AND card_id = $2 AND ended_at >= $3
) AS spent GROUP BY line_id"""


async def list_numbers_of_card(borrowed: Connection, part: int, card_id: int) -> dict[int, str]:
    """The numbers of a card's lines by their ids, also of lines that have ended."""
    return {row["id"]: row["msisdn"] for row in await borrowed.fetch(LIST_NUMBERS, part, card_id)}


async def sum_spending(borrowed: Connection, part: int, card_id: int, since: datetime) -> dict[int, int]:
    """What was spent on each line of a card since an instant, in micros."""
    rows = await borrowed.fetch(SUM_BY_LINE, part, card_id, since)
    return {row["line_id"]: row["micros"] for row in rows}
