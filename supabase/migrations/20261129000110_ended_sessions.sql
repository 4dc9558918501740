-- A session that has ended does nothing any more, also for a client that asks PostgREST directly: access
-- tokens are valid by themselves until they expire, so the database looks at the session itself.

-- How long ended sessions are remembered. A token that lives longer would count again after that: it
-- is refused here, and by the API (MAX_TOKEN_SECONDS).
create function identity.remembered() returns interval
  language sql immutable set search_path = '' as $$ select interval '1 day' $$;
revoke all on function identity.remembered() from public;

create or replace function identity.revoke_sessions() returns trigger
  language plpgsql security definer set search_path = '' as $$
begin
  insert into identity.revoked_sessions (id, user_id, expires_at)
  select id, user_id, now() + identity.remembered() from old_rows
  on conflict (id) do nothing;
  return null;
end $$;

-- PostgREST calls it before each request, as the caller's role: one look-up by primary key, and none for
-- keys, which have no session. See https://docs.postgrest.org/en/stable/references/transactions.html#pre-request
create function public.check_session() returns void
  language plpgsql stable security definer set search_path = '' as $$
declare
  claims jsonb := nullif(current_setting('request.jwt.claims', true), '')::jsonb;
  session text := claims ->> 'session_id';
begin
  if session is null then
    return;
  end if;
  if (claims ->> 'exp')::numeric - (claims ->> 'iat')::numeric
    > extract(epoch from identity.remembered())
  then
    raise sqlstate 'PT401' using
      message = 'TOKEN_TOO_LONG',
      detail = 'Access tokens may live for a day: lower JWT expiry in the settings of Auth.';
  end if;
  if exists (select from identity.revoked_sessions r where r.id = session::uuid) then
    raise sqlstate 'PT401' using message = 'SESSION_ENDED', hint = 'Log in again.';
  end if;
end $$;
revoke all on function public.check_session() from public, anon, authenticated, service_role;
grant execute on function public.check_session() to anon, authenticated, service_role;

do $$
begin
  execute format(
    'alter role authenticator in database %I set pgrst.db_pre_request = %L',
    current_database(), 'public.check_session');
end $$;
notify pgrst, 'reload config';
notify pgrst, 'reload schema';

-- Who loses a role has it in the access token still: the sessions end, and the user logs in again.
create function identity.end_sessions_of_demoted() returns trigger
  language plpgsql security definer set search_path = '' as $$
begin
  delete from auth.sessions s where s.user_id = new.id;
  return null;
end $$;
revoke all on function identity.end_sessions_of_demoted() from public;

create trigger end_sessions_of_demoted after update of raw_app_meta_data on auth.users
  for each row
  when (old.raw_app_meta_data ->> 'role' is not null
    and old.raw_app_meta_data ->> 'role' is distinct from new.raw_app_meta_data ->> 'role')
  execute function identity.end_sessions_of_demoted();
