-- What happens in this application, and to whom it is told: see features/shared for the classes.

-- Set when a post is published for the first time, by the database: publishing happens once.
alter table public.posts add column first_published_at timestamptz;
alter table public.posts disable trigger touch_updated_at;
update public.posts set first_published_at = updated_at where published;
alter table public.posts enable trigger touch_updated_at;

create function public.set_first_published_at() returns trigger
  language plpgsql set search_path = '' as $$
begin
  new.first_published_at := coalesce(
    case when tg_op = 'UPDATE' then old.first_published_at end,
    case when new.published then now() end
  );
  return new;
end $$;
revoke all on function public.set_first_published_at() from public, anon, authenticated, service_role;

create trigger set_first_published_at before insert or update on public.posts
  for each row execute function public.set_first_published_at();

select outbox.track('public.posts', 'post_changed', '{"post_id": "id"}');
select outbox.track('public.posts', 'post_published', '{"post_id": "id", "author_id": "author_id"}',
  once_set => 'first_published_at');
select outbox.track('public.profiles', 'user_changed', '{"user_id": "id"}');
-- Supabase Auth writes to this table at every sign-in: only what a user shows counts.
select outbox.track('auth.users', 'user_changed', '{"user_id": "id"}',
  columns => '{email,email_confirmed_at}');
select outbox.track('auth.users', 'user_confirmed', '{"user_id": "id"}',
  once_set => 'email_confirmed_at');

-- A user as me() shows it, for jobs.
create function public.account(user_id uuid)
  returns table (
    id uuid, email text, display_name text,
    created_at timestamptz, email_confirmed_at timestamptz
  )
  language sql stable security definer set search_path = '' as $$
  select u.id, lower(u.email), p.display_name, u.created_at, u.email_confirmed_at
  from auth.users u left join public.profiles p on p.id = u.id
  where u.id = account.user_id
$$;
revoke all on function public.account(uuid) from public, anon, authenticated, service_role;
grant execute on function public.account(uuid) to service_role;

-- Names are one line: they stand in greetings and headers of mails.
alter table public.profiles add constraint profiles_display_name_one_line
  check (display_name !~ '[\u0001-\u001f\u007f-\u009f\u2028\u2029]');
create or replace function public.create_profile() returns trigger
  language plpgsql security definer set search_path = '' as $$
declare
  wanted text := regexp_replace(
    new.raw_user_meta_data ->> 'display_name', '[\u0001-\u001f\u007f-\u009f\u2028\u2029]', ' ', 'g');
begin
  insert into public.profiles (id, display_name, created_at)
  values (new.id, nullif(left(btrim(wanted), 80), ''), coalesce(new.created_at, now()))
  on conflict (id) do nothing;
  return new;
end $$;
