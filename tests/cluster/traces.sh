# Removes, kind by kind, what a cluster leaves on a machine, and looks for what is left: sourced by down.sh, after host.sh.
#
# Takes: the names in settings.sh and the records in $run. Gives: the functions that down.sh runs in order. Does not: touch
# anything that is not under the state folders, in the cluster's cgroups, or named KUBE-* or CNI-* in a table that was free of
# both before (host.sh refuses to start otherwise).
# shellcheck shell=bash

# The kubelet first, so that nothing is started again; etcd last of the control plane.
end_processes() {
  local part
  for part in kubelet kube-proxy kube-router metrics-server contour envoy coredns kube-scheduler kube-controller-manager kube-apiserver containerd etcd; do
    stop "$part" 5
  done
  "$source_dir/servers.sh" stop
}

cluster_cgroups() { find /sys/fs/cgroup -mindepth 1 -maxdepth 2 -type d -name kubepods 2>/dev/null; }

container_processes() {
  local folder
  for folder in $(cluster_cgroups); do find "$folder" -name cgroup.procs -exec cat {} + 2>/dev/null; done | sort -u
}

# Our programs and containerd's, when the cluster's folders are among their arguments (`up.sh api` has others).
own_processes() {
  local folder
  for folder in /proc/[0-9]*; do
    case $(readlink "$folder/exe" 2>/dev/null) in
      */bin/etcd | */bin/kube* | */bin/coredns | */bin/metrics-server | */bin/contour | */bin/envoy | */bin/containerd*) ;;
      *) continue ;;
    esac
    ! tr '\0' ' ' <"$folder/cmdline" 2>/dev/null | grep -q -F -e "$state/" -e "$run/" || echo "${folder#/proc/}"
  done
}

end_containers() {
  local pid deadline=$((SECONDS + 30))
  while [ -n "$(container_processes; own_processes)" ]; do
    for pid in $(container_processes; own_processes); do kill -KILL "$pid" 2>/dev/null || true; done
    [ $SECONDS -lt $deadline ] || return
    sleep 0.1
  done
}

own_mounts() { awk -v a="$state/" -v b="$run/" 'index($5, a) == 1 || index($5, b) == 1 {print $5}' /proc/self/mountinfo | sort -ru; }

unmount_all() {
  local folder
  while read -r folder; do umount "$(printf '%b' "$folder")" || umount -l "$(printf '%b' "$folder")" || return; done < <(own_mounts)
}

own_rules() { "$1-save" 2>/dev/null | grep -e KUBE- -e 'CNI-' || true; }

# One restore per family takes all chains away at once; other rules keep their counters.
remove_rules() {
  local family
  for family in iptables ip6tables; do
    [ -z "$(own_rules "$family")" ] || "$family-save" -c | grep -v -e KUBE- -e CNI- | "$family-restore" -c || return
  done
}

# The tables themselves, where the machine had none and no rule has come since: empty ones still cost every packet a look.
remove_tables() {
  local family table
  [ -e "$run/no-tables" ] && [ -z "$(iptables-save | grep '^-A'; ip6tables-save | grep '^-A')" ] || return 0
  for family in ip ip6; do
    for table in filter nat mangle raw; do nft delete table "$family" "$table" 2>/dev/null || true; done
  done
}

remove_network() {
  remove_rules && remove_sets && remove_tables || return
  ! ip link show "$bridge" >/dev/null 2>&1 || ip link del "$bridge"
}

remove_cgroups() {
  local folder
  for folder in $(cluster_cgroups); do find "$folder" -depth -type d -exec rmdir {} + || return; done
}

restore_settings() { [ ! -s "$run/settings" ] || sysctl -q -p "$run/settings" >/dev/null; }

remove_files() {
  local folder
  if [ -e "$run/folders" ]; then
    while read -r folder; do rm -rf --one-file-system "$folder" || return; done <"$run/folders"
  fi
  rm -rf --one-file-system "$state" "$run"
  rmdir /run/mount 2>/dev/null || true # empty when only our mounts had options in it
}

# tell KIND WHAT_IS_LEFT: one line per kind; fails when something is left
tell() {
  if [ -z "$2" ]; then
    say "checked $1: none"
  else
    say "LEFT $1: $(tr '\n' ' ' <<<"$2")"
    return 1
  fi
}

look_for_traces() {
  local clean=0
  tell "processes" "$(own_processes; container_processes)" || clean=1
  tell "mounts" "$(own_mounts)" || clean=1
  tell "network namespaces" "$(find /run/netns "$run" -name 'cni-*' 2>/dev/null)" || clean=1
  tell "interfaces" "$(ip -br link show | grep -E "^($bridge|veth[0-9a-f]{8}@)" || true)" || clean=1
  tell "iptables rules" "$(own_rules iptables; own_rules ip6tables)" || clean=1
  tell "sets of addresses" "$(own_sets)" || clean=1
  tell "cgroups" "$(cluster_cgroups)" || clean=1
  tell "files" "$(find "$state" "$run" /var/tmp/signup-cluster.* -maxdepth 0 2>/dev/null)" || clean=1
  return $clean
}
