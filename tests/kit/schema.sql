-- What the kit's slices write to, beside the application's own schema: in databases of tests alone.
create table public.things (
  id uuid primary key default gen_random_uuid(),
  title text not null check (char_length(title) between 3 and 200),
  content text not null default '' check (char_length(content) <= 100000),
  published boolean not null default false,
  author_id uuid not null default auth.uid() references public.profiles (id) on delete cascade,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  first_published_at timestamptz
);

alter table public.things enable row level security;
revoke all on public.things from public, anon, authenticated, service_role;
grant select on public.things to anon, authenticated;
grant insert (title, content, published), update (title, content, published)
  on public.things to authenticated;
grant select, insert, update, delete on public.things to service_role;

create policy "published things are read by everyone" on public.things
  for select to anon, authenticated using (published);
create policy "drafts are read by their author" on public.things
  for select to authenticated using (author_id = (select auth.uid()));
create policy "things are written by their author" on public.things
  for insert to authenticated with check (author_id = (select auth.uid()));
create policy "things are changed by their author" on public.things
  for update to authenticated
  using (author_id = (select auth.uid())) with check (author_id = (select auth.uid()));

create function public.touch_thing() returns trigger
  language plpgsql set search_path = '' as $$
begin
  new.updated_at := now();
  new.first_published_at := coalesce(
    case when tg_op = 'UPDATE' then old.first_published_at end,
    case when new.published then now() end
  );
  return new;
end $$;
revoke all on function public.touch_thing() from public, anon, authenticated, service_role;
create trigger touch_thing before insert or update on public.things
  for each row execute function public.touch_thing();

select outbox.track('public.things', 'thing_changed', '{"thing_id": "id"}');
select outbox.track('public.things', 'thing_published',
  '{"thing_id": "id", "author_id": "author_id"}', once_set => 'first_published_at');

-- What jobs and slow reads of tests leave behind.
create table public.effects (
  id bigint generated always as identity, kind text, subject text, attempt integer, pid integer
);
alter table public.effects enable row level security;
revoke all on public.effects from public, anon, authenticated, service_role;
grant select, insert on public.effects to service_role;
revoke all on sequence public.effects_id_seq from public, anon, authenticated, service_role;
