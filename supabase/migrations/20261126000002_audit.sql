-- Who did what to an account, when, from where. No secrets, and no addresses of people: the user's
-- id says who; an attempt on an address that has no account has none.
create schema audit;
revoke all on schema audit from public, anon, authenticated, service_role;

create table audit.entries (
  id bigint generated always as identity primary key,
  at timestamptz not null default now(),
  action text not null check (action in (
    'login', 'login_failed', 'logout', 'password_changed', 'password_reset_requested',
    'password_reset', 'email_change_requested', 'email_confirmed', 'user_deleted', 'user_promoted'
  )),
  user_id uuid,      -- whose account
  actor_id uuid,     -- who did it, where that is known; an operator at the command line is null
  address text,      -- the client's address
  request_id text,
  details jsonb not null default '{}'
);
create index entries_user on audit.entries (user_id, at desc);
create index entries_at on audit.entries (at);
select retention.keep('audit.entries', 'at', '30 days');

-- Writes one entry; the user is named by id or, where only an address is known, looked up by it.
create function public.record_audit(
  action text, user_id uuid default null, email text default null, actor_id uuid default null,
  address text default null, request_id text default null, details jsonb default '{}'
) returns void
  language sql security definer set search_path = '' as $$
  insert into audit.entries (action, user_id, actor_id, address, request_id, details)
  values (
    record_audit.action,
    coalesce(record_audit.user_id, public.user_id_of(record_audit.email)),
    record_audit.actor_id,
    left(record_audit.address, 64),
    left(record_audit.request_id, 128),
    record_audit.details
  )
$$;
revoke all on function public.record_audit(text, uuid, text, uuid, text, text, jsonb)
  from public, anon, authenticated, service_role;
grant execute on function public.record_audit(text, uuid, text, uuid, text, text, jsonb)
  to service_role;
