-- What lies in state, for people: values as JSON, keys taken apart, and views of both. Nothing of the runtime rests on any of it.
--
-- Nothing here fails because of what is stored: one value that cannot be read would hide all the others. It is null then, and its bytes are
-- in the table `state`. No function catches errors either, which Postgres before 17 refuses in a query that is done in parallel.

-- A number of so many bytes, the highest first. Of eight bytes, the highest bit is its sign.
create function {schema}.read_number(bytes bytea, at integer, width integer) returns bigint language sql immutable parallel safe as $$
    select ('x' || lpad(encode(substring(bytes from at + 1 for width), 'hex'), 16, '0'))::bit(64)::bigint
$$;

-- A length, which takes as many bytes as `length_width` says; null where there is none. None that matters here has more than three.
create function {schema}.read_length(bytes bytea, at integer) returns integer language sql immutable parallel safe as $$
    select case
        when at >= octet_length(bytes) then null
        when get_byte(bytes, at) < 128 then get_byte(bytes, at)
        when at + 1 >= octet_length(bytes) then null
        when get_byte(bytes, at + 1) < 128 then get_byte(bytes, at) - 128 + (get_byte(bytes, at + 1) << 7)
        when at + 2 >= octet_length(bytes) then null
        when get_byte(bytes, at + 2) < 128
            then get_byte(bytes, at) - 128 + ((get_byte(bytes, at + 1) - 128) << 7) + (get_byte(bytes, at + 2) << 14)
    end
$$;

create function {schema}.length_width(length integer) returns integer language sql immutable parallel safe as $$
    select case when length < 128 then 1 when length < 16384 then 2 else 3 end
$$;

-- Bytes as text, where they are UTF-8 without control characters; others in hex, with `\x` before them. With `any_text`, control characters
-- are text as well; the one that Postgres does not take, U+0000, is shown as its symbol, U+2400. What is UTF-8 is told from the hex.
create function {schema}.read_text(bytes bytea, any_text boolean) returns text language sql immutable parallel safe as $$
    select case
        when encode(bytes, 'hex') ~ '^(?:[2-6].|7[0-9a-e]|c2[ab].|(?:c[3-9a-f]|d.)[89ab].|e0[ab].[89ab].|e[1-9a-cef](?:[89ab].){2}'
            '|ed[89].[89ab].|f0[9ab].(?:[89ab].){2}|f[1-3](?:[89ab].){3}|f48.(?:[89ab].){2})*$'
            then convert_from(bytes, 'UTF8')
        when any_text and encode(bytes, 'hex') ~ '^(?:[0-7].|(?:c[2-9a-f]|d.)[89ab].|e0[ab].[89ab].|e[1-9a-cef](?:[89ab].){2}'
            '|ed[89].[89ab].|f0[9ab].(?:[89ab].){2}|f[1-3](?:[89ab].){3}|f48.(?:[89ab].){2})*$'
            then convert_from(decode(replace(regexp_replace(encode(bytes, 'hex'), '(..)', '\1 ', 'g'), '00 ', 'e29080'), 'hex'), 'UTF8')
        else '\x' || encode(bytes, 'hex')
    end
$$;

-- The bytes that are shown in hex as above; null for text.
create function {schema}.read_hex(shown text) returns bytea language sql immutable parallel safe as $$
    select decode(substring(shown from '^\\x((?:[0-9a-f]{2})+)$'), 'hex')
$$;

-- Milliseconds since the epoch. What no year of Postgres's holds is one of its two infinities.
create function {schema}.read_time(milliseconds jsonb) returns timestamptz language sql stable parallel safe as $$
    select case
        when jsonb_typeof(milliseconds) <> 'number' then null
        when milliseconds::numeric > 9000000000000000 then 'infinity'::timestamptz
        when milliseconds::numeric < -200000000000000 then '-infinity'::timestamptz
        else '1970-01-01 00:00:00+00'::timestamptz + milliseconds::double precision * interval '1 millisecond'
    end
$$;

-- A binary floating-point number of four or eight bytes as JSON, which has no infinities: those are text.
create function {schema}.read_float(bits bigint, width integer) returns text language plpgsql immutable parallel safe as $$
declare
    places integer := case width when 4 then 23 else 52 end;
    most integer := case width when 4 then 255 else 2047 end;
    exponent integer := (bits >> places) & most;
    fraction bigint := bits & ((1::bigint << places) - 1);
    is_negative boolean := (bits >> (8 * width - 1)) & 1 = 1;
    number double precision;
begin
    if exponent = most then
        return case when fraction <> 0 then '"NaN"' when is_negative then '"-Infinity"' else '"Infinity"' end;
    elsif exponent = 0 then
        exponent := 1;
    else
        fraction := fraction + (1::bigint << places);
    end if;
    exponent := exponent - most / 2 - places;
    -- In two steps, as the smallest numbers are made of powers that are too small by themselves.
    number := fraction * power(2::double precision, exponent / 2) * power(2::double precision, exponent - exponent / 2);
    number := case when is_negative then -number else number end;
    return case width when 4 then number::real::text else number::text end;
end
$$;

-- A value as JSON: it is the byte 1 and MessagePack behind it. Null where it is in another form, damaged, deeper than 64, or has keys within keys more
-- than 4 deep; what was stored as nothing is JSON's null. Bytes, those of an extension too, are shown as `read_text` shows them. Keys of maps are text,
-- and one that is a list or a map is the text of its JSON.
create function {schema}.read_value(value bytea) returns jsonb language plpgsql immutable strict parallel safe as $$
declare
    -- What the first bytes from 0xc0 on begin, and how many bytes behind them are a number, a length or a count.
    kinds constant text[] := '{"null",none,false,true,bin,bin,bin,ext,ext,ext,float,float,uint,uint,uint,uint,int,int,int,int,'
        'ext,ext,ext,ext,ext,str,str,str,array,array,map,map}';
    widths constant integer[] := '{0,0,0,0,1,2,4,1,2,4,4,8,1,2,4,8,1,2,4,8,0,0,0,0,0,1,2,4,2,4,2,4}';
    -- A copy: one that is stored compressed would be unpacked for each byte that is looked at.
    bytes bytea := value || ''::bytea;
    size integer := octet_length(bytes);
    at integer := 1;
    first integer;
    kind text;
    width integer;
    number bigint;
    piece text;
    -- Is put together at the end: text that grows would be copied with each piece.
    pieces text[] := '{}';
    -- The list or map around the item: how many are still to come, of which keys and values are two, and whether there was none before.
    remaining bigint := 1;
    is_map boolean := false;
    is_fresh boolean := true;
    is_key boolean;
    -- Those around that one, the outermost first.
    outer_remaining bigint[] := '{}';
    outer_is_map boolean[] := '{}';
    depth integer := 0;
    -- In how many keys of maps the item and the piece stand. Those are JSON within a text, so each doubles what is escaped.
    keys integer := 0;
    escapes integer;
begin
    if size = 0 or get_byte(bytes, 0) <> 1 then
        return null;
    end if;
    while depth > 0 or remaining > 0 loop
        escapes := keys;
        if remaining = 0 then
            piece := case when is_map then '}' else ']' end;
            remaining := outer_remaining[depth];
            is_map := outer_is_map[depth];
            is_fresh := false;
            depth := depth - 1;
            if is_map and remaining % 2 = 1 then
                keys := keys - 1;
                escapes := keys;
                piece := piece || '"';
            end if;
        else
            if at >= size then
                return null;
            end if;
            first := get_byte(bytes, at);
            at := at + 1;
            width := 0;
            if first < 128 or first >= 224 then
                kind := 'int';
                number := case when first < 128 then first else first - 256 end;
            elsif first < 192 then
                kind := case when first < 144 then 'map' when first < 160 then 'array' else 'str' end;
                number := case when first < 160 then first & 15 else first & 31 end;
            else
                kind := kinds[first - 191];
                width := widths[first - 191];
                -- An extension of a fixed length.
                number := case when first between 212 and 216 then 1 << (first - 212) end;
            end if;
            if width > 0 then
                if at + width > size then
                    return null;
                end if;
                number := {schema}.read_number(bytes, at, width);
                at := at + width;
            end if;
            is_key := is_map and remaining % 2 = 0;
            remaining := remaining - 1;
            if kind = 'array' or kind = 'map' then
                if depth = 64 or is_key and keys = 4 then
                    return null;
                end if;
                piece := case when kind = 'map' then '{' else '[' end;
            elsif kind = 'int' then
                if width between 1 and 4 and number >> (8 * width - 1) = 1 then
                    number := number - (1::bigint << (8 * width));
                end if;
                piece := number::text;
            elsif kind = 'uint' then
                piece := case when number < 0 then (number + 18446744073709551616)::text else number::text end;
            elsif kind = 'float' then
                piece := {schema}.read_float(number, width);
            elsif kind = 'str' or kind = 'bin' or kind = 'ext' then
                if kind = 'ext' then
                    -- Of which kind it is stands before its bytes.
                    at := at + 1;
                end if;
                if at + number > size then
                    return null;
                end if;
                piece := to_json({schema}.read_text(substring(bytes from at + 1 for number::integer), kind = 'str'))::text;
                at := at + number::integer;
            elsif kind = 'none' then
                return null;
            else
                piece := kind;
            end if;
            if is_key and piece not like '"%' then
                piece := '"' || piece || case when kind in ('array', 'map') then '' else '"' end;
            end if;
            if not is_fresh then
                piece := case when is_map and not is_key then ':' else ',' end || piece;
            end if;
            is_fresh := false;
            if kind = 'array' or kind = 'map' then
                depth := depth + 1;
                outer_remaining[depth] := remaining;
                outer_is_map[depth] := is_map;
                remaining := case when kind = 'map' then 2 * number else number end;
                is_map := kind = 'map';
                is_fresh := true;
                keys := case when is_key then keys + 1 else keys end;
            end if;
        end if;
        for level in 1 .. escapes loop
            piece := to_json(piece)::text;
            piece := substr(piece, 2, length(piece) - 2);
        end loop;
        pieces := pieces || piece;
    end loop;
    -- Nothing may come behind it.
    return case when at = size then array_to_string(pieces, '')::jsonb end;
end
$$;

-- What the key of a state entry is made of; all null for bytes that are none. `entry` is null for a cell.
create function {schema}.read_key(
    state_key bytea, out handler text, out key text, out kind text, out name text, out entry bytea
) language plpgsql immutable strict parallel safe as $$
declare
    at integer := 0;
    length integer;
    parts bytea[];
    kind_byte integer;
begin
    for part in 1 .. 3 loop
        if part = 3 then
            if at >= octet_length(state_key) then
                return;
            end if;
            kind_byte := get_byte(state_key, at);
            at := at + 1;
        end if;
        length := {schema}.read_length(state_key, at);
        at := at + {schema}.length_width(length);
        if length is null or at + length > octet_length(state_key) then
            return;
        end if;
        parts[part] := substring(state_key from at + 1 for length);
        at := at + length;
    end loop;
    if kind_byte > 1 or kind_byte = 0 and at < octet_length(state_key) then
        return;
    end if;
    handler := {schema}.read_text(parts[1], false);
    key := {schema}.read_text(parts[2], false);
    kind := case kind_byte when 0 then 'cell' else 'map' end;
    name := {schema}.read_text(parts[3], false);
    if kind_byte = 1 then
        entry := substring(state_key from at + 1);
    end if;
end
$$;

-- The type of the event that has these headers. They are in the runtime's own form: a byte, which is 2 for the type and 0 where the header's
-- name follows, and the length of the value plus one, 0 for none.
create function {schema}.read_type(headers bytea) returns text language plpgsql immutable strict parallel safe as $$
declare
    at integer := 0;
    length integer;
    header integer;
begin
    while at < octet_length(headers) loop
        header := get_byte(headers, at);
        at := at + 1;
        if header = 0 then
            length := {schema}.read_length(headers, at);
            at := at + {schema}.length_width(length) + length;
        end if;
        length := {schema}.read_length(headers, at);
        at := at + {schema}.length_width(length);
        length := greatest(length - 1, 0);
        if length is null or at + length > octet_length(headers) then
            return null;
        elsif header = 2 and length > 0 then
            return {schema}.read_text(substring(headers from at + 1 for length), false);
        end if;
        at := at + length;
    end loop;
    return null;
end
$$;

-- Cells and entries of maps. What is the runtime's own, under the empty name and under `~timers`, is left out by the bytes that its keys
-- begin with.
create view {schema}.readable_state as
    select shard.service, shard.shard, place.handler, place.key, place.name, {schema}.read_text(place.entry, false) as entry,
        {schema}.read_value(state.value) as value
    from {schema}.state
        join {schema}.shard on shard.id = state.shard
        cross join lateral {schema}.read_key(state.key) as place
    where state.key >= '\x01' and not (state.key >= '\x077e74696d657273' and state.key < '\x077e74696d657274');

-- Instances of sagas. State keys end with the name of the cell, so that of all others nothing is read but the key. What a step and its state keep
-- is a value within the value.
create view {schema}.saga as
    select shard.service, shard.shard, place.handler as saga, place.key,
        case when instance -> 'status' ? 'ended' then 'ended' else instance ->> 'status' end as status,
        instance #>> '{status,ended}' as outcome,
        instance ->> 'state' as state,
        {schema}.read_value({schema}.read_hex(instance ->> 'data')) as state_data,
        {schema}.read_time(instance -> 'began') as began,
        {schema}.read_time(instance -> 'changed') as changed,
        instance ->> 'reason' as reason,
        (
            select coalesce(jsonb_agg(jsonb_set(step, '{data}', coalesce(data, 'null'))), instance -> 'to_undo')
            from jsonb_path_query(instance, '$.to_undo[*] ? (@.type() == "object")') as step
                cross join lateral {schema}.read_value({schema}.read_hex(step ->> 'data')) as data
        ) as to_undo,
        instance -> 'undone' as undone,
        instance -> 'skipped' as skipped,
        instance -> 'history' as history
    from {schema}.state
        join {schema}.shard on shard.id = state.shard
        cross join lateral {schema}.read_key(state.key) as place
        cross join lateral {schema}.read_value(state.value) as instance
    where substring(state.key from octet_length(state.key) - 14) = '\x000d746964656d696c6c2e73616761'
        and place.kind = 'cell' and place.name = 'tidemill.saga';

-- Timers that have not fired. They lie in one map of each shard, under when they are due, when they were scheduled, and the event's id. A time
-- has its sign bit flipped there, so that the bytes sort as times do.
create view {schema}.timer as
    select shard.service, shard.shard, timer ->> 'handler' as handler, timer ->> 'key' as key, timer ->> 'name' as name,
        {schema}.read_type({schema}.read_hex(timer ->> 'headers')) as type,
        {schema}.read_time(to_jsonb({schema}.read_number(state.key, 14, 8) # (1::bigint << 63))) as due,
        {schema}.read_time(to_jsonb({schema}.read_number(state.key, 22, 8) # (1::bigint << 63))) as scheduled
    from {schema}.state
        join {schema}.shard on shard.id = state.shard
        cross join lateral {schema}.read_value(state.value) as timer
    where state.key >= '\x077e74696d657273000103647565' and state.key < '\x077e74696d657273000103647566';
