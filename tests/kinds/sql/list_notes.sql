grant select on public.notes to authenticated;

-- One page, newest first, and the number of all rows, in one call. Row security decides what counts.
create function public.list_notes(page bigint, page_size integer) returns jsonb
  language sql stable set search_path = '' as $$
  with wanted as (
    select * from public.notes
    where owner_id = (select auth.uid())
    order by created_at desc, id desc
    limit least(greatest(page_size, 1), 100)
    offset (greatest(page, 1) - 1) * least(greatest(page_size, 1), 100)
  )
  select jsonb_build_object(
    'total', (select count(*) from public.notes n where n.owner_id = (select auth.uid())),
    'notes', coalesce(
      (select jsonb_agg(to_jsonb(w) order by w.created_at desc, w.id desc) from wanted w), '[]'
    )
  )
$$;
revoke all on function public.list_notes(bigint, integer)
  from public, anon, authenticated, service_role;
grant execute on function public.list_notes(bigint, integer) to authenticated;
