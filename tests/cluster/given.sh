# Tells whether a cluster is given by KUBECONFIG, and uses it: sourced by up.sh and deploy.sh, after settings.sh.
#
# Takes: KUBECONFIG; for the deployment IMAGE, and perhaps NAMESPACE and VALUES. Gives: the functions below.
# Does not: start a cluster, nor bring the image to where the given one pulls from.
# shellcheck shell=bash disable=SC2154 # variables of settings.sh

# A program of the machine, else the one built here: tool NAME
tool() {
  local program
  program=$(type -P "$1" || true)
  [ -n "$program" ] || program=$bin/$1
  [ -x "$program" ] || fail "KUBECONFIG is set, but there is no $1 to use it. Fix: install $1, or unset KUBECONFIG"
  echo "$program"
}

a_cluster_is_given() {
  [ -n "${KUBECONFIG:-}" ] && [ "$KUBECONFIG" != "$kubeconfig" ] || return
  local program
  program=$(tool kubectl) || exit
  "$program" get --raw /readyz --request-timeout 10s >/dev/null 2>&1 ||
    fail "the cluster of KUBECONFIG=$KUBECONFIG does not answer. Fix: mend it, or unset KUBECONFIG to get a cluster here"
}

given_kubectl() { "$(tool kubectl)" "$@"; }
given_helm() { "$(tool helm)" "$@"; }

# What an earlier installation was given stays, such as the ports of a Redis that policies let through.
install_the_operator() {
  given_helm upgrade --install signup-operator "$root/charts/signup-operator" --namespace signup-system --create-namespace \
    --wait --timeout 5m --reset-then-reuse-values --set "image.repository=${IMAGE%:*},image.tag=${IMAGE##*:}" >/dev/null
}

# With servers to try it with, unless VALUES names others.
install_the_pipeline() {
  local demo=demo.postgres.enabled=true,demo.redis.enabled=true,demo.inbox.enabled=true,demo.inbox.image=$IMAGE
  local values=(--set "$demo")
  [ -z "${VALUES:-}" ] || values=(--values "$VALUES")
  given_helm upgrade --install demo "$root/charts/signup-pipeline" --namespace "$namespace" --create-namespace "${values[@]}" >/dev/null
}

the_given_pipeline_is_ready() {
  given_kubectl -n "$namespace" wait --for condition=Ready --timeout 5m signuppipeline/demo >/dev/null && return
  given_kubectl -n "$namespace" get signuppipeline demo --output wide >&2
  return 1
}

deploy_on_the_given_cluster() {
  if [[ ${IMAGE:-} != *:* ]]; then
    say "make image builds the image; bring it to where your cluster pulls from (docs/deploying.md), then:"
    fail "IMAGE must name it with its tag. Fix: make cluster IMAGE=registry.example.com/signup:0.1.0"
  fi
  local namespace=${NAMESPACE:-demo}
  timed "operator" install_the_operator
  timed "pipeline in namespace $namespace" install_the_pipeline
  timed "pipeline Ready" the_given_pipeline_is_ready
  given_helm --namespace "$namespace" get notes demo
}
