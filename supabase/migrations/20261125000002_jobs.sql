-- Runs of jobs: what is queued, running, succeeded, failed. The primary key is derived from the job
-- and what it is to happen once for: it is the last word on "once".
create schema jobs;
revoke all on schema jobs from public, anon, authenticated, service_role;

create table jobs.runs (
  id uuid primary key,
  job text not null,
  event_id bigint not null,  -- no reference: events are archived earlier than their runs may be
  item integer not null,     -- which of the event's items
  request_id text,
  state text not null default 'queued'
    check (state in ('queued', 'running', 'succeeded', 'failed')),
  attempts integer not null default 0,
  holder text,
  held_until timestamptz,
  error text,
  queued_at timestamptz not null default now(),
  started_at timestamptz,
  touched_at timestamptz not null default now(),
  finished_at timestamptz,
  duration_ms integer
);
create index runs_unfinished on jobs.runs (touched_at) where finished_at is null;
create index runs_finished on jobs.runs (finished_at) where finished_at is not null;

-- Takes the lease of a run and says what is to be done:
--   {"outcome": "run", "attempt": 1, "topic", "fields", "request_id"}
--   {"outcome": "busy", "seconds": 12.3}  somebody else runs it
--   {"outcome": "done"}                   it has succeeded or failed
--   {"outcome": "exhausted"}              it was begun max_attempts times and never came back
create function public.begin_run(
  run_id uuid, job text, event_id bigint, item integer,
  holder text, lease_seconds integer, max_attempts integer
) returns jsonb
  language plpgsql security definer set search_path = '' as $$
declare
  run jobs.runs;
  event outbox.events;
begin
  insert into jobs.runs (id, job, event_id, item)
  values (run_id, begin_run.job, begin_run.event_id, begin_run.item)
  on conflict (id) do nothing;
  select * into run from jobs.runs r where r.id = run_id for update;
  select * into event from outbox.events e where e.id = run.event_id;
  if run.finished_at is not null then
    return jsonb_build_object('outcome', 'done');
  elsif run.state = 'running' and run.held_until > now() then
    return jsonb_build_object(
      'outcome', 'busy', 'seconds', extract(epoch from run.held_until - now()));
  elsif run.attempts >= max_attempts then
    update jobs.runs r set state = 'failed', finished_at = now(), touched_at = now(),
      error = coalesce(run.error, format('lost %s times: its process was killed', run.attempts))
    where r.id = run_id;
    return jsonb_build_object('outcome', 'exhausted', 'request_id', event.request_id);
  end if;
  update jobs.runs r set
    state = 'running', attempts = run.attempts + 1, holder = begin_run.holder,
    held_until = now() + make_interval(secs => lease_seconds),
    request_id = event.request_id, started_at = now(), touched_at = now()
  where r.id = run_id;
  return jsonb_build_object(
    'outcome', 'run', 'attempt', run.attempts + 1, 'request_id', event.request_id,
    'topic', event.topic, 'fields', event.items -> run.item);
end $$;

create function public.extend_run(run_id uuid, holder text, lease_seconds integer) returns boolean
  language sql security definer set search_path = '' as $$
  with extended as (
    update jobs.runs r
    set held_until = now() + make_interval(secs => lease_seconds), touched_at = now()
    where r.id = run_id and r.holder = extend_run.holder and r.state = 'running'
    returning 1
  )
  select exists (select from extended)
$$;

-- Ends an attempt: `state` is succeeded, failed or, for another attempt, queued.
create function public.finish_run(
  run_id uuid, holder text, state text, error text, duration_ms integer
) returns boolean
  language sql security definer set search_path = '' as $$
  with finished as (
    update jobs.runs r set
      state = finish_run.state, error = finish_run.error, duration_ms = finish_run.duration_ms,
      holder = null, held_until = null, touched_at = now(),
      finished_at = case when finish_run.state <> 'queued' then now() end
    where r.id = run_id and r.holder = finish_run.holder and r.state = 'running'
    returning 1
  )
  select exists (select from finished)
$$;

-- Takes leases back from a process that is gone: `holder_prefix` is host:pid: of it. What a
-- shutdown cut off does not count as an attempt.
create function public.release_runs(holder_prefix text, counts boolean) returns integer
  language sql security definer set search_path = '' as $$
  with released as (
    update jobs.runs r set
      state = 'queued', holder = null, held_until = null, touched_at = now(),
      attempts = r.attempts - case when counts then 0 else 1 end
    where r.state = 'running' and starts_with(r.holder, holder_prefix)
    returning 1
  )
  select count(*)::integer from released
$$;

-- Runs that nobody has touched for so long that their message must be gone with the broker's data;
-- returned once, then not again for as long.
create function public.lost_runs(untouched_seconds integer, batch integer)
  returns table (id uuid, job text, event_id bigint, item integer)
  language sql security definer set search_path = '' as $$
  update jobs.runs r set touched_at = now()
  where r.id = any (array(
    select p.id from jobs.runs p
    where p.finished_at is null
      and p.touched_at < now() - make_interval(secs => untouched_seconds)
      and (p.held_until is null or p.held_until <= now())
    order by p.touched_at limit batch for update skip locked
  ))
  returning r.id, r.job, r.event_id, r.item
$$;

-- Ends a run that was not begun here: one that is known to have happened, or one whose job this
-- worker does not know, which is kept as failed to be run again after the deploy. One that has ended
-- is left alone and, unless it is known to have happened, one that somebody performs.
create function public.close_run(
  run_id uuid, job text, event_id bigint, item integer, state text, error text
) returns void
  language sql security definer set search_path = '' as $$
  insert into jobs.runs as r (id, job, event_id, item, request_id, state, error, finished_at)
  select run_id, close_run.job, close_run.event_id, close_run.item, e.request_id,
    close_run.state, close_run.error, now()
  from (select 1) one left join outbox.events e on e.id = close_run.event_id
  on conflict (id) do update set
    state = excluded.state, error = excluded.error, finished_at = now(), touched_at = now(),
    request_id = excluded.request_id, holder = null, held_until = null
  where r.finished_at is null
    and (close_run.state = 'succeeded' or r.held_until is null or r.held_until <= now())
$$;

-- Slots of scheduled jobs: beat may run twice, each slot is put once.
create table jobs.slots (
  job text not null,
  slot timestamptz not null,
  primary key (job, slot)
);
insert into outbox.topics (topic, fields) values ('job_due', '{job,slot}');

-- Puts the event of a slot, unless it was put before. A slot that was missed is made up for, but a
-- job that is new begins with its next one.
create function public.put_slot(job text, slot timestamptz) returns boolean
  language plpgsql security definer set search_path = '' as $$
begin
  insert into jobs.slots values (put_slot.job, put_slot.slot) on conflict do nothing;
  if not found or (
    slot < now() - interval '1 minute'
    and not exists (
      select from jobs.slots s where s.job = put_slot.job and s.slot < put_slot.slot)
  ) then
    return false;
  end if;
  perform outbox.put('job_due', jsonb_build_array(jsonb_build_object('job', job, 'slot', slot)));
  return true;
end $$;

revoke all on function
  public.begin_run(uuid, text, bigint, integer, text, integer, integer),
  public.extend_run(uuid, text, integer),
  public.finish_run(uuid, text, text, text, integer),
  public.release_runs(text, boolean),
  public.lost_runs(integer, integer),
  public.close_run(uuid, text, bigint, integer, text, text),
  public.put_slot(text, timestamptz)
  from public, anon, authenticated, service_role;
grant execute on function
  public.begin_run(uuid, text, bigint, integer, text, integer, integer),
  public.extend_run(uuid, text, integer),
  public.finish_run(uuid, text, text, text, integer),
  public.release_runs(text, boolean),
  public.lost_runs(integer, integer),
  public.close_run(uuid, text, bigint, integer, text, text),
  public.put_slot(text, timestamptz)
  to service_role;
