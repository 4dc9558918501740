-- Published posts beside a place in the list, newest first: older ones or, with `backward`, newer ones.
-- Rows are compared by (created_at, id), so that posts of one time have an order, too. One more post than
-- the page has is returned: it shows that the list goes on. A place and a post's `position` are
-- microseconds since 1970, because a float or a time in JSON could lose some of them. Without a place, the
-- list begins with the newest post. Row security decides which posts there are.
--
-- Only one of the two parts runs, and it reads the index in its order: nothing is sorted, which is left
-- to the caller. The inner limit is a constant, so that the plan does not depend on the parameters. The
-- place is a scalar query, because under row security the index is not searched for a coalesce().
create function public.browse_posts(
    from_time bigint, from_id uuid, backward boolean, page_size integer
  ) returns jsonb
  language sql stable set search_path = '' as $$
  with wanted as (
    (
      select p.* from (
        select * from public.posts
        where published and (created_at, id) < (
          (select coalesce('epoch'::timestamptz + from_time * interval '1 microsecond', 'infinity')),
          (select coalesce(from_id, 'ffffffff-ffff-ffff-ffff-ffffffffffff'))
        )
        order by created_at desc, id desc
        limit 101
      ) p
      where not backward
      limit least(greatest(page_size, 1), 100) + 1
    )
    union all
    (
      select p.* from (
        select * from public.posts
        where published and (created_at, id) > (
          (select 'epoch'::timestamptz + from_time * interval '1 microsecond'), (select from_id)
        )
        order by created_at, id
        limit 101
      ) p
      where backward
      limit least(greatest(page_size, 1), 100) + 1
    )
  ), shown as (
    select w.id, w.title, coalesce(w.excerpt, w.content) as content,
      w.excerpt is not null as content_truncated,
      w.published, w.author_id, w.created_at, w.updated_at,
      (extract(epoch from w.created_at) * 1000000)::bigint as position
    from wanted w
  )
  select coalesce(jsonb_agg(to_jsonb(s)), '[]') from shown s
$$;
revoke all on function public.browse_posts(bigint, uuid, boolean, integer)
  from public, anon, authenticated, service_role;
grant execute on function public.browse_posts(bigint, uuid, boolean, integer)
  to anon, authenticated, service_role;
