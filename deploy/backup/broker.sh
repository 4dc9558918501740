#!/bin/sh
# Copies a snapshot of the broker into the folder BACKUPS and keeps the last KEEP of them.
#   BACKUPS=/backups KEEP=96 BROKER_HOST=broker BROKER_PASSWORD=… sh broker.sh
# The broker sends it as it does to a replica, so this needs no access to its disk.
set -eu
umask 077
now=$(date -u +%Y%m%dT%H%M%SZ)
if [ -n "${BROKER_PASSWORD:-}" ]; then export REDISCLI_AUTH="$BROKER_PASSWORD"; fi
valkey-cli -h "$BROKER_HOST" -p "${BROKER_PORT:-6379}" --rdb "$BACKUPS/.broker.rdb" >&2
# Only a whole backup gets a name without a dot.
mv "$BACKUPS/.broker.rdb" "$BACKUPS/broker-$now.rdb"
find "$BACKUPS" -maxdepth 1 -name 'broker-*' | sort -r | tail -n +"$((KEEP + 1))" |
  while read -r old; do rm "$old"; done
echo "broker-$now.rdb"
