-- Subscribers, SIM cards, numbers and the lines that join them.

-- New subscribers go to the parts in turn.
CREATE SEQUENCE part_turn;

CREATE TABLE subscriber (
    part integer NOT NULL,
    id bigint NOT NULL,
    account_id bigint NOT NULL,
    language text NOT NULL CHECK (language IN ('en', 'fr', 'zh-Hans', 'zh-Hant')),
    sealed_contact bytea,  -- name, e-mail, postal address; NULL once erased
    created_at timestamptz NOT NULL,
    erased_at timestamptz,
    PRIMARY KEY (part, id)
);

-- The key that seals one subscriber's contact details, wrapped by the master key. Deleting the row erases them.
CREATE TABLE subscriber_key (
    part integer NOT NULL,
    subscriber_id bigint NOT NULL,
    wrapped bytea NOT NULL,
    PRIMARY KEY (part, subscriber_id)
);

-- The stock of SIM and eSIM profiles. A row outlives its sale: an ICCID is never given twice.
CREATE TABLE sim (
    iccid text PRIMARY KEY,
    imsi text NOT NULL CONSTRAINT sim_imsi_is_unique UNIQUE,
    activation_code text,  -- GSMA SGP.22 section 4.1, of an eSIM
    state text NOT NULL CHECK (state IN ('stock', 'sold', 'replaced', 'ended')),
    part integer,
    card_id bigint,
    imported_at timestamptz NOT NULL,
    CHECK ((state = 'stock') = (card_id IS NULL))
);
CREATE INDEX sim_in_stock ON sim (iccid) WHERE state = 'stock';

CREATE TABLE card (
    part integer NOT NULL,
    id bigint NOT NULL,
    subscriber_id bigint NOT NULL,
    account_id bigint NOT NULL,
    iccid text NOT NULL,
    imsi text NOT NULL,
    state text NOT NULL CHECK (state IN ('sold', 'active', 'ended')),
    sold_at timestamptz NOT NULL,
    activated_at timestamptz,
    ended_at timestamptz,
    PRIMARY KEY (part, id)
);
CREATE INDEX card_by_subscriber ON card (part, subscriber_id);

-- The pools: every number the operator may give out, of every country, and whose it is now.
CREATE TABLE number (
    msisdn text PRIMARY KEY,
    country text NOT NULL,
    state text NOT NULL CHECK (state IN ('free', 'reserved', 'assigned', 'quarantined')),
    until timestamptz,  -- end of the reservation or of the quarantine
    part integer,
    card_id bigint,
    imported_at timestamptz NOT NULL,
    CHECK ((state IN ('reserved', 'quarantined')) = (until IS NOT NULL)),
    CHECK ((state IN ('reserved', 'assigned')) = (card_id IS NOT NULL))
);
CREATE INDEX number_free ON number (country, msisdn) WHERE state = 'free';
CREATE INDEX number_until ON number (until) WHERE until IS NOT NULL;

CREATE TABLE application (
    part integer NOT NULL,
    id bigint NOT NULL,
    card_id bigint NOT NULL,
    country text NOT NULL,
    msisdn text NOT NULL,  -- the number reserved for it
    state text NOT NULL CHECK (state IN ('applied', 'approved', 'refused')),
    reason text,           -- why refused: a code of lines.model.Verification, or card_ended
    applied_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,  -- no outcome by then means refused
    decided_at timestamptz,
    decided_by text,
    PRIMARY KEY (part, id)
);
CREATE INDEX application_by_card ON application (part, card_id, applied_at);
CREATE INDEX application_open ON application (expires_at) WHERE state = 'applied';

CREATE TABLE line (
    part integer NOT NULL,
    id bigint NOT NULL,
    card_id bigint NOT NULL,
    slot smallint NOT NULL CHECK (slot >= 0),  -- 0 is the primary line
    msisdn text NOT NULL,
    country text NOT NULL,
    time_zone text NOT NULL,
    state text NOT NULL CHECK (state IN ('active', 'ended')),
    switched_on boolean NOT NULL DEFAULT true,
    bar_texts_in boolean NOT NULL DEFAULT false,
    bar_calls_in boolean NOT NULL DEFAULT false,
    blocked text[] NOT NULL DEFAULT '{}',  -- E.164 numbers, prefixes ending in *, or alphanumeric senders
    allowed text[] NOT NULL DEFAULT '{}',  -- where not empty, only these
    schedule jsonb NOT NULL DEFAULT '[]',  -- windows in which the line takes calls and texts; none: always
    started_at timestamptz NOT NULL,
    ending_until timestamptz,  -- an end was asked for and may be confirmed until then
    ended_at timestamptz,
    PRIMARY KEY (part, id)
);
CREATE UNIQUE INDEX line_slot_is_single ON line (part, card_id, slot) WHERE state = 'active';
