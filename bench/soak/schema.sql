-- What the soak's jobs do, in addition to the application's schema.
insert into outbox.topics (topic, fields) values
  ('soak_mail_asked', '{number}'), ('soak_sum_asked', '{number}'), ('soak_welcome_asked', '{number}');

-- Each attempt. `subject` names the piece of work, `key` is the id of its run.
create table public.soak_starts (
  subject text not null, key uuid not null, attempt integer not null, pid integer not null,
  at timestamptz not null default clock_timestamp()
);
create index soak_starts_key on public.soak_starts (key);
create index soak_starts_at on public.soak_starts (at);

-- The other service: it honours the idempotency key, and counts the calls with each.
create table public.soak_effects (
  key uuid primary key, subject text not null, calls integer not null default 1
);
create index soak_effects_subject on public.soak_effects (subject);

-- Batches that were asked for: one whose acknowledgement was lost is not asked for again.
create table public.soak_batches (number integer primary key);

alter table public.soak_batches enable row level security;
alter table public.soak_starts enable row level security;
alter table public.soak_effects enable row level security;
revoke all on public.soak_batches, public.soak_starts, public.soak_effects
  from public, anon, authenticated, service_role;

create function public.soak_start(subject text, key uuid, attempt integer, pid integer) returns void
  language sql security definer set search_path = '' as $$
  insert into public.soak_starts (subject, key, attempt, pid) values (subject, key, attempt, pid)
$$;

create function public.soak_effect(subject text, key uuid) returns void
  language sql security definer set search_path = '' as $$
  insert into public.soak_effects as e (key, subject) values (soak_effect.key, soak_effect.subject)
  on conflict (key) do update set calls = e.calls + 1
$$;

revoke all on function public.soak_start(text, uuid, integer, integer),
  public.soak_effect(text, uuid) from public, anon, authenticated, service_role;
grant execute on function public.soak_start(text, uuid, integer, integer),
  public.soak_effect(text, uuid) to service_role;
