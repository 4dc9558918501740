-- Changes of credentials and existence: what each makes worthless, and who hears of it. Triggers see to
-- both, so it holds for whoever changes them: the API, Supabase Auth asked directly, the dashboard.

-- What the owner of an account is to be told. The address is the one that the account had before.
create table identity.notices (
  id uuid primary key default gen_random_uuid(),
  kind text not null check (kind in ('password_changed', 'email_changed', 'account_deleted')),
  user_id uuid not null,
  email text not null,
  created_at timestamptz not null default now()
);
create index notices_created on identity.notices (created_at);
select retention.keep('identity.notices', 'created_at', '1 day');
insert into outbox.topics (topic, fields) values ('account_changed', '{notice_id}');

-- An address that was never proven may be a bystander's: nobody is written to there.
create function identity.notify(kind text, account auth.users) returns void
  language sql set search_path = '' as $$
  with notice as (
    insert into identity.notices (kind, user_id, email)
    select notify.kind, account.id, lower(account.email)
    where account.email_confirmed_at is not null and account.email <> ''
    returning id
  )
  select outbox.put('account_changed', jsonb_build_array(jsonb_build_object('notice_id', id)))
  from notice
$$;

create function identity.after_change() returns trigger
  language plpgsql security definer set search_path = '' as $$
declare
  undo identity.mailed_tokens;  -- the one that is being redeemed: the owner acts, and knows
begin
  select * into undo from identity.mailed_tokens t
  where t.user_id = new.id and t.purpose = 'email_change_undo' and t.leased_until > now();
  if new.encrypted_password is distinct from old.encrypted_password then
    perform identity.end_tokens(new.id, '{password_reset,email_change}');
    if undo.id is null then
      perform identity.notify('password_changed', old);
    end if;
  end if;
  if new.email is distinct from old.email then
    perform identity.end_tokens(new.id, '{password_reset,signup,email_change}');
    if undo.id is null then
      perform identity.notify('email_changed', old);
    else
      -- Who took the account over may hold the address that it had meanwhile.
      update identity.mailed_tokens t set ended_at = now()
      where t.user_id = new.id and t.purpose = 'email_change_undo' and t.ended_at is null
        and t.created_at >= undo.created_at;
      delete from identity.notices n
      where n.user_id = new.id and n.kind = 'email_changed' and n.created_at >= undo.created_at;
    end if;
  end if;
  if old.email_confirmed_at is null and new.email_confirmed_at is not null then
    perform identity.end_tokens(new.id, '{signup}');
    delete from identity.claims c where c.user_id = new.id;
  end if;
  return null;
end $$;

create function identity.after_deletion() returns trigger
  language plpgsql security definer set search_path = '' as $$
begin
  delete from identity.mail_requests r where r.user_id = old.id;
  perform identity.notify('account_deleted', old);
  return null;
end $$;
revoke all on function identity.notify(text, auth.users), identity.after_change(),
  identity.after_deletion() from public;

-- Supabase Auth names these columns only when it changes them: a sign-in does not come by here.
create trigger after_change after update of encrypted_password, email, email_confirmed_at
  on auth.users for each row execute function identity.after_change();
create trigger after_deletion after delete on auth.users
  for each row execute function identity.after_deletion();

-- What a job is to write about a change, {"kind", "email"}, or null where that is done with. A change
-- of address can be undone for seven days: for one the hash of a token is kept.
create function public.issue_notice(notice uuid, token uuid, hash text) returns jsonb
  language plpgsql security definer set search_path = '' as $$
declare
  found identity.notices;
begin
  select * into found from identity.notices n where n.id = notice;
  if found.kind = 'email_changed' then
    if not exists (
      select from auth.users u where u.id = found.user_id and lower(u.email) <> found.email
    ) then
      return null;  -- deleted, or changed back
    end if;
    insert into identity.mailed_tokens
      (id, hash, purpose, user_id, source, email, created_at, expires_at)
    values (token, issue_notice.hash, 'email_change_undo', found.user_id, notice, found.email,
      found.created_at, found.created_at + interval '7 days')
    on conflict (id) do nothing;
  end if;
  return (select jsonb_build_object('kind', n.kind, 'email', n.email)
    from identity.notices n where n.id = notice);
end $$;

-- How an account can prove itself: {"email", "has_password", "is_anonymous"}; null for none.
create function public.credentials_of(user_id uuid) returns jsonb
  language sql stable security definer set search_path = '' as $$
  select jsonb_build_object(
    'email', nullif(lower(u.email), ''),
    'has_password', coalesce(u.encrypted_password, '') <> '',
    'is_anonymous', u.is_anonymous)
  from auth.users u where u.id = credentials_of.user_id
$$;

revoke all on function public.issue_notice(uuid, uuid, text), public.credentials_of(uuid)
  from public, anon, authenticated, service_role;
grant execute on function public.issue_notice(uuid, uuid, text), public.credentials_of(uuid)
  to service_role;
