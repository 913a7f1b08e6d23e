"""Prove refunds and payouts: what is held, paid and returned is what the ledger has, and histories are whole."""

from __future__ import annotations

from onecard.database.pool import Connection

# What must never be found, and the sentence that says it. Sums of bigint are numeric: none can overflow.
VIOLATIONS = (
    (
        """WITH asked AS (
            SELECT part, ledger_account_id, sum(amount_micros) AS micros FROM refund
            WHERE closed_at IS NULL GROUP BY part, ledger_account_id)
        SELECT a.part, a.id, q.micros, a.held FROM asked q
        JOIN account a ON a.part = q.part AND a.id = q.ledger_account_id
        WHERE a.held < q.micros ORDER BY a.part, a.id LIMIT $1""",
        "account {id} of part {part} holds {held} micros, less than the {micros} of its open refunds",
    ),
    (
        """WITH paid AS (
            SELECT r.part, r.ledger_account_id AS account_id,
                   sum(o.amount_micros) FILTER (WHERE o.state IN ('settled', 'returned')) AS paid,
                   sum(o.amount_micros) FILTER (WHERE o.state = 'returned') AS returned
            FROM payout_order o JOIN refund r ON r.part = o.part AND r.id = o.refund_id
            GROUP BY r.part, r.ledger_account_id
        ), posted AS (
            SELECT part, account_id, -sum(held) FILTER (WHERE kind = 3) AS paid,
                   sum(held) FILTER (WHERE kind = 20) AS returned
            FROM entry WHERE kind IN (3, 20) GROUP BY part, account_id
        )
        SELECT part, account_id, coalesce(p.paid, 0) AS paid, coalesce(p.returned, 0) AS returned,
               coalesce(e.paid, 0) AS entries_paid, coalesce(e.returned, 0) AS entries_returned
        FROM paid p FULL JOIN posted e USING (part, account_id)
        WHERE (coalesce(p.paid, 0), coalesce(p.returned, 0)) <> (coalesce(e.paid, 0), coalesce(e.returned, 0))
        ORDER BY part, account_id LIMIT $1""",
        "payouts of account {account_id} of part {part} sum to {paid} micros paid and {returned} returned, "
        "its entries to {entries_paid} and {entries_returned}",
    ),
    (
        """SELECT r.part, r.id, r.state, o.state AS payout FROM refund r
        LEFT JOIN payout_order o ON o.part = r.part AND o.run_id = r.run_id AND o.refund_id = r.id
        WHERE r.is_frozen <> coalesce(o.state IN ('made', 'submitted'), false)
           OR (r.state = 'submitted') <> coalesce(o.state = 'submitted', false)
           OR (r.state = 'settled') <> coalesce(o.state = 'settled', false)
        ORDER BY r.part, r.id LIMIT $1""",
        "refund {id} of part {part} is {state}, and its last payout {payout}",
    ),
    (
        """SELECT r.part, r.id, r.version, r.state, h.count, h.state AS noted FROM refund r
        LEFT JOIN LATERAL (
            SELECT count(*) AS count, (array_agg(state ORDER BY version DESC))[1] AS state
            FROM refund_history WHERE part = r.part AND refund_id = r.id
        ) h ON true
        WHERE h.count <> r.version OR h.state IS DISTINCT FROM r.state ORDER BY r.part, r.id LIMIT $1""",
        "refund {id} of part {part} is {state} in version {version}, but its history has {count}, the last {noted}",
    ),
    (
        """SELECT p.id, p.count, p.total_micros, count(o.refund_id) AS orders,
               coalesce(sum(o.amount_micros), 0) AS micros
        FROM payout_run p LEFT JOIN payout_order o ON o.run_id = p.id
        GROUP BY p.id, p.count, p.total_micros
        HAVING (p.count, p.total_micros) <> (count(o.refund_id), coalesce(sum(o.amount_micros), 0))
        ORDER BY p.id LIMIT $1""",
        "run {id} has {count} payments of {total_micros} micros, but its rows are {orders} of {micros}",
    ),
)


async def find_violations(connection: Connection, most_of_each: int) -> list[str]:
    """A sentence for each refund, payout or run that does not fit the ledger or itself."""
    return [
        sentence.format_map(dict(row))
        for query, sentence in VIOLATIONS
        for row in await connection.fetch(query, most_of_each)
    ]
