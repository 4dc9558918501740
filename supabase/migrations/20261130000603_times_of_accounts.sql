-- Rows of auth.users that were written past Supabase Auth may lack the time: then the profile's counts.
create or replace function public.account(user_id uuid)
  returns table (
    id uuid, email text, display_name text,
    created_at timestamptz, email_confirmed_at timestamptz, proven boolean
  )
  language sql stable security definer set search_path = '' as $$
  select u.id, lower(u.email), p.display_name, coalesce(u.created_at, p.created_at),
    u.email_confirmed_at, exists (
      select from identity.proven_addresses a
      where a.user_id = u.id and a.address_hash = identity.address_hash(u.email))
  from auth.users u left join public.profiles p on p.id = u.id
  where u.id = account.user_id
$$;
