-- Tokens that we mail: what a link proves. A token is an id and 256 random bits; here is a hash of it.
-- Supabase Auth's own tokens (a hash of address and a short code) are never mailed by this application.

-- Requests for a mail with a link. The API only writes one down, which takes the same time for every
-- address; a job opens it. Events hold no address: it is here until the request is opened.
alter table identity.password_resets rename to mail_requests;
alter index identity.password_resets_pkey rename to mail_requests_pkey;
alter index identity.password_resets_opened rename to mail_requests_opened;
alter index identity.password_resets_requested rename to mail_requests_requested;
alter table identity.mail_requests add column purpose text not null default 'password_reset'
  check (purpose in ('password_reset', 'signup', 'email_change'));
update retention.rules set name = 'mail_requests' where name = 'password_resets';

create table identity.mailed_tokens (
  id uuid primary key,
  hash text not null,  -- SHA-256 of the secret half, in hexadecimal
  purpose text not null
    check (purpose in ('password_reset', 'signup', 'email_change', 'email_change_undo')),
  user_id uuid not null references auth.users (id) on delete cascade,
  source uuid not null,  -- the request or notice that it was made for
  email text not null,   -- the address that it was sent to
  created_at timestamptz not null default now(),
  expires_at timestamptz not null,
  failures integer not null default 0,
  leased_until timestamptz,  -- somebody redeems it now
  ended_at timestamptz       -- used, replaced, or worthless after a change
);
create index mailed_tokens_user on identity.mailed_tokens (user_id, purpose);
create index mailed_tokens_expiry on identity.mailed_tokens (expires_at);
select retention.keep('identity.mailed_tokens', 'expires_at', '1 day');

-- How often somebody signed up with an address that nobody has proven yet.
create table identity.claims (
  user_id uuid primary key references auth.users (id) on delete cascade,
  number integer not null
);

alter table audit.entries drop constraint entries_action_check;
alter table audit.entries add constraint entries_action_check check (action in (
  'login', 'login_failed', 'logout', 'password_changed', 'password_reset_requested',
  'password_reset', 'email_change_requested', 'email_confirmed', 'user_deleted', 'user_promoted',
  'user_demoted', 'token_refused', 'email_change_undone', 'reauthentication_required'
));

insert into outbox.topics (topic, fields) values
  ('confirmation_requested', '{confirmation_id}'), ('email_change_requested', '{change_id}');

-- Of two calls about one account at once the second sees what the first did.
create function identity.lock_account(user_id uuid) returns void
  language sql set search_path = '' as $$
  select pg_catalog.pg_advisory_xact_lock(
    pg_catalog.hashtextextended('identity/' || lock_account.user_id, 0))
$$;

-- Ends tokens of an account and forgets requests for more of them.
create function identity.end_tokens(user_id uuid, purposes text[]) returns void
  language sql set search_path = '' as $$
  update identity.mailed_tokens t set ended_at = now()
  where t.user_id = end_tokens.user_id and t.purpose = any (purposes) and t.ended_at is null;
  delete from identity.mail_requests r
  where r.user_id = end_tokens.user_id and r.purpose = any (purposes);
$$;

-- Supabase Auth's own one-time tokens of an account can be guessed at Auth itself: none is to lie
-- there after the call that needed it.
create function identity.clear_auth_tokens(user_id uuid) returns void
  language sql set search_path = '' as $$
  delete from auth.one_time_tokens t where t.user_id = clear_auth_tokens.user_id;
  update auth.users u set confirmation_token = '', recovery_token = ''
  where u.id = clear_auth_tokens.user_id
    and (u.confirmation_token <> '' or u.recovery_token <> '');
$$;
revoke all on function identity.lock_account(uuid), identity.end_tokens(uuid, text[]),
  identity.clear_auth_tokens(uuid) from public;

-- What an address is to somebody who signs up: null for a free one, false for one that waits for
-- its confirmation, true for an account.
create function public.address_confirmed(email text) returns boolean
  language sql stable security definer set search_path = '' as $$
  select u.email_confirmed_at is not null from auth.users u
  where u.email = lower(address_confirmed.email) and not u.is_sso_user
$$;

-- Somebody signed up; `created` says that this made the account. With a second claim none of the
-- passwords and names counts: whoever opens the link chooses.
create function public.request_confirmation(
  email text, created boolean, address text default null, request_id text default null
) returns void
  language plpgsql security definer set search_path = '' as $$
declare
  account uuid := (
    select u.id from auth.users u where u.email = lower(request_confirmation.email)
      and not u.is_sso_user and u.email_confirmed_at is null
  );
  claimed integer;
  request uuid;
begin
  if account is not null then
    insert into identity.claims as c (user_id, number)
    values (account, case when created then 1 else 2 end)
    on conflict (user_id) do update set number = c.number + 1 returning number into claimed;
    if claimed > 1 then
      update public.profiles p set display_name = null
      where p.id = account and p.display_name is not null;
    end if;
    perform identity.clear_auth_tokens(account);
  end if;
  insert into identity.mail_requests (purpose, email, address, request_id)
  values ('signup', lower(request_confirmation.email), request_confirmation.address,
    request_confirmation.request_id)
  returning id into request;
  perform outbox.put('confirmation_requested',
    jsonb_build_array(jsonb_build_object('confirmation_id', request)));
end $$;

-- A user asks for another address, which counts once its link is opened; a new request replaces the
-- last one. Returns 'requested', 'taken' (somebody has proven the address) or 'limited' (five an hour).
create function public.request_email_change(
  user_id uuid, email text, address text default null, request_id text default null
) returns text
  language plpgsql security definer set search_path = '' as $$
declare
  taken boolean := coalesce(public.address_confirmed(email), false);
  request uuid;
begin
  perform identity.lock_account(request_email_change.user_id);
  if (
    select count(*) from identity.mail_requests r
    where r.user_id = request_email_change.user_id and r.purpose = 'email_change'
      and r.opened_at > now() - interval '1 hour'
  ) >= 5 then
    return 'limited';
  end if;
  update identity.mailed_tokens t set ended_at = now()
  where t.user_id = request_email_change.user_id and t.purpose = 'email_change'
    and t.ended_at is null;
  update identity.mail_requests r set email = null
  where r.user_id = request_email_change.user_id and r.purpose = 'email_change';
  insert into identity.mail_requests as r (purpose, user_id, email, address, request_id, opened_at)
  values ('email_change', request_email_change.user_id,
    case when not taken then lower(request_email_change.email) end,
    request_email_change.address, request_email_change.request_id, now())
  returning r.id into request;
  if taken then
    return 'taken';
  end if;
  perform outbox.put('email_change_requested',
    jsonb_build_array(jsonb_build_object('change_id', request)));
  return 'requested';
end $$;

create or replace function public.request_password_reset(
  email text, address text default null, request_id text default null
) returns void
  language sql security definer set search_path = '' as $$
  with reset as (
    insert into identity.mail_requests (email, address, request_id)
    values (request_password_reset.email, request_password_reset.address,
      request_password_reset.request_id)
    returning id
  )
  select outbox.put(
    'password_reset_requested', jsonb_build_array(jsonb_build_object('reset_id', id))
  ) from reset
$$;

drop function public.open_password_reset(uuid);

-- Keeps the hash of a token that a job is about to mail, and returns the address that it goes to; null
-- where there is no account, where it got five such mails within an hour, or where the request has
-- been overtaken. A job that is repeated adds a token: its first mail may have arrived. A new request
-- ends the tokens of the one before.
create function public.issue_mailed_token(request uuid, token uuid, hash text) returns text
  language plpgsql security definer set search_path = '' as $$
declare
  wanted identity.mail_requests;
  outcome text := 'accepted';
  target text;
begin
  select * into wanted from identity.mail_requests r where r.id = request for update;
  if wanted.id is null then
    return null;
  end if;
  if wanted.opened_at is null then
    wanted.user_id := (
      select u.id from auth.users u where u.email = lower(wanted.email) and not u.is_sso_user
        and (wanted.purpose <> 'signup' or u.email_confirmed_at is null)
    );
    perform identity.lock_account(wanted.user_id);
    if wanted.user_id is null then
      outcome := 'unknown';
    elsif (
      select count(*) from identity.mail_requests r where r.user_id = wanted.user_id
        and r.purpose = wanted.purpose and r.opened_at > now() - interval '1 hour'
    ) >= 5 then
      outcome := 'limited';
    end if;
    if wanted.purpose = 'password_reset' then
      perform public.record_audit(
        'password_reset_requested', user_id => wanted.user_id, address => wanted.address,
        request_id => wanted.request_id, details => jsonb_build_object('outcome', outcome));
    end if;
    if outcome <> 'accepted' then
      delete from identity.mail_requests r where r.id = request;
      return null;
    end if;
    update identity.mail_requests r
    set user_id = wanted.user_id, opened_at = now(), email = null, address = null
    where r.id = request;
  end if;
  if exists (
    select from identity.mail_requests r where r.user_id = wanted.user_id
      and r.purpose = wanted.purpose and r.opened_at > wanted.opened_at
  ) then
    return null;
  end if;
  target := case when wanted.purpose = 'email_change' then wanted.email
    else (select lower(u.email) from auth.users u where u.id = wanted.user_id) end;
  if target is null then
    return null;
  end if;
  update identity.mailed_tokens t set ended_at = now()
  where t.user_id = wanted.user_id and t.purpose = wanted.purpose and t.source <> request
    and t.ended_at is null;
  insert into identity.mailed_tokens (id, hash, purpose, user_id, source, email, expires_at)
  values (token, issue_mailed_token.hash, wanted.purpose, wanted.user_id, request, target,
    now() + case when wanted.purpose = 'signup' then interval '1 day' else interval '1 hour' end)
  on conflict (id) do nothing;
  return target;
end $$;

-- The address that an account has now, while the change that was asked for is open; null for one
-- that was never proven: it may be a bystander's.
create function public.email_change_from(request uuid) returns text
  language sql stable security definer set search_path = '' as $$
  select lower(u.email) from identity.mail_requests r join auth.users u on u.id = r.user_id
  where r.id = request and r.purpose = 'email_change' and r.email is not null
    and u.email_confirmed_at is not null
$$;

-- Takes a token that somebody presents, for ten seconds: of two at once one gets it. What is refused
-- is in the audit log: {"refused": true}, for whatever reason. Five wrong secrets end a token, ten
-- within an hour stop all tokens of the account. Otherwise {"user_id", "email", "confirmed",
-- "claims", "rival", "rival_in_use"}: the account, the address of the token, and another account that
-- has this address; one that was never confirmed and never signed in is not in use.
create function public.take_mailed_token(
  token uuid, hash text, purpose text, address text default null, request_id text default null
) returns jsonb
  language plpgsql security definer set search_path = '' as $$
declare
  found identity.mailed_tokens;
  account auth.users;
  rival auth.users;
  reason text;
begin
  perform identity.lock_account((select t.user_id from identity.mailed_tokens t where t.id = token));
  select * into found from identity.mailed_tokens t where t.id = token for update;
  select * into account from auth.users u where u.id = found.user_id;
  if account.id is null then
    reason := 'unknown';
  elsif (
    select count(*) from audit.entries e where e.user_id = account.id
      and e.action = 'token_refused' and e.details ->> 'reason' = 'wrong'
      and e.at > now() - interval '1 hour'
  ) >= 10 then
    reason := 'throttled';
  elsif found.ended_at is not null then
    reason := 'ended';
  elsif found.hash <> take_mailed_token.hash then
    reason := 'wrong';
    update identity.mailed_tokens t set failures = t.failures + 1,
      ended_at = case when t.failures >= 4 then now() end
    where t.id = token;
  elsif found.purpose <> take_mailed_token.purpose then
    reason := 'purpose';
  elsif found.expires_at <= now() then
    reason := 'expired';
  elsif found.leased_until > now() then
    reason := 'in use';
  elsif account.banned_until > now() then
    reason := 'banned';
  elsif found.purpose in ('password_reset', 'signup') and lower(account.email) <> found.email then
    reason := 'address';
  end if;
  if reason is not null then
    perform public.record_audit(
      'token_refused', user_id => account.id, address => take_mailed_token.address,
      request_id => take_mailed_token.request_id,
      details => jsonb_build_object('purpose', take_mailed_token.purpose, 'reason', reason));
    return '{"refused": true}';
  end if;
  update identity.mailed_tokens t set leased_until = now() + interval '10 seconds'
  where t.id = token;
  select * into rival from auth.users u
  where u.email = found.email and not u.is_sso_user and u.id <> account.id;
  return jsonb_build_object(
    'user_id', account.id, 'email', found.email,
    'confirmed', account.email_confirmed_at is not null,
    'claims', coalesce((select c.number from identity.claims c where c.user_id = account.id), 1),
    'rival', rival.id,
    'rival_in_use', coalesce(rival.email_confirmed_at, rival.phone_confirmed_at,
      rival.last_sign_in_at) is not null);
end $$;

-- Ends a token that did what it was for, or gives it back where that failed.
create function public.settle_mailed_token(token uuid, used boolean) returns void
  language plpgsql security definer set search_path = '' as $$
declare
  found identity.mailed_tokens;
begin
  select * into found from identity.mailed_tokens t where t.id = token;
  if used then
    update identity.mailed_tokens t set ended_at = now(), leased_until = null
    where t.user_id = found.user_id and t.purpose = found.purpose and t.ended_at is null
      and (t.purpose <> 'email_change_undo' or t.id = token);
  else
    update identity.mailed_tokens t set leased_until = null where t.id = token;
    perform identity.clear_auth_tokens(found.user_id);
  end if;
end $$;

revoke all on function public.address_confirmed(text),
  public.request_confirmation(text, boolean, text, text),
  public.request_email_change(uuid, text, text, text),
  public.issue_mailed_token(uuid, uuid, text), public.email_change_from(uuid),
  public.take_mailed_token(uuid, text, text, text, text),
  public.settle_mailed_token(uuid, boolean) from public, anon, authenticated, service_role;
grant execute on function public.address_confirmed(text),
  public.request_confirmation(text, boolean, text, text),
  public.request_email_change(uuid, text, text, text),
  public.issue_mailed_token(uuid, uuid, text), public.email_change_from(uuid),
  public.take_mailed_token(uuid, text, text, text, text),
  public.settle_mailed_token(uuid, boolean) to service_role;
