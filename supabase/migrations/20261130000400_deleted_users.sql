-- Archives name no deleted user for longer than other tables do: their events lose the user's id once the
-- last of them has been archived.
create table retention.deleted_users (
  user_id uuid primary key,
  deleted_at timestamptz not null default now()
);
create index deleted_users_at on retention.deleted_users (deleted_at);

create function retention.note_deletion() returns trigger
  language plpgsql security definer set search_path = '' as $$
begin
  insert into retention.deleted_users (user_id) values (old.id)
  on conflict (user_id) do update set deleted_at = now();
  return null;
end $$;
create trigger note_deletion after delete on auth.users
  for each row execute function retention.note_deletion();

-- The ids in an archived event: whatever its fields are called.
create function archive.ids(content jsonb) returns uuid[]
  language sql immutable set search_path = '' as $$
  select coalesce(array_agg(distinct (field.value #>> '{}')::uuid), '{}')
  from jsonb_array_elements(content -> 'items') item, jsonb_each(item.value) field
  where field.value #>> '{}'
    ~ '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$'
$$;
create index events_ids on archive.events using gin (archive.ids(content));
revoke all on function retention.note_deletion(), archive.ids(jsonb) from public;

-- Users who were deleted before this migration: the fields that name users are these two so far.
insert into retention.deleted_users (user_id)
select distinct named.id
from (
  select content -> 'items' as items from archive.events union all select e.items from outbox.events e
) event, jsonb_array_elements(event.items) item,
  lateral (
    select (value #>> '{}')::uuid as id from jsonb_each(item)
    where key in ('user_id', 'author_id') and value #>> '{}'
      ~ '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$'
  ) named
where not exists (select from auth.users u where u.id = named.id);

-- Takes the ids of users who were deleted 91 days ago out of archived events, and leaves null in their
-- place: events are archived 90 days after their delivery. Returns for how many users it did that, or in
-- a dry run would do it.
create function public.forget_deleted_users(batch integer, dry_run boolean) returns bigint
  language plpgsql security definer set search_path = '' as $$
declare
  gone uuid[] := array(
    select d.user_id from retention.deleted_users d
    where d.deleted_at < now() - interval '91 days'
    order by d.deleted_at limit case when not dry_run then batch end
    for update skip locked);
begin
  if not dry_run then
    update archive.events e set content = jsonb_set(e.content, '{items}', (
      select jsonb_agg((
        select jsonb_object_agg(f.key, case
          when f.value #>> '{}' = any (gone::text[]) then 'null' else f.value end)
        from jsonb_each(item.value) f) order by item.ordinality)
      from jsonb_array_elements(e.content -> 'items') with ordinality item))
    where archive.ids(e.content) && gone;
    delete from retention.deleted_users d where d.user_id = any (gone);
  end if;
  return cardinality(gone);
end $$;
revoke all on function public.forget_deleted_users(integer, boolean)
  from public, anon, authenticated, service_role;
grant execute on function public.forget_deleted_users(integer, boolean) to service_role;
