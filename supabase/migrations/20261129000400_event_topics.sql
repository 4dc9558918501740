-- Which topics the outbox has, with their fields. The relay asks at its start: a job or a cached read
-- that follows an event without a topic would never be told anything.

create function public.event_topics() returns jsonb
language sql stable security definer set search_path = '' as $$
  select coalesce(jsonb_object_agg(t.topic, t.fields), '{}') from outbox.topics t
$$;

revoke execute on function public.event_topics() from public, anon, authenticated, service_role;
grant execute on function public.event_topics() to service_role;
