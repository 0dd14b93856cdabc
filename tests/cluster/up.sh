#!/usr/bin/env bash
# Brings up a real single-node Kubernetes on this machine: what `make cluster` runs first.
#
#   tests/cluster/up.sh        all of it
#   tests/cluster/up.sh api    etcd and the API server alone, on 127.0.0.1, without root: down.sh api ends them
#
# Takes: root, Debian; KUBECONFIG, which makes this script do nothing when its cluster answers, and fail when it does not.
# Gives: etcd, API server, controller manager, scheduler, containerd, kubelet, kube-proxy, kube-router, CoreDNS, PostgreSQL, Redis, Contour and
# Envoy, and a kubeconfig in target/cluster/state. Every step looks whether it is done: run again, it says so; interrupted
# anywhere, it goes on. Does not: survive a restart of the machine (run it again), nor touch another cluster.
set -euo pipefail
source "$(dirname "$0")/settings.sh"
[ "${1:-}" != api ] || only_the_api
# shellcheck source=/dev/null
for part in given processes host certificates control-plane images node policies dns ingress; do source "$source_dir/$part.sh"; done

cluster_parts=(etcd kube-apiserver kube-controller-manager kube-scheduler containerd kubelet kube-proxy coredns postgres redis contour envoy)
[ -n "${WITHOUT_POLICIES:-}" ] || cluster_parts+=(kube-router)

all_run() {
  local part
  [ "$(readlink "$run/state" 2>/dev/null)" = "$state" ] || return
  for part in "${cluster_parts[@]}"; do running "$part" || return; done
  api_ready >/dev/null 2>&1
}

up_the_api() {
  take_the_lock
  if running kube-apiserver && api_ready >/dev/null 2>&1; then
    say "already up: export KUBECONFIG=$kubeconfig"
    return
  fi
  "$source_dir/build.sh" etcd kube-apiserver kubectl
  timed "certificates" make_certificates
  timed "etcd and API server" api_answers
  say "up: export KUBECONFIG=$kubeconfig"
}

case "${1:-}" in
  api) up_the_api; exit ;;
  ?*) fail "usage: up.sh [api]" ;;
esac
if a_cluster_is_given; then
  say "using the cluster of KUBECONFIG=$KUBECONFIG; starting nothing"
  exit
fi
require_root
take_the_lock
if all_run; then
  say "already up: export KUBECONFIG=$kubeconfig"
  exit
fi

began=$SECONDS
timed "packages" "$root/scripts/setup.sh" cluster
"$source_dir/build.sh"
timed "machine: bridge and forwarding" prepare_host
timed "certificates" make_certificates
timed "etcd and API server" api_answers
timed "controller manager and scheduler" controllers_work
timed "containerd" containerd_ready
timed "pause image" load_pause_image
timed "CoreDNS" names_answer
timed "node Ready" node_ready
timed "Services" services_answer
timed "NetworkPolicies" policies_enforced
timed "PostgreSQL and Redis" "$source_dir/servers.sh" start
timed "Contour and Envoy" ingress_answers
say "up after $((SECONDS - began)) s: export KUBECONFIG=$kubeconfig"
