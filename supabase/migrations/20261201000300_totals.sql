-- Totals of lists, kept by triggers: no reader counts rows. A total is the sum of a few numbers, which
-- change in the transaction that changes the rows, so it is exact for every snapshot.
create schema totals;
revoke all on schema totals from public, anon, authenticated, service_role;

create table totals.lists (
  name text primary key check (name ~ '^[a-z][a-z0-9_]{0,40}$'),
  source regclass not null,
  condition text not null,  -- SQL about the source's columns: the rows that count
  owner name,               -- the column by which rows are counted; null: all together
  shards smallint not null
);

-- Without an owner a total has several rows, and each connection adds to one of them: writers at the same
-- time do not wait for each other.
create table totals.numbers (
  list text not null references totals.lists (name),
  owner uuid not null,
  shard smallint not null,
  number bigint not null,
  primary key (list, owner, shard)
) with (fillfactor = 50);

-- The owner of a total that has none.
create function totals.nobody() returns uuid
  language sql immutable set search_path = '' as
  $$ select '00000000-0000-0000-0000-000000000000'::uuid $$;

create function totals.total(list text, owner uuid default totals.nobody()) returns bigint
  language sql stable set search_path = '' as $$
  select coalesce(sum(n.number), 0)::bigint from totals.numbers n
  where n.list = total.list and n.owner = total.owner
$$;

-- Compares a list with its rows, and corrects what differs; returns how many numbers that were. Rows are
-- written past the triggers when a restore or an import switches them off.
-- Both sides are read in one snapshot and the difference is added, so writers may go on meanwhile.
create function totals.repair(list text, dry_run boolean default false) returns bigint
  language plpgsql set search_path = '' as $$
declare
  l totals.lists;
  wrong bigint;
begin
  -- Of two at the same time the second one sees what the first one added.
  perform pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended('totals/' || list, 0));
  select * into strict l from totals.lists t where t.name = list;
  execute format($sql$
    with counted as (
      select %s as owner, count(*) as number from %s r where %s group by 1
    ), kept as (
      select n.owner, sum(n.number) as number from totals.numbers n where n.list = $1 group by 1
    ), wrong as (
      select owner, coalesce(c.number, 0) - coalesce(k.number, 0) as change
      from counted c full join kept k using (owner)
      where coalesce(c.number, 0) <> coalesce(k.number, 0)
    ), added as (
      insert into totals.numbers as n (list, owner, shard, number)
      select $1, w.owner, 0, w.change from wrong w where not $2 order by w.owner
      on conflict on constraint numbers_pkey do update set number = n.number + excluded.number
    )
    select count(*) from wrong$sql$,
    coalesce('r.' || quote_ident(l.owner), 'totals.nobody()'), l.source, l.condition)
  into wrong using list, dry_run;
  if not dry_run then
    delete from totals.numbers n  -- owners without rows, of whom many are gone
    where n.list = repair.list and n.number = 0 and l.owner is not null;
  end if;
  return wrong;
end $$;

create function totals.empty() returns trigger
  language plpgsql security definer set search_path = '' as $$
begin
  delete from totals.numbers n using totals.lists l where n.list = l.name and l.source = tg_relid;
  return null;
end $$;

-- Keeps the number of a table's rows for which a condition holds, by one line:
--   select totals.keep('published_posts', 'public.posts', 'published');
--   select totals.keep('drafts', 'public.posts', 'not published', owner => 'author_id');
-- With an owner (a uuid column) there is a number for each. The rows that are there already are counted by
-- totals.repair(name), in a later migration: this one holds a lock on the table.
-- The function of the triggers is written here, so that its plans are cached: it is part of each write.
create function totals.keep(
  name text, source regclass, condition text, owner name default null
) returns void
  language plpgsql set search_path = '' as $$
declare
  shards smallint := case when owner is null then 32 else 1 end;
  counting text := format('totals.count_%s', name);
  operation text;
begin
  insert into totals.lists values (name, source, condition, owner, shards);
  execute format($sql$
    create function %1$s() returns trigger
      language plpgsql security definer set search_path = '' as $f$
    begin
      if tg_op = 'INSERT' then
        insert into totals.numbers as n (list, owner, shard, number)
        select %2$L, %3$s, pg_catalog.pg_backend_pid() %% %5$s, count(*)
        from new_rows r where %4$s group by 2 order by 2
        on conflict on constraint numbers_pkey do update set number = n.number + excluded.number;
      elsif tg_op = 'DELETE' then
        insert into totals.numbers as n (list, owner, shard, number)
        select %2$L, %3$s, pg_catalog.pg_backend_pid() %% %5$s, - count(*)
        from old_rows r where %4$s group by 2 order by 2
        on conflict on constraint numbers_pkey do update set number = n.number + excluded.number;
      else
        insert into totals.numbers as n (list, owner, shard, number)
        select %2$L, c.owner, pg_catalog.pg_backend_pid() %% %5$s, sum(c.change)
        from (
          select %3$s as owner, 1 as change from new_rows r where %4$s
          union all select %3$s, -1 from old_rows r where %4$s
        ) c
        group by 2 having sum(c.change) <> 0 order by 2
        on conflict on constraint numbers_pkey do update set number = n.number + excluded.number;
      end if;
      return null;
    end $f$
    $sql$,
    counting, name, coalesce('r.' || quote_ident(owner), 'totals.nobody()'), condition, shards);
  execute format('revoke all on function %s() from public', counting);
  foreach operation in array '{insert,update,delete}'::text[] loop
    execute format(
      'create trigger %I after %s on %s referencing %s for each statement execute function %s()',
      format('totals_%s_%s', name, operation), operation, source,
      case operation
        when 'insert' then 'new table as new_rows'
        when 'delete' then 'old table as old_rows'
        else 'old table as old_rows new table as new_rows'
      end,
      counting);
  end loop;
  execute format(
    'create trigger %I after truncate on %s for each statement execute function totals.empty()',
    format('totals_%s_truncate', name), source);
end $$;

revoke all on function totals.nobody(), totals.total(text, uuid), totals.repair(text, boolean),
  totals.empty(), totals.keep(text, regclass, text, name) from public;

-- For the daily cleanup; without the lists of tables that were dropped.
create function public.kept_totals() returns table (name text)
  language sql stable security definer set search_path = '' as $$
  select l.name from totals.lists l join pg_catalog.pg_class c on c.oid = l.source order by 1
$$;

-- Null where the table is too large to be counted in a request: then `select totals.repair(name)` as the
-- owner of the database does it.
create function public.repair_total(list text, dry_run boolean) returns bigint
  language plpgsql security definer set search_path = '' as $$
begin
  if (
    select c.reltuples from totals.lists l join pg_catalog.pg_class c on c.oid = l.source
    where l.name = list
  ) > 5000000 then
    return null;
  end if;
  return totals.repair(list, dry_run);
end $$;

revoke all on function public.kept_totals(), public.repair_total(text, boolean)
  from public, anon, authenticated, service_role;
grant execute on function public.kept_totals(), public.repair_total(text, boolean) to service_role;
