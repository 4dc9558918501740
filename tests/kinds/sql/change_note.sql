grant select, update (label) on public.notes to authenticated;
