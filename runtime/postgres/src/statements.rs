//! The runtime's own statements.

use futures_util::future::{try_join, try_join3};
use tokio_postgres::{Client, Error, Statement};

/// Opens a transaction. Those of a worker's connections only read unless they are opened by this ([`SETTINGS`]).
pub(crate) const BEGIN: &str = "begin read write";
/// What a worker's connections are set to. A statement may so be sent behind the beginning that it needs: if that fails, it changes
/// nothing.
pub(crate) const SETTINGS: &str = "set default_transaction_read_only = on";

/// Those that every connection has ready.
#[derive(Clone)]
pub(crate) struct Prepared {
    pub(crate) begin: Statement,
    pub(crate) commit: Statement,
    pub(crate) settle: Statement,
    pub(crate) get: Statement,
    pub(crate) scan: Statement,
    pub(crate) scan_on: Statement,
}

/// The last statement of a unit. All that the runtime keeps of it is one round trip.
const SETTLE: &str =
    "select {schema}.settle($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)";

const GET: &str = "select value from {schema}.state where shard = $1 and key = $2";
const SCAN: &str =
    "select key, value from {schema}.state where shard = $1 and key >= $2 and key < $3 order by key limit $4";
const SCAN_ON: &str = "select key, value from {schema}.state where shard = $1 and key >= $2 order by key limit $3";

/// Takes a shard over. Answers its id, the new number, and who had it before, if somebody else did.
const TAKE: &str = "select taken_id, taken_number, owner_before from {schema}.take($1, $2, $3, $4)";

const PROGRESS: &str = "select topic, partition, progress from {schema}.progress where shard = $1";
const DONE: &str = "select topic, partition, position, since from {schema}.done where shard = $1 \
                    order by topic, partition, position";

/// Tells which topics a shard has read, and takes note of those that it never did.
const SOURCES: &str = "with given as (select * from unnest($2::text[], $3::text[]) as given (topic, topic_id)),
    added as (insert into {schema}.source (shard, topic, topic_id) select $1, topic, topic_id from given on conflict do nothing)
select given.topic from given join {schema}.source on source.shard = $1 and source.topic = given.topic
where source.topic_id <> given.topic_id";

/// Keeps progress, and forgets the records that are done in it.
const FOLD: &str = "with kept as (insert into {schema}.progress (shard, topic, partition, progress) values ($1, $2, $3, $4)
        on conflict (shard, topic, partition) do update set progress = excluded.progress),
    named as (insert into {schema}.source (shard, topic, topic_id) values ($1, $2, $7)
        on conflict (shard, topic) do update set topic_id = excluded.topic_id where source.topic_id <> excluded.topic_id)
delete from {schema}.done where shard = $1 and topic = $2 and partition = $3
    and position < $5 and position <> all ($6::bigint[])";

/// Ends the connections of whoever owns a shard.
const END_OWNER: &str = "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() \
                         and application_name = (select owner from {schema}.shard where service = $1 and shard = $2) \
                         and application_name <> $3";
/// Ends the connections of a former owner that have stood still in a transaction: nobody waits for rows that they hold.
const END_IDLE: &str = "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() \
                        and application_name = $1 and state like 'idle in transaction%' and state_change < now() - interval '1 second'";

const SHARDS: &str = "select coalesce(max(shard) + 1, 0) from {schema}.shard where service = $1";
const SHARD: &str = "select id from {schema}.shard where service = $1 and shard = $2";
const ALL_SHARDS: &str = "select id, shard from {schema}.shard where service = $1";

/// Takes a lease that is free or over, or keeps it.
const HOLD: &str = "insert into {schema}.lease (name, holder, until, sleeps)
values ($1, $2, now() + $3::bigint * interval '1 millisecond', $4)
on conflict (name) do update set holder = excluded.holder, until = excluded.until, sleeps = excluded.sleeps
where lease.holder = excluded.holder or lease.until < now() returning 1";
const RELEASE: &str = "update {schema}.lease set until = '-infinity', sleeps = false where name = $1 and holder = $2";
const PUBLISHES: &str = "select publishes from {schema}.lease where name = $1";
const COLUMNS: &str = "id, uuid_send(event), topic, partition, at, key, headers, value, parked";
/// Where rows of a topic and key stand: behind the first that is parked. It is one value in which each row is looked up, so nothing has
/// to be joined: what is known of how full this table is, is wrong more often than not, and a join that is chosen by that compares
/// each row with each that is parked.
const LANES: &str = "lanes as materialized (select jsonb_object_agg(encode(key, 'hex') || ':' || topic, first) as firsts
    from (select topic, key, min(id) as first from {schema}.outbox where parked is not null and key is not null group by topic, key)
    as parked)";
/// Whether a row stands behind one of its topic and key.
const IS_BEHIND: &str =
    "((((select firsts from lanes) ->> (encode(key, 'hex') || ':' || topic))::bigint < id) is true)";
/// The next rows, but those that stand.
const NEXT: &str = "with {lanes},
next as (select * from {schema}.outbox where parked is null and not {is_behind} order by id limit $1),
sized as (select *, sum(coalesce(octet_length(value), 0)) over (order by id) - coalesce(octet_length(value), 0) as before from next)
select {columns} from sized where before < $2::bigint order by id";
/// Deletes rows, and keeps the number of their publish, whoever holds the lease.
const DELETE: &str =
    "with gone as (delete from {schema}.outbox using unnest($1::bigint[], $2::bytea[]) as sent (id, event)
    where outbox.id = sent.id and uuid_send(outbox.event) = sent.event)
insert into {schema}.lease (name, holder, until, publishes) values ($3, '', '-infinity', $4)
on conflict (name) do update set publishes = excluded.publishes where lease.publishes < excluded.publishes";
const PARK: &str = "update {schema}.outbox set parked = $2 where id = $1";
const LIST: &str =
    "select {columns} from {schema}.outbox where id > $1 and (parked is not null or not $2) order by id limit $3";
const FILL: &str = "with {lanes}
select count(*) filter (where not stands), count(*) filter (where stands)
from (select parked is not null or {is_behind} as stands from {schema}.outbox) as rows";
/// Lets a parked row go on, and wakes a relay that sleeps.
const RETRY: &str = "with old as (select * from {schema}.outbox where id = $1 and parked is not null for update),
    freed as (update {schema}.outbox set parked = null from old where outbox.id = old.id),
    kept as (insert into {schema}.operation (what, event, topic, key, parked, reason)
        select 'retry', event, topic, key, parked, $2 from old)
select pg_notify('{schema}_outbox', '') from old";
const DISCARD: &str = "with old as (delete from {schema}.outbox where id = $1 and parked is not null returning *),
    kept as (insert into {schema}.operation (what, event, topic, key, parked, reason)
        select 'discard', event, topic, key, parked, $2 from old)
select pg_notify('{schema}_outbox', '') from old";

/// Puts one row into the outbox, and wakes a relay that sleeps.
const ADD: &str =
    "with added as (insert into {schema}.outbox (topic, at, key, headers, value) values ($1, $2, $3, $4, $5))
select pg_notify('{schema}_outbox', '') from {schema}.lease where sleeps";

/// A text with what it is made of: parts first that hold others.
fn filled(text: &str, schema: &str) -> String {
    let parts = [("{lanes}", LANES), ("{is_behind}", IS_BEHIND), ("{columns}", COLUMNS), ("{schema}", schema)];
    parts.iter().fold(text.to_owned(), |text, (name, part)| text.replace(name, part))
}

/// The text that puts an event into the outbox.
pub(crate) fn add_text(schema: &str) -> String {
    filled(ADD, schema)
}

/// The texts of whoever takes rows out of the outbox.
#[derive(Debug, Clone)]
pub(crate) struct TableTexts {
    pub(crate) hold: String,
    pub(crate) release: String,
    pub(crate) publishes: String,
    pub(crate) next: String,
    pub(crate) delete: String,
    pub(crate) park: String,
    pub(crate) list: String,
    pub(crate) fill: String,
    pub(crate) retry: String,
    pub(crate) discard: String,
}

impl TableTexts {
    pub(crate) fn new(schema: &str) -> Self {
        let text = |text| filled(text, schema);
        Self {
            hold: text(HOLD),
            release: text(RELEASE),
            publishes: text(PUBLISHES),
            next: text(NEXT),
            delete: text(DELETE),
            park: text(PARK),
            list: text(LIST),
            fill: text(FILL),
            retry: text(RETRY),
            discard: text(DISCARD),
        }
    }
}

/// The texts, for the schema that is configured.
#[derive(Debug, Clone)]
pub(crate) struct Texts {
    pub(crate) settle: String,
    pub(crate) get: String,
    pub(crate) scan: String,
    pub(crate) scan_on: String,
    pub(crate) take: String,
    pub(crate) progress: String,
    pub(crate) done: String,
    pub(crate) sources: String,
    pub(crate) fold: String,
    pub(crate) end_owner: String,
    pub(crate) end_idle: String,
    pub(crate) shards: String,
    pub(crate) shard: String,
    pub(crate) all_shards: String,
    pub(crate) fill: String,
}

impl Texts {
    pub(crate) fn new(schema: &str) -> Self {
        let text = |text| filled(text, schema);
        Self {
            settle: text(SETTLE),
            get: text(GET),
            scan: text(SCAN),
            scan_on: text(SCAN_ON),
            take: text(TAKE),
            progress: text(PROGRESS),
            done: text(DONE),
            sources: text(SOURCES),
            fold: text(FOLD),
            end_owner: text(END_OWNER),
            end_idle: text(END_IDLE),
            shards: text(SHARDS),
            shard: text(SHARD),
            all_shards: text(ALL_SHARDS),
            fill: text(FILL),
        }
    }

    /// Has a connection prepare those that units need.
    pub(crate) async fn prepare(&self, client: &Client) -> Result<Prepared, Error> {
        let units = try_join3(client.prepare(BEGIN), client.prepare("commit"), client.prepare(&self.settle));
        let reads = try_join3(client.prepare(&self.get), client.prepare(&self.scan), client.prepare(&self.scan_on));
        let ((begin, commit, settle), (get, scan, scan_on)) = try_join(units, reads).await?;
        Ok(Prepared { begin, commit, settle, get, scan, scan_on })
    }
}
