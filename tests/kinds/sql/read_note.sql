grant select on public.notes to authenticated;
