create table public.posts (
  id uuid primary key default gen_random_uuid(),
  title text not null check (char_length(title) between 3 and 200),
  content text not null check (char_length(content) <= 100000),
  published boolean not null default false,
  author_id uuid not null default auth.uid() references public.profiles (id) on delete cascade,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);

create index posts_published_newest on public.posts (created_at desc, id desc) where published;
create index posts_author_newest on public.posts (author_id, created_at desc, id desc);

alter table public.posts enable row level security;
revoke all on public.posts from public, anon, authenticated, service_role;
grant select on public.posts to anon, authenticated;
-- Column by column: id, author_id and the times are the database's own.
grant insert (title, content, published), update (title, content, published), delete
  on public.posts to authenticated;
grant select, insert, update, delete on public.posts to service_role;

create policy "published posts are read by everyone" on public.posts
  for select to anon, authenticated using (published);
create policy "drafts are read by their author" on public.posts
  for select to authenticated using (author_id = (select auth.uid()));
create policy "posts are written by their author" on public.posts
  for insert to authenticated with check (author_id = (select auth.uid()));
create policy "posts are changed by their author" on public.posts
  for update to authenticated
  using (author_id = (select auth.uid())) with check (author_id = (select auth.uid()));
create policy "posts are deleted by their author" on public.posts
  for delete to authenticated using (author_id = (select auth.uid()));

create function public.touch_updated_at() returns trigger
  language plpgsql set search_path = '' as $$
begin
  new.updated_at := now();
  return new;
end $$;
revoke all on function public.touch_updated_at() from public, anon, authenticated, service_role;

create trigger touch_updated_at before update on public.posts
  for each row execute function public.touch_updated_at();

-- One page, newest first, and the number of all rows, in one call: PostgREST's own count answers
-- 416 past the end, which corrupts the connection on version 13. Row security decides what counts;
-- drafts come in only where they are asked for, and then they are the caller's own.
create function public.list_posts(page bigint, page_size integer, published_only boolean)
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
  )
  select jsonb_build_object(
    'total', (select count(*) from visible),
    'posts', coalesce(
      (select jsonb_agg(to_jsonb(w) order by w.created_at desc, w.id desc) from wanted w), '[]'
    )
  )
$$;
revoke all on function public.list_posts(bigint, integer, boolean)
  from public, anon, authenticated, service_role;
grant execute on function public.list_posts(bigint, integer, boolean)
  to anon, authenticated, service_role;
