#!/usr/bin/env bash
# Gives a cluster of up.sh the metrics API, which autoscalers read: test.sh runs it before the tests that need one.
#
# Takes: a cluster of up.sh. Gives: metrics-server, built when it is not there (5 minutes, once), beside the cluster as CoreDNS is, and an
# API server that answers for metrics.k8s.io with what the kubelet measured within 15 s. Does not: run as a pod. down.sh ends it.
set -euo pipefail
source "$(dirname "$0")/settings.sh"
source "$source_dir/processes.sh"
source "$source_dir/certificates.sh"

start_metrics_server() {
  [ -e "$pki/metrics.crt" ] || issue metrics "/CN=metrics-server" serverAuth "DNS:metrics-server.kube-system.svc" || return
  start metrics-server "$bin/metrics-server" --kubeconfig="$kubeconfig" --authentication-kubeconfig="$kubeconfig" \
    --authorization-kubeconfig="$kubeconfig" --bind-address="$host_address" --secure-port="$metrics_port" \
    --tls-cert-file="$pki/metrics.crt" --tls-private-key-file="$pki/metrics.key" --metric-resolution=15s \
    --kubelet-preferred-address-types=InternalIP --kubelet-certificate-authority="$pki/ca.crt" \
    --kubelet-client-certificate="$pki/api-server-to-kubelet.crt" --kubelet-client-key="$pki/api-server-to-kubelet.key"
}

# The Service has no pods, so that its one endpoint is written here.
register() {
  kubectl apply --filename - <<EOF
apiVersion: v1
kind: Service
metadata: {name: metrics-server, namespace: kube-system}
spec: {ports: [{port: 443, targetPort: $metrics_port}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: metrics-server, namespace: kube-system, labels: {kubernetes.io/service-name: metrics-server}}
addressType: IPv4
ports: [{port: $metrics_port, protocol: TCP}]
endpoints: [{addresses: [$host_address]}]
---
apiVersion: apiregistration.k8s.io/v1
kind: APIService
metadata: {name: v1beta1.metrics.k8s.io}
spec:
  group: metrics.k8s.io
  version: v1beta1
  groupPriorityMinimum: 100
  versionPriority: 100
  service: {name: metrics-server, namespace: kube-system}
  caBundle: $(base64 -w0 "$pki/ca.crt")
EOF
}

figures_are_there() { kubectl get --raw "/apis/metrics.k8s.io/v1beta1/nodes/$node_name"; }

require_root
"$source_dir/build.sh" metrics-server
start_metrics_server
timed "registration" register
wait_until 120 metrics-server figures_are_there
say "kubectl top nodes works"
