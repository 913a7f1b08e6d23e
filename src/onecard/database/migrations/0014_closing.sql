-- The end of the service: what was on every account at the gate, what is left of it, and the statement that proves it.

INSERT INTO entry_kind (kind, name, counter_role) VALUES
    (22, 'plan_value', 'revenue');  -- the part of a plan's fee that was not used, given back at the gate

-- What the bank moved is compared with the payments of a part, which is the third piece of an end-to-end id.
CREATE INDEX bank_entry_by_part ON bank_entry (split_part(end_to_end_id, '-', 3)) WHERE end_to_end_id LIKE 'OC-%';
CREATE INDEX bank_entry_of_file ON bank_entry (message_id) WHERE message_id IS NOT NULL;

-- One snapshot a database, of the instant at which refunds opened. It is taken part by part; what is done stays done.
CREATE TABLE closing_snapshot (
    id boolean PRIMARY KEY DEFAULT true CHECK (id),
    as_of timestamptz NOT NULL,
    policies jsonb NOT NULL,          -- how much of each kind of value is paid back, by the plan then in force
    begun_at timestamptz NOT NULL,
    begun_by text NOT NULL,
    completed_at timestamptz
);
CREATE TABLE closing_part (
    part integer PRIMARY KEY,
    rows bigint NOT NULL,
    recorded_at timestamptz NOT NULL,
    done_at timestamptz               -- what was not used of plans is given back, too
);

-- What was of value to a subscriber at that instant, one row an account and kind, and how much of it is paid back.
CREATE TABLE closing_balance (
    part integer NOT NULL,
    account_id bigint NOT NULL,       -- whose it is: the cash account
    value text NOT NULL,              -- winddown.model.ValueKind
    currency char(3) NOT NULL,
    value_micros bigint NOT NULL CHECK (value_micros > 0),
    owed_micros bigint NOT NULL CHECK (owed_micros BETWEEN 0 AND value_micros),
    PRIMARY KEY (part, account_id, value)
);
-- Vouchers belong to nobody until they are used, and so have no part.
CREATE TABLE closing_voucher (
    batch_id bigint PRIMARY KEY,
    currency char(3) NOT NULL,
    count bigint NOT NULL CHECK (count > 0),
    value_micros bigint NOT NULL CHECK (value_micros > 0),
    owed_micros bigint NOT NULL CHECK (owed_micros BETWEEN 0 AND value_micros)
);
CREATE TRIGGER closing_balance_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON closing_balance
    FOR EACH STATEMENT EXECUTE FUNCTION forbid_change_of_history();
CREATE TRIGGER closing_voucher_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON closing_voucher
    FOR EACH STATEMENT EXECUTE FUNCTION forbid_change_of_history();

-- What is still on accounts, and why: named anew whenever it is asked for, so that nothing is left without a name.
CREATE TABLE closing_residue (
    part integer NOT NULL,
    account_id bigint NOT NULL,       -- whose it is: the cash account
    value text NOT NULL,
    state text NOT NULL,              -- winddown.closing.model.ResidueState
    currency char(3) NOT NULL,
    micros bigint NOT NULL CHECK (micros > 0),
    PRIMARY KEY (part, account_id, value, state)
);
CREATE TABLE closing_naming (
    part integer PRIMARY KEY,
    inactive_since timestamptz NOT NULL, -- nothing was used or paid in after it: inactive
    named_at timestamptz NOT NULL,
    named_by text NOT NULL
);

-- Statements as they were signed; the last one stands.
CREATE TABLE closing_statement (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    made_at timestamptz NOT NULL,
    made_by text NOT NULL,
    signed bytea NOT NULL,            -- the file, byte for byte
    sha256 text NOT NULL CHECK (sha256 = encode(sha256(signed), 'hex'))
);
CREATE TRIGGER closing_statement_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON closing_statement
    FOR EACH STATEMENT EXECUTE FUNCTION forbid_change_of_history();
