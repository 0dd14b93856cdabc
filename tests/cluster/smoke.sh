#!/usr/bin/env bash
# Shows that the cluster of up.sh carries what the project needs: two restricted pods of a local image, reached by Ingress and
# by HTTPRoute, their logs, commands in them, names, and the PostgreSQL and Redis beside the cluster.
#
# Takes: a cluster that up.sh started here. Gives: one line per fact, exit status 0 when all hold. Does not: leave anything in
# the cluster but the image localhost/signup:smoke.
set -euo pipefail
source "$(dirname "$0")/settings.sh"
source "$source_dir/processes.sh"

require_root
kubectl get --raw /readyz >/dev/null 2>&1 || fail "the cluster of $kubeconfig does not answer. Fix: make cluster"

passed=0
# Waits until a command succeeds and counts it: holds FACT COMMAND...
holds() {
  local fact=$1
  shift
  timed "$fact" wait_until 60 "" "$@"
  passed=$((passed + 1))
}

answers() { [ "$(curl -sf --max-time 2 -H "Host: $1" "http://$host_address/")" = "$1" ]; }
answers_over_tls() {
  [ "$(curl -sf --max-time 2 --cacert "$state/pki/ca.crt" --resolve "$1:443:$host_address" "https://$1/")" = "$1" ]
}
in_pod() { kubectl -n smoke exec deploy/smoke -- /smoke "$@"; }
resolves() { [ "$(in_pod resolve "$1")" = "$2" ]; }
logged() { kubectl -n smoke logs deploy/smoke | grep -q 'listening on'; }
service_address_of_smoke() { kubectl -n smoke get service smoke -o 'jsonpath={.spec.clusterIP}'; }
has_address() { [ "$(kubectl -n smoke get ingress smoke -o 'jsonpath={.status.loadBalancer.ingress[0].ip}')" = "$host_address" ]; }
gone() { ! kubectl get namespace smoke; }

remove() { kubectl delete namespace smoke --ignore-not-found --wait=false >/dev/null 2>&1 || true; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"; remove' EXIT

timed "built the program" env -C "$source_dir/smoke" CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags '-s -w' -o "$folder/smoke" .
"$source_dir/image.sh" "$folder" smoke
remove
timed "no earlier namespace" wait_until 60 "" gone
kubectl apply --server-side -f "$source_dir/smoke/pods.yaml" >/dev/null
holds "two restricted pods are available" kubectl -n smoke rollout status deployment/smoke --timeout 1s
holds "the Ingress answers by name" answers ingress.smoke.test
holds "the HTTPRoute answers by name" answers route.smoke.test
holds "the HTTPRoute answers over TLS" answers_over_tls route.smoke.test
holds "the Ingress has the address" has_address
holds "logs are read" logged
holds "a command runs in a pod, and a Service has a name" resolves smoke.smoke.svc "$(service_address_of_smoke)"
holds "short names are searched" resolves smoke "$(service_address_of_smoke)"
holds "pods reach each other by Service" in_pod connect smoke:80
holds "pods reach PostgreSQL" in_pod connect "postgres.test:$postgres_port"
holds "pods reach Redis" in_pod connect "redis.test:$redis_port"
holds "pods reach the API server" in_pod connect kubernetes.default:443
remove
holds "the namespace goes" gone
printf '%d passed, 0 failed\n' "$passed"
