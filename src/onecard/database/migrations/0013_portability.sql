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
