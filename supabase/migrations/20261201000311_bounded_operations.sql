-- What operators watch is counted up to 10,000 of each kind, so that asking costs the same however long a
-- queue has become.
-- {"runs": {"queued", "running", "failed"},  failed: those that are kept; 10000: that many or more
--  "finished_last_minute": {"succeeded", "failed"},  for relays before 2026-12
--  "dead_letters": {"run", "message"},
--  "queue_length", "queue_age_seconds",      age: since it was queued first, retries included
--  "outbox_pending", "outbox_lag_seconds"}   lag: of the 10,000 of each kind that are claimed next
-- The order of each subquery is that of its index: no plan reads the table.
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
       order by r.queued_at, r.id desc limit 10000) q) queued,
    (select count(*) as runs from (
       select from jobs.runs r where r.state = 'running' order by r.held_until limit 10000) r) running,
    (select count(*) as kept from (
       select from jobs.runs r where r.state = 'failed' order by r.finished_at limit 10000) f) failed,
    (select count(d.job) as runs, count(*) - count(d.job) as messages from (
       select l.job from jobs.dead_letters l where l.state = 'waiting'
       order by l.last_at desc, l.id limit 10000) d) dead,
    (select
       count(*) filter (where r.state = 'succeeded') as succeeded,
       count(*) filter (where r.state = 'failed') as failed
     from (
       select l.state from jobs.runs l where l.finished_at > now() - interval '1 minute'
       order by l.finished_at limit 10000) r) finished,
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
