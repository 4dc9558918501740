-- The same figures, and the dead letters that wait for a person: {"dead_letters": {"run", "message"}}.
create or replace function public.operations() returns jsonb
  language sql stable security definer set search_path = '' as $$
  select jsonb_build_object(
    'runs', jsonb_build_object(
      'queued', unfinished.queued, 'running', unfinished.running, 'failed', failed.kept),
    'finished_last_minute', jsonb_build_object(
      'succeeded', finished.succeeded, 'failed', finished.failed),
    'dead_letters', jsonb_build_object('run', dead.runs, 'message', dead.messages),
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
    (select count(d.job) as runs, count(*) - count(d.job) as messages
     from jobs.dead_letters d where d.state = 'waiting') dead,
    (select count(*) as events, min(e.created_at) as oldest
     from outbox.events e where e.delivered_at is null) pending
$$;
