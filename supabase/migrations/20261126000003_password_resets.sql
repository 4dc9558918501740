-- Requests to reset a password. The API only writes one down, which takes the same time for every
-- address; a job opens it. The event holds no address, and the address stays here no longer than
-- until the request is opened (or, where no job runs, for a day).
create table identity.password_resets (
  id uuid primary key default gen_random_uuid(),
  email text,     -- what was asked for; empty once the request is opened
  address text,   -- the client's address, for the audit log; likewise
  request_id text,
  user_id uuid,   -- whose account it is, once it is opened
  requested_at timestamptz not null default now(),
  opened_at timestamptz
);
create index password_resets_opened on identity.password_resets (user_id, opened_at);
create index password_resets_requested on identity.password_resets (requested_at);
select retention.keep('identity.password_resets', 'requested_at', '1 day');

insert into outbox.topics (topic, fields) values ('password_reset_requested', '{reset_id}');

create function public.request_password_reset(
  email text, address text default null, request_id text default null
) returns void
  language sql security definer set search_path = '' as $$
  with reset as (
    insert into identity.password_resets (email, address, request_id)
    values (request_password_reset.email, request_password_reset.address,
      request_password_reset.request_id)
    returning id
  )
  select outbox.put(
    'password_reset_requested', jsonb_build_array(jsonb_build_object('reset_id', id))
  ) from reset
$$;

-- Returns the address of the account that a link is to be sent to; null where there is none, or
-- where it was sent five within an hour. Opening a request again returns the same: a job may be
-- repeated.
create function public.open_password_reset(reset_id uuid) returns text
  language plpgsql security definer set search_path = '' as $$
declare
  reset identity.password_resets;
  outcome text := 'accepted';
begin
  select * into reset from identity.password_resets r where r.id = reset_id for update;
  if reset.opened_at is null and reset.id is not null then
    reset.user_id := public.user_id_of(reset.email);
    -- Of two requests at once the second counts the first.
    perform pg_catalog.pg_advisory_xact_lock(
      pg_catalog.hashtextextended('password_resets/' || reset.user_id, 0));
    if reset.user_id is null then
      outcome := 'unknown';
    elsif (
      select count(*) from identity.password_resets r
      where r.user_id = reset.user_id and r.opened_at > now() - interval '1 hour'
    ) >= 5 then
      outcome := 'limited';
    end if;
    perform public.record_audit(
      'password_reset_requested', user_id => reset.user_id, address => reset.address,
      request_id => reset.request_id, details => jsonb_build_object('outcome', outcome));
    if outcome <> 'accepted' then
      delete from identity.password_resets r where r.id = reset_id;
      return null;
    end if;
    update identity.password_resets r
    set user_id = reset.user_id, opened_at = now(), email = null, address = null
    where r.id = reset_id;
  end if;
  return (select lower(u.email) from auth.users u where u.id = reset.user_id);
end $$;

revoke all on function public.request_password_reset(text, text, text),
  public.open_password_reset(uuid) from public, anon, authenticated, service_role;
grant execute on function public.request_password_reset(text, text, text),
  public.open_password_reset(uuid) to service_role;
