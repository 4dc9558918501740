-- Writes that a client may repeat: the key of a request and its row are one transaction, so there is no
-- state between. A repeat, also one at the same time, finds the key and gets the row that was stored.
create schema idempotency;
revoke all on schema idempotency from public, anon, authenticated, service_role;

create table idempotency.keys (
  caller uuid not null references public.profiles (id) on delete cascade,
  slice text not null check (char_length(slice) between 1 and 100),
  key text not null check (char_length(key) between 1 and 255),
  fingerprint text not null check (char_length(fingerprint) <= 64),  -- of the request, not its content
  stored jsonb not null,
  created_at timestamptz not null default now(),
  primary key (caller, slice, key)
);
create index keys_created on idempotency.keys (created_at);
select retention.keep('idempotency.keys', 'created_at', '24 hours');

-- One header of the request, as the API sends it to PostgREST.
create function idempotency.sent(header text) returns text
  language sql stable set search_path = '' as
  $$ select nullif(current_setting('request.headers', true), '')::jsonb ->> header $$;

-- The trigger of a protected table. Of requests at the same time one inserts the key; the others wait for
-- its transaction and are refused then, or one of them takes its place where it failed.
create function idempotency.claim() returns trigger
  language plpgsql security definer set search_path = '' as $$
declare
  key text := idempotency.sent('idempotency-key');
begin
  if key is null or auth.uid() is null then
    return new;
  end if;
  insert into idempotency.keys as k (caller, slice, key, fingerprint, stored)
  values (
    auth.uid(), coalesce(idempotency.sent('x-idempotency-slice'), '-'), key,
    coalesce(idempotency.sent('x-idempotency-fingerprint'), ''), to_jsonb(new))
  on conflict on constraint keys_pkey do update
    set fingerprint = excluded.fingerprint, stored = excluded.stored, created_at = excluded.created_at
    where k.created_at <= now() - interval '24 hours';
  if not found then
    raise sqlstate 'PT409' using
      message = 'IDEMPOTENCY_KEY_USED', hint = 'Call replayed_row with the same headers.';
  end if;
  return new;
end $$;

-- Protects a table's inserts; one request inserts one row. Triggers fire in the order of their names:
-- this one is the last, so that the kept row is the stored one.
create function idempotency.protect(target regclass) returns void
  language plpgsql set search_path = '' as $$
begin
  execute format(
    'create trigger zz_idempotency before insert on %s for each row execute function idempotency.claim()',
    target);
end $$;
revoke all on function idempotency.sent(text), idempotency.claim(), idempotency.protect(regclass)
  from public;

-- What the caller's key of this request has stored: {"fingerprint", "row"}, or null. The row comes by a
-- call of its own because what an error says is written into the server's log.
create function public.replayed_row() returns jsonb
  language sql stable security definer set search_path = '' as $$
  select jsonb_build_object('fingerprint', k.fingerprint, 'row', k.stored)
  from idempotency.keys k
  where k.caller = auth.uid() and k.slice = coalesce(idempotency.sent('x-idempotency-slice'), '-')
    and k.key = idempotency.sent('idempotency-key')
$$;
revoke all on function public.replayed_row() from public, anon, authenticated, service_role;
grant execute on function public.replayed_row() to authenticated;

select idempotency.protect('public.posts');
