-- The same figures as before, and the dead letters that wait for a person:
--   "dead_letters": {"run", "message"}   jobs that failed, messages that no worker can read
create or replace function public.operations() returns jsonb
  language sql stable security definer set search_path = '' as $$
  select jsonb_build_object(
    'runs', jsonb_build_object(
      'queued', queued.runs, 'running', running.runs, 'failed', failed.kept),
    'finished_last_minute', jsonb_build_object(
      'succeeded', finished.succeeded, 'failed', finished.failed),
    'dead_letters', jsonb_build_object('run', dead.runs, 'message', dead.messages),
    'queue_length', queued.runs,
    'queue_age_seconds', coalesce(extract(epoch from now() - queued.oldest), 0),
    'outbox_pending', pending.events,
    'outbox_lag_seconds', coalesce(extract(epoch from now() - pending.oldest), 0)
  )
  from
    (select count(*) as runs, min(q.queued_at) as oldest from (
       select r.queued_at from jobs.runs r where r.state = 'queued'
       order by r.queued_at limit 10000) q) queued,
    (select count(*) as runs from (
       select from jobs.runs r where r.state = 'running' order by r.holder limit 10000) r) running,
    (select count(*) as kept from (
       select from jobs.runs r where r.state = 'failed' order by r.finished_at limit 10000) f) failed,
    (select
       count(*) filter (where r.state = 'succeeded') as succeeded,
       count(*) filter (where r.state = 'failed') as failed
     from jobs.runs r where r.finished_at > now() - interval '1 minute') finished,
    (select count(w.job) as runs, count(*) - count(w.job) as messages from (
       select d.job from jobs.dead_letters d where d.state = 'waiting'
       order by d.last_at desc, d.id limit 10000) w) dead,
    (select count(*) as events, min(p.created_at) as oldest from (
       (select e.created_at from outbox.events e
        where e.dropped_at is null and e.published_at is null
        order by e.not_before, e.id limit 10000)
       union all
       (select e.created_at from outbox.events e
        where e.dropped_at is null and e.published_at is not null
        order by e.not_before, e.id limit 10000)
       union all
       (select e.created_at from outbox.events e
        where e.dropped_at is not null and e.published_at is null
        order by e.not_before, e.id limit 10000)) p) pending
$$;
