-- Price books: what usage costs, versioned by the date they take effect. Reference data, the same on every part.

CREATE TABLE price_book (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL,
    currency char(3) NOT NULL,
    effective_from timestamptz NOT NULL,
    imported_at timestamptz NOT NULL,
    CONSTRAINT price_book_is_new UNIQUE (currency, effective_from)
);

CREATE TABLE text_rate (
    price_book_id bigint NOT NULL REFERENCES price_book,
    line_country text NOT NULL,
    prefix text NOT NULL,  -- digits of the E.164 destination; '' is everywhere; 'short' is the country's short codes
    micros_per_segment bigint NOT NULL CHECK (micros_per_segment >= 0),
    PRIMARY KEY (price_book_id, line_country, prefix)
);
