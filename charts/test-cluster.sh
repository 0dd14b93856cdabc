#!/usr/bin/env bash
# Tests the charts on a cluster with nodes: install, `helm test`, upgrade, life without the operator, adoption, removal.
#
#   DATABASE_URI=... REDIS_URI=... charts/test-cluster.sh IMAGE TEST_IMAGE
#
# Takes: KUBECONFIG of a cluster without a SignupPipeline definition; the URIs of an empty database and of a Redis database, as
# pods reach them; IMAGE with the four programs and TEST_IMAGE with BusyBox, as the nodes know them.
# Gives: one line per test, and fails when one did. Removes what it made, however it ends, except the tables in the database.
# Does not: start a cluster (tests/cluster/up.sh does), nor load an image (tests/cluster/image.sh does).
set -uo pipefail

charts=$(cd "$(dirname "$0")" && pwd)
PATH=$PATH:$(dirname "$charts")/target/cluster/bin
if [ $# -ne 2 ] || [ -z "${DATABASE_URI:-}" ] || [ -z "${REDIS_URI:-}" ]; then
  echo "usage: DATABASE_URI=... REDIS_URI=... charts/test-cluster.sh IMAGE TEST_IMAGE" >&2
  exit 2
fi
image=$1 test_image=$2
crd=customresourcedefinition/signuppipelines.signup.dev
! kubectl get $crd >/dev/null 2>&1 || { echo "this cluster has pipelines already; use one without" >&2; exit 2; }
state=$(mktemp -d)
source "$charts/tests/check.sh"
system=charts-test-system shop=charts-test-shop

make_namespaces() {
  local namespace
  for namespace in $system $shop; do
    kubectl create namespace "$namespace" && kubectl label namespace "$namespace" pod-security.kubernetes.io/enforce=restricted || return
  done
  printf '%s' "$DATABASE_URI" | kubectl -n $shop create secret generic app-db --from-file uri=/dev/stdin &&
    printf '%s' "$REDIS_URI" | kubectl -n $shop create secret generic app-redis --from-file uri=/dev/stdin
}

remove_everything() {
  helm uninstall demo --namespace $shop --ignore-not-found >/dev/null 2>&1
  helm uninstall signup-operator --namespace $system --ignore-not-found >/dev/null 2>&1
  kubectl delete --ignore-not-found $crd namespace/$system namespace/$shop >/dev/null
  rm -rf "$state"
}

install_operator() {
  helm install signup-operator "$charts/signup-operator" --namespace $system --wait --timeout 2m \
    --set "image.repository=${image%:*},image.tag=${image##*:},test.image=$test_image" "$@"
}

pipeline_is() { kubectl -n $shop wait --for "$1" --timeout 2m signuppipeline/demo; }
uid() { kubectl -n $shop get "$1" --output 'jsonpath={.metadata.uid}'; }
pods() { kubectl -n $shop get pods --selector app.kubernetes.io/managed-by=signup-operator --output name | sort; }

the_operator_is_installed_and_passes_its_test() {
  install_operator && helm test signup-operator --namespace $system --logs --timeout 2m
}

a_pipeline_with_the_demo_inbox_becomes_ready() {
  helm install demo "$charts/signup-pipeline" --namespace $shop --wait --timeout 2m --set api.replicas=1 \
    --set database.secretRef.name=app-db,redis.secretRef.name=app-redis \
    --set "demo.inbox.enabled=true,demo.inbox.image=$image,test.image=$test_image" &&
    pipeline_is condition=Ready
}

a_user_signs_up_and_gets_the_mail() { helm test demo --namespace $shop --logs --timeout 2m; }

an_upgrade_changes_the_delay_and_no_pod() {
  local before
  before=$(pods) && helm upgrade demo "$charts/signup-pipeline" --namespace $shop --reuse-values --set task.delay=1s &&
    pipeline_is condition=ConfigApplied && a_user_signs_up_and_gets_the_mail && diff <(echo "$before") <(pods)
}

signups_go_on_without_the_operator() {
  helm uninstall signup-operator --namespace $system --wait --timeout 1m && kubectl get $crd && a_user_signs_up_and_gets_the_mail
}

a_namespaced_operator_adopts_the_pipeline() {
  local before
  before=$(uid signuppipeline/demo; uid deployment/demo-api; pods)
  install_operator --set "watchNamespaces={$shop}" || return
  [ -z "$(kubectl get clusterroles --selector app.kubernetes.io/instance=signup-operator --output name)" ] || return
  diff <(echo "$before") <(uid signuppipeline/demo; uid deployment/demo-api; pods) || return
  helm upgrade demo "$charts/signup-pipeline" --namespace $shop --reuse-values --set worker.autoscaling.minReplicas=2 &&
    pipeline_is 'jsonpath={.status.worker.readyReplicas}=2' && helm test signup-operator --namespace $system --timeout 2m
}

with_its_release_all_of_the_pipeline_goes() {
  local kinds=deployments,services,ingresses,networkpolicies,poddisruptionbudgets,configmaps,serviceaccounts,secrets,pods
  helm uninstall demo --namespace $shop --wait --timeout 1m &&
    kubectl -n $shop wait --for delete --timeout 2m $kinds --selector app.kubernetes.io/instance=demo
}

trap remove_everything EXIT
make_namespaces >/dev/null || exit
check the_operator_is_installed_and_passes_its_test
check a_pipeline_with_the_demo_inbox_becomes_ready
check a_user_signs_up_and_gets_the_mail
check an_upgrade_changes_the_delay_and_no_pod
check signups_go_on_without_the_operator
check a_namespaced_operator_adopts_the_pipeline
check with_its_release_all_of_the_pipeline_goes
count
