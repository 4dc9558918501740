-- Where an account was logged in from: networks (a /24, of IPv6 a /48) and kinds of devices, for the mail
-- about a login from another one. Written only where LOGIN_NOTICES is on.
create table identity.known_clients (
  user_id uuid not null references auth.users (id) on delete cascade,
  kind text not null check (kind in ('network', 'device')),
  value text not null,
  seen_at timestamptz not null default now(),
  primary key (user_id, kind, value)
);
create index known_clients_seen on identity.known_clients (seen_at);
select retention.keep('identity.known_clients', 'seen_at', '90 days');

create table identity.login_notices (
  id uuid primary key default gen_random_uuid(),
  user_id uuid not null references auth.users (id) on delete cascade,
  device text not null,
  address text,
  created_at timestamptz not null default now()
);
create index login_notices_user on identity.login_notices (user_id, created_at);
create index login_notices_created on identity.login_notices (created_at);
select retention.keep('identity.login_notices', 'created_at', '1 day');
insert into outbox.topics (topic, fields) values ('new_login', '{notice_id}');

-- Notes a login. The first one of an account is where it begins; a later one from a network or device
-- that is not known is told to the owner, by an event: five an hour, and only to a confirmed address.
create function public.note_login(user_id uuid, device text, network text, address text) returns void
  language plpgsql security definer set search_path = '' as $$
declare
  known boolean;
  added integer;
  notice uuid;
begin
  perform identity.lock_account(note_login.user_id);
  known := exists (select from identity.known_clients k where k.user_id = note_login.user_id);
  update identity.known_clients k set seen_at = now()
  where k.user_id = note_login.user_id
    and (k.kind, k.value) in (('network', note_login.network), ('device', note_login.device));
  insert into identity.known_clients (user_id, kind, value)
  select note_login.user_id, kind, value
  from (values ('network', note_login.network), ('device', note_login.device)) as v (kind, value)
  where value is not null
  on conflict do nothing;
  get diagnostics added = row_count;
  if not known or added = 0 or (
    select count(*) from identity.login_notices n
    where n.user_id = note_login.user_id and n.created_at > now() - interval '1 hour'
  ) >= 5 then
    return;
  end if;
  insert into identity.login_notices (user_id, device, address)
  select u.id, note_login.device, note_login.address from auth.users u
  where u.id = note_login.user_id and u.email_confirmed_at is not null and u.email <> ''
  returning id into notice;
  if notice is not null then
    perform outbox.put('new_login', jsonb_build_array(jsonb_build_object('notice_id', notice)));
  end if;
end $$;

-- What the mail says: {"email", "device", "address", "at"}, null where the account is gone.
create function public.login_notice(notice uuid) returns jsonb
  language sql stable security definer set search_path = '' as $$
  select jsonb_build_object('email', lower(u.email), 'device', n.device, 'address', n.address,
    'at', to_char(n.created_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI'))
  from identity.login_notices n join auth.users u on u.id = n.user_id where n.id = notice
$$;
revoke all on function public.note_login(uuid, text, text, text), public.login_notice(uuid)
  from public, anon, authenticated, service_role;
grant execute on function public.note_login(uuid, text, text, text), public.login_notice(uuid)
  to service_role;
