# Tests of the operator's rights, by the API server's own answers: sourced by ../test.sh.
#
# Takes: the operator's chart installed by life.sh. Gives: the two tests at the end. Lines of the table are
# `true VERB RESOURCE NAMESPACE` or `false ...`, RESOURCE as resource.group, resource.group/subresource or resource.group:name.
# Does not: ask about what no line names; that a right has no wildcard is a test of renders.sh.
# shellcheck shell=bash disable=SC2154 # the variables are of test.sh and settings.sh

# table ANSWER NAMESPACE VERBS RESOURCES...: VERBS with commas between
table() {
  local answer=$1 namespace=$2 verbs=$3 verb resource
  shift 3
  for resource in "$@"; do for verb in ${verbs//,/ }; do echo "$answer $verb $resource $namespace"; done; done
}

# A question per line, as the operator's account. The API server answers it whether or not the group is served.
questions() {
  local answer verb resource namespace name subresource group
  while read -r answer verb resource namespace; do
    name='' subresource='' group=''
    case $resource in
      *:*) name=${resource#*:} resource=${resource%%:*} ;;
      */*) subresource=${resource#*/} resource=${resource%%/*} ;;
    esac
    [[ $resource != *.* ]] || group=${resource#*.}
    cat <<REVIEW
---
apiVersion: authorization.k8s.io/v1
kind: SubjectAccessReview
spec:
  user: system:serviceaccount:signup-system:signup-operator
  groups: [system:serviceaccounts, system:serviceaccounts:signup-system, system:authenticated]
  resourceAttributes:
    {verb: $verb, resource: "${resource%%.*}", group: "$group", subresource: "$subresource", name: "$name", namespace: $namespace}
REVIEW
  done
}

# Asks about every line of the input; fails with the lines that are answered otherwise.
are_the_answers() {
  cat >"$state/table" && questions <"$state/table" >"$state/questions.yaml" &&
    kubectl create --output 'jsonpath={.status.allowed}{"\n"}' -f "$state/questions.yaml" >"$state/answers" || return
  diff "$state/table" <(paste -d ' ' "$state/answers" <(cut -d ' ' -f 2- "$state/table"))
}

# What the operator does in a namespace with pipelines.
its_work_in() {
  table true "$1" get,list,watch signuppipelines.signup.dev configmaps services serviceaccounts deployments.apps \
    horizontalpodautoscalers.autoscaling \
    poddisruptionbudgets.policy networkpolicies.networking.k8s.io ingresses.networking.k8s.io httproutes.gateway.networking.k8s.io podmonitors.monitoring.coreos.com
  table true "$1" create,patch configmaps services serviceaccounts deployments.apps poddisruptionbudgets.policy \
    horizontalpodautoscalers.autoscaling \
    networkpolicies.networking.k8s.io ingresses.networking.k8s.io httproutes.gateway.networking.k8s.io \
    podmonitors.monitoring.coreos.com events.events.k8s.io
  table true "$1" delete horizontalpodautoscalers.autoscaling poddisruptionbudgets.policy networkpolicies.networking.k8s.io ingresses.networking.k8s.io \
    httproutes.gateway.networking.k8s.io podmonitors.monitoring.coreos.com
  table true "$1" get,create secrets
  table true "$1" get "namespaces:$1"
  table true "$1" list,watch pods servicemonitors.monitoring.coreos.com
  table true "$1" get gateways.gateway.networking.k8s.io
  table true "$1" patch pods signuppipelines.signup.dev/status deployments.apps/scale
  table true "$1" update signuppipelines.signup.dev/finalizers
  table true "$1" list events
}

# What no operator needs, wherever it works.
no_more_in() {
  table false "$1" list,watch,create,update,patch,delete gateways.gateway.networking.k8s.io
  table false "$1" create,update,patch,delete servicemonitors.monitoring.coreos.com
  table false "$1" create,update,patch,delete,watch ingressclasses.networking.k8s.io
  table false "$1" list,watch,update,patch,delete,deletecollection secrets
  table false "$1" create,update,patch,delete,deletecollection signuppipelines.signup.dev
  table false "$1" get,create,update,delete,deletecollection pods
  table false "$1" update,deletecollection horizontalpodautoscalers.autoscaling
  table false "$1" get,watch,create,update,delete,deletecollection events
  table false "$1" get,update signuppipelines.signup.dev/status deployments.apps/scale
  table false "$1" create,get pods/exec pods/attach pods/portforward pods/log pods/ephemeralcontainers serviceaccounts/token
  table false "$1" delete,deletecollection deployments.apps configmaps services serviceaccounts
  table false "$1" create,patch,bind,escalate roles.rbac.authorization.k8s.io rolebindings.rbac.authorization.k8s.io
  table false "$1" impersonate serviceaccounts users groups
  table false "$1" get,list,watch,patch nodes customresourcedefinitions.apiextensions.k8s.io
  table false "$1" list,watch,create,update,patch,delete,deletecollection namespaces
  table false "$1" create,get,patch,list jobs.batch daemonsets.apps statefulsets.apps persistentvolumeclaims
}

the_operator_may_do_its_work_and_no_more() {
  {
    its_work_in shop
    for namespace in shop signup-system kube-system; do no_more_in $namespace; done
    table true signup-system create leases.coordination.k8s.io
    table true signup-system get,update leases.coordination.k8s.io:signup-operator
    table true signup-system get leases.coordination.k8s.io:another
    table false signup-system update,patch leases.coordination.k8s.io:another
    table false signup-system list,watch,delete leases.coordination.k8s.io
    table true shop list ingressclasses.networking.k8s.io
    table true shop get leases.coordination.k8s.io:signup-operator
    table false shop get,create,patch leases.coordination.k8s.io
    table false shop get leases.coordination.k8s.io:another
    table false shop create,update,patch,list leases.coordination.k8s.io:signup-operator
  } | are_the_answers
}

the_namespaced_operator_may_do_nothing_elsewhere() {
  {
    for namespace in shop forum; do its_work_in $namespace && no_more_in $namespace; done
    for namespace in signup-system default kube-system; do
      its_work_in $namespace | sed 's/^true/false/'
      no_more_in $namespace
    done
    table true signup-system get,update leases.coordination.k8s.io:signup-operator-shop leases.coordination.k8s.io:signup-operator-forum
    table true signup-system get leases.coordination.k8s.io:signup-operator
    table false signup-system update leases.coordination.k8s.io:signup-operator
  } | are_the_answers
}
