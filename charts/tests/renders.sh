# Tests of what the charts render, without a cluster: sourced by ../test.sh.
#
# Takes: values/CHART/NAME.yaml, refused/CHART/NAME.yaml (whose first line tells the words of the refusal), golden/CHART/NAME.yaml.
# Gives: the functions below; UPDATE_GOLDEN=1 writes the golden files instead. Does not: render the resource definition again
# and again; what_is_generated_is_current compares it byte by byte.
# shellcheck shell=bash disable=SC2154 # the variables are of test.sh and settings.sh

# release_of CHART: the name and namespace that every test uses
release_of() {
  case $1 in
    signup-operator) echo signup-operator --namespace signup-system ;;
    signup-pipeline) echo demo --namespace shop ;;
  esac
}

# render CHART NAME: objects, test and notes, without the definition
render() {
  # shellcheck disable=SC2046 # words, not one argument
  "$bin/helm" install $(release_of "$1") "$charts/$1" --dry-run=client --values "$tests/values/$1/$2.yaml" |
    sed '/^LAST DEPLOYED: /d; /^# Source: .*\/templates\/crd.yaml$/,/^---$/d'
}

# value_sets: CHART NAME, one a line
value_sets() {
  local file
  for file in "$tests"/values/*/*.yaml; do echo "$(basename "$(dirname "$file")") $(basename "$file" .yaml)"; done
}

the_charts_pass_helm_lint_strictly() {
  "$bin/helm" lint --strict --quiet "$charts/signup-operator" &&
    "$bin/helm" lint --strict --quiet "$charts/signup-pipeline" --values "$tests/values/signup-pipeline/minimal.yaml"
}

what_is_generated_is_current() { "$charts/generate.sh" --check; }

the_kept_definition_is_the_operators_own() {
  local rendered=$state/definition
  "$bin/helm" template signup-operator "$charts/signup-operator" --show-only templates/crd.yaml >"$rendered" || return
  grep -qx '    helm.sh/resource-policy: keep' "$rendered" || { echo "without the policy that keeps it"; return 1; }
  diff --ignore-blank-lines <(sed '1,2d; /^  labels:$/,/resource-policy/d' "$rendered") "$root/operator/tests/golden/crd.yaml"
}

renders_as_its_golden_file() {
  local golden=$tests/golden/$1/$2.yaml
  render "$1" "$2" >"$state/render" || return
  if [ -n "${UPDATE_GOLDEN:-}" ]; then mkdir -p "$(dirname "$golden")" && cp "$state/render" "$golden"; fi
  diff -u "$golden" "$state/render" || { echo "Fix: look at the difference, then UPDATE_GOLDEN=1 charts/test.sh"; return 1; }
}

# The newest one, the API server of the tests after these, takes them too.
the_oldest_kubernetes_knows_every_object_and_field() {
  local chart name file
  while read -r chart name; do
    # shellcheck disable=SC2046 # words, not one argument
    "$bin/helm" template $(release_of "$chart") "$charts/$chart" --kube-version 1.30.0 --values "$tests/values/$chart/$name.yaml" || return
  done < <(value_sets) >"$state/objects"
  for file in "$root"/operator/tests/golden/*.children.yaml; do { echo ---; cat "$file"; } >>"$state/objects"; done
  (cd "$tests/oldest" && go run . <"$state/objects")
}

at_least_12_value_sets_have_a_golden_file() { [ "$(value_sets | wc -l)" -ge 12 ]; }

every_golden_file_has_its_values() {
  diff <(value_sets) <(for file in "$tests"/golden/*/*.yaml; do echo "$(basename "$(dirname "$file")") $(basename "$file" .yaml)"; done)
}

# Namespaces, a release, an account and a domain whose names YAML would read as numbers.
what_looks_like_a_number_stays_text() {
  local chart name more field
  while read -r chart name; do
    more=serviceAccount.name=123
    [ "$chart" = signup-operator ] || more=test.domain=123,name=demo
    "$bin/helm" template 123 --namespace 123 "$charts/$chart" --values "$tests/values/$chart/$name.yaml" --set-string "$more" || return
  done < <(value_sets) >"$state/objects"
  for field in name namespace serviceAccountName app.kubernetes.io/instance signup.dev/watches value; do
    grep -q " $field: \"123\"$" "$state/objects" || { echo "$field is never the text 123"; return 1; }
  done
  ! grep -nE '(: |- )123 *([,}]|$)' "$state/objects"
}

# The namespaces of the value set odd-namespaces, one a line.
odd_namespaces() { sed -n 's/^  - "\{0,1\}\([-a-z0-9]*\)"\{0,1\}$/\1/p' "$tests/values/signup-operator/odd-namespaces.yaml"; }

every_watched_namespace_has_a_deployment_of_its_own() {
  local names
  names=$(render signup-operator odd-namespaces | grep -A 2 '^kind: Deployment$' | sed -n 's/^  name: //p' | sort -u)
  [ "$(wc -l <<<"$names")" -eq "$(odd_namespaces | wc -l)" ] || { echo "too few:"; echo "$names"; return 1; }
  ! grep -E '.{64}' <<<"$names"
}

# is_refused CHART NAME: by the words in the file's first line
is_refused() {
  local file=$tests/refused/$1/$2.yaml words
  words=$(sed -n '1s/^# refused: //p' "$file")
  [ -n "$words" ] || { echo "$file does not begin with '# refused: '"; return 1; }
  ! "$bin/helm" template demo "$charts/$1" --values "$file" >"$state/refusal" 2>&1 || { echo "was rendered"; return 1; }
  grep -qF "$words" "$state/refusal" || { echo "was refused, but not with: $words"; cat "$state/refusal"; return 1; }
}

namespaced_mode_has_no_cluster_wide_object() {
  ! grep -E '^kind: (Cluster|Namespace)' "$tests/golden/signup-operator/namespaced.yaml" &&
    ! render signup-operator namespaced | grep '^kind: Cluster'
}

no_right_has_a_wildcard() { ! grep -n '"\*"\|\[\*\]\|- \*' "$tests"/golden/signup-operator/*.yaml; }

# Whoever applies what `helm template` prints would start the pods of `helm test`.
without_hooks_or_tests_no_pod_is_rendered() {
  local chart name how
  while read -r chart name; do
    for how in --no-hooks "--set test.enabled=false"; do
      # shellcheck disable=SC2046,SC2086 # words, not one argument
      "$bin/helm" template $(release_of "$chart") "$charts/$chart" --values "$tests/values/$chart/$name.yaml" $how >"$state/objects" || return
      ! grep -qx 'kind: Pod' "$state/objects" || { echo "$chart $name $how renders a Pod"; return 1; }
    done
  done < <(value_sets)
}

assigned_ids_are_left_to_the_cluster() {
  grep -q runAsNonRoot "$tests/golden/signup-operator/assigned.yaml" && grep -q runAsNonRoot "$tests/golden/signup-pipeline/assigned.yaml" &&
    ! grep -nE 'runAsUser|runAsGroup|fsGroup:' "$tests"/golden/*/assigned.yaml
}
