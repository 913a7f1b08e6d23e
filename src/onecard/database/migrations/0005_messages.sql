-- Texts: `message` is the trace that stays (who, when, which line, what became of it: never contents), `delivery` is
-- the work in progress (sealed body and addresses), whose row is deleted when nothing is left to do.

CREATE TABLE message (
    part integer NOT NULL,
    id bigint NOT NULL,
    account_id bigint NOT NULL,
    card_id bigint NOT NULL,
    line_id bigint NOT NULL,
    direction smallint NOT NULL,     -- messages.model.Direction
    application boolean NOT NULL,    -- from a link of a bank or content sender
    source_link text NOT NULL,
    next_link text NOT NULL,
    far text NOT NULL,               -- the far number, masked
    segments smallint NOT NULL,
    price_micros bigint NOT NULL,
    allowance_account_id bigint,     -- of the allowance that paid the segments, where cash did not pay the price
    rate text NOT NULL,              -- how the price came about, in one line
    state smallint NOT NULL,         -- messages.model.TextState
    attempts smallint NOT NULL DEFAULT 0,
    last_status bigint,              -- what the next hop last answered (SMPP 3.4 section 5.1.3)
    accepted_at timestamptz NOT NULL,
    handed_over_at timestamptz,
    done_at timestamptz,
    PRIMARY KEY (part, id)
) WITH (fillfactor = 80);  -- room for the updates of a text's life to stay on its page
CREATE INDEX message_by_card ON message (card_id);  -- with part, plans that look for ids of a part would stray into it
CREATE INDEX message_by_time ON message USING brin (accepted_at);

CREATE TABLE delivery (
    part integer NOT NULL,
    id bigint NOT NULL,
    stage smallint NOT NULL,         -- 1 waiting for the next hop, 2 handed over, 3 its receipt is due to the source
    next_link text NOT NULL,
    source_link text NOT NULL,
    node text,                       -- the node that claimed this stage
    application boolean NOT NULL,
    receipt_wanted smallint NOT NULL, -- messages.model.ReceiptWish
    remote_id text,                  -- the next hop's message_id
    final_state smallint,            -- what the receipt says, at stage 3
    error bigint,                    -- network error or command status for the receipt, at stage 3
    done_at timestamptz,             -- when it was over, at stage 3
    attempts smallint NOT NULL DEFAULT 0,
    next_attempt_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    accepted_at timestamptz NOT NULL,
    sealed_body bytea,               -- contents and the addresses to show; gone once handed over
    sealed_addresses bytea,          -- addresses as they were submitted, for the receipt
    PRIMARY KEY (part, id)
) WITH (fillfactor = 80);
CREATE INDEX delivery_waiting ON delivery (part, next_link, application DESC, id) WHERE stage = 1;
CREATE INDEX delivery_handed_over ON delivery (part, next_link, remote_id) WHERE stage = 2;
CREATE INDEX delivery_receipt_due ON delivery (part, source_link, id) WHERE stage = 3;

-- The ledger's event of a text's charge (p_kind 1) and of the return of that charge (p_kind 2).
CREATE FUNCTION text_event(p_kind integer, p_message bigint) RETURNS uuid
LANGUAGE sql IMMUTABLE AS $$
    SELECT ('746578740000000' || p_kind || lpad(to_hex(p_message), 16, '0'))::uuid
$$;

-- Accept a batch of texts of one part: charge and rows in one commit.
-- Answers NULL when all were accepted, else the ledger's status for each.
CREATE FUNCTION accept_messages(
    p_part integer, p_at timestamptz,
    p_id bigint[], p_account bigint[], p_card bigint[], p_line bigint[], p_direction smallint[], p_application boolean[],
    p_source_link text[], p_next_link text[], p_node text[], p_far text[], p_segments smallint[], p_price bigint[],
    p_rate text[], p_receipt smallint[], p_expires timestamptz[], p_body bytea[], p_addresses bytea[], p_allowance bigint[]
) RETURNS smallint[]
LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
    charged integer[];
    payer bigint[];
    amount bigint[];
    posted smallint[];
    status smallint[];
    fresh bigint[];
BEGIN
    SELECT array_agg(i ORDER BY i), array_agg(coalesce(p_allowance[i], p_account[i]) ORDER BY i),
           array_agg(CASE WHEN p_allowance[i] IS NULL THEN p_price[i] ELSE p_segments[i] END ORDER BY i)
      INTO charged, payer, amount FROM generate_subscripts(p_price, 1) i
     WHERE p_price[i] > 0 OR p_allowance[i] IS NOT NULL;
    IF charged IS NOT NULL THEN
        SELECT ledger_post(p_part, p_at, payer, array_agg(text_event(1, p_id[i]) ORDER BY o),
                           array_agg(5::smallint ORDER BY o), array_agg(-amount[o] ORDER BY o),
                           array_agg(0::bigint ORDER BY o), amount, NULL)
          INTO posted FROM unnest(charged) WITH ORDINALITY c(i, o);
    END IF;
    IF posted IS NOT NULL THEN
        status := array_fill(0::smallint, ARRAY[cardinality(p_id)]);
        FOR o IN 1 .. cardinality(charged) LOOP
            status[charged[o]] := posted[o];
        END LOOP;
    END IF;
    -- A batch sent again after its commit was lost from sight finds its messages here, and its deliveries here or over.
    WITH stored AS (
        INSERT INTO message (part, id, account_id, card_id, line_id, direction, application, source_link, next_link, far,
                             segments, price_micros, allowance_account_id, rate, state, accepted_at)
        SELECT p_part, q.id, q.account, q.card, q.line, q.direction, q.application, q.source_link, q.next_link, q.far,
               q.segments, q.price, q.allowance, q.rate, 1, p_at
          FROM unnest(p_id, p_account, p_card, p_line, p_direction, p_application, p_source_link, p_next_link, p_far,
                      p_segments, p_price, p_allowance, p_rate) WITH ORDINALITY
               q(id, account, card, line, direction, application, source_link, next_link, far, segments, price,
                 allowance, rate, o)
         WHERE status IS NULL OR status[o] <= 1
        ON CONFLICT DO NOTHING
        RETURNING id
    )
    SELECT array_agg(id) INTO fresh FROM stored;
    INSERT INTO delivery (part, id, stage, next_link, source_link, node, application, receipt_wanted, next_attempt_at,
                          expires_at, accepted_at, sealed_body, sealed_addresses)
    SELECT p_part, q.id, 1, q.next_link, q.source_link, q.node, q.application, q.receipt, p_at,
           q.expires, p_at, q.body, q.addresses
      FROM unnest(p_id, p_next_link, p_source_link, p_node, p_application, p_receipt, p_expires, p_body, p_addresses)
           q(id, next_link, source_link, node, application, receipt, expires, body, addresses)
     WHERE cardinality(fresh) = cardinality(p_id) OR q.id = ANY (fresh);
    RETURN status;
END
$$;

-- Move a batch of texts of one part along, at most one step each: 1 waits for another attempt, 2 handed over to the next
-- hop, 3 and above final. A text that failed, expired or was cancelled gets its charge back in the same commit.
-- Answers the texts that were over already, NULL when there were none. Sending a batch again changes nothing; p_again says
-- that it may have been committed unseen, and gets the answer that it would have got then. p_id is in rising order.
CREATE FUNCTION progress_messages(
    p_part integer, p_at timestamptz,
    p_id bigint[], p_state smallint[], p_handed_over timestamptz[], p_remote text[], p_status bigint[], p_error bigint[],
    p_attempts smallint[], p_next_attempt timestamptz[], p_receipt_node text[], p_again boolean
) RETURNS bigint[]
LANGUAGE plpgsql
SET enable_seqscan = off SET enable_bitmapscan = off  -- a plan made while the tables were empty is kept
AS $$
DECLARE
    moved bigint[];
    refund_account bigint[];
    refund_message bigint[];
    refund_price bigint[];
BEGIN
    -- No join to plan, as in ledger_post: p_id is in order, and a text's place in it is found by binary search.
    WITH u AS (
        UPDATE message m
           SET state = p_state[width_bucket(m.id, p_id)],
               attempts = p_attempts[width_bucket(m.id, p_id)],
               last_status = coalesce(p_status[width_bucket(m.id, p_id)], m.last_status),
               handed_over_at = coalesce(m.handed_over_at, p_handed_over[width_bucket(m.id, p_id)]),
               done_at = CASE WHEN p_state[width_bucket(m.id, p_id)] >= 3 THEN p_at END
         WHERE m.part = p_part AND m.id = ANY (p_id) AND m.state <= 2
           -- what another node handed over meanwhile does not wait any more
           AND p_state[width_bucket(m.id, p_id)] >= m.state
        RETURNING m.id, m.state, coalesce(m.allowance_account_id, m.account_id) AS account_id,
                  CASE WHEN m.allowance_account_id IS NULL THEN m.price_micros ELSE m.segments END AS price_micros
    )
    SELECT array_agg(id), array_agg(account_id) FILTER (WHERE returned), array_agg(id) FILTER (WHERE returned),
           array_agg(price_micros) FILTER (WHERE returned)
      INTO moved, refund_account, refund_message, refund_price
      FROM (SELECT *, price_micros > 0 AND state IN (4, 5, 6) AS returned FROM u) m;

    IF refund_account IS NOT NULL THEN
        PERFORM ledger_post(p_part, p_at, refund_account, array_agg(text_event(2, refund_message[i]) ORDER BY i),
                            array_agg(6::smallint ORDER BY i), refund_price, array_agg(0::bigint ORDER BY i),
                            refund_price, NULL)
           FROM generate_subscripts(refund_account, 1) i;
    END IF;

    WITH done AS (
        DELETE FROM delivery d
         WHERE d.part = p_part AND d.id = ANY (moved) AND p_state[width_bucket(d.id, p_id)] >= 3
           AND (d.receipt_wanted = 0 OR (d.receipt_wanted = 2 AND p_state[width_bucket(d.id, p_id)] = 3)
                OR p_state[width_bucket(d.id, p_id)] = 6)
    )
    UPDATE delivery d
       SET stage = least(p_state[width_bucket(d.id, p_id)], 3),
           remote_id = coalesce(p_remote[width_bucket(d.id, p_id)], d.remote_id),
           final_state = CASE WHEN p_state[width_bucket(d.id, p_id)] >= 3 THEN p_state[width_bucket(d.id, p_id)] END,
           error = p_error[width_bucket(d.id, p_id)],
           done_at = CASE WHEN p_state[width_bucket(d.id, p_id)] >= 3 THEN p_at END,
           node = CASE WHEN p_state[width_bucket(d.id, p_id)] >= 3 THEN p_receipt_node[width_bucket(d.id, p_id)]
                       ELSE d.node END,
           attempts = p_attempts[width_bucket(d.id, p_id)],
           next_attempt_at = coalesce(p_next_attempt[width_bucket(d.id, p_id)], d.next_attempt_at),
           sealed_body = CASE WHEN p_state[width_bucket(d.id, p_id)] = 1 THEN d.sealed_body END
     WHERE d.part = p_part AND d.id = ANY (moved)
       AND (p_state[width_bucket(d.id, p_id)] < 3
            OR (p_state[width_bucket(d.id, p_id)] <> 6
                AND (d.receipt_wanted = 1 OR (d.receipt_wanted = 2 AND p_state[width_bucket(d.id, p_id)] <> 3))));

    IF cardinality(moved) = cardinality(p_id) THEN
        RETURN NULL;
    END IF;
    RETURN (SELECT array_agg(x.id) FROM unnest(p_id, p_state) x(id, state)
             WHERE (moved IS NULL OR x.id <> ALL (moved))
               AND NOT (p_again AND EXISTS (SELECT FROM message m WHERE m.part = p_part AND m.id = x.id
                                               AND m.state = x.state AND m.done_at = p_at)));
END
$$;

-- Claim texts that wait for a link, for a node that holds a session of it: most urgent first. A claim of a node whose
-- lease ran out is void. What is no longer valid is left to be ended.
CREATE FUNCTION claim_texts(p_part integer, p_link text, p_node text, p_at timestamptz, p_most integer)
RETURNS SETOF delivery
LANGUAGE plpgsql SET enable_seqscan = off AS $$
BEGIN
    RETURN QUERY
    WITH due AS (
        SELECT d.id FROM delivery d
         WHERE d.part = p_part AND d.stage = 1 AND d.next_link = p_link AND d.expires_at > p_at
           AND (d.node IS NULL OR (d.node <> p_node AND NOT EXISTS (
                SELECT FROM node n WHERE n.name = d.node AND n.lease_until > p_at)))
         ORDER BY d.application DESC, d.id
         LIMIT p_most
           FOR UPDATE OF d SKIP LOCKED
    )
    UPDATE delivery d SET node = p_node FROM due WHERE d.part = p_part AND d.id = due.id
    RETURNING d.*;
END
$$;

-- Claim receipts that are due to a link, in the same way.
CREATE FUNCTION claim_receipts(p_part integer, p_link text, p_node text, p_at timestamptz, p_most integer)
RETURNS SETOF delivery
LANGUAGE plpgsql SET enable_seqscan = off AS $$
BEGIN
    RETURN QUERY
    WITH due AS (
        SELECT d.id FROM delivery d
         WHERE d.part = p_part AND d.stage = 3 AND d.source_link = p_link
           AND (d.node IS NULL OR (d.node <> p_node AND NOT EXISTS (
                SELECT FROM node n WHERE n.name = d.node AND n.lease_until > p_at)))
         ORDER BY d.id
         LIMIT p_most
           FOR UPDATE OF d SKIP LOCKED
    )
    UPDATE delivery d SET node = p_node FROM due WHERE d.part = p_part AND d.id = due.id
    RETURNING d.*;
END
$$;
