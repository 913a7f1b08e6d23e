-- Claim codes: what proves a subscriber when the service is gone and no text reaches them any more.

-- Of a code there is only a hash with a key that is not in this database; another code takes the place of the row's.
CREATE TABLE claim_code (
    part integer NOT NULL,
    subscriber_id bigint NOT NULL,
    code_hash bytea NOT NULL,
    issued_at timestamptz NOT NULL,
    PRIMARY KEY (part, subscriber_id)
);
CREATE UNIQUE INDEX claim_code_is_single ON claim_code (part, code_hash);

-- From where codes were tried that nobody has: as keyed hashes, of the last hours only. Of nobody, and so without a part.
CREATE TABLE claim_guard (
    source bytea PRIMARY KEY,
    wrong_at timestamptz[] NOT NULL,  -- the latest, fewer than lock it
    locked_until timestamptz,
    last_at timestamptz NOT NULL
);
CREATE INDEX claim_guard_by_last_at ON claim_guard (last_at);

-- Numbers that leave.

-- A line that is being taken to another operator: it serves on, and neither it nor its card can end meanwhile.
ALTER TABLE line ADD COLUMN porting_since timestamptz;
CREATE INDEX line_porting ON line (part, card_id) WHERE porting_since IS NOT NULL;

-- Where the numbers of the pools end: taken along by a subscriber, given to another operator with the customers, or
-- gone back to whose range they are of. `returning` waits for that operator's word.
ALTER TABLE number DROP CONSTRAINT number_state_check;
ALTER TABLE number ADD CONSTRAINT number_state_check CHECK (state IN
    ('free', 'reserved', 'assigned', 'quarantined', 'returning', 'ported', 'transferred', 'returned'));
ALTER TABLE number ADD COLUMN gone_to text;
ALTER TABLE number ADD COLUMN gone_at timestamptz;
ALTER TABLE number ADD COLUMN return_id bigint;
ALTER TABLE number ADD CONSTRAINT number_that_left_names_where CHECK
    ((state IN ('ported', 'transferred', 'returned')) = (gone_to IS NOT NULL)
     AND (gone_to IS NULL) = (gone_at IS NULL));
ALTER TABLE number ADD CONSTRAINT number_returned_is_on_a_list CHECK
    ((state IN ('returning', 'transferred', 'returned')) = (return_id IS NOT NULL));
CREATE INDEX number_by_return ON number (return_id, msisdn) WHERE return_id IS NOT NULL;

CREATE TABLE port_out (
    part integer NOT NULL,
    id bigint NOT NULL,
    account_id bigint NOT NULL,
    card_id bigint NOT NULL,
    line_id bigint NOT NULL,
    msisdn text NOT NULL,
    gaining text NOT NULL,          -- the operator that the number goes to
    reference text NOT NULL,        -- by which that operator, or the subscriber's request, is known again
    proof text NOT NULL CHECK (proof IN ('pin', 'claim_code', 'sign_in')),
    state text NOT NULL CHECK (state IN ('requested', 'pending', 'complete', 'failed', 'cancelled')),
    failure text,                   -- why it failed: a code of portability.model.PortFailure
    requested_at timestamptz NOT NULL,
    requested_by text NOT NULL,
    due_at timestamptz NOT NULL,    -- by when it must be complete
    started_at timestamptz,
    ended_at timestamptz,
    PRIMARY KEY (part, id),
    CHECK ((state = 'failed') = (failure IS NOT NULL)),
    CHECK ((state IN ('requested', 'pending')) = (ended_at IS NULL))
);
CREATE UNIQUE INDEX port_out_of_line_is_single ON port_out (part, line_id) WHERE ended_at IS NULL;
CREATE UNIQUE INDEX port_out_reference_is_single ON port_out (part, gaining, reference);
CREATE INDEX port_out_by_account ON port_out (part, account_id) WHERE ended_at IS NULL;
CREATE INDEX port_out_open ON port_out (due_at) WHERE ended_at IS NULL;

-- What proves to the gaining operator's request that the subscriber wants it. As keyed hashes; a row a card.
CREATE TABLE port_pin (
    part integer NOT NULL,
    card_id bigint NOT NULL,
    pin_hash bytea NOT NULL,
    expires_at timestamptz NOT NULL,
    wrong_at timestamptz[] NOT NULL DEFAULT '{}',
    locked_until timestamptz,
    PRIMARY KEY (part, card_id)
);

-- Lists of numbers that were offered back to the operator of whose range they are.
CREATE TABLE number_return (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    holder text NOT NULL,
    count integer NOT NULL CHECK (count > 0),
    made_at timestamptz NOT NULL,
    made_by text NOT NULL,
    confirmed_at timestamptz,
    confirmed_by text
);
