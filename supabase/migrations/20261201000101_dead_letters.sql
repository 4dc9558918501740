-- Dead letters: what a person has to look at. A run that failed becomes one in the same transaction, by a
-- trigger, whatever let it fail; a message that no worker can read becomes one by the relay. It waits until
-- somebody replays or discards it; settled ones are archived after 90 days.
create table jobs.dead_letters (
  id uuid primary key,       -- the run's id; a message that cannot be read has its own
  job text,                  -- null: the message cannot be read
  event_id bigint,
  item integer,
  topic text,                -- topic and item of the event: ids, no content
  arguments jsonb,
  error text not null,
  attempts integer not null,
  request_id text,
  first_at timestamptz not null,  -- when the run was queued first
  last_at timestamptz not null,   -- when it failed last
  state text not null default 'waiting' check (state in ('waiting', 'replayed', 'discarded')),
  settled_at timestamptz,
  message bytea,             -- the beginning of what cannot be read
  check ((state = 'waiting') = (settled_at is null)),
  check ((job is null) = (message is not null))
);
create index dead_letters_listed on jobs.dead_letters (state, last_at desc, id);
create index dead_letters_settled on jobs.dead_letters (settled_at) where settled_at is not null;
alter table jobs.dead_letters enable row level security;
select retention.keep('jobs.dead_letters', 'settled_at', '90 days', archived => true);

-- A run that fails becomes a dead letter, or is one again; one that is queued again no longer waits.
create function jobs.keep_dead_letter() returns trigger
  language plpgsql security definer set search_path = '' as $$
begin
  if new.state = 'failed' then
    insert into jobs.dead_letters as d (
      id, job, event_id, item, topic, arguments, error, attempts, request_id, first_at, last_at)
    select new.id, new.job, new.event_id, new.item, e.topic, e.items -> new.item,
      coalesce(new.error, 'unknown'), new.attempts, coalesce(new.request_id, e.request_id),
      new.queued_at, now()
    from (select) one left join outbox.events e on e.id = new.event_id
    on conflict (id) do update set
      error = excluded.error, attempts = excluded.attempts, last_at = excluded.last_at,
      state = 'waiting', settled_at = null;
  else
    update jobs.dead_letters d set state = 'replayed', settled_at = now()
    where d.id = new.id and d.state = 'waiting';
  end if;
  return null;
end $$;
revoke all on function jobs.keep_dead_letter() from public;
create trigger run_inserted_as_failed after insert on jobs.runs
  for each row when (new.state = 'failed') execute function jobs.keep_dead_letter();
create trigger run_failed_or_came_back after update of state on jobs.runs
  for each row when (old.state is distinct from new.state and 'failed' in (old.state, new.state))
  execute function jobs.keep_dead_letter();

insert into jobs.dead_letters (
  id, job, event_id, item, topic, arguments, error, attempts, request_id, first_at, last_at)
select r.id, r.job, r.event_id, r.item, e.topic, e.items -> r.item, coalesce(r.error, 'unknown'),
  r.attempts, r.request_id, r.queued_at, coalesce(r.finished_at, r.touched_at)
from jobs.runs r left join outbox.events e on e.id = r.event_id
where r.state = 'failed';

-- Keeps messages that no worker can read: [{"id", "queue", "at", "message" in base64}]. Returns how many
-- are new: one that is kept already changes nothing.
create function public.keep_unreadable(letters jsonb) returns integer
  language sql security definer set search_path = '' as $$
  with kept as (
    insert into jobs.dead_letters (id, error, attempts, first_at, last_at, message)
    select l.id, format('a message of the queue %s cannot be read', left(l.queue, 100)), 1, l.at, l.at,
      decode(l.message, 'base64')
    from jsonb_to_recordset(letters) as l (id uuid, queue text, at timestamptz, message text)
    on conflict (id) do nothing
    returning 1
  )
  select count(*)::integer from kept
$$;

-- Whether this call is the service's or an admin's.
create function jobs.by_operator() returns boolean
  language sql stable set search_path = '' as $$
  select coalesce(
    (select auth.jwt()) ->> 'role' = 'service_role'
    or (select auth.jwt()) -> 'app_metadata' ->> 'role' = 'admin', false)
$$;
revoke all on function jobs.by_operator() from public;

create function jobs.shown(letter jobs.dead_letters) returns jsonb
  language sql stable set search_path = '' as $$
  select jsonb_build_object(
    'id', letter.id, 'job', letter.job, 'topic', letter.topic, 'arguments', letter.arguments,
    'error', letter.error, 'attempts', letter.attempts, 'request_id', letter.request_id,
    'first_at', letter.first_at, 'last_at', letter.last_at, 'state', letter.state,
    'settled_at', letter.settled_at,
    'replay_at', (select r.replay_at from jobs.runs r where r.id = letter.id))
$$;
revoke all on function jobs.shown(jobs.dead_letters) from public;

-- {"dead_letters", "total"}: a page of those in a state, the last failed first. The newest 10,000 are
-- listed and counted. Empty for others than the service and admins.
create function public.list_dead_letters(page integer, page_size integer, state text) returns jsonb
  language sql stable security definer set search_path = '' as $$
  select jsonb_build_object(
    'dead_letters', (
      select coalesce(jsonb_agg(jobs.shown(d) order by d.last_at desc, d.id), '[]')
      from (
        select * from jobs.dead_letters o
        where o.state = list_dead_letters.state and jobs.by_operator()
          and (list_dead_letters.page - 1)::bigint * page_size < 10000
        order by o.last_at desc, o.id
        limit page_size offset least((list_dead_letters.page - 1)::bigint * page_size, 10000)
      ) d),
    'total', (
      select count(*) from (
        select from jobs.dead_letters o
        where o.state = list_dead_letters.state and jobs.by_operator() limit 10000
      ) counted))
$$;

-- One of them, with what was in a message that cannot be read; null where there is none.
create function public.dead_letter(letter uuid) returns jsonb
  language sql stable security definer set search_path = '' as $$
  select jobs.shown(d) || jsonb_build_object('message', encode(d.message, 'base64'))
  from jobs.dead_letters d where d.id = letter
$$;

-- Has the relay queue the run of a dead letter once, with all its attempts. Of two at the same time one
-- does it. Returns `replayed`, `unknown`, `settled` (replayed or discarded before), `unreadable` or `gone`
-- (its run or event is archived). It locks in the order of a run that fails: the run, then its letter.
create function jobs.replay(letter uuid) returns text
  language plpgsql set search_path = '' as $$
declare
  kept jobs.dead_letters;
begin
  perform from jobs.runs r where r.id = letter for update;
  select * into kept from jobs.dead_letters d where d.id = letter for update;
  if kept.id is null then
    return 'unknown';
  elsif kept.state <> 'waiting' then
    return 'settled';
  elsif kept.job is null then
    return 'unreadable';
  elsif not exists (select from outbox.events e where e.id = kept.event_id) then
    return 'gone';
  end if;
  update jobs.runs r set replay_at = now() where r.id = letter and r.state = 'failed';
  if not found then
    return 'gone';
  end if;
  update jobs.dead_letters d set state = 'replayed', settled_at = now() where d.id = letter;
  return 'replayed';
end $$;
revoke all on function jobs.replay(uuid) from public;

create function public.replay_dead_letter(letter uuid) returns text
  language sql security definer set search_path = '' as 'select jobs.replay(letter)';

-- Nobody will replay it. Returns `discarded`, `unknown` or `settled`. A replay that was asked for before
-- stays. It locks in the order of a run that fails, too.
create function public.discard_dead_letter(letter uuid) returns text
  language plpgsql security definer set search_path = '' as $$
begin
  perform from jobs.runs r where r.id = letter for update;
  update jobs.dead_letters d set state = 'discarded', settled_at = now()
  where d.id = letter and d.state = 'waiting';
  if found then
    update jobs.runs r set replay_at = null where r.id = letter and r.state = 'failed';
    return 'discarded';
  end if;
  return case when exists (select from jobs.dead_letters d where d.id = letter)
    then 'settled' else 'unknown' end;
end $$;

revoke all on function public.keep_unreadable(jsonb),
  public.list_dead_letters(integer, integer, text), public.dead_letter(uuid),
  public.replay_dead_letter(uuid), public.discard_dead_letter(uuid)
  from public, anon, authenticated, service_role;
grant execute on function public.keep_unreadable(jsonb), public.dead_letter(uuid),
  public.replay_dead_letter(uuid), public.discard_dead_letter(uuid) to service_role;
grant execute on function public.list_dead_letters(integer, integer, text)
  to authenticated, service_role;

-- What admins ask for through the API: an insert, so that an Idempotency-Key makes it safe to repeat. The
-- row says how it ended.
create table public.dead_letter_replays (
  id uuid primary key default gen_random_uuid(),
  dead_letter_id uuid not null,  -- no reference: dead letters are archived
  outcome text not null
    check (outcome in ('replayed', 'unknown', 'settled', 'unreadable', 'gone')),
  created_at timestamptz not null default now()
);
create index dead_letter_replays_created on public.dead_letter_replays (created_at);
alter table public.dead_letter_replays enable row level security;
revoke all on public.dead_letter_replays from public, anon, authenticated, service_role;
grant select, insert (dead_letter_id) on public.dead_letter_replays to authenticated;
create policy "replays are asked for by admins" on public.dead_letter_replays
  for insert to authenticated with check ((select auth.jwt()) -> 'app_metadata' ->> 'role' = 'admin');
create policy "replays are seen by admins" on public.dead_letter_replays
  for select to authenticated using ((select auth.jwt()) -> 'app_metadata' ->> 'role' = 'admin');
select retention.keep('public.dead_letter_replays', 'created_at', '90 days');

-- Fires before the row is checked: others than admins replay nothing, and are refused then.
create function jobs.replay_asked_for() returns trigger
  language plpgsql security definer set search_path = '' as $$
begin
  if jobs.by_operator() then
    new.outcome := jobs.replay(new.dead_letter_id);
  end if;
  return new;
end $$;
revoke all on function jobs.replay_asked_for() from public;
create trigger replay before insert on public.dead_letter_replays
  for each row execute function jobs.replay_asked_for();
select idempotency.protect('public.dead_letter_replays');
