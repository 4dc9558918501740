-- Users without a profile: those older than the first migration, and those who were imported while
-- triggers were off. They could not change their name (401) or write a post (409).

-- Makes the profile of a user who has none, with the name of the metadata as far as the table takes it.
create function identity.make_profiles(users uuid[]) returns void
  language sql security definer set search_path = '' as $$
  insert into public.profiles (id, display_name, created_at)
  select u.id,
    nullif(btrim(left(btrim(regexp_replace(
      u.raw_user_meta_data ->> 'display_name',
      '[\u0001-\u001f\u007f-\u009f\u2028\u2029]', ' ', 'g')), 80)), ''),
    coalesce(u.created_at, now())
  from auth.users u where u.id = any (make_profiles.users)
  on conflict (id) do nothing
$$;

create or replace function public.create_profile() returns trigger
  language plpgsql security definer set search_path = '' as $$
begin
  perform identity.make_profiles(array[new.id]);
  return new;
end $$;

-- Every way to log in begins a session: from then on its user has a profile.
create function identity.make_profile_at_login() returns trigger
  language plpgsql security definer set search_path = '' as $$
begin
  if not exists (select from public.profiles p where p.id = new.user_id) then
    perform identity.make_profiles(array[new.user_id]);
  end if;
  return null;
end $$;
revoke all on function identity.make_profiles(uuid[]), identity.make_profile_at_login()
  from public, anon, authenticated, service_role;
create trigger make_profile_at_login after insert on auth.sessions
  for each row execute function identity.make_profile_at_login();

-- Those who are here now. A statement is one event of the outbox: a thousand users each.
do $$
declare
  missing uuid[];
begin
  loop
    missing := array(
      select u.id from auth.users u
      where not exists (select from public.profiles p where p.id = u.id) limit 1000);
    exit when cardinality(missing) = 0;
    perform identity.make_profiles(missing);
  end loop;
end $$;

-- Rows that were written past Supabase Auth may lack the time: then the profile's counts.
create or replace function public.me()
  returns table (
    id uuid, email text, display_name text,
    created_at timestamptz, email_confirmed_at timestamptz
  )
  language sql stable security definer set search_path = '' as $$
  select u.id, lower(u.email), p.display_name, coalesce(u.created_at, p.created_at),
    u.email_confirmed_at
  from auth.users u left join public.profiles p on p.id = u.id
  where u.id = (select auth.uid())
$$;
