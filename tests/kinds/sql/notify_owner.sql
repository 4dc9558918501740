grant select on public.notes to service_role;
