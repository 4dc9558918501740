-- Failed runs whose cause passes by itself (a mail server that is away, greylisting) are performed again,
-- until they are a day old. They wait here and not in the broker, whose visibility timeout is shorter.
alter table jobs.runs add column replay_at timestamptz, add column replays integer not null default 0;
create index runs_replay on jobs.runs (replay_at) where replay_at is not null;

-- A failed run comes again after 5 min, 10, 20, … up to 4 h. False where it is too old, or did not fail.
create function public.replay_later(run_id uuid) returns boolean
  language sql security definer set search_path = '' as $$
  with later as (
    update jobs.runs r set
      replay_at = now() + least(interval '5 minutes' * (2 ^ least(r.replays, 10)), interval '4 hours')
    where r.id = run_id and r.state = 'failed' and r.queued_at > now() - interval '1 day'
    returning 1
  )
  select exists (select from later)
$$;

-- Queues the runs whose time has come, and returns them: they have all their attempts again.
create function public.due_replays(batch integer)
  returns table (id uuid, job text, event_id bigint, item integer)
  language sql security definer set search_path = '' as $$
  update jobs.runs r set
    state = 'queued', attempts = 0, finished_at = null, touched_at = now(),
    replay_at = null, replays = r.replays + 1
  where r.id = any (array(
    select p.id from jobs.runs p where p.replay_at <= now()
    order by p.replay_at limit batch for update skip locked
  )) and r.state = 'failed'
  returning r.id, r.job, r.event_id, r.item
$$;
revoke all on function public.replay_later(uuid), public.due_replays(integer)
  from public, anon, authenticated, service_role;
grant execute on function public.replay_later(uuid), public.due_replays(integer) to service_role;
