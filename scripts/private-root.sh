#!/usr/bin/env bash
# A private root: the machine's own files below, what a Debian package adds above, seen by the processes in it alone.
#
#   scripts/private-root.sh install FOLDER PACKAGE...         what the packages add, as a tar archive on standard output
#   scripts/private-root.sh run FOLDER ARCHIVE COMMAND...     COMMAND in it, until it ends or standard input does
#
# Takes: root, and an empty FOLDER. `run` shows FOLDER to COMMAND as /srv, and gives it a /run, /tmp and /var/spool of
# its own, so that it finds neither sockets nor queued mails of the machine. Gives: COMMAND's exit status; the host's
# network is COMMAND's too. Does not: install, change or leave mounted anything outside: mounts and processes are in
# namespaces that end with the first process. That one stays this shell: the kernel forgets --kill-child of a process
# that changes its user, as mail servers do. What lies on other file systems than / is not in it, so /usr and /var/lib
# have to be on that of /.
set -euo pipefail

if [ "${1:-}" != inside ]; then
  exec unshare --mount --propagation private --pid --fork --kill-child "$BASH" "$0" inside "$@"
fi
mode=$2 folder=$3
shift 3
base=$folder/private
root=$base/root

# The upper layer lies on a file system of its own, for the kernel refuses layers that overlap.
mount_root() {
  mkdir "$base"
  mount -t tmpfs -o mode=755 private "$base"
  mkdir -m 755 "$base/upper" "$base/work" "$root"
  if [ $# -gt 0 ]; then tar -C "$base/upper" --xattrs --xattrs-include='*' --numeric-owner -xpf "$1"; fi
  mount -t overlay -o "lowerdir=/,upperdir=$base/upper,workdir=$base/work" private "$root"
  mount -t proc private "$root/proc"
  local shared
  for shared in dev sys; do mount --rbind "/$shared" "$root/$shared"; done
  mount -t tmpfs -o mode=755 private "$root/run"
  mount -t tmpfs -o mode=1777 private "$root/tmp"
}

# Names are resolved as outside, where /etc/resolv.conf may lead to /run.
share_resolver() {
  local file
  file=$(readlink -f /etc/resolv.conf) || return 0
  case $file in /run/*) mkdir -p "$root${file%/*}" && cp "$file" "$root$file" ;; esac
}

# What apt downloads is not kept, and nothing is started. A mail server that the machine has may go: here, that is
# nobody's.
install_packages() {
  mount_root
  share_resolver
  mkdir -p "$root/var/lib/apt/lists"
  mount -t tmpfs private "$root/var/lib/apt/lists"
  mount -t tmpfs private "$root/var/cache/apt"
  rm -f "$root/usr/sbin/policy-rc.d"
  printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
  chmod 755 "$root/usr/sbin/policy-rc.d"
  export DEBIAN_FRONTEND=noninteractive
  chroot "$root" sh -c 'apt-get -q update && apt-get -qy install --no-install-recommends "$@"' sh "$@" </dev/null >&2
  tar -C "$base/upper" --xattrs --xattrs-include='*' --numeric-owner \
    --exclude=./var/lib/dpkg --exclude=./var/cache --exclude=./var/log -cf - .
}

# Ends with standard input, which is how the caller's own end is seen, whoever it is.
run_command() {
  mount_root "$1"
  shift
  mount -t tmpfs -o mode=755 private "$root/var/spool"
  [ ! -d "$base/upper/var/spool" ] || cp -a "$base/upper/var/spool/." "$root/var/spool/"
  mkdir -p "$root/srv"
  mount --bind "$folder" "$root/srv"
  chroot "$root" "$@" </dev/null 3<&- &
  local server=$!
  { read -r -u 3 || :; kill -KILL "$server"; } &
  local status=0
  wait "$server" || status=$?
  exit "$status"
}

case $mode in
  install) install_packages "$@" ;;
  run)
    exec 3<&0
    run_command "$@"
    ;;
  *) echo "private-root.sh: install or run, not $mode" >&2 && exit 2 ;;
esac
