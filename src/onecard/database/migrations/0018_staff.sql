-- Who works at the console, and what the console looks things up by.

CREATE TABLE staff (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    login text NOT NULL CONSTRAINT staff_login_is_unique UNIQUE,
    name text NOT NULL,
    roles text[] NOT NULL,
    created_at timestamptz NOT NULL,
    invite_hash bytea,            -- of the one-time password; nothing else lets in who has one
    invite_until timestamptz,
    password_hash text,           -- argon2id; NULL until the first sign-in, and after a reset
    sealed_authenticator bytea,   -- the secret of RFC 6238; only offered while there is no password
    last_step bigint NOT NULL DEFAULT 0,  -- of the authenticator's code that was last taken: none is taken twice
    wrong_at timestamptz[] NOT NULL DEFAULT '{}',  -- the latest wrong tries, fewer than lock the account
    locked_until timestamptz,
    sessions_from timestamptz NOT NULL,  -- what was signed in before is signed out
    deactivated_at timestamptz,
    CHECK ((invite_hash IS NULL) = (invite_until IS NULL)),
    CHECK (password_hash IS NULL OR sealed_authenticator IS NOT NULL)
);

CREATE TABLE staff_passkey (
    credential bytea PRIMARY KEY,
    staff_id bigint NOT NULL REFERENCES staff,
    public_key bytea NOT NULL,
    sign_count bigint NOT NULL,
    label text NOT NULL,          -- which device it is, in its owner's words
    added_at timestamptz NOT NULL,
    used_at timestamptz
);
CREATE INDEX staff_passkey_by_staff ON staff_passkey (staff_id);

-- Names are sealed, and looked up by this: keyed hashes of the words of a name, whose key is not in the database. The
-- rows of a subscriber are deleted when they are erased.
CREATE TABLE subscriber_name (
    part integer NOT NULL,
    word_hash bytea NOT NULL,
    subscriber_id bigint NOT NULL,
    PRIMARY KEY (part, word_hash, subscriber_id)
);
CREATE INDEX subscriber_name_of_subscriber ON subscriber_name (part, subscriber_id);

-- What the console pages through.
CREATE INDEX subscriber_by_id ON subscriber (id);
CREATE INDEX number_by_state ON number (country, state, msisdn);
CREATE INDEX number_of_state ON number (state, msisdn);
CREATE INDEX number_by_import ON number (imported_at, msisdn);
CREATE INDEX sim_by_imsi ON sim (imsi, iccid);
CREATE INDEX sim_by_state ON sim (state, iccid);
CREATE INDEX sim_by_import ON sim (imported_at, iccid);
CREATE INDEX application_decided ON application (decided_at, id) WHERE state <> 'applied';
CREATE INDEX audit_by_actor ON audit (actor, id);
CREATE INDEX audit_by_action ON audit (action, id);
CREATE INDEX refund_by_id ON refund (id);
CREATE INDEX refund_by_state ON refund (state, id);
CREATE INDEX refund_by_amount ON refund (state, amount_micros, id);
