-- Who may be written to, and how often. "Confirmed" is not "proven": where Supabase Auth confirms at
-- once, an address may be a bystander's, and what users wrote would be words of strangers to them.

-- An address as it is compared here: nobody can read it. With `mailbox` what follows a plus does not
-- count, for it arrives in the same inbox.
create function identity.address_hash(email text, mailbox boolean default false) returns text
  language sql immutable set search_path = '' as $$
  select encode(sha256(convert_to(
    case when mailbox then regexp_replace(lower(email), '\+[^@]*@', '@') else lower(email) end,
    'UTF8')), 'hex')
$$;

-- Addresses that somebody has proven to read, by a link that was mailed there.
create table identity.proven_addresses (
  user_id uuid not null references auth.users (id) on delete cascade,
  address_hash text not null,
  primary key (user_id, address_hash)
);

create function identity.prove(user_id uuid, email text) returns void
  language sql set search_path = '' as $$
  insert into identity.proven_addresses (user_id, address_hash)
  values (prove.user_id, identity.address_hash(prove.email))
  on conflict do nothing
$$;

-- A token of ours that is taken was read where it was sent to.
create function identity.prove_by_token() returns trigger
  language plpgsql security definer set search_path = '' as $$
begin
  perform identity.prove(new.user_id, new.email);
  return null;
end $$;
create trigger prove_by_token after update of leased_until on identity.mailed_tokens
  for each row when (new.leased_until is not null)
  execute function identity.prove_by_token();

-- Auth's own mails prove, too. Where it confirms at once it has made no token before.
create function identity.prove_by_auth() returns trigger
  language plpgsql security definer set search_path = '' as $$
begin
  perform identity.prove(new.id, new.email);
  return null;
end $$;
create trigger prove_by_auth after update of email_confirmed_at on auth.users
  for each row when (old.email_confirmed_at is null and new.email_confirmed_at is not null
    and coalesce(old.confirmation_token, '') <> '' and new.email = old.email)
  execute function identity.prove_by_auth();

-- Before this migration: who confirmed later than at once had a mail.
select identity.prove(u.id, u.email) from auth.users u
where u.email_confirmed_at > u.created_at + interval '1 second'
  and u.confirmation_sent_at is not null and u.email <> '';

revoke all on function identity.address_hash(text, boolean), identity.prove(uuid, text),
  identity.prove_by_token(), identity.prove_by_auth() from public;

-- A user, for jobs; `proven` says that a mail has proven the address.
drop function public.account(uuid);
create function public.account(user_id uuid)
  returns table (
    id uuid, email text, display_name text,
    created_at timestamptz, email_confirmed_at timestamptz, proven boolean
  )
  language sql stable security definer set search_path = '' as $$
  select u.id, lower(u.email), p.display_name, u.created_at, u.email_confirmed_at, exists (
    select from identity.proven_addresses a
    where a.user_id = u.id and a.address_hash = identity.address_hash(u.email))
  from auth.users u left join public.profiles p on p.id = u.id
  where u.id = account.user_id
$$;

-- Mails of the last day, to count them by recipient. `kind` is slice and template.
create table identity.mails (
  id uuid primary key,
  recipient text not null,  -- identity.address_hash of the inbox
  kind text not null,
  security boolean not null,
  at timestamptz not null default now()
);
create index mails_recipient on identity.mails (recipient, at);
create index mails_at on identity.mails (at);
select retention.keep('identity.mails', 'at', '1 day');

-- Whether a mail may go out: ten of one kind an hour and inbox, and twenty of all kinds together that
-- are not about the security of an account. Those have their own ten by kind, which no other mail can
-- use up. A mail that is repeated counts once.
create function public.admit_mail(mail uuid, recipient text, kind text, security boolean)
  returns boolean
  language plpgsql security definer set search_path = '' as $$
declare
  inbox text := identity.address_hash(admit_mail.recipient, mailbox => true);
begin
  perform pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended('mails/' || inbox, 0));
  if exists (select from identity.mails m where m.id = mail) then
    return true;
  end if;
  if exists (
    select from identity.mails m
    where m.recipient = inbox and m.at > now() - interval '1 hour'
    having count(*) filter (where m.kind = admit_mail.kind) >= 10
      or (not admit_mail.security and count(*) filter (where not m.security) >= 20)
  ) then
    return false;
  end if;
  insert into identity.mails (id, recipient, kind, security)
  values (mail, inbox, admit_mail.kind, admit_mail.security);
  return true;
end $$;

revoke all on function public.account(uuid), public.admit_mail(uuid, text, text, boolean)
  from public, anon, authenticated, service_role;
grant execute on function public.account(uuid), public.admit_mail(uuid, text, text, boolean)
  to service_role;
