-- Runs whose worker died are published again as soon as their lease has ended, whatever waits in the
-- queues. Each lost lease leads to one more message: a published run has no lease (`held_until` is null)
-- until a worker begins it.
alter table jobs.runs add column relay_until timestamptz;  -- until then one relay publishes it
-- squawk-ignore require-concurrent-index-creation -- few runs are running; for a large table see change-schema.md
create index if not exists runs_leased on jobs.runs (held_until) where state = 'running';

-- Leases such runs to one relay. If it dies before it settles them, another one claims them again.
create function public.claim_expired_runs(batch integer, lease_seconds integer)
  returns table (id uuid, job text, event_id bigint, item integer)
  language sql security definer set search_path = '' as $$
  update jobs.runs r set relay_until = now() + make_interval(secs => lease_seconds)
  where r.id = any (array(
    select p.id from jobs.runs p
    where p.state = 'running' and p.held_until <= now()
      and (p.relay_until is null or p.relay_until <= now())
    order by p.held_until limit batch for update skip locked
  ))
  returning r.id, r.job, r.event_id, r.item
$$;

-- Their messages are in the broker. A worker that was only slow, and has extended its lease since, keeps it.
create function public.settle_expired_runs(ids uuid[]) returns void
  language sql security definer set search_path = '' as $$
  update jobs.runs r set held_until = null, relay_until = null, touched_at = now()
  where r.id = any (ids) and r.state = 'running' and r.held_until <= now()
$$;

-- Another attempt may be due later: until then the run counts as touched, and not as lost.
-- squawk-ignore ban-drop-function -- the new one takes the same arguments: one has a default
drop function public.finish_run(uuid, text, text, text, integer);
create function public.finish_run(
  run_id uuid, holder text, state text, error text, duration_ms integer,
  retry_seconds double precision default 0
) returns boolean
  language sql security definer set search_path = '' as $$
  with finished as (
    update jobs.runs r set
      state = finish_run.state, error = finish_run.error, duration_ms = finish_run.duration_ms,
      holder = null, held_until = null,
      touched_at = now() + make_interval(secs => finish_run.retry_seconds),
      finished_at = case when finish_run.state <> 'queued' then now() end
    where r.id = run_id and r.holder = finish_run.holder and r.state = 'running'
    returning 1
  )
  select exists (select from finished)
$$;

revoke all on function public.claim_expired_runs(integer, integer),
  public.settle_expired_runs(uuid[]),
  public.finish_run(uuid, text, text, text, integer, double precision)
  from public, anon, authenticated, service_role;
grant execute on function public.claim_expired_runs(integer, integer),
  public.settle_expired_runs(uuid[]),
  public.finish_run(uuid, text, text, text, integer, double precision)
  to service_role;
