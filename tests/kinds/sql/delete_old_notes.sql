create index notes_updated on public.notes (updated_at);

-- Deletes one batch of the notes that are unchanged since so many days; returns how many there were.
create function public.delete_old_notes(days integer, batch integer) returns integer
  language sql security definer set search_path = '' as $$
  with gone as (
    delete from public.notes where id in (
      select n.id from public.notes n
      where n.updated_at < now() - make_interval(days => days)
      order by n.updated_at limit batch for update skip locked
    )
    returning 1
  )
  select count(*)::integer from gone
$$;
revoke all on function public.delete_old_notes(integer, integer)
  from public, anon, authenticated, service_role;
grant execute on function public.delete_old_notes(integer, integer) to service_role;
