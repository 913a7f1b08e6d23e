-- What subscribers are told of a wind-down, and the proof of it: the exact words, every attempt, what came of each.

-- A notice is of nobody: no part. Its dates are what it tells; when one is no longer so, it is withdrawn and corrected.
CREATE TABLE winddown_notice (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    key text NOT NULL,              -- one notice of the plan, whichever of its versions
    kind text NOT NULL,             -- winddown.model.NoticeKind
    stage text,
    version integer NOT NULL,       -- of the plan that it was made from
    dates jsonb NOT NULL,           -- by stage: local date-times, null where it tells that there is none
    languages text[] NOT NULL,
    is_urgent boolean NOT NULL,     -- told by night, too, and before others
    made_at timestamptz NOT NULL,
    withdrawn_at timestamptz
);
CREATE UNIQUE INDEX winddown_notice_stands_once ON winddown_notice (key) WHERE withdrawn_at IS NULL;

-- The words as they are sent, fixed when the notice is made. No name is in them; {amount} is filled in.
CREATE TABLE notice_wording (
    notice_id bigint NOT NULL,
    language text NOT NULL,
    subject text NOT NULL,
    text text NOT NULL,
    body text NOT NULL,
    PRIMARY KEY (notice_id, language)
);
CREATE TRIGGER notice_wording_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON notice_wording
    FOR EACH STATEMENT EXECUTE FUNCTION forbid_change_of_history();

-- The copy to the regulator.
CREATE TABLE notice_copy (
    notice_id bigint PRIMARY KEY,
    address text NOT NULL,
    attempts integer NOT NULL DEFAULT 0,
    due_at timestamptz NOT NULL,
    sent_at timestamptz,
    detail text NOT NULL DEFAULT '', -- what the mail server answered last
    sha256 bytea                     -- of the exact words
);

-- How far a part's subscribers have been made recipients: it goes on where it was interrupted. Of refunds: until when they
-- were looked at, in seconds since 1970.
CREATE TABLE notice_progress (
    part integer NOT NULL,
    notice_id bigint NOT NULL,
    through_id bigint NOT NULL,
    PRIMARY KEY (part, notice_id)
);

CREATE TABLE notice_recipient (
    part integer NOT NULL,
    subscriber_id bigint NOT NULL,
    notice_id bigint NOT NULL,
    occasion bigint NOT NULL DEFAULT 0, -- 1000 times the refund, and its version; 0: everybody is told
    language text NOT NULL,
    particulars jsonb NOT NULL DEFAULT '{}', -- what is filled in: an amount
    is_urgent boolean NOT NULL,
    state text NOT NULL CHECK (state IN ('waiting', 'sending', 'sent', 'reached', 'unreached', 'withdrawn')),
    channel text NOT NULL CHECK (channel IN ('text', 'email', 'letter')), -- whose turn it is, or that reached them
    tried_since timestamptz,        -- when this channel was tried first
    attempts integer NOT NULL DEFAULT 0,
    due_at timestamptz NOT NULL,
    done_at timestamptz,            -- reached, or unreached
    PRIMARY KEY (part, subscriber_id, notice_id, occasion)
);
CREATE INDEX notice_recipient_due ON notice_recipient (part, channel, is_urgent DESC, due_at)
    WHERE state IN ('waiting', 'sending');
CREATE INDEX notice_recipient_on_the_way ON notice_recipient (part, due_at) WHERE state = 'sent' AND channel = 'text';
CREATE INDEX notice_recipient_by_notice ON notice_recipient (part, notice_id, state, subscriber_id);

-- The evidence. A row is written with the attempt, and its result once more when it is known.
CREATE TABLE notice_attempt (
    part integer NOT NULL,
    subscriber_id bigint NOT NULL,
    notice_id bigint NOT NULL,
    occasion bigint NOT NULL,
    number integer NOT NULL,        -- 1, 2, ... over all channels
    channel text NOT NULL,
    language text NOT NULL,
    at timestamptz NOT NULL,
    result text NOT NULL,           -- winddown.notices.model.Result
    result_at timestamptz NOT NULL,
    detail text NOT NULL,           -- a code of the network or the mail server
    sha256 bytea,                   -- of the exact words; NULL where nothing was sent
    message_ids bigint[] NOT NULL,  -- of a text, one a segment
    letters_id bigint,
    PRIMARY KEY (part, subscriber_id, notice_id, occasion, number)
);
CREATE INDEX notice_attempt_by_letters ON notice_attempt (letters_id) WHERE letters_id IS NOT NULL;

-- Letters that were written together, for one printer's job.
CREATE TABLE notice_letters (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    notice_id bigint NOT NULL,
    count integer NOT NULL,
    made_at timestamptz NOT NULL,
    made_by text NOT NULL,
    posted_at timestamptz,
    posted_by text
);

CREATE INDEX refund_history_to_tell ON refund_history (part, at) WHERE what IN ('settle', 'refuse', 'bring_back');
