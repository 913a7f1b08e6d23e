-- Refunds and their payout, values that are kept apart from cash, and what banks say.

INSERT INTO entry_kind (kind, name, counter_role) VALUES
    (16, 'deposit', 'funding'),
    (17, 'transfer', 'revenue'),          -- between accounts of one subscriber: sums to zero by itself
    (18, 'promotion_given', 'revenue'),
    (19, 'promotion_ended', 'revenue'),
    (20, 'payout_returned', 'funding'),
    (21, 'card_price', 'revenue');        -- what was paid for a card that became void

CREATE INDEX subscriber_by_account ON subscriber (part, account_id);

-- Value of a subscriber that is told apart from their cash, each kind on a ledger account of its own.
CREATE TABLE side_account (
    part integer NOT NULL,
    account_id bigint NOT NULL,       -- whose it is: the cash account
    value text NOT NULL CHECK (value IN ('deposits', 'disputed', 'promotional', 'unactivated_cards')),
    side_account_id bigint NOT NULL,  -- the ledger account that holds it
    opened_at timestamptz NOT NULL,
    PRIMARY KEY (part, account_id, value)
);
CREATE INDEX side_account_by_id ON side_account (part, side_account_id);

-- What was paid for a card, and how: a card that becomes void is paid back the same way.
CREATE TABLE card_payment (
    part integer NOT NULL,
    card_id bigint NOT NULL,
    paid_micros bigint NOT NULL CHECK (paid_micros > 0),
    currency char(3) NOT NULL,
    method text NOT NULL,             -- cash, card, the name of a payment provider
    reference text NOT NULL,          -- the payer's own
    paid_at timestamptz NOT NULL,
    PRIMARY KEY (part, card_id)
);

CREATE SEQUENCE refund_id;

-- A balance on its way back. Its money is held on the ledger account from the request until the bank has paid.
CREATE TABLE refund (
    part integer NOT NULL,
    id bigint NOT NULL DEFAULT nextval('refund_id'),
    account_id bigint NOT NULL,         -- whose it is: the cash account
    ledger_account_id bigint NOT NULL,  -- where its money is held: the same, or a side account
    subscriber_id bigint NOT NULL,
    value text NOT NULL CHECK (value IN ('cash', 'deposits', 'unactivated_cards', 'late_payments')),
    amount_micros bigint NOT NULL CHECK (amount_micros > 0),
    currency char(3) NOT NULL,
    state text NOT NULL CHECK (state IN (
        'requested', 'verified', 'approved', 'submitted', 'settled', 'returned', 'rejected', 'cancelled')),
    version integer NOT NULL,           -- one more with each change; refund_history has a row for each
    reason text,                        -- why it was rejected or came back
    event_id uuid NOT NULL,             -- of the request: a repeat gets the first answer
    content_hash bigint NOT NULL,
    payment_method text,                -- paid back the way it was paid, to this reference; NULL: to the payee
    payment_reference text,
    sealed_payee bytea,                 -- name and account, with the subscriber's key
    payee_shown text,                   -- the last characters of the account
    payee_by text,
    cooling_until timestamptz,          -- of a payee that was changed: in no payout before
    requested_at timestamptz NOT NULL,
    requested_by text NOT NULL,
    verified_at timestamptz,
    verified_by text,
    verified_how text,
    approved_at timestamptz,
    approved_by text,
    run_id bigint,                      -- the payout run that has it, or had it last
    is_frozen boolean NOT NULL DEFAULT false, -- the run's, until the bank has answered
    reopened boolean NOT NULL DEFAULT false,  -- it was settled, and the money came back
    closed_at timestamptz,
    PRIMARY KEY (part, id),
    CONSTRAINT refund_is_asked_once UNIQUE (part, event_id),
    CONSTRAINT refund_is_seen_by_four_eyes CHECK (
        approved_by IS NULL OR approved_by NOT IN (verified_by, requested_by, payee_by)),
    CONSTRAINT refund_is_approved_before_it_is_paid CHECK (
        state NOT IN ('approved', 'submitted', 'settled')
        OR (approved_by IS NOT NULL AND verified_by IS NOT NULL)),
    CONSTRAINT refund_has_one_way_back CHECK (
        (payment_method IS NULL) = (payment_reference IS NULL)
        AND (sealed_payee IS NULL) = (payee_shown IS NULL) AND (sealed_payee IS NULL) = (payee_by IS NULL)
        AND (payment_method IS NULL OR sealed_payee IS NULL)),
    CHECK ((closed_at IS NOT NULL) = (state IN ('settled', 'rejected', 'cancelled')))
) WITH (fillfactor = 70);
CREATE UNIQUE INDEX refund_open_is_single ON refund (part, account_id, value)
    WHERE closed_at IS NULL AND NOT reopened AND payment_reference IS NULL;  -- others are of a payment each
CREATE INDEX refund_by_account ON refund (part, account_id, id);
CREATE INDEX refund_approved ON refund (approved_at, part, id) WHERE state = 'approved' AND NOT is_frozen;

-- Who changed a refund, when and why: one row for each version of it.
CREATE TABLE refund_history (
    part integer NOT NULL,
    refund_id bigint NOT NULL,
    version integer NOT NULL,
    state text NOT NULL,
    at timestamptz NOT NULL,
    actor text NOT NULL,
    what text NOT NULL,               -- request, verify, approve, change_payee...
    reason text,
    PRIMARY KEY (part, refund_id, version)
);
CREATE TRIGGER refund_history_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON refund_history
    FOR EACH STATEMENT EXECUTE FUNCTION forbid_change_of_history();

CREATE SEQUENCE payout_run_id;

-- Refunds that are paid by one file. What is written into the file is frozen here and in payout_order.
CREATE TABLE payout_run (
    id bigint PRIMARY KEY DEFAULT nextval('payout_run_id'),
    currency char(3) NOT NULL,
    route text NOT NULL CHECK (route IN ('bank', 'as_paid')),
    state text NOT NULL CHECK (state IN ('made', 'released', 'submitted', 'withdrawn')),
    count integer NOT NULL CHECK (count > 0),
    total_micros bigint NOT NULL CHECK (total_micros > 0),
    execution_on date NOT NULL,
    debtor jsonb,                     -- the operator's account, as configured when it was released
    made_at timestamptz NOT NULL,
    made_by text NOT NULL,
    released_at timestamptz,
    released_by text,
    submitted_at timestamptz,
    CONSTRAINT payout_run_is_seen_by_four_eyes CHECK (released_by IS NULL OR released_by <> made_by)
);

-- One payment of a run. Its end-to-end id is made of the three numbers of its key, so that no bank can be told of
-- two payments by one id.
CREATE TABLE payout_order (
    part integer NOT NULL,
    run_id bigint NOT NULL,
    refund_id bigint NOT NULL,
    subscriber_id bigint NOT NULL,
    amount_micros bigint NOT NULL CHECK (amount_micros > 0), -- whole minor units
    currency char(3) NOT NULL,
    state text NOT NULL CHECK (state IN ('made', 'submitted', 'settled', 'rejected', 'returned', 'withdrawn')),
    reason text,
    sealed_payee bytea,
    payment_method text,
    payment_reference text,
    debit_reference text,             -- the bank's, of the entry that paid it
    credit_reference text,            -- the bank's, of the entry that brought it back
    changed_at timestamptz NOT NULL,
    PRIMARY KEY (part, run_id, refund_id)
) WITH (fillfactor = 45);  -- all rows of a page change at once, and find room on it (HOT)
CREATE INDEX payout_order_by_refund ON payout_order (part, refund_id, run_id);

-- What the bank sent: reports on files, and statements of the operator's own account.
CREATE TABLE bank_report (
    message_id text PRIMARY KEY,
    original_message_id text NOT NULL,
    received_at timestamptz NOT NULL,
    received_by text NOT NULL,
    lines integer NOT NULL
);
CREATE TABLE bank_statement (
    account text NOT NULL,
    id text NOT NULL,
    currency char(3),
    opening_micros bigint,
    closing_micros bigint,
    closing_on date,
    received_at timestamptz NOT NULL,
    received_by text NOT NULL,
    lines integer NOT NULL,
    PRIMARY KEY (account, id)
);
CREATE TABLE bank_entry (
    account text NOT NULL,
    reference text NOT NULL,          -- the bank's: an entry that comes twice counts once
    statement_id text NOT NULL,
    end_to_end_id text,
    amount_micros bigint NOT NULL,
    currency char(3) NOT NULL,
    is_credit boolean NOT NULL,
    is_reversal boolean NOT NULL,
    booked_on date NOT NULL,
    reason text,
    message_id text,                  -- ours, of the file that was booked as this one sum
    received_at timestamptz NOT NULL,
    PRIMARY KEY (account, reference)
);
CREATE INDEX bank_entry_by_end_to_end_id ON bank_entry (end_to_end_id) WHERE end_to_end_id IS NOT NULL;

-- What the bank said that fits no payment of ours, or contradicts what it said before: a person looks at it.
CREATE TABLE bank_unmatched (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source text NOT NULL,             -- report or statement
    message_id text NOT NULL,
    reference text NOT NULL,          -- of the entry, or the end-to-end id of a report
    end_to_end_id text,
    why text NOT NULL,                -- payments.payouts.model.Unmatched
    at timestamptz NOT NULL,
    resolved_at timestamptz,
    resolved_by text,
    resolution text,
    CONSTRAINT bank_unmatched_is_noted_once UNIQUE (source, reference, why)
);
CREATE INDEX bank_unmatched_open ON bank_unmatched (id) WHERE resolved_at IS NULL;
