-- How a text came to its price, as facts beside the sentence: self-care says them in the subscriber's language.
-- A usage record has its own in its explanation already. Rows from before have none.

ALTER TABLE message ADD COLUMN facts jsonb;  -- catalogue.model.ChargeFacts; NULL where nothing is charged

DROP FUNCTION accept_messages(
    integer, timestamptz, bigint[], bigint[], bigint[], bigint[], smallint[], boolean[], text[], text[], text[], text[],
    smallint[], bigint[], text[], smallint[], timestamptz[], bytea[], bytea[], bigint[]
);

-- Accept a batch of texts of one part: charge and rows in one commit.
-- Answers NULL when all were accepted, else the ledger's status for each.
CREATE FUNCTION accept_messages(
    p_part integer, p_at timestamptz,
    p_id bigint[], p_account bigint[], p_card bigint[], p_line bigint[], p_direction smallint[], p_application boolean[],
    p_source_link text[], p_next_link text[], p_node text[], p_far text[], p_segments smallint[], p_price bigint[],
    p_rate text[], p_receipt smallint[], p_expires timestamptz[], p_body bytea[], p_addresses bytea[], p_allowance bigint[],
    p_facts jsonb[]
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
                             segments, price_micros, allowance_account_id, rate, facts, state, accepted_at)
        SELECT p_part, q.id, q.account, q.card, q.line, q.direction, q.application, q.source_link, q.next_link, q.far,
               q.segments, q.price, q.allowance, q.rate, q.facts, 1, p_at
          FROM unnest(p_id, p_account, p_card, p_line, p_direction, p_application, p_source_link, p_next_link, p_far,
                      p_segments, p_price, p_allowance, p_rate, p_facts) WITH ORDINALITY
               q(id, account, card, line, direction, application, source_link, next_link, far, segments, price,
                 allowance, rate, facts, o)
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
