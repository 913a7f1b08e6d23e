-- The ledger: accounts, entries, and the one function that writes money.

CREATE SEQUENCE account_row_id;
CREATE SEQUENCE ledger_batch_id;

-- Subscribers' accounts and, one for each currency of a part, the system's own, which hold the other side of every
-- batch. No index names a balance, so that an update stays on its page (HOT). fillfactor leaves it room there.
CREATE TABLE account (
    part integer NOT NULL,
    id bigint NOT NULL DEFAULT nextval('account_row_id'),
    role text NOT NULL CHECK (role IN ('subscriber', 'revenue', 'funding', 'rounding')),
    currency char(3) NOT NULL,
    available bigint NOT NULL DEFAULT 0,  -- micros, as all money
    held bigint NOT NULL DEFAULT 0,
    opened_at timestamptz NOT NULL,
    closed_at timestamptz,
    PRIMARY KEY (part, id),
    CONSTRAINT account_is_never_overdrawn CHECK (role <> 'subscriber' OR (available >= 0 AND held >= 0))
) WITH (fillfactor = 90);
CREATE UNIQUE INDEX account_of_system_is_single ON account (part, role, currency) WHERE role <> 'subscriber';

-- Why money moved, and which system account of the same part and currency takes the other side.
-- The numbers are those of onecard.ledger.model.EntryKind.
CREATE TABLE entry_kind (
    kind smallint PRIMARY KEY,
    name text NOT NULL UNIQUE,
    counter_role text CHECK (counter_role IN ('revenue', 'funding', 'rounding'))
);
INSERT INTO entry_kind (kind, name, counter_role) VALUES
    (0, 'counterpart', NULL),  -- the system's side of a batch; nobody may post it
    (1, 'top_up', 'funding'),
    (2, 'correction', 'funding'),
    (3, 'payout', 'funding'),
    (4, 'rounding', 'rounding'),
    (5, 'text_charge', 'revenue'),
    (6, 'text_refund', 'revenue'),
    (7, 'hold', 'revenue'),
    (8, 'settle', 'revenue'),
    (9, 'release', 'revenue'),
    (10, 'usage_charge', 'revenue'),
    (11, 'usage_refund', 'revenue'),
    (12, 'allowance_given', 'funding'),
    (13, 'allowance_ended', 'funding'),
    (14, 'plan_fee', 'revenue');

-- The journal. The entries of a batch sum to zero in each currency. The key is all there is: another index, or a
-- foreign key, costs every charge; `onecard db check` proves what they would have enforced.
CREATE TABLE entry (
    part integer NOT NULL,
    account_id bigint NOT NULL,
    event_id uuid NOT NULL,       -- of the command from outside: a repeat finds its first answer here
    batch_id bigint NOT NULL,
    kind smallint NOT NULL,
    available bigint NOT NULL,    -- changes, in micros
    held bigint NOT NULL,
    content_hash bigint NOT NULL, -- of the command's contents: a repeat with others is refused
    at timestamptz NOT NULL,
    memo text,
    PRIMARY KEY (part, account_id, event_id)
);

-- Statement triggers on UPDATE and DELETE cost an INSERT nothing.
CREATE TRIGGER entry_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON entry
    FOR EACH STATEMENT EXECUTE FUNCTION forbid_change_of_history();

-- sum(bigint) computes in numeric; this stays in bigint, exactly, and an overflow is an error.
CREATE AGGREGATE sum_micros(bigint) (SFUNC = int8pl, STYPE = bigint, INITCOND = '0');

-- The system's side: for each currency and role, one entry of the opposite amount on the system's account.
CREATE FUNCTION ledger_balance(
    p_part integer, p_at timestamptz, p_batch bigint, p_currency text[], p_role text[], p_amount bigint[]
) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    v_total record;
    v_account bigint;
BEGIN
    FOR v_total IN
        SELECT currency, role, sum_micros(amount) AS amount
        FROM unnest(p_currency, p_role, p_amount) q(currency, role, amount)
        GROUP BY currency, role HAVING sum_micros(amount) <> 0 ORDER BY currency, role
    LOOP
        UPDATE account a SET available = a.available - v_total.amount
        WHERE a.part = p_part AND a.role = v_total.role AND a.role <> 'subscriber'
          AND a.currency = v_total.currency::char(3)
        RETURNING a.id INTO STRICT v_account;
        INSERT INTO entry (part, account_id, event_id, batch_id, kind, available, held, content_hash, at)
        VALUES (p_part, v_account, lpad(to_hex(p_batch), 32, '0')::uuid, p_batch, 0, -v_total.amount, 0, 0, p_at);
    END LOOP;
END
$$;

-- One by one, in the order of the requests: only those of the accounts named, or all where none are. Answers a
-- status for each request, 0 for those it left out, and what it posted, for the system's side.
CREATE FUNCTION ledger_post_each(
    p_part integer, p_at timestamptz, p_batch bigint, p_only bigint[], p_account bigint[], p_event uuid[],
    p_kind smallint[], p_available bigint[], p_held bigint[], p_hash bigint[], p_memo text[],
    OUT status smallint[], OUT currency text[], OUT role text[], OUT amount bigint[]
)
LANGUAGE plpgsql AS $$
DECLARE
    v_count integer := cardinality(p_account);
    v_same boolean;
    v_currency char(3);
    v_posted text[] := array_fill(NULL::text, ARRAY[v_count]);  -- the currency of each request that was posted
BEGIN
    status := array_fill(0::smallint, ARRAY[v_count]);
    FOR i IN 1 .. v_count LOOP
        CONTINUE WHEN p_account[i] <> ALL (p_only);
        SELECT e.content_hash = p_hash[i] INTO v_same FROM entry e
        WHERE e.part = p_part AND e.account_id = p_account[i] AND e.event_id = p_event[i];
        IF FOUND THEN
            status[i] := CASE WHEN v_same THEN 1 ELSE 2 END;
            CONTINUE;
        END IF;
        UPDATE account a SET available = a.available + p_available[i], held = a.held + p_held[i]
        WHERE a.part = p_part AND a.id = p_account[i] AND a.role = 'subscriber' AND a.closed_at IS NULL
          AND a.available + p_available[i] >= 0 AND a.held + p_held[i] >= 0
        RETURNING a.currency INTO v_currency;
        IF FOUND THEN
            v_posted[i] := v_currency;
            INSERT INTO entry (part, account_id, event_id, batch_id, kind, available, held, content_hash, at, memo)
            VALUES (p_part, p_account[i], p_event[i], p_batch, p_kind[i], p_available[i], p_held[i], p_hash[i],
                    p_at, p_memo[i]);
            CONTINUE;
        END IF;
        PERFORM FROM account a
        WHERE a.part = p_part AND a.id = p_account[i] AND a.role = 'subscriber' AND a.closed_at IS NULL;
        status[i] := CASE WHEN FOUND THEN 3 ELSE 4 END;
    END LOOP;
    SELECT array_agg(q.currency), array_agg(k.counter_role), array_agg(q.available + q.held)
    INTO currency, role, amount
    FROM unnest(v_posted, p_kind, p_available, p_held) q(currency, kind, available, held)
    JOIN entry_kind k ON k.kind = q.kind
    WHERE q.currency IS NOT NULL;
END
$$;

-- Together: one update and one insert for all the accounts that can pay whatever the order of their requests. What
-- is left goes one by one. Knows no repeats: the key of entry does, and raises unique_violation.
CREATE FUNCTION ledger_post_together(
    p_part integer, p_at timestamptz, p_batch bigint, p_account bigint[], p_event uuid[],
    p_kind smallint[], p_available bigint[], p_held bigint[], p_hash bigint[], p_memo text[]
) RETURNS smallint[]
LANGUAGE plpgsql AS $$
DECLARE
    v_funding smallint[] := ARRAY(SELECT kind FROM entry_kind WHERE counter_role = 'funding');
    v_rounding smallint[] := ARRAY(SELECT kind FROM entry_kind WHERE counter_role = 'rounding');
    v_asked bigint;
    v_paid bigint[];
    v_contested bigint[];
    v_currency text[];
    v_role text[];
    v_amount bigint[];
    v_each record;
BEGIN
    -- Arrays in the order of accounts, and an account's place in them found by binary search: with no join to plan,
    -- the key of account is probed once for each account asked, even by a plan made while the table was empty.
    WITH request AS (
        SELECT account,
               sum_micros(available) AS available, sum_micros(least(available, 0)) AS available_down,
               sum_micros(held) AS held, sum_micros(least(held, 0)) AS held_down,
               sum_micros(available + held) FILTER (WHERE kind = ANY (v_funding)) AS funding,
               sum_micros(available + held) FILTER (WHERE kind = ANY (v_rounding)) AS rounding
        FROM unnest(p_account, p_kind, p_available, p_held) q(account, kind, available, held)
        GROUP BY account ORDER BY account
    ), asked AS MATERIALIZED (
        SELECT array_agg(account) AS account,
               array_agg(available) AS available, array_agg(available_down) AS available_down,
               array_agg(held) AS held, array_agg(held_down) AS held_down,
               array_agg(funding) AS funding, array_agg(rounding) AS rounding
        FROM request
    ), paid AS (  -- whatever the order of its requests, the account can pay them
        UPDATE account a SET
            available = a.available
                + (SELECT available FROM asked)[width_bucket(a.id, (SELECT account FROM asked))],
            held = a.held
                + (SELECT held FROM asked)[width_bucket(a.id, (SELECT account FROM asked))]
        WHERE a.part = p_part AND a.id = ANY ((SELECT account FROM asked)::bigint[])
          AND a.role = 'subscriber' AND a.closed_at IS NULL
          AND a.available
                + (SELECT available_down FROM asked)[width_bucket(a.id, (SELECT account FROM asked))] >= 0
          AND a.held
                + (SELECT held_down FROM asked)[width_bucket(a.id, (SELECT account FROM asked))] >= 0
        RETURNING a.id, a.currency, width_bucket(a.id, (SELECT account FROM asked)) AS place
    ), total AS (
        SELECT paid.currency, sum_micros(asked.available[place] + asked.held[place]) AS whole,
               sum_micros(asked.funding[place]) AS funding, sum_micros(asked.rounding[place]) AS rounding
        FROM paid, asked GROUP BY paid.currency
    ), side AS (
        SELECT currency, role, amount FROM total,
        LATERAL (VALUES ('revenue', whole - funding - rounding), ('funding', funding), ('rounding', rounding))
            s(role, amount)
    )
    SELECT (SELECT cardinality(account) FROM asked), (SELECT array_agg(id) FROM paid),
           array_agg(currency::text), array_agg(role), array_agg(amount)
    INTO v_asked, v_paid, v_currency, v_role, v_amount FROM side;

    IF v_asked = coalesce(cardinality(v_paid), 0) THEN
        INSERT INTO entry (part, account_id, event_id, batch_id, kind, available, held, content_hash, at, memo)
        SELECT p_part, account, event, p_batch, kind, available, held, hash, p_at, memo
        FROM unnest(p_account, p_event, p_kind, p_available, p_held, p_hash, p_memo)
             q(account, event, kind, available, held, hash, memo)
        ORDER BY account;
        PERFORM ledger_balance(p_part, p_at, p_batch, v_currency, v_role, v_amount);
        RETURN NULL;
    END IF;

    v_contested := ARRAY(SELECT unnest(p_account) EXCEPT SELECT unnest(v_paid));
    INSERT INTO entry (part, account_id, event_id, batch_id, kind, available, held, content_hash, at, memo)
    SELECT p_part, account, event, p_batch, kind, available, held, hash, p_at, memo
    FROM unnest(p_account, p_event, p_kind, p_available, p_held, p_hash, p_memo)
         q(account, event, kind, available, held, hash, memo)
    WHERE account <> ALL (v_contested)
    ORDER BY account;
    v_each := ledger_post_each(p_part, p_at, p_batch, v_contested, p_account, p_event, p_kind, p_available, p_held,
                               p_hash, p_memo);
    PERFORM ledger_balance(p_part, p_at, p_batch, v_currency || v_each.currency, v_role || v_each.role,
                           v_amount || v_each.amount);
    RETURN v_each.status;
END
$$;

-- Post a batch of requests to subscribers' accounts of one part: the i-th changes account p_account[i] by
-- p_available[i] and p_held[i]. Answers NULL when all were posted, else a status for each request:
--   0 posted
--   1 repeated: this event was posted before, with this content hash
--   2 conflicting: this event was posted before, with another hash
--   3 insufficient: available or held would fall below zero
--   4 no such account, or it is closed
-- p_memo may be NULL. The batches of a part are serialised, whichever node sends them, until they commit: post last
-- in a transaction, and to one part only.
CREATE FUNCTION ledger_post(
    p_part integer, p_at timestamptz, p_account bigint[], p_event uuid[], p_kind smallint[], p_available bigint[],
    p_held bigint[], p_hash bigint[], p_memo text[]
) RETURNS smallint[]
LANGUAGE plpgsql
SET enable_seqscan = off  -- a plan made while the tables were empty is kept; let it be one for full tables
AS $$
DECLARE
    v_batch bigint;
    v_each record;
BEGIN
    IF NOT p_kind <@ ARRAY(SELECT kind FROM entry_kind WHERE counter_role IS NOT NULL) THEN
        RAISE EXCEPTION 'a kind of entry that nobody may post is among %', p_kind;
    END IF;
    PERFORM pg_advisory_xact_lock(1818584167, p_part);  -- the class is 'ledg'
    v_batch := nextval('ledger_batch_id');
    BEGIN
        RETURN ledger_post_together(p_part, p_at, v_batch, p_account, p_event, p_kind, p_available, p_held, p_hash,
                                    p_memo);
    EXCEPTION WHEN unique_violation THEN
        v_each := ledger_post_each(p_part, p_at, v_batch, NULL, p_account, p_event, p_kind, p_available, p_held,
                                   p_hash, p_memo);
        PERFORM ledger_balance(p_part, p_at, v_batch, v_each.currency, v_each.role, v_each.amount);
        RETURN v_each.status;
    END;
END
$$;

-- As ledger_post, for requests that change several accounts at once: those of one p_group (1, 2, ... in order) are
-- posted together or not at all. Answers NULL when all groups were posted, else a status for each group; that of a
-- group is the highest of its requests.
CREATE FUNCTION ledger_post_groups(
    p_part integer, p_at timestamptz, p_group integer[], p_account bigint[], p_event uuid[], p_kind smallint[],
    p_available bigint[], p_held bigint[], p_hash bigint[], p_memo text[]
) RETURNS smallint[]
LANGUAGE plpgsql
SET enable_seqscan = off
AS $$
DECLARE
    v_batch bigint;
    v_count integer := p_group[cardinality(p_group)];
    v_status smallint[] := array_fill(0::smallint, ARRAY[v_count]);
    v_first integer := 1;
    v_last integer;
    v_each record;
    v_currency text[];
    v_role text[];
    v_amount bigint[];
BEGIN
    PERFORM pg_advisory_xact_lock(1818584167, p_part);
    v_batch := nextval('ledger_batch_id');
    BEGIN
        IF ledger_post_together(p_part, p_at, v_batch, p_account, p_event, p_kind, p_available, p_held, p_hash,
                                p_memo) IS NULL THEN
            RETURN NULL;
        END IF;
        RAISE EXCEPTION USING ERRCODE = 'OC001';  -- somebody cannot pay: undo it all, and go group by group
    EXCEPTION WHEN unique_violation OR SQLSTATE 'OC001' THEN
    END;
    WHILE v_first <= cardinality(p_group) LOOP
        v_last := v_first;
        WHILE p_group[v_last + 1] = p_group[v_first] LOOP
            v_last := v_last + 1;
        END LOOP;
        BEGIN
            v_each := ledger_post_each(p_part, p_at, v_batch, NULL, p_account[v_first:v_last],
                                       p_event[v_first:v_last], p_kind[v_first:v_last],
                                       p_available[v_first:v_last], p_held[v_first:v_last],
                                       p_hash[v_first:v_last], p_memo[v_first:v_last]);
            v_status[p_group[v_first]] := (SELECT max(s) FROM unnest(v_each.status) s);
            IF v_status[p_group[v_first]] > 1 THEN
                RAISE EXCEPTION USING ERRCODE = 'OC001';
            END IF;
            v_currency := v_currency || v_each.currency;
            v_role := v_role || v_each.role;
            v_amount := v_amount || v_each.amount;
        EXCEPTION WHEN SQLSTATE 'OC001' THEN  -- this group is undone; its status stays
        END;
        v_first := v_last + 1;
    END LOOP;
    PERFORM ledger_balance(p_part, p_at, v_batch, v_currency, v_role, v_amount);
    RETURN v_status;
END
$$;
