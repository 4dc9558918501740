-- Refresh tokens that were used: 128 bits of a SHA-256 each, never the token. Supabase Auth takes the
-- parent of the current token at any time, for clients that lost an answer; whoever stole it goes on with
-- the session unseen. What tells the two: a client that lost the answer has not used what was in it.
create table identity.used_refresh_tokens (
  hash uuid primary key,
  session_id uuid not null,
  used_at timestamptz not null default now(),
  child_expires_at bigint not null  -- the `exp` of the access token that it was exchanged for
);
create index used_refresh_tokens_used on identity.used_refresh_tokens (used_at);
select retention.keep('identity.used_refresh_tokens', 'used_at', '7 days');  -- no session is older

-- Notes that Auth took a refresh token, and returns {"started_at", "reused"}; null where the session has
-- ended since. `expires_at` is that of the new access token, `seen_until` the newest of the session's
-- access tokens that anybody used, null where that is not known.
-- It was reused where its child has been used, unless within ten seconds: tabs refresh at once. A client
-- that lost the answer begins these ten seconds anew. (Where the child refresh token was used, Auth itself
-- refuses the parent: see end_session_of_token.)
create function public.renew_session(
  session_id uuid, token_hash uuid, expires_at bigint, seen_until bigint default null
) returns jsonb
  language plpgsql security definer set search_path = '' as $$
declare
  started timestamptz := (
    select s.created_at from auth.sessions s where s.id = renew_session.session_id
  );
  known identity.used_refresh_tokens;
  child_used boolean;
begin
  if started is null then
    return null;
  end if;
  insert into identity.used_refresh_tokens (hash, session_id, child_expires_at)
  values (token_hash, renew_session.session_id, renew_session.expires_at)
  on conflict (hash) do nothing;
  if not found then
    select * into known from identity.used_refresh_tokens u where u.hash = token_hash for update;
    child_used := coalesce(seen_until >= known.child_expires_at, false);
    if not child_used then
      update identity.used_refresh_tokens u set used_at = now() where u.hash = token_hash;
    end if;
  end if;
  return jsonb_build_object('started_at', started, 'reused',
    coalesce(child_used and known.used_at <= now() - interval '10 seconds', false));
end $$;

-- Ends the session that a used refresh token belongs to: {"session_id", "user_id"}, or null where it was
-- never used here, or has ended.
create function public.end_session_of_token(token_hash uuid) returns jsonb
  language sql security definer set search_path = '' as $$
  with gone as (
    delete from auth.sessions s using identity.used_refresh_tokens u
    where u.hash = token_hash and s.id = u.session_id
    returning s.id, s.user_id
  )
  select jsonb_build_object('session_id', g.id, 'user_id', g.user_id) from gone g
$$;
revoke all on function public.renew_session(uuid, uuid, bigint, bigint),
  public.end_session_of_token(uuid) from public, anon, authenticated, service_role;
grant execute on function public.renew_session(uuid, uuid, bigint, bigint),
  public.end_session_of_token(uuid) to service_role;
