create table {schema}.orders (
    -- Derives from the key, so a second order of one key finds the first.
    id text primary key,
    idempotency_key text not null,
    -- When it was placed, in milliseconds since 1970.
    at bigint not null,
    customer text,
    country text not null,
    lines jsonb not null,
    -- The sum of the lines in thousandths of a pound.
    total_milli bigint not null
);
