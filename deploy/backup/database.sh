#!/bin/sh
# Dumps the database of DATABASE_URL into the folder BACKUPS and keeps the last KEEP dumps.
#   BACKUPS=/backups KEEP=96 DATABASE_URL=postgresql://… sh database.sh
# pg_dump must not be older than the server. restore.sh is the way back.
set -eu
umask 077
now=$(date -u +%Y%m%dT%H%M%SZ)
unfinished="$BACKUPS/.database"
rm -rf "$unfinished"
mkdir "$unfinished"
pg_dump --dbname="$DATABASE_URL" --format=custom --file="$unfinished/database.dump"
# The dump grants to roles, and has neither them nor what they have set in this database. Such a
# setting makes PostgREST refuse the tokens of ended sessions. Passwords of roles are not copied.
pg_dumpall --dbname="$DATABASE_URL" --roles-only --no-role-passwords --file="$unfinished/roles.sql"
psql --dbname="$DATABASE_URL" --no-psqlrc --quiet --tuples-only --no-align \
  --output="$unfinished/settings.sql" <<'SQL'
select format('alter role %I in database :"DBNAME" set %s = %L;',
  r.rolname, split_part(c, '=', 1), substr(c, strpos(c, '=') + 1))
from pg_db_role_setting s join pg_roles r on r.oid = s.setrole
  join pg_database d on d.oid = s.setdatabase, unnest(s.setconfig) c
where d.datname = current_database();
SQL
# Only a whole backup gets a name without a dot.
mv "$unfinished" "$BACKUPS/database-$now"
find "$BACKUPS" -maxdepth 1 -name 'database-*' | sort -r | tail -n +"$((KEEP + 1))" |
  while read -r old; do rm -r "$old"; done
echo "database-$now"
