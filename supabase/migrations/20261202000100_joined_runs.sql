-- Runs that a worker begins or ends at the same time, in one call. `begin_run` and `finish_run` stay: they
-- decide, and workers of before call them. Each batch takes its rows in one order, so that no two batches
-- wait for each other.

-- Begins runs: [{"run_id", "job", "event_id", "item", "holder", "max_attempts"}]. Returns what `begin_run`
-- says, by holder.
create function public.begin_runs(runs jsonb, lease_seconds integer) returns jsonb
  language plpgsql security definer set search_path = '' as $$
declare
  one record;
  begun jsonb := '{}';
begin
  for one in
    select * from pg_catalog.jsonb_to_recordset(runs) as r (
      run_id uuid, job text, event_id bigint, item integer, holder text, max_attempts integer)
    order by r.run_id
  loop
    begun := begun || pg_catalog.jsonb_build_object(one.holder, public.begin_run(
      one.run_id, one.job, one.event_id, one.item, one.holder, lease_seconds, one.max_attempts));
  end loop;
  return begun;
end $$;

-- Ends attempts: [{"run_id", "holder", "state", "error", "duration_ms", "retry_seconds"}]. Returns what
-- `finish_run` says, by holder.
create function public.finish_runs(runs jsonb) returns jsonb
  language plpgsql security definer set search_path = '' as $$
declare
  one record;
  finished jsonb := '{}';
begin
  for one in
    select * from pg_catalog.jsonb_to_recordset(runs) as r (
      run_id uuid, holder text, state text, error text, duration_ms integer,
      retry_seconds double precision)
    order by r.run_id
  loop
    finished := finished || pg_catalog.jsonb_build_object(one.holder, public.finish_run(
      one.run_id, one.holder, one.state, one.error, one.duration_ms, coalesce(one.retry_seconds, 0)));
  end loop;
  return finished;
end $$;

revoke all on function public.begin_runs(jsonb, integer), public.finish_runs(jsonb)
  from public, anon, authenticated, service_role;
grant execute on function public.begin_runs(jsonb, integer), public.finish_runs(jsonb)
  to service_role;
