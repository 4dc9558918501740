-- Exports of a user's data. A job collects parts (one file of the archive each) and makes chunks of
-- the zip archive of them. After a kill it goes on with the next part. All of it expires.
create schema exports;
revoke all on schema exports from public, anon, authenticated, service_role;

create table exports.requests (
  id uuid primary key,
  user_id uuid not null references auth.users (id) on delete cascade,
  event_id bigint not null,  -- no reference: events are archived
  requested_at timestamptz not null default now(),
  ready_at timestamptz,
  expires_at timestamptz not null default now() + interval '7 days',
  bytes bigint,
  chunks integer
);
create index requests_user on exports.requests (user_id, requested_at);
create index requests_expiry on exports.requests (expires_at);

create table exports.parts (
  export_id uuid not null references exports.requests (id) on delete cascade,
  number integer not null,
  name text not null,
  content text not null,
  last_at timestamptz,  -- the next page of posts begins after this one
  last_post uuid,
  primary key (export_id, number)
);
create table exports.chunks (
  export_id uuid not null references exports.requests (id) on delete cascade,
  number integer not null,
  content bytea not null,
  primary key (export_id, number)
);
insert into outbox.topics (topic, fields) values ('export_requested', '{export_id}');
select retention.keep('exports.requests', 'expires_at', '1 day');  -- a day longer: they are counted

-- The state of an export is that of its run.
create index runs_event on jobs.runs (event_id);
create function exports.state(request exports.requests) returns text
  language sql stable set search_path = '' as $$
  select case
    when request.ready_at is not null then 'ready'
    when r.state in ('failed', 'succeeded') then 'failed'
    when r.state = 'running' then 'running'
    else 'queued' end
  from (select) one
  left join lateral (
    select state from jobs.runs where event_id = request.event_id limit 1
  ) r on true
$$;
revoke all on function exports.state(exports.requests) from public;

-- Asks for an export of a user, and returns the one to wait for: another that is under way is enough.
-- Null where three of the last day are. The content of older exports is deleted: one is kept.
create function exports.ask(export_id uuid, of_user uuid) returns uuid
  language plpgsql set search_path = '' as $$
declare
  under_way uuid;
begin
  perform identity.lock_account(of_user);
  select x.id into under_way from exports.requests x
  where x.user_id = of_user and x.ready_at is null and x.expires_at > now()
    and exports.state(x) in ('queued', 'running')
  limit 1;
  if under_way is not null then
    return under_way;
  elsif (select count(*) from exports.requests x
         where x.user_id = of_user and x.requested_at > now() - interval '1 day') >= 3 then
    return null;
  end if;
  update exports.requests x set expires_at = now()
  where x.user_id = of_user and x.expires_at > now();
  delete from exports.parts p using exports.requests x
  where x.user_id = of_user and p.export_id = x.id;
  delete from exports.chunks c using exports.requests x
  where x.user_id = of_user and c.export_id = x.id;
  perform outbox.put('export_requested',
    jsonb_build_array(jsonb_build_object('export_id', ask.export_id)));
  insert into exports.requests (id, user_id, event_id)
  values (ask.export_id, of_user,
    currval(pg_catalog.pg_get_serial_sequence('outbox.events', 'id')));
  return ask.export_id;
end $$;
revoke all on function exports.ask(uuid, uuid) from public;

create function public.request_own_export(export_id uuid) returns uuid
  language sql security definer set search_path = '' as
  'select exports.ask(request_own_export.export_id, (select auth.uid()))';

-- For operators and schedules; null too where there is no such user.
create function public.request_export(export_id uuid, of_user uuid) returns uuid
  language sql security definer set search_path = '' as $$
  select exports.ask(request_export.export_id, u.id) from auth.users u where u.id = of_user
$$;

-- {"id", "state", "expires_at", "bytes", "chunks"}; null where it has expired.
create function exports.shown(request exports.requests) returns jsonb
  language sql stable set search_path = '' as $$
  select jsonb_build_object('id', request.id, 'state', exports.state(request),
    'expires_at', request.expires_at, 'bytes', request.bytes, 'chunks', request.chunks)
  where request.expires_at > now()
$$;
revoke all on function exports.shown(exports.requests) from public;
create function public.own_export(export_id uuid) returns jsonb
  language sql stable security definer set search_path = '' as $$
  select exports.shown(x) from exports.requests x
  where x.id = own_export.export_id and x.user_id = (select auth.uid())
$$;
create function public.export_of_user(export_id uuid) returns jsonb
  language sql stable security definer set search_path = '' as
  'select exports.shown(x) from exports.requests x where x.id = export_of_user.export_id';

-- A piece of the archive in base64, counted from 0; null where there is none.
create function public.own_export_chunk(export_id uuid, number integer) returns text
  language sql stable security definer set search_path = '' as $$
  select encode(c.content, 'base64')
  from exports.requests x join exports.chunks c on c.export_id = x.id
  where x.id = own_export_chunk.export_id and x.user_id = (select auth.uid())
    and x.ready_at is not null and x.expires_at > now()
    and c.number = own_export_chunk.number
$$;
create function public.export_chunk(export_id uuid, number integer) returns text
  language sql stable security definer set search_path = '' as $$
  select encode(c.content, 'base64') from exports.chunks c
  where c.export_id = export_chunk.export_id and c.number = export_chunk.number
$$;

-- What the first parts say. No secrets: neither the password's hash nor anything of a token.
create function exports.about(part text, of_user uuid) returns jsonb
  language sql stable set search_path = '' as $$
  select case part
    when 'account.json' then (
      select jsonb_build_object('id', u.id, 'email', u.email,
        'email_confirmed_at', u.email_confirmed_at, 'created_at', u.created_at,
        'last_sign_in_at', u.last_sign_in_at, 'display_name', p.display_name)
      from auth.users u left join public.profiles p on p.id = u.id where u.id = of_user)
    when 'sessions.json' then (
      select coalesce(jsonb_agg(jsonb_build_object('id', s.id, 'created_at', s.created_at,
        'last_used_at', coalesce(s.refreshed_at at time zone 'UTC', s.created_at),
        'address', host(s.ip), 'device', s.user_agent) order by s.created_at), '[]')
      from auth.sessions s where s.user_id = of_user)
    when 'activity.json' then (
      select coalesce(jsonb_agg(jsonb_build_object('at', a.at, 'action', a.action,
        'address', case when a.actor_id is null or a.actor_id = of_user then a.address end,
        'by_you', a.actor_id = of_user) order by a.at), '[]')
      from audit.entries a where a.user_id = of_user)
  end
$$;
revoke all on function exports.about(text, uuid) from public;

-- Collects the next part: about the account first, then pages of posts of about a megabyte. Returns
-- {"number", "size"}, the size of all so far, {"number": null, "parts"} where all is collected, null where it is gone.
create function public.collect_export(export_id uuid) returns jsonb
  language plpgsql security definer set search_path = '' as $$
declare
  names constant text[] := '{account.json,sessions.json,activity.json}';
  request exports.requests;
  last exports.parts;
  number integer;
  name text;
  content text;
  last_at timestamptz;
  last_post uuid;
begin
  select * into request from exports.requests x
  where x.id = collect_export.export_id and x.expires_at > now() for update;
  if not found then
    return null;
  end if;
  select * into last from exports.parts p
  where p.export_id = request.id order by p.number desc limit 1;
  number := coalesce(last.number + 1, 1);
  if number <= cardinality(names) then
    name := names[number];
    content := jsonb_pretty(exports.about(name, request.user_id));
  else
    select jsonb_pretty(jsonb_agg(jsonb_build_object('id', p.id, 'title', p.title,
        'content', p.content, 'published', p.published, 'created_at', p.created_at,
        'updated_at', p.updated_at) order by p.created_at desc, p.id desc)),
      (array_agg(p.created_at order by p.created_at, p.id))[1],
      (array_agg(p.id order by p.created_at, p.id))[1]
    into content, last_at, last_post
    from (
      select o.*, sum(octet_length(o.content)) over (order by o.created_at desc, o.id desc)
        - octet_length(o.content) as before
      from (  -- in the order of the index posts_author_newest
        select * from public.posts o
        where o.author_id = request.user_id
          and (last.last_post is null or (o.created_at, o.id) < (last.last_at, last.last_post))
        order by o.created_at desc, o.id desc limit 100
      ) o
    ) p where p.before < 1000000;
    if content is null then
      return jsonb_build_object('number', null, 'parts', number - 1);
    end if;
    name := format('posts/%s.json', lpad((number - cardinality(names))::text, 4, '0'));
  end if;
  insert into exports.parts values (request.id, number, name, content, last_at, last_post);
  return jsonb_build_object('number', number, 'size', (
    select sum(octet_length(p.content)) from exports.parts p where p.export_id = request.id));
end $$;

create function public.export_part(export_id uuid, number integer) returns jsonb
  language sql stable security definer set search_path = '' as $$
  select jsonb_build_object('name', p.name, 'content', p.content) from exports.parts p
  where p.export_id = export_part.export_id and p.number = export_part.number
$$;

-- Another attempt writes the same chunks once more.
create function public.put_export_chunk(export_id uuid, number integer, content text) returns void
  language sql security definer set search_path = '' as $$
  insert into exports.chunks (export_id, number, content)
  select x.id, put_export_chunk.number, decode(put_export_chunk.content, 'base64')
  from exports.requests x where x.id = put_export_chunk.export_id
  on conflict on constraint chunks_pkey do update set content = excluded.content
$$;

create function public.finish_export(export_id uuid, chunks integer, bytes bigint) returns void
  language sql security definer set search_path = '' as $$
  update exports.requests x
  set ready_at = now(), expires_at = now() + interval '7 days',
    bytes = finish_export.bytes, chunks = finish_export.chunks
  where x.id = finish_export.export_id;
  delete from exports.chunks c
  where c.export_id = finish_export.export_id and c.number >= finish_export.chunks;
  delete from exports.parts p where p.export_id = finish_export.export_id;
$$;

revoke all on function public.request_own_export(uuid), public.own_export(uuid),
  public.own_export_chunk(uuid, integer), public.request_export(uuid, uuid),
  public.export_of_user(uuid), public.export_chunk(uuid, integer), public.collect_export(uuid),
  public.export_part(uuid, integer), public.put_export_chunk(uuid, integer, text),
  public.finish_export(uuid, integer, bigint)
  from public, anon, authenticated, service_role;
grant execute on function public.request_own_export(uuid), public.own_export(uuid),
  public.own_export_chunk(uuid, integer) to authenticated;
grant execute on function public.request_export(uuid, uuid), public.export_of_user(uuid),
  public.export_chunk(uuid, integer), public.collect_export(uuid),
  public.export_part(uuid, integer), public.put_export_chunk(uuid, integer, text),
  public.finish_export(uuid, integer, bigint) to service_role;
