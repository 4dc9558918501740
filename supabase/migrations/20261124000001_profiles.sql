-- The public face of a user. E-mail addresses stay in auth.users: row security hides rows, not columns.

-- Supabase's default grants on new objects are permissive, and differ between projects: every
-- migration takes them back and grants what is needed by name.
create table public.profiles (
  id uuid primary key references auth.users (id) on delete cascade,
  display_name text check (char_length(display_name) between 1 and 80),
  created_at timestamptz not null default now()
);

alter table public.profiles enable row level security;
revoke all on public.profiles from public, anon, authenticated, service_role;
grant select on public.profiles to authenticated;
grant update (display_name) on public.profiles to authenticated;
grant select, insert, update, delete on public.profiles to service_role;

create policy "profiles are read by every user" on public.profiles
  for select to authenticated using (true);
create policy "a profile is changed by its owner" on public.profiles
  for update to authenticated
  using (id = (select auth.uid())) with check (id = (select auth.uid()));

-- A new user gets a profile in the same transaction. What the user sent is clamped to what the
-- table takes: an error here would make signing up fail.
create function public.create_profile() returns trigger
  language plpgsql security definer set search_path = '' as $$
declare
  wanted text := new.raw_user_meta_data ->> 'display_name';
begin
  insert into public.profiles (id, display_name, created_at)
  values (new.id, nullif(left(btrim(wanted), 80), ''), coalesce(new.created_at, now()))
  on conflict (id) do nothing;
  return new;
end $$;
revoke all on function public.create_profile() from public, anon, authenticated, service_role;

create trigger create_profile after insert on auth.users
  for each row execute function public.create_profile();

-- The own user, whole: the only way to an e-mail address, and only to one's own.
create function public.me()
  returns table (
    id uuid, email text, display_name text,
    created_at timestamptz, email_confirmed_at timestamptz
  )
  language sql stable security definer set search_path = '' as $$
  select u.id, lower(u.email), p.display_name, u.created_at, u.email_confirmed_at
  from auth.users u left join public.profiles p on p.id = u.id
  where u.id = (select auth.uid())
$$;
revoke all on function public.me() from public, anon, authenticated, service_role;
grant execute on function public.me() to authenticated;

-- Answers as long as the whole way from PostgREST to the database works.
create function public.alive() returns boolean
  language sql stable set search_path = '' as 'select true';
revoke all on function public.alive() from public, anon, authenticated, service_role;
grant execute on function public.alive() to anon, authenticated, service_role;
