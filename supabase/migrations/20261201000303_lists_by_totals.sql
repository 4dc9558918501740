-- A page costs what it holds, however many posts there are.
select totals.repair('published_posts');
select totals.repair('drafts');

-- The total of a list as list_posts shows it: what everyone sees, and of drafts the caller's own alone.
-- Its conditions are those of the policies on posts; change them together.
create function public.total_of_posts(published_only boolean) returns bigint
  language sql stable security definer set search_path = '' as $$
  select totals.total('published_posts')
    + case when published_only then 0 else coalesce(totals.total('drafts', auth.uid()), 0) end
$$;
revoke all on function public.total_of_posts(boolean) from public, anon, authenticated, service_role;
grant execute on function public.total_of_posts(boolean) to anon, authenticated, service_role;

-- The ids of a page come from indexes alone, those of the pages before it included; only its own rows are
-- read. Published posts and the own drafts are two indexes in the same order, and are merged.
-- A page past the end reads nothing. The first 10,000 posts are looked for also where the total denies
-- them: after a restore without triggers a list is not empty until totals.repair() has been called.
create or replace function public.list_posts(page bigint, page_size integer, published_only boolean)
  returns jsonb
  language plpgsql stable set search_path = ''
  set plan_cache_mode = 'force_custom_plan'  -- a plan for an unknown page would read all of them
  as $$
declare
  size constant integer := least(greatest(page_size, 1), 100);
  skipped constant bigint := (least(greatest(page, 1), 1000000000000) - 1) * size;
  caller constant uuid := auth.uid();
  total bigint := public.total_of_posts(published_only);
  ids uuid[] := '{}';
begin
  if skipped >= greatest(total, 10000) then
    null;
  elsif published_only or caller is null then
    ids := array(
      select p.id from public.posts p where p.published
      order by p.created_at desc, p.id desc limit size offset skipped);
  else
    ids := array(
      select v.id from (
        (select p.created_at, p.id from public.posts p where p.published
         order by p.created_at desc, p.id desc)  -- the order makes it a merge, and no sort
        union all
        (select p.created_at, p.id from public.posts p
         where not p.published and p.author_id = caller
         order by p.created_at desc, p.id desc)
      ) v order by v.created_at desc, v.id desc limit size offset skipped);
  end if;
  return (
    select jsonb_build_object(
      'total', greatest(total, case when ids <> '{}' then skipped + cardinality(ids) end),
      'posts', coalesce(jsonb_agg(to_jsonb(s) order by s.created_at desc, s.id desc), '[]'))
    from (
      select p.id, p.title, coalesce(p.excerpt, p.content) as content,
        p.excerpt is not null as content_truncated,
        p.published, p.author_id, p.created_at, p.updated_at
      from public.posts p where p.id = any (ids)
    ) s
  );
end $$;
