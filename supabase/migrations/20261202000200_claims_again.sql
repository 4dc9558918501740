-- squawk-ignore ban-drop-function -- made again below: old relays call it without the token
drop function public.claim_events(integer, integer, boolean, boolean);
-- Leases events to one relay: two never hold the same one. The row lock ends with this call, so it
-- is the lease that keeps others away; it ends by itself when the relay dies.
-- `token` names the claim. A relay whose answer got lost (or that could not settle) claims with the same one
-- again and gets the same events, which would wait for the end of the lease otherwise.
-- The oldest of those that wait for both come first, then those that wait for one.
create function public.claim_events(
  batch integer, lease_seconds integer, with_drops boolean, with_jobs boolean,
  token uuid default gen_random_uuid()
) returns table (
    id bigint, topic text, items jsonb, request_id text, claim uuid,
    dropped boolean, published boolean, traceparent text
  )
  language plpgsql security definer set search_path = ''
  -- A backlog comes faster than statistics do: whatever they say, claims follow the order of an index.
  set enable_seqscan = off set enable_bitmapscan = off set enable_sort = off
  as $$
declare
  ids bigint[] := '{}';
begin
  if with_drops or with_jobs then
    ids := array(
      select p.id from outbox.events p
      where p.dropped_at is null and p.published_at is null and p.not_before <= now()
        and (p.claimed_until is null or p.claimed_until <= now() or p.claim = token)
      order by p.not_before, p.id limit batch for update skip locked);
  end if;
  if with_drops and cardinality(ids) < batch then
    ids := ids || array(
      select p.id from outbox.events p
      where p.dropped_at is null and p.published_at is not null and p.not_before <= now()
        and (p.claimed_until is null or p.claimed_until <= now() or p.claim = token)
      order by p.not_before, p.id limit batch - cardinality(ids) for update skip locked);
  end if;
  if with_jobs and cardinality(ids) < batch then
    ids := ids || array(
      select p.id from outbox.events p
      where p.dropped_at is not null and p.published_at is null and p.not_before <= now()
        and (p.claimed_until is null or p.claimed_until <= now() or p.claim = token)
      order by p.not_before, p.id limit batch - cardinality(ids) for update skip locked);
  end if;
  return query
    with claimed as (
      update outbox.events e
      set claim = token, claimed_until = now() + make_interval(secs => lease_seconds)
      where e.id = any (ids)
      returning e.*
    )
    select c.id, c.topic, c.items, c.request_id, c.claim,
      c.dropped_at is not null, c.published_at is not null, c.traceparent
    from claimed c order by c.id;
end $$;
revoke all on function public.claim_events(integer, integer, boolean, boolean, uuid)
  from public, anon, authenticated, service_role;
grant execute on function public.claim_events(integer, integer, boolean, boolean, uuid) to service_role;
