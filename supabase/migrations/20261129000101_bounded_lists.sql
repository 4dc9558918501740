-- A page holds the beginning of each post: however long the posts are, a page is not. Of a long content
-- no more is read than is shown.
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
    select w.id, w.title, left(b.beginning, 2000) as content,
      char_length(b.beginning) > 2000 as content_truncated,
      w.published, w.author_id, w.created_at, w.updated_at
    from wanted w
      cross join lateral (select left(w.content, 2001) as beginning offset 0) b  -- read once
  )
  select jsonb_build_object(
    'total', (select count(*) from visible),
    'posts', coalesce(
      (select jsonb_agg(to_jsonb(s) order by s.created_at desc, s.id desc) from shown s), '[]'
    )
  )
$$;
