-- A unit's last statement and a takeover, as functions: what a unit did not do costs it nothing, and each statement in them sees what was
-- committed when it begins.
--
-- A commit shares its shard's lock until it is over, and a takeover has it alone. The lock is of no row: sharing a row would write to it.
-- It is named by the table's and the shard's numbers, so it is apart from those of other schemas. Who sees the shard only as it was when
-- his transaction began, as a handler may have asked for, shares its row instead, which tells when that has changed.

create function {schema}.share_shard(in_shard bigint, in_number bigint, in_generation bigint) returns void language plpgsql as $$
begin
    if current_setting('transaction_isolation') = 'read committed' then
        perform pg_advisory_xact_lock_shared('{schema}.shard'::regclass::oid::integer, in_shard::integer);
        perform from {schema}.shard where id = in_shard and number = in_number;
    else
        perform from {schema}.shard where id = in_shard and number = in_number for share;
    end if;
    if not found then
        perform from {schema}.shard where id = in_shard and generation > in_generation;
        perform {schema}.refuse(case when found then 'fenced' else 'moved' end);
    end if;
end
$$;

-- Everything that the runtime keeps of a unit.
create function {schema}.settle(
    in_shard bigint, in_number bigint, in_generation bigint,
    in_topic text, in_partition integer, in_position bigint, in_since bigint,
    once_key bytea, once_value bytea,
    set_keys bytea[], set_values bytea[], removed_keys bytea[],
    event_topics text[], event_partitions integer[], event_times bigint[], event_keys bytea[], event_headers bytea[], event_values bytea[]
) returns void language plpgsql as $$
begin
    -- What most units need, without a call: the lock is free, and whether the shard was taken is told by the row that they insert.
    if in_topic is null or current_setting('transaction_isolation') <> 'read committed'
        or not pg_try_advisory_xact_lock_shared('{schema}.shard'::regclass::oid::integer, in_shard::integer)
    then
        perform {schema}.share_shard(in_shard, in_number, in_generation);
    end if;
    if in_topic is not null then
        insert into {schema}.done (shard, topic, partition, position, since)
            select id, in_topic, in_partition, in_position, in_since from {schema}.shard where id = in_shard and number = in_number
            on conflict do nothing;
        if not found then
            perform {schema}.share_shard(in_shard, in_number, in_generation);
            perform {schema}.refuse('the record is done already');
        end if;
    end if;
    if once_key is not null then
        insert into {schema}.state (shard, key, value) values (in_shard, once_key, once_value) on conflict do nothing;
        if not found then
            perform {schema}.refuse('the event is known already');
        end if;
    end if;
    if cardinality(set_keys) > 0 then
        insert into {schema}.state (shard, key, value)
            select in_shard, change.key, change.value from unnest(set_keys, set_values) as change (key, value)
            on conflict on constraint state_pkey do update set value = excluded.value;
    end if;
    if cardinality(removed_keys) > 0 then
        delete from {schema}.state where shard = in_shard and key = any (removed_keys);
    end if;
    if cardinality(event_topics) > 0 then
        insert into {schema}.outbox (topic, partition, at, key, headers, value)
            select event.topic, event.partition, event.at, event.key, event.headers, event.value
            from unnest(event_topics, event_partitions, event_times, event_keys, event_headers, event_values)
                with ordinality as event (topic, partition, at, key, headers, value, place)
            order by event.place;
        perform pg_notify('{schema}_outbox', '') from {schema}.lease where sleeps;
    end if;
end
$$;

-- Takes a shard over, when every commit that is under way is over. Answers its id, the new number, and who had it before.
create function {schema}.take(
    in_service text, in_shard integer, in_generation bigint, in_owner text,
    out taken_id bigint, out taken_number bigint, out owner_before text
) language plpgsql as $$
begin
    insert into {schema}.shard (service, shard, number, generation, owner) values (in_service, in_shard, 0, in_generation, in_owner)
        on conflict do nothing;
    select id into taken_id from {schema}.shard where service = in_service and shard = in_shard;
    perform pg_advisory_xact_lock('{schema}.shard'::regclass::oid::integer, taken_id::integer);
    select nullif(owner, in_owner) into owner_before from {schema}.shard where id = taken_id;
    update {schema}.shard set number = number + 1, generation = in_generation, owner = in_owner where id = taken_id
        returning number into taken_number;
end
$$;
