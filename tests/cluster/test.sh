#!/usr/bin/env bash
# Tests the whole thread on a real Kubernetes: what `make test-cluster` runs.
#
#   tests/cluster/test.sh        with an image of this clone's programs
#   tests/cluster/test.sh TAG    with localhost/signup:TAG, which is in the cluster already
#   ONLY=thread tests/cluster/test.sh    without the faults, roll-outs and edits under load of tests/tests/cluster
#
# Takes: root; brings the cluster up when none runs here. Gives: one line per test, the output of those that failed, and their
# number; fails when there is one. Takes the cluster down in the end, for that nothing is left is a test too, also after Ctrl-C or
# when the cluster did not come up.
# Does not: work on a cluster of KUBECONFIG.
# shellcheck disable=SC1091,SC2154,SC2317 # sourced files and their variables; tests are called by name
set -uo pipefail
unset KUBECONFIG
source "$(dirname "$0")/settings.sh"
source "$source_dir/processes.sh"
source "$source_dir/demo.sh"

require_root
passed=0 failed=0
output=$(mktemp)
trap 'rm -f "$output"' EXIT
trap interrupted INT TERM

# Runs a test and tells how it went and how long it took: check FUNCTION ARGUMENTS...
check() {
  local began=$EPOCHREALTIME took word=ok
  if "$@" >"$output" 2>&1; then passed=$((passed + 1)); else failed=$((failed + 1)) word=FAILED; fi
  took=$(awk -v began="$began" -v now="$EPOCHREALTIME" 'BEGIN {printf "%.1f", now - began}')
  printf '%-7s %s (%s s)\n' "$word" "${1//_/ }" "$took"
  [ "$word" = ok ] || tail -n 40 "$output" | cut -c -300 | sed 's/^/        /'
}

# What another clone runs is not ours to end.
something_of_ours_is_up() { [ "$(readlink "$run/state" 2>/dev/null)" = "$state" ]; }

interrupted() {
  trap '' INT TERM
  say "interrupted"
  ! something_of_ours_is_up || "$source_dir/down.sh"
  exit 130
}

finish() {
  printf '%d passed, %d failed\n' "$passed" "$failed"
  [ "$failed" -eq 0 ]
  exit
}

# Names that no earlier run has taken in the database.
run_id=$(date +%s)
user() { echo "u${run_id}$1"; }

has_a_mail() { [ -n "$(links_to "$1")" ]; }
replicas_of_the_workers() { kubectl -n demo get deployment demo-worker --output 'jsonpath={.spec.replicas}'; }
there_are_workers() { [ "$(replicas_of_the_workers)" = "$1" ]; }
no_worker_pod_is_left() {
  [ -z "$(kubectl -n demo get pods --selector app.kubernetes.io/component=worker --output name)" ]
}

# Names and start times, which a restarted container changes.
containers_of_the_pipeline() {
  kubectl -n demo get pods --selector app.kubernetes.io/instance=demo --sort-by .metadata.name --output \
    'jsonpath={range .items[*]}{.metadata.name} {.status.containerStatuses[*].state.running.startedAt}{"\n"}{end}'
}

edit() { kubectl -n demo patch signuppipeline demo --type merge --patch "{\"spec\": $1}"; }

the_configuration_is_in_force() { pipeline_is_current && holds ConfigApplied && [ "$(pipeline_field .status.config.hash)" != "$1" ]; }

# signs_up USERNAME [HOST]
signs_up() {
  local status
  status=$(sign_up "$@")
  [ "$status" = 200 ] || { echo "the signup was answered with $status"; return 1; }
}

# Of the image in use.
tag() {
  helm get values signup-operator --namespace signup-system --output json |
    /usr/bin/python3 -c 'import json, sys; print(json.load(sys.stdin)["image"]["tag"])'
}

# Without a build, so that an edit of the sources during the tests changes nothing.
deploy_the_same_image() {
  local image
  image=$(kubectl -n demo get deployment demo-api --output 'jsonpath={.spec.template.spec.containers[0].image}') || return
  "$source_dir/deploy.sh" "${image##*:}"
}

a_cluster_comes_up() { "$source_dir/up.sh"; }
the_pipeline_is_deployed_and_ready() { "$source_dir/deploy.sh" "$@"; }
deploying_again_replaces_no_pod() {
  local before
  before=$(containers_of_the_pipeline) && [ -n "$before" ] && deploy_the_same_image || return
  diff <(echo "$before") <(containers_of_the_pipeline)
}

a_signup_through_the_ingress_is_answered_with_200_and_its_mail_arrives() {
  signs_up "$(user a)" && wait_until 60 '' has_a_mail "$(user a)"
}

# The link opens a page with a button; what the button does is a request to /v1.
its_mail_is_one_and_its_link_verifies_with_its_own_code_alone() {
  local link path
  link=$(links_to "$(user a)")
  echo "links: $(wc -l <<<"$link")"
  [ "$(wc -l <<<"$link")" = 1 ] && [[ $link == "http://$api_host/verify_email?"* ]] || return
  path=${link#"http://$api_host"}
  [ "$(request "$api_host" "$path")" = 200 ] || { echo "the link opens no page"; return 1; }
  [ "$(request "$api_host" "/v1${path%?????}aaaaa")" != 200 ] || { echo "another code verifies too"; return 1; }
  [ "$(request "$api_host" "/v1$path")" = 200 ] || { echo "the code does not verify"; return 1; }
}

a_user_name_that_is_taken_is_refused() {
  local status
  status=$(sign_up "$(user a)")
  [ "$status" = 409 ] || { echo "answered with $status"; return 1; }
}

answers_at() { [ "$(request "$1" /v1/verify_email)" = 400 ]; }
has_no_ingress() { ! kubectl -n demo get ingress demo; }

# Under another name, so that no answer comes by the Ingress that goes.
a_signup_through_a_gateway_is_answered_with_200_too() {
  edit '{"expose": {"host": "route.test", "ingress": null,
    "gateway": {"parentRefs": [{"name": "signup", "namespace": "projectcontour"}]}}}' || return
  wait_until 60 '' answers_at route.test || { pipeline_field .status.conditions; return 1; }
  wait_until 30 '' holds Exposed && wait_until 30 '' has_no_ingress && signs_up "$(user g)" route.test || return
  edit "{\"expose\": {\"host\": \"$api_host\", \"gateway\": null, \"ingress\": {\"className\": \"contour\"}}}" &&
    wait_until 60 '' answers_at "$api_host"
}

an_edit_of_the_delay_reaches_every_pod_without_a_restart() {
  local before hash
  before=$(containers_of_the_pipeline) && hash=$(pipeline_field .status.config.hash) && edit '{"task": {"delay": "1s"}}' || return
  wait_until 30 '' the_configuration_is_in_force "$hash" || { pipeline_field .status; return 1; }
  diff <(echo "$before") <(containers_of_the_pipeline)
}

a_signup_after_the_edit_has_its_mail() { signs_up "$(user b)" && wait_until 60 '' has_a_mail "$(user b)"; }

without_work_the_workers_go_to_zero() {
  edit '{"worker": {"autoscaling": {"minReplicas": 0, "cooldownPeriod": "5s"}}}' || return
  wait_until 120 '' there_are_workers 0 || { pipeline_field .status; return 1; }
  wait_until 120 '' no_worker_pod_is_left || return
  wait_until 30 '' holds Ready
}

a_signup_brings_a_worker_back_and_its_mail_arrives() {
  there_are_workers 0 && signs_up "$(user c)" && wait_until 120 '' has_a_mail "$(user c)"
}

operator_check() { kubectl -n signup-system exec deploy/signup-operator -- /operator check "$@"; }

the_check_of_the_operator_finds_nothing_wrong() { operator_check -n demo demo; }

and_it_names_a_secret_that_is_missing_and_the_fix() {
  local said status
  kubectl create namespace no-secrets && kubectl -n no-secrets apply --filename "$root/samples/minimal.yaml" || return
  said=$(operator_check -n no-secrets demo)
  status=$?
  kubectl delete namespace no-secrets || return
  echo "exit code $status: $said"
  [ "$status" -eq 1 ] && grep -A1 '^error .*Secret app-db, named by spec.database.secretRef, does not exist' <<<"$said" |
    grep -q 'Fix: create it with the key uri'
}

the_workers_network_policy_lets_through_what_it_needs_and_nothing_else() { "$source_dir/walled.sh"; }

every_pod_is_held_to_pod_security_restricted() {
  [ "$(kubectl get namespaces demo signup-system \
    --output 'jsonpath={.items[*].metadata.labels.pod-security\.kubernetes\.io/enforce}')" = "restricted restricted" ]
}

uninstalling_the_operator_keeps_the_definition_the_pipeline_and_its_pods() {
  local before
  before=$(pipeline_field .metadata.uid) && helm uninstall signup-operator --namespace signup-system --wait || return
  [ "$(pipeline_field .metadata.uid)" = "$before" ] && kubectl get customresourcedefinition signuppipelines.signup.dev &&
    kubectl -n demo get deployment demo-api demo-worker
}

without_the_operator_signups_go_on() { signs_up "$(user d)"; }

an_operator_installed_again_takes_the_pipeline_up() {
  deploy_the_same_image && wait_until 60 '' has_a_mail "$(user d)"
}

deleting_the_pipeline_leaves_none_of_its_objects() {
  kubectl -n demo delete signuppipeline demo --timeout 60s && wait_until 60 '' nothing_of_the_pipeline_is_left
}
nothing_of_the_pipeline_is_left() {
  [ -z "$(kubectl -n demo get deployments,services,configmaps,secrets,ingresses,pods,networkpolicies \
    --selector app.kubernetes.io/instance=demo --output name)" ]
}

# The same cluster, as one that somebody else has made: with the pipeline's chart, and servers that VALUES names.
a_cluster_that_kubeconfig_names_gets_the_operator_and_a_pipeline_too() {
  local image
  image=localhost/signup:$(tag) || return
  cp "$kubeconfig" "$state/given.kubeconfig" && kubectl create namespace given || return
  # A database belongs to one pipeline, and the first one is that of namespace demo.
  "$source_dir/servers.sh" database given >/dev/null && "$source_dir/servers.sh" secrets given given || return
  printf '%s\n' 'database: {secretRef: {name: app-db}}' 'redis: {secretRef: {name: app-redis}}' \
    "demo: {inbox: {enabled: true, image: $image}}" >"$state/given.yaml"
  KUBECONFIG=$state/given.kubeconfig IMAGE=$image NAMESPACE=given VALUES=$state/given.yaml "$source_dir/deploy.sh" || return
  [ "$(kubectl -n given get deployment demo-api --output 'jsonpath={.status.readyReplicas}')" = 2 ]
}

# What kubelets measure, for the autoscalers of the tests that follow.
the_metrics_api_answers() { "$source_dir/metrics.sh"; }

# What the tests of tests/tests/cluster say, each in a namespace of its own: edits, roll-outs and faults under load.
what_must_hold_holds() {
  local log=$root/target/cluster-tests.log
  # The selection of `make test`, so that nothing is built twice.
  cargo test --manifest-path "$root/Cargo.toml" --workspace --features operator/apiserver-tests,pipeline-tests/cluster-tests \
    --test cluster >"$log" 2>&1
  local result=$?
  grep -E '^(test |thread|not within|assertion| +left:| +right:)' "$log"
  echo "all they say: $log"
  return $result
}

# The operator built for release, with an API server of its own, when the cluster leaves the machine to it.
a_thousand_pipelines_are_served() {
  cargo test --manifest-path "$root/Cargo.toml" --package operator --features release-tests --test many -- --nocapture
}

# On a cluster that has never seen the operator, as far as these can tell.
the_charts_install_change_and_remove_operator_and_pipeline() {
  local tag
  tag=$(tag) && helm uninstall signup-operator --namespace signup-system --wait &&
    kubectl delete customresourcedefinition signuppipelines.signup.dev --timeout 2m && "$source_dir/charts.sh" "$tag"
}

the_cluster_goes_down_and_leaves_nothing() { "$source_dir/down.sh"; }

check a_cluster_comes_up
if [ "$failed" -gt 0 ]; then
  ! something_of_ours_is_up || check the_cluster_goes_down_and_leaves_nothing
  finish
fi
check the_pipeline_is_deployed_and_ready "$@"
if [ "$failed" -eq 0 ]; then
  check deploying_again_replaces_no_pod
  check the_check_of_the_operator_finds_nothing_wrong
  check and_it_names_a_secret_that_is_missing_and_the_fix
  [ -n "${WITHOUT_POLICIES:-}" ] || check the_workers_network_policy_lets_through_what_it_needs_and_nothing_else
  check every_pod_is_held_to_pod_security_restricted
  check a_signup_through_the_ingress_is_answered_with_200_and_its_mail_arrives
  check its_mail_is_one_and_its_link_verifies_with_its_own_code_alone
  check a_user_name_that_is_taken_is_refused
  check a_signup_through_a_gateway_is_answered_with_200_too
  check an_edit_of_the_delay_reaches_every_pod_without_a_restart
  check a_signup_after_the_edit_has_its_mail
  check without_work_the_workers_go_to_zero
  check a_signup_brings_a_worker_back_and_its_mail_arrives
  check uninstalling_the_operator_keeps_the_definition_the_pipeline_and_its_pods
  check without_the_operator_signups_go_on
  check an_operator_installed_again_takes_the_pipeline_up
  check deleting_the_pipeline_leaves_none_of_its_objects
  check a_cluster_that_kubeconfig_names_gets_the_operator_and_a_pipeline_too
  if [ "${ONLY:-}" != thread ]; then
    check the_metrics_api_answers
    check what_must_hold_holds
    check the_charts_install_change_and_remove_operator_and_pipeline
  fi
fi
check the_cluster_goes_down_and_leaves_nothing
[ "${ONLY:-}" = thread ] || check a_thousand_pipelines_are_served
finish
