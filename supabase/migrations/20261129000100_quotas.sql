-- What one user may store: posts a day and bytes in all. It holds for whoever is signed in, through the
-- API and past it; the service role and whoever owns the tables are free.
create schema quotas;
revoke all on schema quotas from public, anon, authenticated, service_role;

-- The most that anybody gets. The API's settings can ask for less, not for more: to give more, raise
-- these in a migration of your own, and the settings QUOTA_….
create table quotas.limits (
  name text primary key,
  most bigint not null check (most >= 0)
);
insert into quotas.limits values ('posts_per_day', 1000), ('bytes', 100000000);

-- One row an author, kept by triggers: no write counts rows. Days are those of UTC.
create table quotas.usage (
  author_id uuid primary key references public.profiles (id) on delete cascade,
  bytes bigint not null,
  day date not null,
  posts_that_day bigint not null
) with (fillfactor = 50);
insert into quotas.usage
  select author_id, sum(octet_length(title) + octet_length(content)), timezone('utc', now())::date,
    count(*) filter (where created_at >= timezone('utc', date_trunc('day', timezone('utc', now()))))
  from public.posts group by author_id;

-- A limit: what is set here or, where that is less, what the API asks for in the header X-Quotas. A
-- client of its own that sends the header only makes its own limit smaller.
create function quotas.most(name text) returns bigint
  language sql stable set search_path = '' as $$
  select least(l.most, substring(
    nullif(current_setting('request.headers', true), '')::jsonb ->> 'x-quotas'
    from '(?:^|[ ,])' || most.name || '=([0-9]{1,15})(?:$|[ ,])')::bigint)
  from quotas.limits l where l.name = most.name
$$;

create function quotas.refuse(quota text, seconds integer default null) returns void
  language plpgsql set search_path = '' as $$
begin
  raise sqlstate 'PT429' using
    message = 'QUOTA_EXCEEDED',
    detail = jsonb_strip_nulls(jsonb_build_object(
      'quota', quota, 'limit', quotas.most(quota), 'retry_after', seconds)),
    hint = 'Delete posts, or wait until the next day begins (UTC).';
end $$;

-- Counts the change of a statement, whatever number of rows it has.
create function quotas.count_posts() returns trigger
  language plpgsql security definer set search_path = '' as $$
declare
  today date := timezone('utc', now())::date;
  used quotas.usage;
  grows boolean := tg_op = 'INSERT';
begin
  if tg_op = 'INSERT' then
    insert into quotas.usage as u (author_id, bytes, day, posts_that_day)
    select author_id, sum(octet_length(title) + octet_length(content)), today, count(*)
    from new_rows group by 1 order by 1
    on conflict (author_id) do update set
      bytes = u.bytes + excluded.bytes,
      posts_that_day =
        case when u.day = excluded.day then u.posts_that_day else 0 end + excluded.posts_that_day,
      day = excluded.day;
  else
    -- Never a new row: the author may be going, too. A day's posts stay counted when they are deleted.
    update quotas.usage u set bytes = u.bytes - c.bytes
    from (
      select author_id, sum(octet_length(title) + octet_length(content)) as bytes
      from old_rows group by 1
    ) c where u.author_id = c.author_id;
    if tg_op = 'UPDATE' then
      insert into quotas.usage as u (author_id, bytes, day, posts_that_day)
      select author_id, sum(octet_length(title) + octet_length(content)), today, 0
      from new_rows group by 1 order by 1
      on conflict (author_id) do update set bytes = u.bytes + excluded.bytes;
      grows := exists (
        select from new_rows n join old_rows o using (id)
        where octet_length(n.title) + octet_length(n.content)
          > octet_length(o.title) + octet_length(o.content)
      );
    end if;
  end if;
  if tg_op = 'DELETE' or current_setting('role', true) is distinct from 'authenticated' then
    return null;
  end if;
  -- Row security lets users write rows of their own alone.
  select * into used from quotas.usage u where u.author_id = auth.uid();
  if tg_op = 'INSERT' and used.posts_that_day > quotas.most('posts_per_day') then
    perform quotas.refuse('posts_per_day', ceil(extract(epoch from
      date_trunc('day', timezone('utc', now())) + interval '1 day' - timezone('utc', now())))::integer);
  end if;
  if grows and used.bytes > quotas.most('bytes') then
    perform quotas.refuse('bytes');
  end if;
  return null;
end $$;
revoke all on function quotas.most(text), quotas.refuse(text, integer), quotas.count_posts()
  from public;

create trigger quotas_insert after insert on public.posts referencing new table as new_rows
  for each statement execute function quotas.count_posts();
create trigger quotas_update after update on public.posts
  referencing old table as old_rows new table as new_rows
  for each statement execute function quotas.count_posts();
create trigger quotas_delete after delete on public.posts referencing old table as old_rows
  for each statement execute function quotas.count_posts();
