-- Sessions that ended, whoever ended them: logout, new password, deletion, another client. Access
-- tokens of theirs are valid by themselves until they expire, so everyone who checks one asks here.
create schema identity;
revoke all on schema identity from public, anon, authenticated, service_role;

create table identity.revoked_sessions (
  id uuid primary key,
  user_id uuid not null,
  expires_at timestamptz not null  -- when no access token of the session can be valid any more
);
create index revoked_sessions_user on identity.revoked_sessions (user_id);
create index revoked_sessions_expiry on identity.revoked_sessions (expires_at);

-- Access tokens live 30 minutes here, and nowhere longer than a day.
create function identity.revoke_sessions() returns trigger
  language plpgsql security definer set search_path = '' as $$
begin
  insert into identity.revoked_sessions (id, user_id, expires_at)
  select id, user_id, now() + interval '1 day' from old_rows
  on conflict (id) do nothing;
  return null;
end $$;
revoke all on function identity.revoke_sessions() from public;
create trigger revoke_sessions after delete on auth.sessions referencing old table as old_rows
  for each statement execute function identity.revoke_sessions();

select outbox.track('auth.sessions', 'session_ended',
  '{"session_id": "id", "user_id": "user_id"}', operations => '{delete}');
select retention.keep('identity.revoked_sessions', 'expires_at', '0 days');

-- Ended sessions whose tokens could still be valid: all of them, or one user's; ids with the times
-- (in seconds since 1970) when they may be forgotten. One value, for PostgREST cuts rows off at
-- max_rows, and a session that were missing would count again.
create function public.revoked_sessions(of_user uuid default null) returns jsonb
  language sql stable security definer set search_path = '' as $$
  select coalesce(jsonb_object_agg(r.id, extract(epoch from r.expires_at)), '{}')
  from identity.revoked_sessions r
  where r.expires_at > now() and (of_user is null or r.user_id = of_user)
$$;

-- When a session began; null for one that is not there.
create function public.session_started(session_id uuid) returns timestamptz
  language sql stable security definer set search_path = '' as
  'select created_at from auth.sessions where id = session_id';

-- Supabase Auth stores addresses in lower case and has an index on them as they are: known or not,
-- an address costs the same.
create function public.user_id_of(email text) returns uuid
  language sql stable security definer set search_path = '' as $$
  select id from auth.users u where u.email = lower(user_id_of.email) and not u.is_sso_user
$$;

revoke all on function public.revoked_sessions(uuid), public.session_started(uuid),
  public.user_id_of(text) from public, anon, authenticated, service_role;
grant execute on function public.revoked_sessions(uuid), public.session_started(uuid),
  public.user_id_of(text) to service_role;
