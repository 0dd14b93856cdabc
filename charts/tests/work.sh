# The operator at work, with the account, the rights and the arguments that the chart gives it: sourced by ../test.sh.
#
# Takes: target/debug/operator, a running API server with the operator's chart, redis-server. Gives: the functions below.
# Does not: run pods, so nothing is patched on a pod and no mail is sent; rights.sh asks about these rights.
# shellcheck shell=bash disable=SC2154 # the variables are of test.sh, settings.sh and control-plane.sh

operators() { kubectl -n signup-system get deployments --output 'jsonpath={range .items[*]}{.metadata.name}{"\n"}{end}'; }

# As a pod would: a token of the account, the arguments of the Deployment (but for a free admin port): start_operator DEPLOYMENT
start_operator() {
  local arguments token
  mapfile -t arguments < <(kubectl -n signup-system get deployment "$1" \
    --output 'jsonpath={range .spec.template.spec.containers[0].args[*]}{@}{"\n"}{end}' | sed 's/^--admin=.*/--admin=127.0.0.1:0/')
  token=$(kubectl -n signup-system create token signup-operator) || return
  cat >"$state/operator.kubeconfig" <<CONFIG
apiVersion: v1
kind: Config
clusters: [{name: signup, cluster: {server: "https://127.0.0.1:$api_port", certificate-authority: "$pki/ca.crt"}}]
users: [{name: operator, user: {token: "$token"}}]
contexts: [{name: operator, context: {cluster: signup, user: operator}}]
current-context: operator
CONFIG
  KUBECONFIG=$state/operator.kubeconfig POD_NAME=$1-0 POD_NAMESPACE=signup-system start "$1" "$root/target/debug/operator" "${arguments[@]}"
}

# write_pipeline NAMESPACE EXPOSE: needs every kind of child that the API server knows, and more workers than it begins with
write_pipeline() {
  kubectl -n "$1" apply --server-side -f - <<PIPELINE
apiVersion: v1
kind: Secret
metadata: {name: app-db}
stringData: {uri: "postgres://app@db.test/app"}
---
apiVersion: v1
kind: Secret
metadata: {name: app-redis}
stringData: {uri: "redis://127.0.0.1:$redis_port/0"}
---
apiVersion: signup.dev/v1alpha1
kind: SignupPipeline
metadata: {name: work}
spec:
  database: {secretRef: {name: app-db}}
  redis: {secretRef: {name: app-redis}}
  mail: {from: no-reply@example.com, smtp: {host: smtp.example.com}}
  verification: {publicURL: https://app.example.com}
  worker: {autoscaling: {minReplicas: 2}}
  $2
PIPELINE
}

everything_is_made_in() {
  kubectl -n "$1" get configmap/work-config secret/work-keys service/work-api serviceaccount/work-{api,worker} \
    deployment/work-{api,worker} networkpolicy/work-{api,worker} poddisruptionbudget/work-api ingress/work &&
    [ "$(kubectl -n "$1" get deployment work-worker --output 'jsonpath={.spec.replicas}')" = 2 ] &&
    [ -n "$(kubectl -n "$1" get signuppipeline work --output 'jsonpath={.status.observedGeneration}')" ]
}

the_ingress_is_gone_from() { ! kubectl -n "$1" get ingress work; }
it_told_something_in() { [ -n "$(kubectl -n "$1" get events.events.k8s.io --output name)" ]; }

leader_of() { kubectl -n signup-system get lease "$1" --output 'jsonpath={.spec.holderIdentity}'; }
it_leads() { [[ $(leader_of "$1") == "$1"-0_* ]]; }
nobody_leads() { [ -z "$(leader_of "$1")" ]; }

# Reads are not in the audit log, so what they met is looked for in the operator's own log.
nothing_was_forbidden() {
  ! grep -i forbidden "$state/log/$1.log" &&
    ! grep '"username":"system:serviceaccount:signup-system:signup-operator"' "$state/audit.log" | grep '"code":403'
}

# its_rights_are_enough NAMESPACE...: in those where it is to work. Each has a host of its own: one host serves one pipeline.
its_rights_are_enough() {
  local namespace operator
  start redis redis-server --port "$redis_port" --bind 127.0.0.1 --save '' --dir "$state" || return
  for namespace in "$@"; do write_pipeline "$namespace" "expose: {host: $namespace.example.com, ingress: {}}" || return; done
  for operator in $(operators); do start_operator "$operator" && wait_until 60 "$operator" it_leads "$operator" || return; done
  for namespace in "$@"; do
    wait_until 60 '' everything_is_made_in "$namespace" || return
    write_pipeline "$namespace" '' && wait_until 60 '' the_ingress_is_gone_from "$namespace" || return
    wait_until 60 '' it_told_something_in "$namespace" || return
  done
  for operator in $(operators); do
    stop "$operator" 20 && wait_until 20 '' nobody_leads "$operator" && nothing_was_forbidden "$operator" || return
  done
  for namespace in "$@"; do remove_work_from "$namespace" || return; done
}

# No controller collects what belonged to the pipeline; another run must not find it.
remove_work_from() {
  kubectl -n "$1" delete signuppipeline work && kubectl -n "$1" delete events.events.k8s.io --all &&
    kubectl -n "$1" delete --selector app.kubernetes.io/instance=work \
      configmaps,secrets,services,serviceaccounts,deployments,networkpolicies,poddisruptionbudgets,ingresses
}

stop_work() {
  local operator
  for operator in $(operators 2>/dev/null); do stop "$operator"; done
  stop redis
}
