-- Traces: an event knows the request that caused it, as W3C's traceparent, where traces are on.
alter table outbox.events add column traceparent text;

create or replace function outbox.put(topic text, items jsonb) returns void
  language sql security definer set search_path = '' as $$
  insert into outbox.events (topic, items, request_id, traceparent)
  select put.topic, put.items,
    substring(sent.headers ->> 'x-request-id' from '^[A-Za-z0-9._-]{8,128}$'),
    substring(sent.headers ->> 'traceparent' from '^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$')
  from (select nullif(current_setting('request.headers', true), '')::jsonb as headers) sent
  where jsonb_array_length(put.items) > 0
$$;

-- squawk-ignore ban-drop-function -- made again below with one column more, which old relays skip
drop function public.claim_events(integer, integer, boolean, boolean);
create function public.claim_events(
  batch integer, lease_seconds integer, with_drops boolean, with_jobs boolean
) returns table (
    id bigint, topic text, items jsonb, request_id text, claim uuid,
    dropped boolean, published boolean, traceparent text
  )
  language sql security definer set search_path = '' as $$
  with token as materialized (select gen_random_uuid() as value), claimed as (
    update outbox.events e
    set claim = token.value, claimed_until = now() + make_interval(secs => lease_seconds)
    from token
    where e.id = any (array(
      select p.id from outbox.events p
      where p.delivered_at is null and p.not_before <= now()
        and (p.claimed_until is null or p.claimed_until <= now())
        and ((with_drops and p.dropped_at is null) or (with_jobs and p.published_at is null))
      order by p.id limit batch for update skip locked
    ))
    returning e.*
  )
  select c.id, c.topic, c.items, c.request_id, c.claim,
    c.dropped_at is not null, c.published_at is not null, c.traceparent
  from claimed c order by c.id
$$;
revoke all on function public.claim_events(integer, integer, boolean, boolean)
  from public, anon, authenticated, service_role;
grant execute on function public.claim_events(integer, integer, boolean, boolean) to service_role;
