-- Posts that are older than the column. Only their rows are locked: writers of other posts go on, and
-- readers always do. In batches: each is one event of the outbox, and no batch looks at a post again.
do $$
declare
  ids uuid[];
  last uuid := '00000000-0000-0000-0000-000000000000';
begin
  loop
    ids := array(select p.id from public.posts p where p.id > last order by p.id limit 1000);
    exit when ids = '{}';
    update public.posts p set excerpt = null  -- the trigger knows what it is
    where p.id = any (ids) and p.excerpt is null and char_length(p.content) > 2000;
    last := ids[cardinality(ids)];
  end loop;
end $$;

create or replace function public.list_posts(page bigint, page_size integer, published_only boolean)
  returns jsonb
  language sql stable set search_path = '' as $$
  with visible as (
    select * from public.posts
    where published or (not published_only and author_id = (select auth.uid()))
  ), wanted as (
    select * from visible
    order by created_at desc, id desc
    limit least(greatest(page_size, 1), 100)
    offset (greatest(page, 1) - 1) * least(greatest(page_size, 1), 100)
  ), shown as (
    select w.id, w.title, coalesce(w.excerpt, w.content) as content,
      w.excerpt is not null as content_truncated,
      w.published, w.author_id, w.created_at, w.updated_at
    from wanted w
  )
  select jsonb_build_object(
    'total', (select count(*) from visible),
    'posts', coalesce(
      (select jsonb_agg(to_jsonb(s) order by s.created_at desc, s.id desc) from shown s), '[]'
    )
  )
$$;
