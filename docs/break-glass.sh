#!/usr/bin/env bash
# Restores one backup without Lifeboat: break-glass.sh FOLDER AGE_KEY_FILE DATABASE_URI
# FOLDER is a copy of one folder of the bucket, the one that holds manifest.json. The database must exist and be empty.
set -euo pipefail; shopt -s nullglob
[ $# = 3 ] || { echo "usage: $0 FOLDER AGE_KEY_FILE DATABASE_URI" >&2; exit 2; }
key=$(realpath "$2") database=$3; cd "$1"
[ -f manifest.json ] || { echo "no manifest.json in $1: this is no backup" >&2; exit 1; }
[ "$(psql -XAt -d "$database" -c 'select count(*) from pg_stat_user_tables')" = 0 ] || { echo "the database is not there, or holds tables" >&2; exit 1; }
! command -v jq >/dev/null || jq -r '.objects[] | .sha256 + "  " + .name' manifest.json | sha256sum --check --quiet
opened() { # $1 and its pieces $1.0002, $1.0003 …, decrypted and decompressed as the name says
  cat "$1" "$1".[0-9][0-9][0-9][0-9] | case $1 in *.age) age -d -i "$key" ;; *) cat ;; esac |
    case $1 in *.zst | *.zst.age) zstd -dc ;; *) cat ;; esac
}
opened globals.sql* >/dev/null || { echo "this key does not open the backup, or the copy is damaged: nothing was restored" >&2; exit 1; }
# A role that exists already stays as it is, with its password.
existing="select format('%s ROLE \"%s\"', what, replace(rolname, '\"', '\"\"')) from pg_roles, unnest('{CREATE,ALTER,COMMENT ON}'::text[]) what"
opened globals.sql* | grep -vFf <(psql -XAt -d "$database" -c "$existing") | psql --quiet "$database" || echo "roles: see above; going on" >&2
set -- dump.pgc*
opened "$1" | pg_restore --dbname "$database"
