# Starts CoreDNS on the bridge's address: sourced by up.sh, after control-plane.sh.
#
# Takes: an API server that answers. Gives: names of Services and pods, postgres.test and redis.test for the servers beside the
# cluster, and the machine's own names for everything else. Does not: run as a pod.
# shellcheck shell=bash

write_corefile() {
  cat >"$state/Corefile" <<EOF
.:53 {
    bind $host_address
    errors
    ready 127.0.0.1:18181
    hosts {
        $host_address postgres.test redis.test
        fallthrough
    }
    kubernetes $cluster_domain in-addr.arpa ip6.arpa {
        kubeconfig $kubeconfig
        ttl 5
        fallthrough in-addr.arpa ip6.arpa
    }
    forward . /etc/resolv.conf
    cache 5
}
EOF
}

names_answer() {
  write_corefile
  start coredns "$bin/coredns" -conf "$state/Corefile"
  wait_until 60 coredns curl -sf http://127.0.0.1:18181/ready
}
