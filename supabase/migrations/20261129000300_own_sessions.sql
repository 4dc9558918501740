-- The own sessions, seen and ended one by one. Supabase Auth has no call for either; it writes the
-- address and the user agent of each login and refresh into the session.

-- One page, the last used first: {"sessions": [...], "total": n}.
create function public.own_sessions(page bigint, page_size integer) returns jsonb
  language sql stable security definer set search_path = '' as $$
  with own as materialized (
    select s.id, s.created_at,
      coalesce(s.refreshed_at at time zone 'UTC', s.created_at) as last_used_at,
      host(s.ip) as address,
      nullif(btrim(left(regexp_replace(s.user_agent, '[^ -~]', ' ', 'g'), 200)), '') as device
    from auth.sessions s
    where s.user_id = (select auth.uid()) and (s.not_after is null or s.not_after > now())
  ), shown as (
    select * from own order by last_used_at desc, id
    limit own_sessions.page_size offset (own_sessions.page - 1) * own_sessions.page_size::bigint
  )
  select jsonb_build_object(
    'sessions', coalesce(
      (select jsonb_agg(to_jsonb(s) order by s.last_used_at desc, s.id) from shown s), '[]'),
    'total', (select count(*) from own))
$$;

-- Ends one of the own sessions; false where there is none of this id. Triggers write down that it ended.
create function public.end_own_session(session_id uuid) returns boolean
  language sql security definer set search_path = '' as $$
  with gone as (
    delete from auth.sessions s
    where s.id = end_own_session.session_id and s.user_id = (select auth.uid())
    returning 1
  )
  select exists (select from gone)
$$;
revoke all on function public.own_sessions(bigint, integer), public.end_own_session(uuid)
  from public, anon, authenticated, service_role;
grant execute on function public.own_sessions(bigint, integer), public.end_own_session(uuid)
  to authenticated;

