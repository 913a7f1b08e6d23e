-- Vouchers: PINs that are sold in shops, each of which tops up one account once.

INSERT INTO entry_kind (kind, name, counter_role) VALUES
    (15, 'voucher', 'funding');

CREATE TABLE voucher_batch (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    face_micros bigint NOT NULL CHECK (face_micros > 0),
    currency char(3) NOT NULL,
    count integer NOT NULL CHECK (count > 0),
    expires_at timestamptz NOT NULL,  -- from then on its vouchers are refused
    made_at timestamptz NOT NULL,
    made_by text NOT NULL
);

-- Of nobody until it is used, and so without a part, as a number of a pool. Of the PIN there is only a hash with a
-- key that is not in this database: who has the table cannot find the PINs by trying them all.
CREATE TABLE voucher (
    serial bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    batch_id bigint NOT NULL,
    pin_hash bytea NOT NULL CONSTRAINT voucher_pin_is_unique UNIQUE,
    used_at timestamptz,
    part integer,
    account_id bigint,      -- that it topped up
    voided_at timestamptz,
    CHECK ((used_at IS NULL) = (account_id IS NULL) AND (used_at IS NULL) = (part IS NULL)),
    CHECK (used_at IS NULL OR voided_at IS NULL)
);
CREATE INDEX voucher_by_batch ON voucher (batch_id, serial);

-- Accounts on which PINs were tried that no voucher has.
CREATE TABLE voucher_guard (
    part integer NOT NULL,
    account_id bigint NOT NULL,
    wrong_at timestamptz[] NOT NULL,  -- the latest, fewer than lock the account
    locked_until timestamptz,
    PRIMARY KEY (part, account_id)
);
