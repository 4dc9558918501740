grant select, delete on public.notes to authenticated;
