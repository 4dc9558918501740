-- Notes, which only their owner can see.
create table public.notes (
  id uuid primary key default gen_random_uuid(),
  owner_id uuid not null default auth.uid() references public.profiles (id) on delete cascade,
  label text not null check (char_length(label) <= 2000),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
create index notes_owner_newest on public.notes (owner_id, created_at desc, id desc);

-- No role may do anything until a slice's migration grants it; the policies say with which rows.
alter table public.notes enable row level security;
revoke all on public.notes from public, anon, authenticated, service_role;
create policy "notes are read by their owner" on public.notes
  for select to authenticated using (owner_id = (select auth.uid()));
create policy "notes are written by their owner" on public.notes
  for insert to authenticated with check (owner_id = (select auth.uid()));
create policy "notes are changed by their owner" on public.notes
  for update to authenticated
  using (owner_id = (select auth.uid())) with check (owner_id = (select auth.uid()));
create policy "notes are deleted by their owner" on public.notes
  for delete to authenticated using (owner_id = (select auth.uid()));

create trigger touch_updated_at before update on public.notes
  for each row execute function public.touch_updated_at();

-- The events of features/shared/notes.py, in the same transaction as each write.
select outbox.track('public.notes', 'note_changed', '{"note_id": "id", "user_id": "owner_id"}');
select outbox.track('public.notes', 'note_created', '{"note_id": "id", "user_id": "owner_id"}',
  operations => '{insert}');

select idempotency.protect('public.notes');
