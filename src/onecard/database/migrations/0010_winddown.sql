-- The order to stop: every version of its plan as it was written, who approved it, and since when it is in force.

-- One wind-down a database, and of nobody: these rows have no part. What is in force is read from `plan` itself, so that
-- it is what was approved, byte for byte.
CREATE TABLE winddown_version (
    version integer PRIMARY KEY CHECK (version > 0),
    kind text NOT NULL CHECK (kind IN ('draft', 'amendment', 'stay', 'lifting')),
    plan text NOT NULL,            -- TOML
    sha256 text NOT NULL CHECK (sha256 = encode(sha256(convert_to(plan, 'UTF8')), 'hex')),
    diff text[] NOT NULL,          -- what it changes, as those who approve it were shown
    proposed_by text NOT NULL,
    proposed_at timestamptz NOT NULL,
    withdrawn_by text,
    withdrawn_at timestamptz,
    in_force_since timestamptz,    -- it was put in force then, until a later one was
    CHECK ((withdrawn_by IS NULL) = (withdrawn_at IS NULL)),
    CHECK (withdrawn_at IS NULL OR in_force_since IS NULL)
);
CREATE TRIGGER winddown_version_stays_as_proposed
    BEFORE UPDATE OF version, kind, plan, sha256, diff, proposed_by, proposed_at ON winddown_version
    FOR EACH STATEMENT EXECUTE FUNCTION forbid_change_of_history();
CREATE TRIGGER winddown_version_is_kept BEFORE DELETE OR TRUNCATE ON winddown_version
    FOR EACH STATEMENT EXECUTE FUNCTION forbid_change_of_history();

-- Two different people approve a version.
CREATE TABLE winddown_approval (
    version integer NOT NULL,
    actor text NOT NULL,
    at timestamptz NOT NULL,
    PRIMARY KEY (version, actor)
);
CREATE TRIGGER winddown_approval_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON winddown_approval
    FOR EACH STATEMENT EXECUTE FUNCTION forbid_change_of_history();

-- A version was carried out on made-up subscribers, in databases that were thrown away.
CREATE TABLE winddown_rehearsal (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    version integer NOT NULL,
    sha256 text NOT NULL,          -- of the plan
    first_seed bigint NOT NULL,    -- what chance went by
    seeds integer NOT NULL CHECK (seeds > 0),
    accounts integer NOT NULL CHECK (accounts > 0),
    findings integer NOT NULL CHECK (findings >= 0), -- what did not go by the plan, of all seeds together
    rehearsed_by text NOT NULL,
    rehearsed_at timestamptz NOT NULL
);
CREATE INDEX winddown_rehearsal_of_version ON winddown_rehearsal (version, id);
CREATE TRIGGER winddown_rehearsal_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON winddown_rehearsal
    FOR EACH STATEMENT EXECUTE FUNCTION forbid_change_of_history();
