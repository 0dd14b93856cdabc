#!/usr/bin/env bash
# Puts the operator, an inbox and a pipeline on the test cluster: what `make cluster` runs after up.sh.
#
#   tests/cluster/deploy.sh        with an image of this clone's programs
#   tests/cluster/deploy.sh TAG    with localhost/signup:TAG, which is in the cluster already; builds nothing
#
# Takes: root, the running cluster, cargo. Gives: the image of static programs, built from this clone; the operator's release in
# namespace signup-system; in namespace demo the inbox and a pipeline that is Ready and answers through the ingress; a curl line.
# Both namespaces enforce Pod Security `restricted`. Run again, it deploys what has changed. On a cluster of KUBECONFIG (given.sh)
# it installs the image that IMAGE names instead. Does not: bring an image there.
set -euo pipefail
source "$(dirname "$0")/settings.sh"
source "$source_dir/given.sh"
source "$source_dir/processes.sh"
source "$source_dir/images.sh"
source "$source_dir/demo.sh"

image_folder=$programs_dir/image

# The tag says what is in the image, so that another one replaces the pods and the same one does not.
tag_of_the_programs() { echo "dev-$(cd "$image_folder" && sha256sum -- * | sha256sum | cut -c -12)"; }

load_programs() { has_image "localhost/signup:$tag" || "$source_dir/image.sh" "$image_folder" "$tag"; }

make_namespace() {
  kubectl apply --server-side -f - >/dev/null <<NAMESPACE
apiVersion: v1
kind: Namespace
metadata: {name: $1, labels: {pod-security.kubernetes.io/enforce: restricted}}
NAMESPACE
}

install_operator() {
  make_namespace signup-system || return
  helm upgrade --install signup-operator "$root/charts/signup-operator" --namespace signup-system --wait --timeout 120s \
    --set "image.tag=$tag,image.pullPolicy=Never" --set "networkPolicy.redisPorts={6379,6380,$redis_port,$redis_tls_port}" >/dev/null
}

start_inbox() {
  sed "s|@IMAGE@|localhost/signup:$tag|" "$source_dir/demo/inbox.yaml" | kubectl apply --server-side -f - >/dev/null || return
  wait_until 60 '' kubectl -n demo rollout status deployment/inbox --timeout 1s
}

apply_pipeline() {
  "$source_dir/servers.sh" secrets demo || return
  sed "s|@IMAGE@|localhost/signup:$tag|" "$source_dir/demo/pipeline.yaml" |
    kubectl apply --server-side --force-conflicts -f - >/dev/null
}

# Tells each new state of the pipeline until it is Ready in its newest generation and reached from outside.
wait_for_the_pipeline() {
  local deadline=$((SECONDS + 180)) told='' state_now
  until pipeline_is_current && holds Ready && holds Exposed && holds ConfigApplied && ingress_answers_readily; do
    state_now=$(first_unmet)
    [ "$state_now" = "$told" ] || say "  $state_now"
    told=$state_now
    if [ $SECONDS -ge $deadline ]; then
      kubectl -n demo get signuppipeline,pods >&2
      say "the pipeline is not Ready after 180 s; kubectl -n demo describe signuppipeline demo tells more" >&2
      return 1
    fi
    sleep 0.5
  done
}

if a_cluster_is_given; then
  deploy_on_the_given_cluster
  exit
fi
[ -S "$containerd_socket" ] || fail "no cluster runs here. Fix: make cluster"
require_root
take_the_lock
began=$SECONDS
if [ $# -eq 1 ]; then
  tag=$1
  has_image "localhost/signup:$tag" || fail "the cluster has no image localhost/signup:$tag. Fix: $0 without a tag"
else
  timed "programs, static" "$root/scripts/programs.sh" "$image_folder" dev
  tag=$(tag_of_the_programs)
  timed "image localhost/signup:$tag" load_programs
fi
timed "operator" install_operator
timed "namespace demo" make_namespace demo
timed "inbox" start_inbox
timed "pipeline applied" apply_pipeline
timed "pipeline Ready and exposed" wait_for_the_pipeline
say "deployed after $((SECONDS - began)) s. Sign up:"
cat <<LINES

  curl -i -H 'Host: $api_host' http://$host_address/v1/create_user \\
    -d '{"username": "ann", "full_name": "Ann Example", "email": "ann@example.com", "password": "correct horse"}'

LINES
say "the mail arrives $(kubectl -n demo get signuppipeline demo -o 'jsonpath={.spec.task.delay}') later; see it:"
cat <<LINES

  curl -s -H 'Host: $inbox_host' http://$host_address/messages.json

LINES
say "a browser shows it at http://$inbox_host/ with '$host_address $api_host $inbox_host' in /etc/hosts"
say "look around: export KUBECONFIG=$kubeconfig; $bin/kubectl -n demo get signuppipeline demo"
