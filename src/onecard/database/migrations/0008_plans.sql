-- Plans that cards have, month by month, and what subscribers are to be told.

CREATE TABLE subscription (
    part integer NOT NULL,
    id bigint NOT NULL DEFAULT nextval('subscriber_row_id'),
    account_id bigint NOT NULL,
    card_id bigint NOT NULL,
    plan text NOT NULL,             -- its name; what it gives and costs, the price book of the day says
    next_plan text,                 -- from the next renewal on
    state text NOT NULL CHECK (state IN ('active', 'lapsed', 'ended')),
    ends boolean NOT NULL DEFAULT false, -- with the period, rather than being renewed
    renewal_day smallint NOT NULL CHECK (renewal_day BETWEEN 1 AND 31), -- the last of a month that is shorter
    period integer NOT NULL,        -- months so far, this one too
    renews_on date NOT NULL,        -- by the operator's calendar; of a lapsed one, when it should have been
    reserved_micros bigint NOT NULL DEFAULT 0, -- held on the account for the next renewal
    reserves integer NOT NULL DEFAULT 0, -- how often money was held
    warned boolean NOT NULL,        -- that it will be renewed, or it need not be
    tried_at timestamptz,           -- when the account last could not pay
    due_at timestamptz NOT NULL,    -- when there is something to do next
    started_at timestamptz NOT NULL,
    ended_at timestamptz,
    PRIMARY KEY (part, id)
);
CREATE UNIQUE INDEX subscription_of_card_is_single ON subscription (part, card_id) WHERE state <> 'ended';
CREATE INDEX subscription_due ON subscription (part, due_at) WHERE state <> 'ended';

CREATE SEQUENCE notice_id;

-- What subscribers are to be told by text. Written with what causes it; told by a job, in their language.
CREATE TABLE notice (
    part integer NOT NULL,
    id bigint NOT NULL DEFAULT nextval('notice_id'),
    card_id bigint NOT NULL,
    kind text NOT NULL,             -- charging.notices.NoticeKind
    parameters jsonb NOT NULL,      -- amounts, dates, names of plans: nothing of the person
    written_at timestamptz NOT NULL,
    due_at timestamptz NOT NULL,    -- a node that is about to tell it moves this on, so that no other does
    told_at timestamptz,
    closed_at timestamptz,          -- told, or there is nobody to tell any more
    PRIMARY KEY (part, id)
);
CREATE INDEX notice_due ON notice (part, due_at) WHERE closed_at IS NULL;

-- Accounts whose subscribers were told that the balance is low, until it is not.
CREATE TABLE low_balance (
    part integer NOT NULL,
    account_id bigint NOT NULL,
    told_at timestamptz NOT NULL,
    PRIMARY KEY (part, account_id)
);

CREATE INDEX card_by_account ON card (account_id);
