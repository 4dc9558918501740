-- Files of users. A row says what a file is; its bytes are an object in Supabase Storage, in the bucket
-- `files`, and the object's name is the row's id. The row comes first, and an object without a row that
-- waits for it is refused. So this database decides who may store what, and no byte passes the API.
create table public.files (
  id uuid primary key default gen_random_uuid(),
  owner_id uuid not null default auth.uid() references public.profiles (id) on delete cascade,
  -- What a download is called: one line, no path, and nothing that turns the direction of letters.
  name text not null check (
    char_length(name) between 1 and 200 and name !~ '[\u0001-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069/\\]'),
  content_type text not null check (content_type ~ '^[a-z0-9][a-z0-9.+-]{0,99}/[a-z0-9][a-z0-9.+-]{0,99}$'),
  size bigint not null check (size between 1 and 524288000),
  sha256 text check (sha256 ~ '^[0-9a-f]{64}$'),  -- as the client says; that of the object once it is ready
  state text not null default 'pending' check (state in ('pending', 'checking', 'ready', 'rejected')),
  reason text check (reason in ('size', 'content_type', 'sha256', 'malware', 'not_scanned', 'missing')),
  created_at timestamptz not null default now(),
  uploaded_at timestamptz,
  checked_at timestamptz,
  -- The object's name.
  path text not null generated always as (id::text) stored unique,
  check ((state = 'rejected') = (reason is not null))
);
create index files_owner_newest on public.files (owner_id, created_at desc, id desc);
create index files_pending on public.files (created_at) where state = 'pending';

alter table public.files enable row level security;
revoke all on public.files from public, anon, authenticated, service_role;
grant select, insert (name, content_type, size, sha256), delete on public.files to authenticated;
grant select on public.files to service_role;

create policy "files are read by their owner" on public.files
  for select to authenticated using (owner_id = (select auth.uid()));
create policy "files are requested by their owner" on public.files
  for insert to authenticated with check (owner_id = (select auth.uid()));
create policy "files are deleted by their owner" on public.files
  for delete to authenticated using (owner_id = (select auth.uid()));

select idempotency.protect('public.files');
select outbox.track('public.files', 'file_changed', '{"user_id": "owner_id", "file_id": "id"}');
select outbox.track('public.files', 'file_uploaded', '{"file_id": "id"}', once_set => 'uploaded_at');
select outbox.track('public.files', 'file_deleted', '{"file_id": "id"}', operations => '{delete}');

-- Quotas: how many files a user may have, and their bytes in all, as the user stated them. A file counts
-- from the request on, so that parallel requests gain nothing: each waits for the other's row here.
insert into quotas.limits values ('files', 1000), ('file_bytes', 1000000000);

create schema files;
revoke all on schema files from public, anon, authenticated, service_role;

create table files.usage (
  owner_id uuid primary key references public.profiles (id) on delete cascade,
  files bigint not null,
  bytes bigint not null
) with (fillfactor = 50);

create or replace function quotas.refuse(quota text, seconds integer default null) returns void
  language plpgsql set search_path = '' as $$
begin
  raise sqlstate 'PT429' using
    message = 'QUOTA_EXCEEDED',
    detail = jsonb_strip_nulls(jsonb_build_object(
      'quota', quota, 'limit', quotas.most(quota), 'retry_after', seconds)),
    hint = 'Delete something, or wait until the next day begins (UTC) if it is a quota for a day.';
end $$;

create function files.count_usage() returns trigger
  language plpgsql security definer set search_path = '' as $$
declare
  used files.usage;
begin
  if tg_op = 'DELETE' then
    -- Never a new row: the owner may be going, too.
    update files.usage u set files = u.files - gone.files, bytes = u.bytes - gone.bytes
    from (select owner_id, count(*) as files, sum(size) as bytes from old_rows group by 1) gone
    where u.owner_id = gone.owner_id;
    return null;
  end if;
  insert into files.usage as u (owner_id, files, bytes)
  select owner_id, count(*), sum(size) from new_rows group by 1 order by 1
  on conflict (owner_id) do update set files = u.files + excluded.files, bytes = u.bytes + excluded.bytes;
  if current_setting('role', true) is distinct from 'authenticated' then
    return null;
  end if;
  -- Row security lets users insert rows of their own alone.
  select * into used from files.usage u where u.owner_id = auth.uid();
  if used.files > quotas.most('files') then
    perform quotas.refuse('files');
  end if;
  if used.bytes > quotas.most('file_bytes') then
    perform quotas.refuse('file_bytes');
  end if;
  return null;
end $$;

create trigger usage_insert after insert on public.files referencing new table as new_rows
  for each statement execute function files.count_usage();
create trigger usage_delete after delete on public.files referencing old table as old_rows
  for each statement execute function files.count_usage();

-- The caller's files, in pages by cursor: see browse_posts.
create function public.list_files(
    from_time bigint, from_id uuid, backward boolean, page_size integer
  ) returns jsonb
  language sql stable set search_path = '' as $$
  with wanted as (
    (
      select f.* from (
        select * from public.files
        where owner_id = (select auth.uid()) and (created_at, id) < (
          (select coalesce('epoch'::timestamptz + from_time * interval '1 microsecond', 'infinity')),
          (select coalesce(from_id, 'ffffffff-ffff-ffff-ffff-ffffffffffff'))
        )
        order by created_at desc, id desc
        limit 101
      ) f
      where not backward
      limit least(greatest(page_size, 1), 100) + 1
    )
    union all
    (
      select f.* from (
        select * from public.files
        where owner_id = (select auth.uid()) and (created_at, id) > (
          (select 'epoch'::timestamptz + from_time * interval '1 microsecond'), (select from_id)
        )
        order by created_at, id
        limit 101
      ) f
      where backward
      limit least(greatest(page_size, 1), 100) + 1
    )
  )
  select coalesce(jsonb_agg(to_jsonb(w) || jsonb_build_object(
    'position', (extract(epoch from w.created_at) * 1000000)::bigint)), '[]')
  from wanted w
$$;

-- The result of a check, of a file that is still being checked: ready or, with a reason, rejected.
create function public.finish_file_check(file_id uuid, sha256 text, reason text) returns void
  language sql security definer set search_path = '' as $$
  update public.files f set
    state = case when finish_file_check.reason is null then 'ready' else 'rejected' end,
    reason = finish_file_check.reason,
    sha256 = coalesce(finish_file_check.sha256, f.sha256),
    checked_at = now()
  where f.id = finish_file_check.file_id and f.state = 'checking'
$$;

-- Deletes requests whose upload never came: an upload URL is valid for 2 hours, and a slow upload may end
-- an hour later. Returns how many they were.
create function public.clear_pending_files(batch integer) returns bigint
  language sql security definer set search_path = '' as $$
  with gone as (
    delete from public.files f where f.id = any (array(
      select p.id from public.files p
      where p.state = 'pending' and p.created_at < now() - interval '3 hours'
      order by p.created_at limit batch for update skip locked
    )) returning 1
  )
  select count(*) from gone
$$;

revoke all on function files.count_usage() from public;
revoke all on function public.list_files(bigint, uuid, boolean, integer),
  public.finish_file_check(uuid, text, text), public.clear_pending_files(integer)
  from public, anon, authenticated, service_role;
grant execute on function public.list_files(bigint, uuid, boolean, integer) to authenticated;
grant execute on function public.finish_file_check(uuid, text, text), public.clear_pending_files(integer)
  to service_role;
