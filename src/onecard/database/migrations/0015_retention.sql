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
