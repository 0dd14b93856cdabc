# The life of both releases on a real API server, by Helm: sourced by ../test.sh.
#
# Takes: a running API server. Gives: the functions below, each of which goes on where the one before stopped.
# Does not: wait for pods; there is no node.
# shellcheck shell=bash disable=SC2154 # the variables are of test.sh and settings.sh

crd=customresourcedefinition/signuppipelines.signup.dev

# Every object that Helm made of a release, with its version: versions_of RELEASE [KINDS]
versions_of() {
  kubectl get --all-namespaces --selector "app.kubernetes.io/managed-by=Helm,app.kubernetes.io/instance=$1" --output \
    'jsonpath={range .items[*]}{.kind}/{.metadata.namespace}/{.metadata.name} {.metadata.resourceVersion}{"\n"}{end}' \
    "${2:-customresourcedefinitions,clusterroles,clusterrolebindings,roles,rolebindings,serviceaccounts,secrets,services,deployments,networkpolicies,poddisruptionbudgets,signuppipelines}"
}

install_operator() {
  # shellcheck disable=SC2046 # words, not one argument
  helm install $(release_of signup-operator) "$charts/signup-operator" "$@" &&
    kubectl wait --for condition=Established --timeout 30s $crd
}

# shellcheck disable=SC2046 # words, not one argument
install_pipeline() { helm install $(release_of signup-pipeline) "$charts/signup-pipeline" "$@"; }

delay_of_the_pipeline() { kubectl -n shop get signuppipeline demo --output 'jsonpath={.spec.task.delay}'; }

the_operator_and_a_demo_are_installed() {
  install_operator && install_pipeline --set demo.postgres.enabled=true,demo.redis.enabled=true,demo.inbox.enabled=true || return
  [ "$(delay_of_the_pipeline)" = 10s ] || { echo "the resource has no defaults"; return 1; }
}

an_upgrade_with_the_same_values_changes_nothing() {
  { versions_of signup-operator && versions_of demo; } >"$state/before" || return
  [ "$(wc -l <"$state/before")" -ge 20 ] || { echo "too few objects"; cat "$state/before"; return 1; }
  # shellcheck disable=SC2046
  helm upgrade $(release_of signup-operator) "$charts/signup-operator" --reuse-values &&
    helm upgrade $(release_of signup-pipeline) "$charts/signup-pipeline" --reuse-values || return
  { versions_of signup-operator && versions_of demo; } >"$state/after" || return
  diff "$state/before" "$state/after"
}

an_upgrade_changes_and_a_rollback_restores_the_pipeline() {
  # shellcheck disable=SC2046
  helm upgrade $(release_of signup-pipeline) "$charts/signup-pipeline" --reuse-values --set task.delay=1s || return
  [ "$(delay_of_the_pipeline)" = 1s ] || { echo "upgraded to $(delay_of_the_pipeline), not 1s"; return 1; }
  helm rollback demo 2 --namespace shop || return
  [ "$(delay_of_the_pipeline)" = 10s ] || { echo "rolled back to $(delay_of_the_pipeline), not 10s"; return 1; }
}

without_the_operator_its_definition_and_pipelines_stay() {
  local before
  before=$(kubectl -n shop get signuppipeline demo --output 'jsonpath={.metadata.uid}') &&
    kubectl -n signup-system get lease signup-operator &&
    helm uninstall signup-operator --namespace signup-system || return
  ! kubectl -n signup-system get lease signup-operator || { echo "the next operator would wait for this Lease"; return 1; }
  [ "$(kubectl -n shop get signuppipeline demo --output 'jsonpath={.metadata.uid}')" = "$before" ] || return
  versions_of signup-operator | grep -v '^CustomResourceDefinition/' && { echo "is left"; return 1; }
  kubectl get $crd
}

a_second_install_adopts_them() {
  local before
  before=$(kubectl -n shop get signuppipeline demo --output 'jsonpath={.metadata.uid}') && install_operator || return
  [ "$(kubectl -n shop get signuppipeline demo --output 'jsonpath={.metadata.uid}')" = "$before" ]
}

without_its_release_the_pipeline_is_gone() {
  helm uninstall demo --namespace shop || return
  [ -z "$(versions_of demo)" ] || { versions_of demo; return 1; }
}

an_operator_for_two_namespaces_is_installed() {
  helm uninstall signup-operator --namespace signup-system && install_operator --set 'watchNamespaces={shop,forum}' || return
  [ -z "$(versions_of signup-operator clusterroles,clusterrolebindings)" ] || { echo "has cluster-wide rights"; return 1; }
}
