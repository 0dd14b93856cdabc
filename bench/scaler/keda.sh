#!/usr/bin/env bash
# Builds KEDA from its Go module: the operator and the metrics adapter that `make bench-scaler` runs beside ours.
#
# Takes: Go 1.26 or newer (scripts/setup.sh test), 8 GB of disk while it builds; GOMODCACHE, GOCACHE and GOFLAGS when they are set.
# Gives: target/scaler/keda-operator, target/scaler/keda-adapter and KEDA's resource definitions in target/scaler/keda-crds; nothing to do
# when they are there. Does not: change KEDA: the module is copied because Go builds a main package with the module's own go.mod only so.
set -euo pipefail
source "$(dirname "$0")/../../tests/cluster/settings.sh"

version=v2.21.0
made=$root/target/scaler
copy=$made/keda-module
[ "$(cat "$made/keda-version" 2>/dev/null)" != "$version" ] || exit 0

export GOMODCACHE=${GOMODCACHE:-$made/cache/mod} GOCACHE=${GOCACHE:-$made/cache/build} GOTOOLCHAIN=local CGO_ENABLED=0
mkdir -p "$made"
chmod -R u+w "$copy" 2>/dev/null || true
rm -rf "$copy"
module=$(cd "$made" && go mod download -json "github.com/kedacore/keda/v2@$version" | awk -F '"' '$2 == "Dir" {print $4}')
cp -r "$module" "$copy"
chmod -R u+w "$copy"
say "building KEDA $version (7 minutes with its downloads on 2 free cores, once)"
for program in operator adapter; do
  (cd "$copy" && go build -trimpath -buildvcs=false -ldflags '-s -w' -o "$made/keda-$program" "./cmd/$program") >"$made/keda.log" 2>&1 ||
    { tail -n 20 "$made/keda.log" >&2; fail "KEDA does not build"; }
done
rm -rf "$made/keda-crds"
cp -r "$copy/config/crd/bases" "$made/keda-crds"
rm -rf "$copy"
[ ! -d "$made/cache" ] || { chmod -R u+w "$made/cache"; rm -rf "$made/cache"; }
echo "$version" >"$made/keda-version"
