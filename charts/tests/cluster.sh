# Tests of the charts on a real API server: sourced by ../test.sh, after servers.sh and renders.sh.
#
# Takes: a running API server; all but the first, the operator's chart installed by life.sh. Gives: the functions below. Does not: run a pod.
# shellcheck shell=bash disable=SC2154 # the variables are of test.sh and settings.sh

the_api_server_takes_the_definition_without_a_warning() {
  kubectl create --dry-run=server -f "$root/operator/tests/golden/crd.yaml" 2>"$state/warnings" || { cat "$state/warnings"; return 1; }
  [ ! -s "$state/warnings" ] || { cat "$state/warnings"; return 1; }
}

# The API server's verdict on every object, unknown fields and pod security included: is_accepted CHART NAME
is_accepted() {
  local release namespace
  read -r release _ namespace <<<"$(release_of "$1")"
  # A ServiceMonitor is another project's; its form is in the golden file.
  "$bin/helm" template "$release" "$charts/$1" --namespace "$namespace" --values "$tests/values/$1/$2.yaml" |
    awk 'BEGIN {RS = "---\n"} /kind: ServiceMonitor/ {next} {printf "---\n%s", $0}' >"$state/objects.yaml"
  kubectl apply --server-side --force-conflicts --dry-run=server --validate=strict -f "$state/objects.yaml" >"$state/answer" 2>"$state/warnings" ||
    { cat "$state/warnings"; return 1; }
  [ ! -s "$state/warnings" ] || { cat "$state/warnings"; return 1; }
}

the_resource_in_the_notes_can_be_pasted() {
  sed -n "/^  kubectl apply .*<<'PIPELINE'$/,/^  PIPELINE$/p" "$tests/golden/signup-operator/default.yaml" | sed '1d; $d; s/^  //' >"$state/pasted.yaml"
  [ -s "$state/pasted.yaml" ] || { echo "the notes hold none"; return 1; }
  kubectl -n shop apply --server-side --force-conflicts --dry-run=server --validate=strict -f "$state/pasted.yaml"
}
