# Makes the machine a node: containerd, kubelet, kube-proxy: sourced by up.sh, after control-plane.sh, host.sh and images.sh.
#
# Takes: the bridge and an API server that answers. Gives: a node that is Ready and an image to start pods with.
# Does not: enforce NetworkPolicies (policies.sh does), nor collect images (there is no registry to get them again).
# shellcheck shell=bash

write_containerd_config() {
  cat >"$state/containerd.toml" <<EOF
version = 2
root = "$state/containerd"
state = "$run/containerd"
[grpc]
  address = "$containerd_socket"
[ttrpc]
  address = "$containerd_socket.ttrpc"
[plugins."io.containerd.internal.v1.opt"]
  path = "$state/containerd/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "localhost/pause:1"
  restrict_oom_score_adj = true # root may lack CAP_SYS_RESOURCE, and then no pod would start
  netns_mounts_under_state_dir = true
  stream_server_address = "127.0.0.1"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      Root = "$run/runc"
      SystemdCgroup = false
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "$state/cni"
EOF
}

write_network_config() {
  mkdir -p "$state/cni"
  cat >"$state/cni/10-signup.conflist" <<EOF
{"cniVersion": "0.4.0", "name": "signup", "plugins": [
  {"type": "bridge", "bridge": "$bridge", "isGateway": true, "ipMasq": true, "hairpinMode": true,
   "ipam": {"type": "host-local", "dataDir": "$run/addresses", "routes": [{"dst": "0.0.0.0/0"}],
            "ranges": [[{"subnet": "$pod_range", "gateway": "$host_address"}]]}},
  {"type": "portmap", "capabilities": {"portMappings": true}}]}
EOF
}

write_kubelet_config() {
  printf 'nameserver %s\n' "$host_address" >"$state/resolv.conf"
  cat >"$state/kubelet.yaml" <<EOF
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: $host_address
healthzBindAddress: 127.0.0.1
authentication:
  anonymous: {enabled: false}
  webhook: {enabled: true}
  x509: {clientCAFile: $pki/ca.crt}
authorization: {mode: Webhook}
tlsCertFile: $pki/kubelet-server.crt
tlsPrivateKeyFile: $pki/kubelet-server.key
containerRuntimeEndpoint: unix://$containerd_socket
cgroupDriver: cgroupfs
failCgroupV1: false
failSwapOn: false
clusterDNS: [$host_address]
clusterDomain: $cluster_domain
resolvConf: $state/resolv.conf
podLogsDir: $state/pods
volumePluginDir: $state/kubelet-volume-plugins
localStorageCapacityIsolation: false
imageGCHighThresholdPercent: 100
evictionHard: {memory.available: 50Mi, nodefs.available: 1%, imagefs.available: 1%}
maxPods: 240
kubeAPIQPS: 100
kubeAPIBurst: 200
EOF
}

write_proxy_config() {
  cat >"$state/kube-proxy.yaml" <<EOF
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: iptables
clientConnection: {kubeconfig: $state/kubeconfigs/kube-proxy}
hostnameOverride: $node_name
clusterCIDR: $pod_range
healthzBindAddress: 127.0.0.1:10256
metricsBindAddress: 127.0.0.1:10249
nodePortAddresses: [$pod_range]
conntrack: {maxPerCore: 0}
EOF
}

containerd_ready() {
  write_network_config
  write_containerd_config
  start containerd containerd --config "$state/containerd.toml"
  wait_until 60 containerd containers version
}

# The API server may still call a node Ready whose kubelet has ended.
kubelet_ready() { curl -sf http://127.0.0.1:10248/healthz && kubectl wait --for condition=Ready --timeout 1s "node/$node_name"; }

node_ready() {
  write_kubelet_config
  start kubelet "$bin/kubelet" --config "$state/kubelet.yaml" --kubeconfig "$state/kubeconfigs/kubelet" \
    --root-dir "$state/kubelet" --hostname-override "$node_name" --node-ip "$host_address"
  wait_until 120 kubelet kubelet_ready
}

services_answer() {
  running kube-proxy || write_proxy_config # it ends itself when the file changes
  start kube-proxy "$bin/kube-proxy" --config "$state/kube-proxy.yaml"
  wait_until 60 kube-proxy curl -sSf --cacert "$pki/ca.crt" --cert "$pki/administrator.crt" --key "$pki/administrator.key" \
    "https://$service_address/readyz"
}
