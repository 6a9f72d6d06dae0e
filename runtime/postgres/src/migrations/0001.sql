-- Shards, and who owns them. Whoever takes a shard over counts `number` up; only the one who counted last may commit.
create table {schema}.shard (
    id bigint generated always as identity primary key,
    service text not null,
    shard integer not null,
    number bigint not null,
    -- The number of the ownership in the log, which tells a former owner from one whose number was taken by mistake.
    generation bigint not null,
    -- What its connections are called.
    owner text not null,
    unique (service, shard)
);

-- How far a shard is in each partition, as of the last fold.
create table {schema}.progress (
    shard bigint not null,
    topic text not null,
    partition integer not null,
    progress bytea not null,
    primary key (shard, topic, partition)
);

-- Which topics those are: one that is made again has another id, and offsets that begin anew.
create table {schema}.source (
    shard bigint not null,
    topic text not null,
    topic_id text not null,
    primary key (shard, topic)
);

-- Records that are done since then.
create table {schema}.done (
    shard bigint not null,
    topic text not null,
    partition integer not null,
    position bigint not null,
    -- The oldest offset that its owner read.
    since bigint not null,
    primary key (shard, topic, partition, position)
);

create table {schema}.state (
    shard bigint not null,
    key bytea not null,
    value bytea not null,
    primary key (shard, key)
);

-- Events on their way to the log. A row is unsent because it is there.
create table {schema}.outbox (
    id bigint generated always as identity primary key,
    event uuid not null default gen_random_uuid(),
    topic text not null,
    -- None: the relay chooses it by the key.
    partition integer,
    -- In milliseconds since the epoch.
    at bigint not null,
    key bytea,
    headers bytea not null,
    value bytea,
    -- Why the log does not take it. Others of its key wait behind it.
    parked text
);

create index on {schema}.outbox (topic) where parked is not null;

-- Rows of these come and go all the time, and few are there at any moment. What is gone is cleaned up after so many rows, not after a share
-- of the table; cleaning up holds up nobody who writes.
alter table {schema}.outbox set (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000, autovacuum_vacuum_cost_delay = 0,
    autovacuum_vacuum_insert_scale_factor = 0.2, autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 100000);
alter table {schema}.done set (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000, autovacuum_vacuum_cost_delay = 0,
    autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 100000);

-- What operators did with rows that were parked, and why.
create table {schema}.operation (
    id bigint generated always as identity primary key,
    at timestamptz not null default now(),
    what text not null,
    event uuid not null,
    topic text not null,
    key bytea,
    -- Why the row was parked.
    parked text not null,
    reason text not null
);

-- Who relays, until when, and whether the relay sleeps and wants to be woken.
create table {schema}.lease (
    name text primary key,
    holder text not null,
    until timestamptz not null,
    sleeps boolean not null default false,
    -- How many publishes there were whose rows are deleted: a database that was restored has fewer than its relay's last receipt says.
    publishes bigint not null default 0
);

-- These have few rows, which change all the time: with room in their pages, the change of one leaves nothing behind in an index.
alter table {schema}.lease set (fillfactor = 10);
alter table {schema}.progress set (fillfactor = 50);

-- Ends a statement, and with it the transaction that the statement closes.
create function {schema}.refuse(why text) returns bigint language plpgsql as $$
begin
    raise exception '%', why using errcode = 'TM001';
end
$$;
