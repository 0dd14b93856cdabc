# An API server of its own for the tests of the charts: sourced by ../test.sh.
#
# Takes: the scripts and programs of tests/cluster. Gives: start_api_server and stop_api_server, an etcd and a kube-apiserver on
# free ports in a temporary folder, and `kubectl` and `helm` that speak to it. Does not: touch another cluster; there are no
# controllers and no node, so nothing runs and nothing is garbage-collected.
# shellcheck shell=bash disable=SC2034,SC2154,SC1091 # variables and files of test.sh and tests/cluster

set +u
source "$root/tests/cluster/settings.sh"
set -u
only_the_api
state=$(mktemp -d)
run=$state/run
kubeconfig=$state/kubeconfig
source "$source_dir/processes.sh"
source "$source_dir/certificates.sh"
source "$source_dir/control-plane.sh"

# Asks the kernel for ports that nobody listens on: free_ports COUNT
free_ports() {
  python3 -c 'import socket, sys
held = [socket.create_server(("127.0.0.1", 0)) for _ in range(int(sys.argv[1]))]
print(*(each.getsockname()[1] for each in held))' "$1"
}

start_api_server_alone() {
  read -r api_port etcd_port etcd_peer_port redis_port < <(free_ports 4)
  make_certificates && api_answers
}

stop_api_server() {
  stop kube-apiserver
  stop etcd
  rm -rf "$state"
}

# No controller makes the default ServiceAccount, and admission refuses pods without it. Every pod must pass `restricted`;
# what would not gives a warning already with its Deployment.
make_namespace() {
  kubectl create namespace "$1" && kubectl -n "$1" create serviceaccount default &&
    kubectl label namespace "$1" pod-security.kubernetes.io/{enforce,warn}=restricted
}

# Helm's own files stay in the temporary folder too.
export HELM_CACHE_HOME=$state/helm HELM_CONFIG_HOME=$state/helm HELM_DATA_HOME=$state/helm
unset KUBECONFIG
helm() { "$bin/helm" --kubeconfig "$kubeconfig" "$@"; }
