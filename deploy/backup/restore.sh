#!/bin/sh
# Restores a backup of database.sh into the database of DATABASE_URL, as a superuser.
#   DATABASE_URL=postgresql://… sh restore.sh /backups/database-20260102T030405Z
# Stop worker, relay and beat first. What is there and also in the backup is replaced.
set -eu
backup=$1
# Roles that exist already are errors here, and none that matter.
psql --dbname="$DATABASE_URL" --no-psqlrc --quiet --file="$backup/roles.sql" 2>/dev/null || true
pg_restore --dbname="$DATABASE_URL" --clean --if-exists --exit-on-error --jobs=2 \
  "$backup/database.dump"
psql --dbname="$DATABASE_URL" --no-psqlrc --quiet --set=ON_ERROR_STOP=1 \
  --file="$backup/settings.sql"
echo "restored $backup"
