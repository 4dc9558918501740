-- A profile is read by whoever knows its id, and nobody can list them: past the API a user reads the
-- own row of the table alone.
drop policy "profiles are read by every user" on public.profiles;
create policy "a profile is read by its owner" on public.profiles
  for select to authenticated using (id = (select auth.uid()));

create function public.profile(user_id uuid)
  returns table (id uuid, display_name text, created_at timestamptz)
  language sql stable security definer set search_path = '' as $$
  select p.id, p.display_name, p.created_at from public.profiles p where p.id = profile.user_id
$$;
revoke all on function public.profile(uuid) from public, anon, authenticated, service_role;
grant execute on function public.profile(uuid) to authenticated;
