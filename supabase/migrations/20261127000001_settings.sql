-- Settings of the site: one row, which everyone reads and admins change.
create table public.settings (
  id text primary key default 'global' check (id = 'global'),
  site_name text not null default 'Slices' check (char_length(site_name) between 1 and 80),
  announcement text check (char_length(announcement) between 1 and 500),
  signups_open boolean not null default true,
  constraint settings_site_name_one_line
    check (site_name !~ '[\u0001-\u001f\u007f-\u009f\u2028\u2029]')
);
insert into public.settings default values;

alter table public.settings enable row level security;
revoke all on public.settings from public, anon, authenticated, service_role;
grant select on public.settings to anon, authenticated, service_role;
grant update (site_name, announcement, signups_open) on public.settings
  to authenticated, service_role;

create policy "settings are read by everyone" on public.settings
  for select to anon, authenticated using (true);
-- app_metadata is Supabase Auth's own; users write only their user_metadata.
create policy "settings are changed by admins" on public.settings
  for update to authenticated
  using ((select auth.jwt()) -> 'app_metadata' ->> 'role' = 'admin')
  with check ((select auth.jwt()) -> 'app_metadata' ->> 'role' = 'admin');

-- There is always the one row, also for whoever owns the table: without it nobody could sign up.
create function public.keep_settings() returns trigger
  language plpgsql set search_path = '' as $$
begin
  raise exception 'public.settings has exactly one row: change it instead';
end $$;
revoke all on function public.keep_settings() from public, anon, authenticated, service_role;

create trigger keep_settings before delete or truncate on public.settings
  for each statement execute function public.keep_settings();

select outbox.track('public.settings', 'settings_changed', '{"settings_id": "id"}');
