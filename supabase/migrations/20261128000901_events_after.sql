-- For slices that write where more follows than they can name: what the database told of it, to be
-- announced before they answer. The relay does the same a moment later.
create function public.last_event() returns bigint
  language sql stable security definer set search_path = '' as $$
  select coalesce(max(id), 0) from outbox.events
$$;
revoke all on function public.last_event() from public, anon, authenticated, service_role;
grant execute on function public.last_event() to service_role;

-- Of at most 100 events after this one, the first 10,000 items each: the relay has all of them.
create function public.events_after(event_id bigint) returns table (topic text, items jsonb)
  language sql stable security definer set search_path = '' as $$
  select e.topic, jsonb_path_query_array(e.items, '$[0 to 9999]')
  from outbox.events e
  where e.id > event_id
  order by e.id
  limit 100
$$;
revoke all on function public.events_after(bigint) from public, anon, authenticated, service_role;
grant execute on function public.events_after(bigint) to service_role;
