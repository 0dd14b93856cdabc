# Names the cluster's folders, addresses and ports, and how progress is told: sourced by every script beside it.
#
# Takes: CLUSTER_PROGRAMS, when the programs are to be kept elsewhere than in target/cluster, to share them between clones; CLUSTER_DIR,
# when the state is.
# Gives: the variables and functions below. Does not: start, write or check anything.
# shellcheck shell=bash disable=SC2034 # the variables are used by the scripts that source this one

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
source_dir=$root/tests/cluster
cluster_dir=$(realpath -m "${CLUSTER_DIR:-$root/target/cluster}") # as the kernel names its mounts, also when target is a link
programs_dir=${CLUSTER_PROGRAMS:-$cluster_dir}
bin=$programs_dir/bin             # the programs, kept between runs
manifests=$programs_dir/manifests # the resource definitions that came with them, kept
cache=$programs_dir/cache         # Go's caches, removed after a whole build
state=$cluster_dir/state          # certificates, configuration, data and logs of the running cluster, removed by down.sh
run=/run/signup-cluster           # process ids, sockets and what to restore: the same for every clone, a machine has one cluster

bridge=signup0
host_address=10.244.0.1       # the bridge: the API server, DNS, PostgreSQL and Redis as pods see them
pod_range=10.244.0.0/24
service_range=10.96.0.0/16
service_address=10.96.0.1     # the API server as a Service
cluster_domain=cluster.local
node_name=signup-node
kubeconfig=$state/kubeconfig
containerd_socket=$run/containerd.sock

api_port=6443
endpoint_reconciler=lease       # writes the API server's own address into the Service `kubernetes`
etcd_port=12379
etcd_peer_port=12380
postgres_port=15432
redis_port=16379
redis_tls_port=16380
xds_port=18001
contour_metrics_port=18002
contour_debug_port=18003
envoy_metrics_port=18004
kube_router_health_port=18005
metrics_port=18006

# The API server alone, for tests of resources and reconcile steps: no root, no node, and its own folder and ports, so that it
# runs beside a whole cluster. To be called before another part is sourced.
only_the_api() {
  state=$cluster_dir/api
  run=$state/run
  kubeconfig=$state/kubeconfig
  host_address=127.0.0.1
  api_port=16443
  endpoint_reconciler=none # it refuses 127.0.0.1
  etcd_port=22379
  etcd_peer_port=22380
}

# Go where scripts/setup.sh puts it when the machine has none that is new enough.
if [ -x "$root/target/tools/go/bin/go" ]; then PATH=$root/target/tools/go/bin:$PATH; fi

say() { printf 'cluster: %s\n' "$*"; }
fail() { printf 'cluster: %s\n' "$*" >&2; exit 1; }

# Runs a command and tells how long it took: timed WORDS COMMAND...
timed() {
  local words=$1 began=$EPOCHREALTIME
  shift
  "$@" || fail "$words: failed"
  say "$(awk -v words="$words" -v began="$began" -v now="$EPOCHREALTIME" 'BEGIN {printf "%-46s %6.1f s", words, now - began}')"
}

# Holds the right to start and stop until the script ends; what it starts does not inherit it (processes.sh closes 9).
take_the_lock() {
  mkdir -p "$cluster_dir"
  exec 9>"$cluster_dir/lock"
  flock -n 9 && return
  say "another up or down is at work; waiting for it"
  flock -w 3600 9 || fail "the other up or down did not end within an hour"
}

require_root() {
  [ "$(id -u)" -eq 0 ] || fail "must run as root: it makes a network bridge, mounts and containers. Fix: run it as root (not by sudo, which hides cargo), with Rust on root's PATH, in a clone of root's own; or set KUBECONFIG to a cluster of your own"
}

kubectl() { "$bin/kubectl" --kubeconfig "$kubeconfig" "$@"; }
