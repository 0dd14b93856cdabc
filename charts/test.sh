#!/usr/bin/env bash
# Tests the charts: what they render, what they refuse, and how a real API server takes them.
#
#   charts/test.sh                   everything
#   UPDATE_GOLDEN=1 charts/test.sh   writes the golden files first
#
# Takes: helm, kubectl, kube-apiserver and etcd, which tests/cluster/build.sh makes when they are missing.
# Gives: one line per test, the output of those that failed, and their number; fails when there is one.
# Does not: run pods; test-cluster.sh does.
set -uo pipefail

charts=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$charts")
tests=$charts/tests
"$root/tests/cluster/build.sh" etcd kube-apiserver kubectl helm || exit
# shellcheck disable=SC1090 # each is checked by itself
for part in check servers renders passwords arguments cluster rights work life; do source "$tests/$part.sh"; done
trap 'stop_work; stop_api_server' EXIT

check the_charts_pass_helm_lint_strictly
check what_is_generated_is_current
check the_kept_definition_is_the_operators_own
while read -r chart name; do check renders_as_its_golden_file "$chart" "$name"; done < <(value_sets)
check the_oldest_kubernetes_knows_every_object_and_field
check what_looks_like_a_number_stays_text
check every_watched_namespace_has_a_deployment_of_its_own
check at_least_12_value_sets_have_a_golden_file
check every_golden_file_has_its_values
for file in "$tests"/refused/*/*.yaml; do check is_refused "$(basename "$(dirname "$file")")" "$(basename "$file" .yaml)"; done
check the_password_of_helm_test_is_long_enough_for_every_minimum
check the_password_in_the_notes_is_long_enough_for_every_minimum
check namespaced_mode_has_no_cluster_wide_object
check no_right_has_a_wildcard
check without_hooks_or_tests_no_pod_is_rendered
check assigned_ids_are_left_to_the_cluster
while read -r chart name; do
  [ "$chart" = signup-pipeline ] || check the_operator_takes_the_arguments_of "$name"
done < <(value_sets)

start_api_server_alone || exit
for namespace in signup-system shop forum $(odd_namespaces); do make_namespace "$namespace" >/dev/null || exit; done
check the_api_server_takes_the_definition_without_a_warning
check the_operator_and_a_demo_are_installed
check the_operator_may_do_its_work_and_no_more
check its_rights_are_enough shop forum
check the_resource_in_the_notes_can_be_pasted
while read -r chart name; do check is_accepted "$chart" "$name"; done < <(value_sets)
check an_upgrade_with_the_same_values_changes_nothing
check an_upgrade_changes_and_a_rollback_restores_the_pipeline
check without_the_operator_its_definition_and_pipelines_stay
check a_second_install_adopts_them
check without_its_release_the_pipeline_is_gone
check an_operator_for_two_namespaces_is_installed
check the_namespaced_operator_may_do_nothing_elsewhere
check its_rights_are_enough shop forum

count
