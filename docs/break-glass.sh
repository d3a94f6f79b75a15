#!/usr/bin/env bash
# Restores one backup without Lifeboat: break-glass.sh FOLDER AGE_KEY_FILE DATABASE_URI
# FOLDER is a copy of one folder of the bucket, the one that holds manifest.json. The database must exist and be empty.
# Exit code 0: nothing was refused. The order of things is that of `lifeboat restore`.
set -euo pipefail; shopt -s nullglob lastpipe; unset PGCLIENTENCODING; export PGOPTIONS=${PGOPTIONS-}
[ $# = 3 ] || { echo "usage: $0 FOLDER AGE_KEY_FILE DATABASE_URI" >&2; exit 2; }
key=$(realpath "$2") database=$3 failed=0; cd "$1"
[ -f manifest.json ] || { echo "no manifest.json in $1: this is no backup" >&2; exit 1; }
for program in psql pg_restore sha256sum $(compgen -G '*.age*' >/dev/null && echo age) $(compgen -G '*.zst*' >/dev/null && echo zstd); do
  command -v "$program" >/dev/null || { echo "$program is not on this machine: install it, and begin again" >&2; failed=1; }
done
[ $failed = 0 ] || exit 1
ask() { psql -XAtq -d "$database" -c "$1"; }
[ "$(ask 'select count(*) from pg_stat_user_tables')" = 0 ] || { echo "the database is not there, or holds tables" >&2; exit 1; }
with_lines() { # for psql: the lines of its standard input in the table `line`, then $1
  printf '%s\n' 'create temp table line (n serial, line text);' "\\copy line (line) from pstdin with (format csv, quote e'\\x01', delimiter e'\\x02')" "$1"
}
from_json() { # what the query $1 says of the JSON `doc` in standard input, whose words beyond ASCII it does not need
  LC_ALL=C tr -d '\200-\377' | psql -XAtq -d "$database" -v ON_ERROR_STOP=1 -f <(with_lines "with it as (select string_agg(line, e'\\n' order by n)::json as doc from line) $1;")
}
from_json "select o->>'sha256' || '  ' || (o->>'name') from it, json_array_elements(doc->'objects') o" <manifest.json | sha256sum -c | { grep -v ': OK$' || :; } >&2
opened() { # $1 and its pieces $1.0002, $1.0003 …, decrypted and decompressed as the name says
  cat "$1" "$1".[0-9][0-9][0-9][0-9] | case $1 in *.age) age -d -i "$key" ;; *) cat ;; esac |
    case $1 in *.zst | *.zst.age) zstd -dc ;; *) cat ;; esac
}
opened globals.sql* >/dev/null || { echo "this key does not open the backup, or the copy is damaged: nothing was restored" >&2; exit 1; }
pieces=(dump.pgc*) dump=${pieces[0]}
from_dump() { pg_restore "$@" < <(opened "$dump" 2>/dev/null); } # reads no more of it than it needs
run() { # psql with these arguments; what the server refuses is a failure, and what it remarks (SQLSTATE 00, 01, 02) is none
  local said; said=$(psql -XAtq -v VERBOSITY=verbose -d "$database" "$@" 2>&1 >&3) || failed=1
  [ -z "$said" ] || sed '/^LOCATION: /d' <<<"$said" >&2
  ! grep -vE ':  0[012][0-9A-Z]{3}: ' <<<"$said" | grep -E ':  [0-9A-Z]{5}: |^psql: |: error: ' >/dev/null || failed=1
} 3>&1
each() { # runs those lines of standard input that the last query of $1 takes from the table `line`
  run -f <(with_lines "$1 \\gexec")
}
try() { # a setting for all sessions from here on, if the server takes it
  local more="$PGOPTIONS -c ${1// /\\ }"; PGOPTIONS=$more ask 'select 1' >/dev/null 2>&1 && PGOPTIONS=$more
}

# What the dump says of the database itself. One of another encoding or locale takes other values, and sorts otherwise.
own=$(from_dump --create -f - --use-list=<(from_dump --create --list | grep -E '^[0-9]+; [0-9]+ [0-9]+ (DATABASE|DATABASE PROPERTIES|[A-Z ]+ - DATABASE) '))
here=$(ask "select format('*ENCODING = ''%s''* = ''%s''*', getdatabaseencoding(), datcollate) from pg_database where datname = current_database()")
# shellcheck disable=SC2053 # a pattern
[[ $own == $here ]] || echo "the source was made by: $(grep '^CREATE DATABASE ' <<<"$own") make this one so too, and begin again, or go on as it is" >&2

# Sessions speak as those of the source did: checks and defaults may hang on it. Nothing of the server hinders them.
for setting in client_min_messages=warning default_transaction_read_only=off statement_timeout=0 lock_timeout=0 array_nulls=on transform_null_equals=off; do try $setting || :; done
later=() # what the definitions make
while read -r setting; do try "$setting" || later+=("$setting"); done < <(
  opened contents.json* | from_json "select key || '=' || value from it, json_each_text(doc->'settings') where key in ('TimeZone', 'DateStyle',
    'IntervalStyle', 'default_text_search_config', 'lc_monetary', 'lc_numeric', 'lc_time')")
while read -r setting; do grep -q " IN DATABASE .* SET \"${setting%%=*}\" TO " <<<"$own" || try "$setting" || echo "this server does not take $setting" >&2; done < <( # an application's, of the role that restores
  opened globals.sql* | PGCLIENTENCODING=UTF8 psql -XAtq -d "$database" -f <(with_lines "
    select replace(parts[1], '\"', '') || '=' || replace(parts[2], repeat(chr(39), 2), chr(39)) from (select n, regexp_match(substr(line, length(role)), '^ SET (\"[^\"]+\"[.]\"[^\"]+\") TO ''(.*)'';\$') as parts
      from line, (select 'ALTER ROLE \"' || replace(current_user, '\"', '\"\"') || '\" ' as role) as own where starts_with(line, role)) as found where parts is not null order by n;"))
quiet=; try event_triggers=off || quiet=session_replication_role=replica # before 17

# Roles. One that exists stays as it is: password, settings, memberships.
n='"(?:[^"]|"")*"'
opened globals.sql* | PGCLIENTENCODING=UTF8 each "create temp table there as select '\"' || replace(rolname, '\"', '\"\"') || '\"' as role from pg_roles;
  select 'role ' || role || ' exists, and stays as it is' from there where exists (select from line where line = 'CREATE ROLE ' || role || ';') order by 1;
  select line from line where line ~ '^[A-Z]' and not coalesce(line ~ '^GRANT ' and substring(line from '^GRANT ($n)') in (table there) and substring(line from '^GRANT $n TO ($n)') in (table there) or substring(line from ' ON PARAMETER .* TO ($n)') in (table there), false)
    and coalesce(substring(line from '^(?:CREATE|ALTER|COMMENT ON) ROLE ($n)'), substring(line from '^SECURITY LABEL FOR .* ON ROLE ($n)'), '') not in (table there) order by n"

# Definitions, and what was set for the database, under the new one's name: what may hinder comes last.
from_dump --section=pre-data --enable-row-security -d "$database" || failed=1
old=$(sed -n 's/^CREATE DATABASE \(.*\) WITH TEMPLATE = .*/\1/p' <<<"$own") new=$(ask 'select quote_ident(current_database())')
own=$(sed -E -e '/^SET statement_timeout = 0;$/,/^SET row_security = /d' -e '/^(--|\\(connect|restrict|unrestrict) |CREATE DATABASE )/d' <<<"$own" |
  while IFS= read -r line; do [[ $line =~ ^[A-Z]+\  ]] && line=${line/"DATABASE $old "/"DATABASE $new "}; printf '%s\n' "$line"; done)
early=$(grep -E '^ALTER DATABASE .* SET .*;$|^ALTER ROLE .* IN DATABASE .* SET "[^ ]*\.[^ ]*" TO .*;$' <<<"$own" | grep -vE '_timeout|default_transaction_read_only|preload_libraries|[ "]role[ "]|session_replication_role' || :)
run -f - <<<"$early"
for setting in "${later[@]}"; do try "$setting" || echo "this server does not take $setting" >&2; done

! from_dump --list | grep ' EXTENSION - timescaledb ' >/dev/null || try timescaledb.restoring=on || : # its own switch for restores
opened "$dump" | pg_restore --section=data --enable-row-security -d "$database" || failed=1

# The rest. Triggers that a partition alone has switched off come after all others, a partition after its parent:
# pg_dump orders them by name.
[ -z "$quiet" ] || try $quiet || echo "this server does not let event triggers of extensions be switched off" >&2
mapfile -t switches < <(from_dump --section=post-data --verbose -f - 2>/dev/null | awk '/^-- TOC entry .*\(class 2620 /{id=$4} id && /^(CREATE|ALTER) /{if ($1 == "ALTER") print id; id=0}')
from_dump --section=post-data --enable-row-security -d "$database" --use-list=<(from_dump --list | awk -F ';' -v out=" ${switches[*]} " 'index(out, " " $1 " ") == 0') || failed=1
[ ${#switches[@]} = 0 ] || from_dump -f - --use-list=<(printf '%s;\n' "${switches[@]}") | grep '^ALTER ' | each "select line from line
  order by (select count(*) from pg_partition_ancestors(substring(line from '^ALTER (?:FOREIGN )?TABLE (?:ONLY )?(.*) (?:ENABLE|DISABLE).* TRIGGER ')::regclass)), n"
ask analyze || echo "ANALYZE failed: run it again" >&2
run -f - < <(grep -vxF "$early" <<<"$own" || :)
if [ $failed = 0 ]; then echo "restored, and nothing was refused"; else echo "restored, but for what is said above" >&2; fi; exit $failed
