# Starts etcd, the API server, the controller manager and the scheduler: sourced by up.sh, after certificates.sh.
#
# Takes: the certificates and the host address, which must be there. Gives: an API server that answers, with an audit log of
# every write in state/audit.log. Does not: survive a crash of the machine (etcd does not sync to disk), nor elect leaders.
# shellcheck shell=bash

api_ready() { kubectl get --raw /readyz; }

start_etcd() {
  start etcd "$bin/etcd" --name test --data-dir "$state/etcd" --unsafe-no-fsync --log-level warn \
    --listen-client-urls "http://127.0.0.1:$etcd_port" --advertise-client-urls "http://127.0.0.1:$etcd_port" \
    --listen-peer-urls "http://127.0.0.1:$etcd_peer_port" --initial-advertise-peer-urls "http://127.0.0.1:$etcd_peer_port" \
    --initial-cluster "test=http://127.0.0.1:$etcd_peer_port"
}

# Only writes are kept: the tests count them.
write_audit_policy() {
  cat >"$state/audit-policy.yaml" <<EOF
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
  - level: None
    verbs: [get, list, watch]
  - level: Metadata
EOF
}

# Without InternalIP first, logs and exec would look the node's name up in DNS.
start_api_server() {
  write_audit_policy
  start kube-apiserver "$bin/kube-apiserver" --etcd-servers="http://127.0.0.1:$etcd_port" \
    --bind-address="$host_address" --advertise-address="$host_address" --secure-port="$api_port" --endpoint-reconciler-type="$endpoint_reconciler" \
    --service-cluster-ip-range="$service_range" --authorization-mode=Node,RBAC --enable-admission-plugins=NodeRestriction \
    --tls-cert-file="$pki/api-server.crt" --tls-private-key-file="$pki/api-server.key" --client-ca-file="$pki/ca.crt" \
    --kubelet-certificate-authority="$pki/ca.crt" --kubelet-preferred-address-types=InternalIP \
    --kubelet-client-certificate="$pki/api-server-to-kubelet.crt" --kubelet-client-key="$pki/api-server-to-kubelet.key" \
    --service-account-issuer="https://kubernetes.default.svc.$cluster_domain" \
    --service-account-key-file="$pki/service-accounts.pub" --service-account-signing-key-file="$pki/service-accounts.key" \
    --requestheader-client-ca-file="$pki/ca.crt" --requestheader-allowed-names=front-proxy \
    --requestheader-username-headers=X-Remote-User --requestheader-group-headers=X-Remote-Group \
    --requestheader-extra-headers-prefix=X-Remote-Extra- \
    --proxy-client-cert-file="$pki/front-proxy.crt" --proxy-client-key-file="$pki/front-proxy.key" \
    --audit-policy-file="$state/audit-policy.yaml" --audit-log-path="$state/audit.log" --profiling=false
}

start_controller_manager() {
  start kube-controller-manager "$bin/kube-controller-manager" --kubeconfig="$state/kubeconfigs/kube-controller-manager" \
    --bind-address=127.0.0.1 --leader-elect=false --use-service-account-credentials --allocate-node-cidrs=false \
    --root-ca-file="$pki/ca.crt" --service-account-private-key-file="$pki/service-accounts.key" \
    --cluster-signing-cert-file="$pki/ca.crt" --cluster-signing-key-file="$pki/ca.key" \
    --kube-api-qps=100 --kube-api-burst=200 --profiling=false
}

start_scheduler() {
  start kube-scheduler "$bin/kube-scheduler" --kubeconfig="$state/kubeconfigs/kube-scheduler" \
    --bind-address=127.0.0.1 --leader-elect=false --profiling=false
}

api_answers() {
  start_etcd
  start_api_server
  wait_until 120 kube-apiserver api_ready
}

# Pods are refused until the namespace's default ServiceAccount exists, which the controller manager makes.
controllers_work() {
  start_controller_manager
  start_scheduler
  wait_until 60 kube-controller-manager kubectl get serviceaccount default
}
