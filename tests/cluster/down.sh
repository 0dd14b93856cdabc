#!/usr/bin/env bash
# Takes the test cluster down: what `make cluster-down` runs.
#
#   tests/cluster/down.sh        the cluster
#   tests/cluster/down.sh api    the API server that `up.sh api` started
#
# Takes: root; what up.sh recorded in $run. Gives: a machine as it was before up.sh: no process, mount, network namespace,
# interface, iptables rule, cgroup, kernel setting or file of the cluster is left; it looks, says what it saw, and fails when
# something is. Does not: remove the programs and images in target/cluster/bin (they take minutes to build), nor touch a cluster of KUBECONFIG.
set -euo pipefail
source "$(dirname "$0")/settings.sh"
source "$source_dir/processes.sh"
source "$source_dir/host.sh"
source "$source_dir/policies.sh"
source "$source_dir/traces.sh"

if [ "${1:-}" = api ]; then
  only_the_api
  take_the_lock
  stop kube-apiserver
  stop etcd
  rm -rf "$state"
  say "down: the API server alone"
  exit
fi
require_root
if [ "$(readlink "$run/state" 2>/dev/null)" ]; then state=$(readlink "$run/state"); fi
[ "${SIGNUP_CLUSTER_LOCKED:-}" ] || take_the_lock

began=$SECONDS
if [ -e "$run" ]; then
  timed "ended the processes" end_processes
  timed "ended the containers" end_containers
  timed "unmounted" unmount_all
  timed "removed network and rules" remove_network
  timed "removed cgroups" remove_cgroups
  timed "put kernel settings back" restore_settings
  timed "removed files" remove_files
fi
look_for_traces || fail "something is left, see above"
say "down after $((SECONDS - began)) s: nothing is left but the programs in $bin"
