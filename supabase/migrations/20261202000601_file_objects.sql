-- The objects of files, in Supabase Storage. Its tables belong to Storage itself. The role that applies
-- migrations may add policies and triggers to them, but no function to their schema, so ours are in `files`.

-- An object is stored: its file is checked next, which the tracked row announces. No other object gets
-- into the bucket, whoever sends it. An upload by a signed URL runs without row security, so only this
-- refuses a second upload with the same token, or one for a file that was deleted. Storage itself also
-- inserts, as the caller, to try whether an upload is allowed, and rolls that back.
create function files.accept_object() returns trigger
  language plpgsql security definer set search_path = '' as $$
begin
  update public.files f set state = 'checking', uploaded_at = now()
  where f.path = new.name and f.state = 'pending';
  if not found then
    raise insufficient_privilege using message = 'No file waits for this upload.';
  end if;
  return null;
end $$;

-- An object keeps the name and the bytes that were checked. Storage writes other columns at any time.
create function files.keep_object() returns trigger
  language plpgsql set search_path = '' as $$
begin
  raise insufficient_privilege using message = 'A file is never replaced: request another upload.';
end $$;

-- Objects after a name, in order: of at most `batch`, those that no file needs, and the last name that was
-- looked at (null at the end). An upload of this moment is left alone.
create function public.unused_objects(after text, batch integer) returns jsonb
  language plpgsql stable security definer set search_path = '' as $$
begin
  return (
    with seen as materialized (
      select o.name collate "C" as name, o.created_at
      from storage.objects o
      where o.bucket_id = 'files' and o.name collate "C" > unused_objects.after collate "C"
      order by o.name collate "C" limit batch
    )
    select jsonb_build_object(
      'last', max(s.name),
      'names', coalesce(
        jsonb_agg(s.name) filter (where needed.yes is null and s.created_at < now() - interval '1 hour'), '[]'))
    from seen s
    left join lateral (
      select true as yes from public.files f where f.path = s.name collate "default" and f.state <> 'rejected' limit 1
    ) needed on true
  );
end $$;

revoke all on function files.accept_object(), files.keep_object() from public;
revoke all on function public.unused_objects(text, integer) from public, anon, authenticated, service_role;
grant execute on function public.unused_objects(text, integer) to service_role;

-- Makes the bucket, its policies and its triggers. A hosted project and the local stack have Storage from
-- the beginning. Where Storage is added later: select files.use_storage(); before that, uploads are 503.
create function files.use_storage() returns void
  language plpgsql set search_path = '' as $$
begin
  if to_regclass('storage.objects') is null or exists (
    select from pg_catalog.pg_trigger where tgname = 'files_accept_object'
  ) then
    return;
  end if;

  insert into storage.buckets (id, name, public, file_size_limit, allowed_mime_types) values (
    'files', 'files', false, 524288000,
    -- Types that a browser never runs; all other files are stored as the first one.
    '{application/octet-stream,application/json,application/pdf,application/zip,audio/mpeg,image/gif,image/jpeg,image/png,image/webp,text/csv,text/plain,video/mp4}'
  );

  create trigger files_accept_object after insert on storage.objects
    for each row when (new.bucket_id = 'files') execute function files.accept_object();
  create trigger files_keep_object before update of bucket_id, name, version on storage.objects
    for each row when ('files' in (old.bucket_id, new.bucket_id)) execute function files.keep_object();

  create policy "files are uploaded by their owner" on storage.objects
    for insert to authenticated with check (
      bucket_id = 'files' and exists (
        select from public.files f
        where f.path = objects.name and f.owner_id = (select auth.uid()) and f.state = 'pending'));
  create policy "ready files are read by their owner" on storage.objects
    for select to authenticated using (
      bucket_id = 'files' and exists (
        select from public.files f
        where f.path = objects.name and f.owner_id = (select auth.uid()) and f.state = 'ready'));
end $$;
revoke all on function files.use_storage() from public;
select files.use_storage();
