-- Deliveries: the messages of another system, each stored once.
create table public.deliveries (
  id uuid primary key default gen_random_uuid(),
  message_id text not null unique check (char_length(message_id) <= 200),
  content jsonb not null,
  received_at timestamptz not null default now()
);
alter table public.deliveries enable row level security;
revoke all on public.deliveries from public, anon, authenticated, service_role;

-- The event of features/shared/deliveries.py, in the same transaction as each write.
select outbox.track('public.deliveries', 'delivery_received', '{"delivery_id": "id"}',
  operations => '{insert}');
