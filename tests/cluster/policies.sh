# Enforces NetworkPolicies: sourced by up.sh, after node.sh.
#
# Takes: a node that is Ready, kube-proxy's rules, the kernel's iptables and ipset. Gives: kube-router, which runs for policies alone
# (Services are kube-proxy's, routes the bridge plugin's), and its health on 127.0.0.1. What the host's own processes (kubelet, Envoy) send
# to a pod passes always: kube-router lets a node reach its pods. WITHOUT_POLICIES=1 leaves all of it out, aloud. Does not: know IPv6,
# which this cluster's pods have not.
# shellcheck shell=bash

policies_enforced() {
  if [ -n "${WITHOUT_POLICIES:-}" ]; then
    say "LEAVING OUT the enforcement of NetworkPolicies, because WITHOUT_POLICIES is set"
    return
  fi
  start kube-router "$bin/kube-router" --kubeconfig="$kubeconfig" --hostname-override="$node_name" \
    --run-firewall=true --run-router=false --run-service-proxy=false --enable-cni=false \
    --service-cluster-ip-range="$service_range" --health-port="$kube_router_health_port"
  wait_until 60 kube-router policy_chains_are_there
}

policy_chains_are_there() {
  curl -sf "http://127.0.0.1:$kube_router_health_port/healthz" && iptables-save -t filter | grep -q '^:KUBE-ROUTER-FORWARD'
}

# Rules go with the others of KUBE-* (traces.sh); a set can go once no rule names it.
own_sets() { ! command -v ipset >/dev/null || ipset list -name 2>/dev/null | grep -e '^KUBE-' -e '^inet6:KUBE-' || true; }
remove_sets() {
  local set
  for set in $(own_sets); do ipset destroy "$set" || return; done
}
