#!/usr/bin/env bash
# PostgreSQL and Redis beside the cluster: real servers of Debian's packages, reached by pods as postgres.test and redis.test.
#
#   tests/cluster/servers.sh start             what up.sh does; nothing when they run
#   tests/cluster/servers.sh stop              what down.sh does; their data goes
#   tests/cluster/servers.sh pause|resume postgres|redis    SIGSTOP and SIGCONT, to test trouble
#   tests/cluster/servers.sh database NAME     makes an empty database and prints its URI
#   tests/cluster/servers.sh secrets NAMESPACE [DATABASE [REDIS_INDEX]]    Secrets app-db and app-redis with the key uri
#
# Takes: the bridge and certificates of up.sh. Gives: state/servers/database-uri and redis-uri (mode 600), random passwords,
# plain text and TLS (state/pki/ca.crt) on the ports of settings.sh. Does not: keep data safe over a crash of the machine.
set -euo pipefail
source "$(dirname "$0")/settings.sh"
source "$source_dir/processes.sh"

folder=$state/servers
postgres_bin=$(find /usr/lib/postgresql -mindepth 2 -maxdepth 2 -name bin 2>/dev/null | sort -V | tail -n 1)

as_postgres() { setpriv --reuid postgres --regid postgres --clear-groups "$@"; }

random_word() { openssl rand -hex 24; }

# The servers give up root; this is a folder that they can reach wherever the clone lies.
make_data_folder() {
  local data
  data=$(mktemp -d /var/tmp/signup-cluster.XXXXXX) || return
  echo "$data" >"$run/data"
  mkdir "$data/postgres" "$data/redis" && cp "$pki/servers.crt" "$pki/servers.key" "$pki/ca.crt" "$data/" || return
  chmod 600 "$data/servers.key" && chown -R postgres:postgres "$data"
}

initialise_postgres() {
  (umask 077; random_word >"$folder/superuser-password"; random_word >"$folder/password"; cp "$folder/superuser-password" "$data/password")
  chown postgres "$data/password"
  as_postgres "$postgres_bin/initdb" -D "$data/postgres" -U postgres --pwfile "$data/password" --auth scram-sha-256 -E UTF8 \
    --locale C.UTF-8 --no-sync >"$state/log/initdb.log" 2>&1 || { cat "$state/log/initdb.log" >&2; return 1; }
  rm "$data/password"
  cat >>"$data/postgres/postgresql.conf" <<EOF
listen_addresses = '$host_address'
port = $postgres_port
unix_socket_directories = ''
max_connections = 300
fsync = off
ssl = on
ssl_cert_file = '$data/servers.crt'
ssl_key_file = '$data/servers.key'
EOF
  echo "host all all $pod_range scram-sha-256" >>"$data/postgres/pg_hba.conf"
}

# psql as the superuser; statements on standard input, so that no password is an argument.
sql() {
  PGPASSWORD=$(cat "$folder/superuser-password") psql -qAtX -v ON_ERROR_STOP=1 -h "$host_address" -p "$postgres_port" -U postgres postgres
}

postgres_answers() { echo 'SELECT 1' | sql; }

database_uri() { printf 'postgres://signup:%s@postgres.test:%s/%s' "$(cat "$folder/password")" "$postgres_port" "$1"; }
redis_uri() { printf 'redis://:%s@redis.test:%s/%s' "$(cat "$folder/redis-password")" "$redis_port" "$1"; }

start_postgres() {
  start postgres setpriv --reuid postgres --regid postgres --clear-groups "$postgres_bin/postgres" -D "$data/postgres"
  wait_until 60 postgres postgres_answers || return
  [ -e "$folder/database-uri" ] && return
  sql <<EOF || return
CREATE ROLE signup LOGIN CREATEDB PASSWORD '$(cat "$folder/password")';
CREATE DATABASE signup OWNER signup;
EOF
  (umask 077; database_uri signup >"$folder/database-uri")
}

start_redis() {
  if [ ! -e "$folder/redis-uri" ]; then
    (umask 077; random_word >"$folder/redis-password"; redis_uri 0 >"$folder/redis-uri")
    cat >"$data/redis.conf" <<EOF
bind $host_address
port $redis_port
tls-port $redis_tls_port
tls-cert-file $data/servers.crt
tls-key-file $data/servers.key
tls-ca-cert-file $data/ca.crt
tls-auth-clients no
databases 1024
save ""
dir $data/redis
requirepass $(cat "$folder/redis-password")
EOF
    chown postgres:postgres "$data/redis.conf" && chmod 600 "$data/redis.conf" || return
  fi
  start redis setpriv --reuid postgres --regid postgres --clear-groups redis-server "$data/redis.conf"
  wait_until 30 redis redis_answers
}

redis_answers() { REDISCLI_AUTH=$(cat "$folder/redis-password") redis-cli -h "$host_address" -p "$redis_port" --no-auth-warning ping | grep -q PONG; }

start_both() {
  [ -n "$postgres_bin" ] || fail "PostgreSQL is missing. Fix: scripts/setup.sh cluster"
  mkdir -p "$folder" "$state/log" && chmod 700 "$folder"
  pki=$state/pki
  if [ ! -e "$folder/initialised" ]; then
    [ ! -e "$run/data" ] || stop_both
    make_data_folder || return
    data=$(cat "$run/data")
    initialise_postgres && touch "$folder/initialised" || return
  fi
  data=$(cat "$run/data")
  start_postgres && start_redis
}

stop_both() {
  stop redis 5
  stop postgres 10 INT
  [ ! -e "$run/data" ] || rm -rf "$(cat "$run/data")" "$run/data"
}

create_database() {
  [[ $1 =~ ^[a-z][a-z0-9_]{0,50}$ ]] || fail "a database's name is lower-case letters, digits and _, not $1"
  echo "CREATE DATABASE $1 OWNER signup;" | sql && database_uri "$1" && echo
}

# The value comes on standard input, so that no password is an argument: apply_secret NAMESPACE NAME
apply_secret() {
  kubectl -n "$1" create secret generic "$2" --from-file=uri=/dev/stdin --dry-run=client -o yaml | kubectl apply --server-side -f - >/dev/null
}

create_secrets() {
  database_uri "${2:-signup}" | apply_secret "$1" app-db
  redis_uri "${3:-0}" | apply_secret "$1" app-redis
}

case "${1:-} ${2:-}" in
  "start ") require_root; start_both ;;
  "stop ") require_root; stop_both ;;
  "pause postgres" | "pause redis") kill -STOP "$(pid_of "$2")" ;;
  "resume postgres" | "resume redis") kill -CONT "$(pid_of "$2")" ;;
  "database "?*) create_database "$2" ;;
  "secrets "?*) create_secrets "${@:2}" ;;
  *) fail "usage: servers.sh start | stop | pause NAME | resume NAME | database NAME | secrets NAMESPACE [DATABASE [REDIS_INDEX]]" ;;
esac
