-- A user, for jobs, with the language of their mails: the `locale` in the user's metadata, which
-- sign-up takes from the client, other clients and providers of logins may set, and users can change.
-- squawk-ignore ban-drop-function -- made again below with one column more, which old workers skip
drop function public.account(uuid);
create function public.account(user_id uuid)
  returns table (
    id uuid, email text, display_name text,
    created_at timestamptz, email_confirmed_at timestamptz, proven boolean, language text
  )
  language sql stable security definer set search_path = '' as $$
  select u.id, lower(u.email), p.display_name, coalesce(u.created_at, p.created_at),
    u.email_confirmed_at,
    exists (
      select from identity.proven_addresses a
      where a.user_id = u.id and a.address_hash = identity.address_hash(u.email)),
    substring(replace(lower(u.raw_user_meta_data ->> 'locale'), '_', '-')
      from '^[a-z]{2,3}(?:-[a-z0-9]{2,8}){0,2}$')
  from auth.users u left join public.profiles p on p.id = u.id
  where u.id = account.user_id
$$;
revoke all on function public.account(uuid) from public, anon, authenticated, service_role;
grant execute on function public.account(uuid) to service_role;
