-- Credit control: sessions that reserve, extend and settle, and the record of what was used.

CREATE TABLE charging_session (
    part integer NOT NULL,
    id text NOT NULL,               -- the Session-Id of the network that asks
    account_id bigint NOT NULL,
    card_id bigint NOT NULL,
    line_id bigint NOT NULL,
    version integer NOT NULL,       -- one more with each request: who decided on an older one decides again
    number bigint NOT NULL,         -- of the last request (CC-Request-Number, invocationSequenceNumber)
    is_open boolean NOT NULL,
    opened_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL, -- an open session that is silent until then gives back what it holds
    closed_at timestamptz,
    sealed_state bytea,             -- what was decided so far (it names the far number); gone once closed
    answer bytea NOT NULL,          -- to the last request, for its repeats
    PRIMARY KEY (part, id)
) WITH (fillfactor = 70);           -- every request updates the row, on its page
CREATE INDEX charging_session_open ON charging_session (part, id) WHERE is_open;

CREATE SEQUENCE usage_record_id;

-- What was used and what it cost, one row for each service of a session, or one-time event. Append-only until purged.
CREATE TABLE usage_record (
    part integer NOT NULL,
    id bigint NOT NULL DEFAULT nextval('usage_record_id'),
    account_id bigint NOT NULL,
    card_id bigint NOT NULL,
    line_id bigint NOT NULL,
    session_id text NOT NULL,
    usage text NOT NULL,            -- catalogue.model.UsageKind
    far text NOT NULL,              -- masked
    zone text NOT NULL,             -- where the card was
    rating_group bigint,
    started_at timestamptz NOT NULL,
    ended_at timestamptz NOT NULL,
    units bigint NOT NULL,          -- seconds, octets, segments
    allowance_units bigint NOT NULL, -- of those, how many an allowance paid
    price_micros bigint NOT NULL,
    unpaid_micros bigint NOT NULL,  -- used beyond what was granted, when the account had nothing left
    cause text NOT NULL,            -- why it ended
    explanation jsonb NOT NULL,     -- which rates gave the price
    PRIMARY KEY (part, id)
);
CREATE INDEX usage_record_by_card ON usage_record (card_id, id);
CREATE INDEX usage_record_by_time ON usage_record USING brin (ended_at);

-- Write a batch of requests of one part: each moves its money, all of it or none, and its session one version on.
-- p_version is the version that was decided upon, 0 for a new session. Postings and usage name their request by its
-- place (1, 2, ...), in order. Answers NULL when all were written, else a status for each request: 0 written, 3 the
-- account cannot pay, 4 no such account, 5 the session has moved on since: read it and decide again.
CREATE FUNCTION charge_sessions(
    p_part integer, p_at timestamptz,
    p_session text[], p_account bigint[], p_card bigint[], p_line bigint[], p_version integer[], p_number bigint[],
    p_open boolean[], p_opened timestamptz[], p_expires timestamptz[], p_state bytea[], p_answer bytea[],
    p_request integer[], p_post_account bigint[], p_event uuid[], p_kind smallint[], p_available bigint[],
    p_held bigint[], p_hash bigint[],
    p_used_by integer[], p_usage text[], p_far text[], p_zone text[], p_group bigint[], p_started timestamptz[],
    p_units bigint[], p_allowance_units bigint[], p_price bigint[], p_unpaid bigint[], p_cause text[],
    p_explanation jsonb[]
) RETURNS smallint[]
LANGUAGE plpgsql
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
DECLARE
    v_status smallint[] := array_fill(0::smallint, ARRAY[cardinality(p_session)]);
    v_stale integer[];
    v_posted smallint[];
    v_all boolean := true;
BEGIN
    PERFORM pg_advisory_xact_lock(1818584167, p_part);  -- the ledger's: versions are compared under it
    SELECT array_agg(q.i) INTO v_stale
      FROM unnest(p_session, p_version) WITH ORDINALITY q(session, version, i)
      LEFT JOIN charging_session s ON s.part = p_part AND s.id = q.session
     WHERE coalesce(s.version, 0) <> q.version;

    IF v_stale IS NOT NULL THEN
        v_all := false;
        FOR i IN 1 .. cardinality(v_stale) LOOP
            v_status[v_stale[i]] := 5;
        END LOOP;
        SELECT array_agg(q.request ORDER BY o), array_agg(q.account ORDER BY o), array_agg(q.event ORDER BY o),
               array_agg(q.kind ORDER BY o), array_agg(q.available ORDER BY o), array_agg(q.held ORDER BY o),
               array_agg(q.hash ORDER BY o)
          INTO p_request, p_post_account, p_event, p_kind, p_available, p_held, p_hash
          FROM unnest(p_request, p_post_account, p_event, p_kind, p_available, p_held, p_hash) WITH ORDINALITY
               q(request, account, event, kind, available, held, hash, o)
         WHERE v_status[q.request] = 0;
    END IF;

    IF cardinality(p_request) > 0 THEN
        v_posted := ledger_post_groups(p_part, p_at, p_request, p_post_account, p_event, p_kind, p_available, p_held,
                                       p_hash, NULL);
    END IF;
    IF v_posted IS NOT NULL THEN
        v_all := false;
        FOR i IN 1 .. cardinality(v_posted) LOOP
            IF v_posted[i] > 1 THEN
                v_status[i] := v_posted[i];
            END IF;
        END LOOP;
    END IF;

    INSERT INTO charging_session AS s (part, id, account_id, card_id, line_id, version, number, is_open, opened_at,
                                       expires_at, closed_at, sealed_state, answer)
    SELECT p_part, q.session, q.account, q.card, q.line, q.version + 1, q.number, q.open, q.opened, q.expires,
           CASE WHEN NOT q.open THEN p_at END, q.state, q.answer
      FROM unnest(p_session, p_account, p_card, p_line, p_version, p_number, p_open, p_opened, p_expires, p_state,
                  p_answer) WITH ORDINALITY
           q(session, account, card, line, version, number, open, opened, expires, state, answer, o)
     WHERE v_all OR v_status[o] = 0
    ON CONFLICT (part, id) DO UPDATE SET
           version = excluded.version, number = excluded.number, is_open = excluded.is_open,
           expires_at = excluded.expires_at, closed_at = excluded.closed_at, sealed_state = excluded.sealed_state,
           answer = excluded.answer;

    IF cardinality(p_used_by) > 0 THEN
        INSERT INTO usage_record (part, account_id, card_id, line_id, session_id, usage, far, zone, rating_group,
                                  started_at, ended_at, units, allowance_units, price_micros, unpaid_micros, cause,
                                  explanation)
        SELECT p_part, p_account[q.request], p_card[q.request], p_line[q.request], p_session[q.request], q.usage,
               q.far, q.zone, q.rating_group, q.started, p_at, q.units, q.allowance_units, q.price, q.unpaid, q.cause,
               q.explanation
          FROM unnest(p_used_by, p_usage, p_far, p_zone, p_group, p_started, p_units, p_allowance_units, p_price,
                      p_unpaid, p_cause, p_explanation)
               q(request, usage, far, zone, rating_group, started, units, allowance_units, price, unpaid, cause,
                 explanation)
         WHERE v_all OR v_status[q.request] = 0;
    END IF;
    RETURN CASE WHEN NOT v_all THEN v_status END;
END
$$;

-- Units that are used before cash: minutes, octets, texts of a plan or a gift. A ledger account of its own counts them,
-- in a currency that is the unit ('sec', 'oct', 'seg'), so that they are held, used and proved like money.
CREATE TABLE allowance (
    part integer NOT NULL,
    id bigint NOT NULL DEFAULT nextval('subscriber_row_id'),
    account_id bigint NOT NULL,      -- whose they are: the cash account
    unit_account_id bigint NOT NULL, -- the ledger account that counts them
    subscription_id bigint,          -- the plan that gave them
    event_id uuid NOT NULL,          -- of what gave them: a repeat gives nothing more
    usage text NOT NULL,
    line_countries text[] NOT NULL,  -- empty: the lines of every country
    zones text[] NOT NULL,           -- empty: everywhere
    overage boolean NOT NULL,        -- whether cash pays when it is used up
    granted bigint NOT NULL,
    given_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    closed_at timestamptz,
    told_percent smallint NOT NULL DEFAULT 0, -- of the use, that the subscriber was told: 0, 80 or 100
    told_expiry boolean NOT NULL,    -- whether they were told that it expires soon, or need not be
    PRIMARY KEY (part, id),
    CONSTRAINT allowance_is_given_once UNIQUE (part, account_id, event_id)
);
CREATE INDEX allowance_of_account ON allowance (part, account_id) WHERE closed_at IS NULL;
CREATE INDEX allowance_of_unit_account ON allowance (part, unit_account_id) WHERE closed_at IS NULL;
CREATE INDEX allowance_ending ON allowance (part, expires_at) WHERE closed_at IS NULL;
