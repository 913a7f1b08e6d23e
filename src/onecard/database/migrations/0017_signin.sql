-- Who is signed in on the web, and what one signs in by.

-- A session is found by its cookie alone and is of nobody's part, as a voucher. Of the cookie there is only a hash:
-- who reads the table cannot be anybody.
CREATE TABLE web_session (
    token_hash bytea PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('subscriber', 'staff')),
    part integer NOT NULL,          -- of a subscriber; 0 of staff
    person_id bigint NOT NULL,
    actor text NOT NULL,            -- the name in the audit record
    method text NOT NULL CHECK (method IN ('code', 'passkey', 'claim_code', 'password')),
    opened_at timestamptz NOT NULL,
    seen_at timestamptz NOT NULL
);
CREATE INDEX web_session_by_person ON web_session (kind, part, person_id);
CREATE INDEX web_session_by_seen ON web_session (seen_at);

-- How often something was tried of late: by a hash of who or what tried, in windows of fixed length. All nodes count here.
CREATE TABLE web_attempt (
    subject_hash bytea PRIMARY KEY,
    count integer NOT NULL,
    until timestamptz NOT NULL
);
CREATE INDEX web_attempt_by_until ON web_attempt (until);

-- The code that was last texted to a card to sign in with: only a keyed hash of it, and how often it was guessed.
CREATE TABLE sign_in_code (
    part integer NOT NULL,
    card_id bigint NOT NULL,
    code_hash bytea NOT NULL,
    tries integer NOT NULL DEFAULT 0,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (part, card_id)
);

-- What a browser must sign with a passkey (WebAuthn section 13.4.3), once, before it expires.
CREATE TABLE passkey_challenge (
    token_hash bytea PRIMARY KEY,   -- of the cookie of the browser that was asked
    challenge bytea NOT NULL,
    expires_at timestamptz NOT NULL
);
CREATE INDEX passkey_challenge_by_expires ON passkey_challenge (expires_at);

-- Passkeys of subscribers: public keys (WebAuthn section 4, credential record).
CREATE TABLE passkey (
    part integer NOT NULL,
    id bytea NOT NULL,
    subscriber_id bigint NOT NULL,
    public_key bytea NOT NULL,
    sign_count bigint NOT NULL,
    made_at timestamptz NOT NULL,
    used_at timestamptz,
    PRIMARY KEY (part, id)
);
CREATE INDEX passkey_by_subscriber ON passkey (part, subscriber_id);
