-- What may be destroyed when, and what may not.

-- While one is not lifted, nothing is destroyed and no number goes back. Of nobody, and so without a part.
CREATE TABLE legal_hold (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    reason text NOT NULL,           -- which case; no names
    added_at timestamptz NOT NULL,
    added_by text NOT NULL,
    lift_asked_at timestamptz,
    lift_asked_by text,
    lifted_at timestamptz,
    lifted_by text,
    CHECK (lifted_by IS NULL OR (lift_asked_by IS NOT NULL AND lift_asked_by <> lifted_by))
);

-- Runs of the purge: each destroys what is old enough of one class, in batches.
CREATE TABLE purge_run (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    class text NOT NULL,            -- retention.model.DataClass
    before timestamptz NOT NULL,    -- what ended before then goes
    started_at timestamptz NOT NULL,
    started_by text NOT NULL,
    rows bigint NOT NULL DEFAULT 0,
    keys bigint NOT NULL DEFAULT 0, -- data keys destroyed
    oldest timestamptz,             -- of what went
    newest timestamptz,
    ended_at timestamptz
);
CREATE UNIQUE INDEX purge_run_of_class_is_single ON purge_run (class) WHERE ended_at IS NULL;

-- Periods: the latest wraps every new data key. A renewal moves all to it, and then destroys the keys of the former ones,
-- which are files outside the database.
CREATE TABLE key_renewal (
    period bigint PRIMARY KEY,
    started_at timestamptz NOT NULL,
    started_by text NOT NULL,
    ended_at timestamptz,
    destroyed jsonb NOT NULL        -- the former periods, and the SHA-256 of their keys
);

-- The key of the hashes in subscriber_name, wrapped as all data keys are. It goes when nobody's name is kept any more.
CREATE TABLE lookup_key (
    id boolean PRIMARY KEY DEFAULT true CHECK (id),
    wrapped bytea NOT NULL
);
