-- The table of the benchmark, in addition to the application's schema.
create table public.bench_posts (
  id uuid primary key default gen_random_uuid(),
  title text not null,
  content text not null,
  published boolean not null default false,
  author_id uuid not null default auth.uid() references public.profiles (id) on delete cascade,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
alter table public.bench_posts enable row level security;
revoke all on public.bench_posts from public, anon, authenticated, service_role;
grant select on public.bench_posts to anon, authenticated;
grant insert (title, content, published) on public.bench_posts to authenticated;
create policy "published posts are read by everyone" on public.bench_posts
  for select to anon, authenticated using (published);
create policy "posts are written by their author" on public.bench_posts
  for insert to authenticated with check (author_id = (select auth.uid()));
