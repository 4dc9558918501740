-- How long rows are kept: one line a table, carried out by the daily cleanup.
create schema archive;
create schema retention;
revoke all on schema archive, retention from public, anon, authenticated, service_role;

create table retention.rules (
  name text primary key,
  source regclass not null,
  aged_by name not null,
  kept interval not null,
  archived boolean not null
);

-- Keeps rows of a table until the column `aged_by` is older than `kept`; null is kept for ever.
-- Archived rows move to archive.<table> as JSON, which no later change of the table can break.
create function retention.keep(
  source regclass, aged_by name, kept interval, archived boolean default false
) returns void
  language plpgsql set search_path = '' as $$
declare
  name text := (select relname from pg_catalog.pg_class where oid = source);
begin
  insert into retention.rules values (name, source, aged_by, kept, archived);
  if archived then
    execute format(
      'create table archive.%I (archived_at timestamptz not null default now(), content jsonb not null)',
      name);
  end if;
end $$;
revoke all on function retention.keep(regclass, name, interval, boolean) from public;

create function public.retention_rules() returns table (name text, archived boolean)
  language sql stable security definer set search_path = '' as
  'select r.name, r.archived from retention.rules r order by 1';

-- Carries out one batch of a rule and returns how many rows it was; a dry run counts them all and
-- touches none.
create function public.apply_retention(rule text, batch integer, dry_run boolean) returns bigint
  language plpgsql security definer set search_path = '' as $$
declare
  r retention.rules;
  done bigint;
begin
  select * into strict r from retention.rules where name = rule;
  if dry_run then
    execute format('select count(*) from %s where %I < now() - $1', r.source, r.aged_by)
      into done using r.kept;
    return done;
  end if;
  execute format(
    'with gone as (
       delete from %1$s s where s.ctid = any (array(
         select o.ctid from %1$s o where o.%2$I < now() - $1 limit $2 for update skip locked
       )) returning to_jsonb(s) as content
     ) %3$s',
    r.source, r.aged_by,
    case when r.archived
      then format(
        ', moved as (insert into archive.%I (content) select content from gone returning 1)
         select count(*) from moved', r.name)
      else 'select count(*) from gone' end
  ) into done using r.kept, batch;
  return done;
end $$;

revoke all on function public.retention_rules(), public.apply_retention(text, integer, boolean)
  from public, anon, authenticated, service_role;
grant execute on function public.retention_rules(), public.apply_retention(text, integer, boolean)
  to service_role;

select retention.keep('outbox.events', 'delivered_at', '90 days', archived => true);
select retention.keep('jobs.runs', 'finished_at', '90 days', archived => true);
select retention.keep('jobs.slots', 'slot', '90 days');
