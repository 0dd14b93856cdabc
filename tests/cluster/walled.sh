#!/usr/bin/env bash
# Shows that the worker's NetworkPolicy is enforced: what a worker needs gets through, everything else does not, in either direction.
#
# Takes: the cluster of up.sh with the pipeline of deploy.sh. Gives: one line per fact, exit status 0 when all hold. A pod with a worker's
# labels, in a namespace of its own with a copy of the policy, tries; another pod there tries to reach it. Without the policy both get through,
# so that it is the policy which stopped them. Does not: leave anything in the cluster but the image localhost/signup:smoke.
set -euo pipefail
source "$(dirname "$0")/settings.sh"
source "$source_dir/processes.sh"

require_root

# Waits until a command succeeds: holds FACT COMMAND...
holds() {
  local fact=$1
  shift
  timed "$fact" wait_until 60 "" "$@"
}
in_pod() { kubectl -n walled exec "pod/$1" -- /smoke "${@:2}"; }
# A connection that is dropped is given up after 5 s, by the program in the pod, with this exit status.
is_stopped() {
  local status=0
  in_pod "$@" 2>/dev/null || status=$?
  [ "$status" -eq 1 ]
}
remove() { kubectl delete namespace walled --ignore-not-found --wait=false >/dev/null 2>&1 || true; }
gone() { ! kubectl get namespace walled; }

# The policy as the operator made it, without what is the object's own.
policy() {
  kubectl -n demo get networkpolicy demo-worker --output json | /usr/bin/python3 -c '
import json, sys
policy = json.load(sys.stdin)
json.dump({**{key: policy[key] for key in ("apiVersion", "kind", "spec")}, "metadata": {"name": "worker", "namespace": "walled"}}, sys.stdout)'
}

folder=$(mktemp -d)
trap 'rm -rf "$folder"; remove' EXIT
timed "built the program" env -C "$source_dir/smoke" CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags '-s -w' -o "$folder/smoke" .
"$source_dir/image.sh" "$folder" smoke
remove
timed "no earlier namespace" wait_until 60 "" gone
kubectl apply --server-side -f "$source_dir/smoke/walled.yaml" >/dev/null
kubectl -n walled wait --for condition=Ready --timeout 60s pod/worker pod/other >/dev/null
worker=$(kubectl -n walled get pod worker --output 'jsonpath={.status.podIP}')
api=kubernetes.default.svc:443
page=inbox.demo.svc:80
holds "without a policy: the worker reaches the API server" in_pod worker connect "$api"
holds "without a policy: the worker is reached" in_pod other connect "$worker:8080"
policy | kubectl apply --server-side -f - >/dev/null
holds "the worker does not reach the API server" is_stopped worker connect "$api"
holds "nor the page of the mail server" is_stopped worker connect "$page"
holds "nor is it reached but at its admin port" is_stopped other connect "$worker:8080"
holds "the worker reaches names and the mail server" in_pod worker connect inbox.demo.svc:1025
holds "the worker reaches PostgreSQL" in_pod worker connect "postgres.test:$postgres_port"
holds "the worker reaches Redis" in_pod worker connect "redis.test:$redis_port"
kubectl -n walled delete networkpolicy worker >/dev/null
holds "without the policy again: the worker reaches the page" in_pod worker connect "$page"
holds "without the policy again: the worker is reached" in_pod other connect "$worker:8080"
remove
holds "the namespace goes" gone
