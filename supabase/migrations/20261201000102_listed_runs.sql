-- Runs for operators: a list, newest first, and the one of an id.
-- squawk-ignore require-concurrent-index-creation -- for a large table see change-schema.md
create index if not exists runs_listed on jobs.runs (state, queued_at desc, id);

create function jobs.shown_run(run jobs.runs) returns jsonb
  language sql stable set search_path = '' as $$
  select jsonb_build_object(
    'id', run.id, 'job', run.job, 'state', run.state, 'attempts', run.attempts, 'error', run.error,
    'request_id', run.request_id, 'queued_at', run.queued_at, 'started_at', run.started_at,
    'finished_at', run.finished_at, 'duration_ms', run.duration_ms, 'replay_at', run.replay_at)
$$;
revoke all on function jobs.shown_run(jobs.runs) from public;

-- {"runs", "total"}: a page of runs in a state, or in any, the last queued first. Of each state the newest
-- 10,000 are listed and counted. Empty for others than the service and admins.
create function public.list_runs(page integer, page_size integer, state text default null)
  returns jsonb
  language sql stable security definer set search_path = '' as $$
  with states as (
    select s.name from unnest(array['queued', 'running', 'succeeded', 'failed']) as s (name)
    where jobs.by_operator() and (list_runs.state is null or s.name = list_runs.state)
  )
  select jsonb_build_object(
    'runs', (
      select coalesce(jsonb_agg(jobs.shown_run(d) order by d.queued_at desc, d.id), '[]')
      from (
        select newest.* from states cross join lateral (
          select * from jobs.runs r where r.state = states.name
          order by r.queued_at desc, r.id
          limit case when (list_runs.page - 1)::bigint * page_size < 10000
            then least(list_runs.page::bigint * page_size, 10000) else 0 end
        ) newest
        order by newest.queued_at desc, newest.id
        limit page_size offset (list_runs.page - 1)::bigint * page_size
      ) d),
    'total', (
      select coalesce(sum(counted.number), 0) from states cross join lateral (
        select count(*) as number from (
          select from jobs.runs r where r.state = states.name limit 10000) bounded
      ) counted))
$$;

create function public.shown_run(run_id uuid) returns jsonb
  language sql stable security definer set search_path = '' as
  'select jobs.shown_run(r) from jobs.runs r where r.id = run_id';

revoke all on function public.list_runs(integer, integer, text), public.shown_run(uuid)
  from public, anon, authenticated, service_role;
grant execute on function public.list_runs(integer, integer, text) to authenticated, service_role;
grant execute on function public.shown_run(uuid) to service_role;
