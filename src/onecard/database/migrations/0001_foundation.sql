-- What every other table leans on: the parts, the nodes, the tail of changes, the audit record, the keys.

-- Every row of a subscriber carries the part of its account, first in its primary key, so that the same SQL runs
-- on one server and on a cluster distributed by part. The values are data: a cluster chooses one for each shard.
CREATE TABLE part (
    part integer PRIMARY KEY
);

CREATE SEQUENCE subscriber_row_id;  -- ids of subscribers, cards, lines and applications: unique across parts

-- Ids of texts are handed to nodes in blocks, so that a text has its id before it is written.
CREATE SEQUENCE message_id_block INCREMENT 10000 START 10000;

-- A node that has not renewed its lease loses the texts it claimed to the next node that asks.
CREATE TABLE node (
    name text PRIMARY KEY,
    lease_until timestamptz NOT NULL
);

-- What nodes keep in memory and must forget. Every node tails this table; NOTIFY is only a hint to look sooner.
-- xid lets a tail start again at the oldest transaction that was still open when it last looked.
CREATE TABLE change (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    kind text NOT NULL,  -- card | account | tariff
    key bigint NOT NULL,
    at timestamptz NOT NULL
);
CREATE INDEX change_by_xid ON change (xid);

CREATE FUNCTION record_change(p_kind text, p_key bigint, p_at timestamptz) RETURNS void
LANGUAGE sql AS $$
    INSERT INTO change (kind, key, at) VALUES (p_kind, p_key, p_at);
    SELECT pg_notify('change', '');
$$;

-- Who did what to what. No names, numbers or contents: identifiers only. Append-only.
CREATE TABLE audit (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL,
    actor text NOT NULL,    -- staff:alice, subscriber:1001, link:cn-home, onecard
    action text NOT NULL,   -- sell_card
    subject text NOT NULL,  -- card:1002
    detail jsonb NOT NULL DEFAULT '{}'
);
CREATE INDEX audit_by_subject ON audit (subject, id);

CREATE FUNCTION forbid_change_of_history() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME;
END
$$;
CREATE TRIGGER audit_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit
    FOR EACH STATEMENT EXECUTE FUNCTION forbid_change_of_history();

-- Keys that seal the bodies of texts, one a day, wrapped by the master key. A key is destroyed when the last
-- text it can have sealed is over, so that no backup of the texts can be read afterwards.
CREATE TABLE body_key (
    day date PRIMARY KEY,
    wrapped bytea NOT NULL
);
