# Prepares the machine and remembers how it was: sourced by up.sh and down.sh, after settings.sh.
#
# Takes: root. Gives: the bridge with the host's address, forwarding, and in $run the record of what was changed: the kernel
# settings' earlier values, and which folders were not there. Does not: touch another cluster's rules; it refuses to start
# beside one, for two kube-proxies undo each other's rules.
# shellcheck shell=bash

settings_changed=(net.ipv4.ip_forward net.bridge.bridge-nf-call-iptables net.bridge.bridge-nf-call-ip6tables
  net.ipv4.conf.all.route_localnet net.netfilter.nf_conntrack_max net.netfilter.nf_conntrack_tcp_timeout_established
  net.netfilter.nf_conntrack_tcp_timeout_close_wait vm.overcommit_memory vm.panic_on_oom
  kernel.panic kernel.panic_on_oops kernel.keys.root_maxkeys kernel.keys.root_maxbytes)

# Where the kubelet, containerd and the network plugins write whatever their configuration says.
folders_made=(/etc/cni /opt/cni /opt/containerd /run/containerd /run/netns /usr/libexec/kubernetes /var/lib/buildah
  /var/lib/cni /var/lib/containerd /var/lib/containers /var/lib/kubelet /var/log/containers /var/log/pods /var/run/netns)

foreign_rules() {
  local program
  for program in iptables ip6tables; do
    "$program-save" 2>/dev/null | grep -q -e '^:KUBE-' -e '^:CNI-' && return
  done
  return 1
}

# True when some process of the cluster that $run tells of is alive.
any_alive() {
  local file
  for file in "$run"/pid/*; do
    [ -e "$file" ] && running "$(basename "$file")" && return
  done
  return 1
}

# Makes this clone the owner of the machine's one cluster; what a dead one of another clone left is cleared first.
own_the_machine() {
  local owner
  owner=$(readlink "$run/state" 2>/dev/null) || owner=
  if [ -n "$owner" ] && [ "$owner" != "$state" ]; then
    ! any_alive || fail "another cluster runs on this machine, from $owner. Fix: run make cluster-down there"
    say "clearing what a dead cluster of $owner left"
    SIGNUP_CLUSTER_LOCKED=1 "$source_dir/down.sh" || return
    owner=
  fi
  [ -n "$owner" ] && return
  ! foreign_rules || fail "another Kubernetes has iptables rules on this machine. Fix: stop it, or set KUBECONFIG to use it"
  mkdir -p "$run" "$state" && chmod 700 "$run"
  sysctl -e "${settings_changed[@]}" >"$run/settings" 2>/dev/null
  [ -n "$(iptables-save; ip6tables-save)" ] || touch "$run/no-tables"
  for folder in "${folders_made[@]}"; do [ -e "$folder" ] || echo "$folder"; done >"$run/folders"
  ln -sfn "$state" "$run/state"
}

raise_bridge() {
  local address=$host_address/${pod_range#*/}
  [ -e /proc/sys/net/bridge ] || modprobe br_netfilter 2>/dev/null || true
  [ -e /proc/sys/net/bridge ] || fail "the kernel lacks br_netfilter, without which Services do not answer between pods. Fix: modprobe br_netfilter"
  ip link show "$bridge" >/dev/null 2>&1 || ip link add "$bridge" type bridge || return
  ip -br addr show "$bridge" | grep -q "$address" || ip addr add "$address" dev "$bridge" || return
  ip link set "$bridge" up || return
  ip route replace "$service_range" dev "$bridge" src "$host_address" || return
  sysctl -q net.ipv4.ip_forward=1 net.bridge.bridge-nf-call-iptables=1
}

prepare_host() { own_the_machine && raise_bridge; }
