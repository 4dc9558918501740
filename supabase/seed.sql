-- Example rows for development. `./app seed` runs this file as the owner of the database, in one
-- transaction, after it has made the users @seed.example. Add rows of your own tables here.
with writers as (
  select id, row_number() over (order by email) - 1 as place, count(*) over () as number
  from auth.users where email like '%@seed.example'
)
insert into public.posts (title, content, published, author_id, created_at, updated_at)
select
  'Example ' || n, repeat('This is the content of example ' || n || '. ', 1 + n % 20),
  n % 10 <> 0,  -- every tenth is a draft
  w.id, now() - n * interval '1 minute', now() - n * interval '1 minute'
from generate_series(1, current_setting('seed.rows')::integer) as n
join writers w on w.place = n % w.number;

-- Nobody gets a mail for each of them.
delete from outbox.events
where topic = 'post_published' and xmin = pg_current_xact_id()::xid;
