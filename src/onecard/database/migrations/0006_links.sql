-- What each node says of each link, a few seconds old at most, so that the command line and the console can ask.
CREATE TABLE link_status (
    link text NOT NULL,
    node text NOT NULL,
    bound_sessions integer NOT NULL,
    waiting integer NOT NULL,        -- texts in this node's memory, or parked for any node
    texts_in bigint NOT NULL,        -- the counts are since the node started
    texts_refused bigint NOT NULL,
    texts_out bigint NOT NULL,
    texts_failed bigint NOT NULL,
    receipts_in bigint NOT NULL,
    receipts_out bigint NOT NULL,
    last_error text NOT NULL,
    at timestamptz NOT NULL,
    PRIMARY KEY (link, node)
);
