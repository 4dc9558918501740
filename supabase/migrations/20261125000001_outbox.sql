-- The outbox: a write puts its event into the same transaction, so that the two never part, whoever
-- writes (the API, Studio, another client). Nothing of it is reachable but by the functions below.
create schema outbox;
revoke all on schema outbox from public, anon, authenticated, service_role;

-- Each topic belongs to one event class in features/shared, and its fields are that class's.
create table outbox.topics (
  topic text primary key,
  fields text[] not null
);

create table outbox.events (
  id bigint generated always as identity primary key,
  topic text not null references outbox.topics (topic),
  items jsonb not null check (jsonb_typeof(items) = 'array'),  -- one object for each changed row
  request_id text,
  created_at timestamptz not null default now(),
  claim uuid,
  claimed_until timestamptz,
  not_before timestamptz not null default now(),
  attempts integer not null default 0,
  error text,
  dropped_at timestamptz,    -- the cache acknowledged that cached reads were dropped
  published_at timestamptz,  -- the broker acknowledged the jobs
  delivered_at timestamptz generated always as (
    case when dropped_at is not null and published_at is not null
      then greatest(dropped_at, published_at) end
  ) stored
);
create index events_pending on outbox.events (not_before, id) where delivered_at is null;
create index events_delivered on outbox.events (delivered_at) where delivered_at is not null;

-- Puts one event; without items there is none. The request id is what the API sent to PostgREST;
-- somebody else's header counts only where it has the form of one.
create function outbox.put(topic text, items jsonb) returns void
  language sql security definer set search_path = '' as $$
  insert into outbox.events (topic, items, request_id)
  select put.topic, put.items, substring(
    nullif(current_setting('request.headers', true), '')::jsonb ->> 'x-request-id'
    from '^[A-Za-z0-9._-]{8,128}$'
  )
  where jsonb_array_length(put.items) > 0
$$;
revoke all on function outbox.put(text, jsonb) from public;

-- The trigger of a tracked table. Arguments: topic, fields, and one of two conditions on an update
-- (see outbox.track). One statement is one event, however many rows it changed.
create function outbox.record_change() returns trigger
  language plpgsql security definer set search_path = '' as $$
declare
  topic text := tg_argv[0];
  once_set text := nullif(tg_argv[2], '');
  changes text := nullif(tg_argv[3], '');
  wanted text;
  source text;
  items jsonb;
begin
  select string_agg(format('r.%I as %I', value, key), ', ') into wanted
  from jsonb_each_text(tg_argv[1]::jsonb);
  source := case
    when tg_op = 'DELETE' then format('select %s from old_rows r', wanted)
    when tg_op = 'INSERT' and once_set is null then format('select %s from new_rows r', wanted)
    when tg_op = 'INSERT' then
      format('select %s from new_rows r where r.%I is not null', wanted, once_set)
    when once_set is not null then format(
      'select %1$s from new_rows r join old_rows o on o.id = r.id '
      'where r.%2$I is not null and o.%2$I is null', wanted, once_set)
    when changes is not null then format(
      'select %s from new_rows r join old_rows o on o.id = r.id where %s', wanted, changes)
    else format('select %1$s from old_rows r union select %1$s from new_rows r', wanted)
  end;
  execute format('select jsonb_agg(to_jsonb(t)) from (%s) t', source) into items;
  perform outbox.put(topic, items);
  return null;
end $$;
revoke all on function outbox.record_change() from public;

-- Tracks a table by one line:
--   select outbox.track('public.posts', 'post_changed', '{"post_id": "id"}');
-- `fields` names the event's fields and their columns. With `once_set` the event is that this column
-- of a row was null and is not any more; with `columns` an update counts when one of these changed;
-- both need a primary key `id`. `operations` are those that count at all.
create function outbox.track(
  source regclass, topic text, fields jsonb, once_set name default null,
  columns name[] default null, operations text[] default '{insert,update,delete}'
) returns void
  language plpgsql set search_path = '' as $$
declare
  names text[] := array(select jsonb_object_keys(fields) order by 1);
  changes text;
  operation text;
begin
  insert into outbox.topics (topic, fields) values (track.topic, names) on conflict do nothing;
  if names <> (select t.fields from outbox.topics t where t.topic = track.topic) then
    raise exception 'topic % has other fields elsewhere', topic;
  end if;
  select string_agg(format('r.%1$I is distinct from o.%1$I', c), ' or ') into changes
  from unnest(columns) c;
  foreach operation in array operations loop
    continue when operation = 'delete' and once_set is not null;
    execute format(
      'create trigger %I after %s on %s referencing %s for each statement '
      'execute function outbox.record_change(%L, %L, %L, %L)',
      format('outbox_%s_%s', topic, operation), operation, source,
      case operation
        when 'insert' then 'new table as new_rows'
        when 'delete' then 'old table as old_rows'
        else 'old table as old_rows new table as new_rows'
      end,
      topic, fields, coalesce(once_set, ''), coalesce(changes, '')
    );
  end loop;
end $$;
revoke all on function outbox.track(regclass, text, jsonb, name, name[], text[]) from public;

-- Leases events to one relay: two never hold the same one. The row lock ends with this call, so it
-- is the lease that keeps others away; it ends by itself when the relay dies.
create function public.claim_events(
  batch integer, lease_seconds integer, with_drops boolean, with_jobs boolean
) returns table (
    id bigint, topic text, items jsonb, request_id text, claim uuid,
    dropped boolean, published boolean
  )
  language sql security definer set search_path = '' as $$
  with token as materialized (select gen_random_uuid() as value), claimed as (
    update outbox.events e
    set claim = token.value, claimed_until = now() + make_interval(secs => lease_seconds)
    from token
    where e.id = any (array(
      select p.id from outbox.events p
      where p.delivered_at is null and p.not_before <= now()
        and (p.claimed_until is null or p.claimed_until <= now())
        and ((with_drops and p.dropped_at is null) or (with_jobs and p.published_at is null))
      order by p.id limit batch for update skip locked
    ))
    returning e.*
  )
  select c.id, c.topic, c.items, c.request_id, c.claim,
    c.dropped_at is not null, c.published_at is not null
  from claimed c order by c.id
$$;

create function public.settle_events(claim uuid, results jsonb, runs jsonb) returns integer
  language plpgsql security definer set search_path = '' as $$
declare
  settled integer;
begin
  update outbox.events e set
    claim = null,
    claimed_until = null,
    dropped_at = coalesce(e.dropped_at, case when r.dropped then now() end),
    published_at = coalesce(e.published_at, case when r.published then now() end),
    error = r.error,
    attempts = e.attempts + case when r.error is null then 0 else 1 end,
    -- An event that fails by itself waits 1, 2, 4 … seconds, at most 5 minutes, less up to a half.
    not_before = case when r.error is null then e.not_before else
      now() + interval '1 second' * least(2 ^ least(e.attempts, 9), 300) * (1 - random() / 2) end
  from jsonb_to_recordset(results)
    as r (id bigint, dropped boolean, published boolean, error text)
  where e.id = r.id and e.claim = settle_events.claim;
  get diagnostics settled = row_count;
  insert into jobs.runs (id, job, event_id, item, request_id)
  select n.id, n.job, n.event_id, n.item, e.request_id
  from jsonb_to_recordset(runs) as n (id uuid, job text, event_id bigint, item integer)
  join outbox.events e on e.id = n.event_id
  on conflict (id) do nothing;
  return settled;
end $$;

revoke all on function public.claim_events(integer, integer, boolean, boolean),
  public.settle_events(uuid, jsonb, jsonb) from public, anon, authenticated, service_role;
grant execute on function public.claim_events(integer, integer, boolean, boolean),
  public.settle_events(uuid, jsonb, jsonb) to service_role;
