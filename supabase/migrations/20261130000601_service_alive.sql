-- Answers the secret key alone, as long as the whole way from PostgREST to the database works: a public
-- key in the place of the secret one, and a database without these migrations, show at once.
create function public.service_alive() returns boolean
  language sql stable set search_path = '' as 'select true';
revoke all on function public.service_alive() from public, anon, authenticated, service_role;
grant execute on function public.service_alive() to service_role;
