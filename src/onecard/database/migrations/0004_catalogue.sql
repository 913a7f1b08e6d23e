-- Price books: what usage costs, versioned by the date they take effect. Reference data, the same on every part.

CREATE TABLE price_book (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL,
    currency char(3) NOT NULL,
    effective_from timestamptz NOT NULL,
    imported_at timestamptz NOT NULL,
    CONSTRAINT price_book_is_new UNIQUE (currency, effective_from)
);

CREATE TABLE rate (
    price_book_id bigint NOT NULL REFERENCES price_book,
    usage text NOT NULL,         -- catalogue.model.UsageKind
    line_country text NOT NULL,
    prefix text NOT NULL,        -- digits of the far E.164 number; '' is everywhere; 'short' is the country's short codes
    zone text NOT NULL,          -- where the card is: 'home', a roaming_zone, or '*' for anywhere
    hours text NOT NULL,         -- by the line's clock: 'mon-fri 08:00-18:00; sat 09:00-12:00'; '' is always
    price_micros bigint NOT NULL CHECK (price_micros >= 0),
    price_units bigint NOT NULL CHECK (price_units > 0),  -- segments, seconds or octets that price_micros pays for
    first_block bigint NOT NULL CHECK (first_block > 0),
    next_block bigint NOT NULL CHECK (next_block > 0),
    setup_micros bigint NOT NULL CHECK (setup_micros >= 0),
    minimum_micros bigint NOT NULL CHECK (minimum_micros >= 0),
    PRIMARY KEY (price_book_id, usage, line_country, prefix, zone, hours)
);

CREATE TABLE roaming_zone (
    price_book_id bigint NOT NULL REFERENCES price_book,
    network text NOT NULL,       -- what the MCC and MNC begin with
    zone text NOT NULL,
    PRIMARY KEY (price_book_id, network)
);

CREATE TABLE plan (
    price_book_id bigint NOT NULL REFERENCES price_book,
    name text NOT NULL,
    fee_micros bigint NOT NULL CHECK (fee_micros >= 0),  -- a month
    first_months_free integer NOT NULL,
    prorating text NOT NULL,     -- catalogue.model.Prorating
    reserve_days integer NOT NULL,
    overage boolean NOT NULL,
    PRIMARY KEY (price_book_id, name)
);

CREATE TABLE plan_allowance (
    price_book_id bigint NOT NULL,
    plan text NOT NULL,
    place integer NOT NULL,
    usage text NOT NULL,
    units_a_month bigint NOT NULL CHECK (units_a_month > 0),
    line_countries text[] NOT NULL,  -- none: of all lines
    zones text[] NOT NULL,           -- none: anywhere
    PRIMARY KEY (price_book_id, plan, place),
    FOREIGN KEY (price_book_id, plan) REFERENCES plan (price_book_id, name)
);
