-- A batch of the cleanup costs what it moves: it follows the index on the column that ages a table, which
-- each rule of retention needs. A test looks for it.
-- squawk-ignore require-concurrent-index-creation -- the table is small
create index if not exists slots_slot on jobs.slots (slot);

-- Carries out one batch of a rule and returns how many rows it was; a dry run counts up to 100,000 and
-- touches none.
create or replace function public.apply_retention(rule text, batch integer, dry_run boolean)
  returns bigint
  language plpgsql security definer set search_path = '' as $$
declare
  r retention.rules;
  done bigint;
begin
  select * into strict r from retention.rules where name = rule;
  if dry_run then
    execute format(
      'select count(*) from (
         select from %1$s where %2$I < now() - $1 order by %2$I limit 100000) old',
      r.source, r.aged_by) into done using r.kept;
    return done;
  end if;
  execute format(
    'with gone as (
       delete from %1$s s where s.ctid = any (array(
         select o.ctid from %1$s o where o.%2$I < now() - $1
         order by o.%2$I limit $2 for update skip locked
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

-- One user's ended sessions are found by the user, all of them by their time: one plan for both read the
-- whole table.
create or replace function public.revoked_sessions(of_user uuid default null) returns jsonb
  language plpgsql stable security definer set search_path = '' as $$
begin
  if of_user is not null then
    return (
      select coalesce(jsonb_object_agg(r.id, extract(epoch from r.expires_at)), '{}')
      from identity.revoked_sessions r where r.user_id = of_user and r.expires_at > now());
  end if;
  return (
    select coalesce(jsonb_object_agg(r.id, extract(epoch from r.expires_at)), '{}')
    from identity.revoked_sessions r where r.expires_at > now());
end $$;

-- A change of address looks for the notices of its user.
-- squawk-ignore require-concurrent-index-creation -- the table is small: a day's notices
create index if not exists notices_user on identity.notices (user_id);
