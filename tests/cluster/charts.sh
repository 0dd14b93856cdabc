#!/usr/bin/env bash
# Runs charts/test-cluster.sh on the test cluster: the charts with pods, `helm test` included.
#
#   tests/cluster/charts.sh TAG     with localhost/signup:TAG, which is in the cluster already
#
# Takes: root, the running cluster without a SignupPipeline definition; Debian's busybox-static, downloaded once and not installed.
# Gives: that script's lines and exit code; in the cluster the image localhost/busybox:test, beside it a database.
# Does not: bring the cluster up.
set -euo pipefail
source "$(dirname "$0")/settings.sh"
source "$source_dir/images.sh"

busybox=$bin/busybox
redis_index=1000 # the tests of tests/tests/cluster count from 1

# Installing the package would remove Debian's dynamic busybox.
fetch_busybox() {
  local scratch
  [ ! -x "$busybox" ] || return 0
  scratch=$(mktemp -d "$run/busybox.XXXXXX") || return
  (cd "$scratch" && { apt-get -q download busybox-static || { apt-get -q update && apt-get -q download busybox-static; }; } &&
    dpkg -x busybox-static_*.deb . && install -m 755 bin/busybox "$busybox") >"$scratch/log" 2>&1 || cat "$scratch/log" >&2
  rm -rf "$scratch"
  [ -x "$busybox" ]
}

load_busybox() {
  local folder applet
  has_image localhost/busybox:test && return
  folder=$(mktemp -d "$run/busybox.XXXXXX") && mkdir "$folder/bin" && cp "$busybox" "$folder/bin/" || return
  for applet in $("$busybox" --list); do
    [ "$applet" = busybox ] || ln -s busybox "$folder/bin/$applet" || return
  done
  load_image busybox:test "$folder" || return
  rm -rf "$folder"
}

[ $# -eq 1 ] || fail "usage: charts.sh TAG"
require_root
[ -S "$containerd_socket" ] || fail "no cluster runs here. Fix: make cluster"
has_image "localhost/signup:$1" || fail "the cluster has no image localhost/signup:$1. Fix: tests/cluster/deploy.sh"
timed "BusyBox" fetch_busybox
timed "image localhost/busybox:test" load_busybox
DATABASE_URI=$("$source_dir/servers.sh" database "charts_$(date +%s)")
redis=$(cat "$state/servers/redis-uri")
export DATABASE_URI REDIS_URI=${redis%/*}/$redis_index KUBECONFIG=$kubeconfig
"$root/charts/test-cluster.sh" "localhost/signup:$1" localhost/busybox:test
