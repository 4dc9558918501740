-- One JSON document about the schema public: what requests can name, and with which types.
with tables as (
  select c.oid, c.relname, c.relkind in ('v', 'm') as view, c.reltype
  from pg_class c
  where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'v', 'm', 'f', 'p')
), types as (
  -- Always in quotes: which names need them differs between versions of PostgreSQL.
  -- A domain goes by its base type: a value in a filter need not pass the domain's checks.
  select t.oid, coalesce(b.oid, t.oid) as base, format(
    '"%s"."%s"', replace(n.nspname, '"', '""'), replace(coalesce(b.typname, t.typname), '"', '""')
  ) as name
  from pg_type t
  left join pg_type b on t.typtype = 'd' and b.oid = t.typbasetype
  join pg_namespace n on n.oid = coalesce(b.typnamespace, t.typnamespace)
), columns as (
  select a.attrelid, json_agg(json_build_object(
    'name', a.attname, 'type', t.name, 'default',
    case
      -- Elsewhere nobody writes through here, and names of other schemas may not even be looked up.
      when a.attrelid not in (select oid from tables) then null
      when a.attidentity <> '' then format('nextval(%L)', pg_get_serial_sequence(a.attrelid::regclass::text, a.attname))
      when a.attgenerated = '' then pg_get_expr(d.adbin, d.adrelid)
    end
  ) order by a.attnum) as list
  from pg_attribute a
  join types t on t.oid = a.atttypid
  left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
  where a.attnum > 0 and not a.attisdropped
  group by a.attrelid
), keys as (
  select conrelid, array_agg(a.attname::text order by k.n) as names
  from pg_constraint, unnest(conkey) with ordinality k(attnum, n)
  join pg_attribute a on a.attnum = k.attnum
  where contype = 'p' and a.attrelid = conrelid
  group by pg_constraint.oid
), parameters as (
  select p.oid, k.n, coalesce(p.proargmodes[k.n]::text, 'i') as mode, json_build_object(
    'name', coalesce(p.proargnames[k.n], ''), 'type', t.name,
    'variadic', coalesce(p.proargmodes[k.n] = 'v', false)
  ) as described
  from pg_proc p, unnest(coalesce(p.proallargtypes, p.proargtypes::oid[])) with ordinality k(type, n)
  join types t on t.oid = k.type
  where p.pronamespace = 'public'::regnamespace
)
select json_build_object(
  'tables', (
    select coalesce(json_agg(json_build_object(
      'name', relname, 'view', view, 'columns', coalesce(list, '[]'),
      'key', coalesce((select to_json(names) from keys where conrelid = tables.oid), '[]')
    )), '[]') from tables left join columns on attrelid = tables.oid
  ),
  'foreign_keys', (
    select coalesce(json_agg(json_build_object(
      'name', f.conname, 'source', s.relname, 'target', t.relname,
      'pairs', (
        select json_agg(json_build_array(a.attname, b.attname) order by k.n)
        from unnest(f.conkey, f.confkey) with ordinality k(source, target, n)
        join pg_attribute a on a.attrelid = f.conrelid and a.attnum = k.source
        join pg_attribute b on b.attrelid = f.confrelid and b.attnum = k.target
      ),
      'unique', exists (
        select from pg_index i where i.indrelid = f.conrelid and i.indisunique
          and i.indpred is null and i.indkey::int2[] <@ f.conkey and i.indexprs is null
      )
    )), '[]')
    from pg_constraint f
    join tables s on s.oid = f.conrelid join tables t on t.oid = f.confrelid
    where f.contype = 'f' and f.conparentid = 0
  ),
  'functions', (
    select coalesce(json_agg(json_build_object(
      'name', p.proname, 'volatile', p.provolatile = 'v', 'returns_set', p.proretset,
      'void', p.prorettype = 'void'::regtype,
      'defaults', p.pronargdefaults,
      'arguments', coalesce((
        select json_agg(described order by n) from parameters a where a.oid = p.oid and mode in ('i', 'b', 'v')
      ), '[]'),
      'columns', coalesce(
        (
          select json_agg(json_build_object('name', described -> 'name', 'type', described -> 'type') order by n)
          from parameters a where a.oid = p.oid and mode in ('o', 'b', 't')
        ),
        columns.list, case when p.prorettype = 'record'::regtype then '[]'::json end
      ),
      'table', (select relname from tables where reltype = p.prorettype)
    )), '[]')
    from pg_proc p
    join pg_type r on r.oid = p.prorettype
    left join columns on attrelid = r.typrelid
    where p.pronamespace = 'public'::regnamespace and p.prokind = 'f'
      and p.prorettype <> all ('{trigger,event_trigger}'::regtype[])
  ),
  'types', (
    select json_object_agg(spelling, name) from (
      select t.typname::text as spelling, types.name from pg_type t join types using (oid)
      where t.typtype in ('b', 'd', 'e', 'm', 'r')
        and t.typnamespace in ('pg_catalog'::regnamespace, 'public'::regnamespace)
      union select format_type(t.oid, null), types.name from pg_type t join types using (oid)
      where t.typtype = 'b' and t.typnamespace = 'pg_catalog'::regnamespace
    ) spellings
  )
)
