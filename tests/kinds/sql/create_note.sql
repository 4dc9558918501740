grant select, insert (label) on public.notes to authenticated;
