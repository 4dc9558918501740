-- What operators watch: how much waits, since when, and what failed. Asked for by each API process
-- that is scraped, every five seconds at most, so it must stay cheap. Millions of runs that succeeded
-- are kept, and nobody counts them: what ended is told by the minute. All else is found by
-- partial indexes, whose size is that of what waits or of what failed.
create index runs_failed on jobs.runs (finished_at) where state = 'failed';

-- {"runs": {"queued", "running", "failed"},  failed: those that are kept
--  "finished_last_minute": {"succeeded", "failed"},
--  "queue_length", "queue_age_seconds",      age: since it was queued first, retries included
--  "outbox_pending", "outbox_lag_seconds"}
create function public.operations() returns jsonb
  language sql stable security definer set search_path = '' as $$
  select jsonb_build_object(
    'runs', jsonb_build_object(
      'queued', unfinished.queued, 'running', unfinished.running, 'failed', failed.kept),
    'finished_last_minute', jsonb_build_object(
      'succeeded', finished.succeeded, 'failed', finished.failed),
    'queue_length', unfinished.queued,
    'queue_age_seconds', coalesce(extract(epoch from now() - unfinished.oldest), 0),
    'outbox_pending', pending.events,
    'outbox_lag_seconds', coalesce(extract(epoch from now() - pending.oldest), 0)
  )
  from
    (select
       count(*) filter (where r.state = 'queued') as queued,
       count(*) filter (where r.state = 'running') as running,
       min(r.queued_at) filter (where r.state = 'queued') as oldest
     from jobs.runs r where r.finished_at is null) unfinished,
    (select count(*) as kept from jobs.runs r where r.state = 'failed') failed,
    (select
       count(*) filter (where r.state = 'succeeded') as succeeded,
       count(*) filter (where r.state = 'failed') as failed
     from jobs.runs r where r.finished_at > now() - interval '1 minute') finished,
    (select count(*) as events, min(e.created_at) as oldest
     from outbox.events e where e.delivered_at is null) pending
$$;

revoke all on function public.operations() from public, anon, authenticated, service_role;
grant execute on function public.operations() to service_role;
