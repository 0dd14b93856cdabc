#!/usr/bin/env bash
# Writes vectors.tsv anew: what the HorizontalPodAutoscaler's own code answers, for operator/src/scaling/hpa_vectors.rs.
#
# Takes: the Kubernetes release that tests/cluster/tools/kubernetes pins, from Go's module proxy; Go, as setup.sh finds it.
# Gives: vectors.tsv; the same release gives the same file. Does not: change anything else; the copy of the package is in target/hpa.
set -euo pipefail
source "$(dirname "$0")/../../../tests/cluster/settings.sh"

here=$root/operator/tests/hpa
copy=$root/target/hpa
pins=$source_dir/tools/kubernetes
export GOMODCACHE=${GOMODCACHE:-$cache/mod} GOCACHE=${GOCACHE:-$cache/build} GOTOOLCHAIN=local CGO_ENABLED=0 GOFLAGS=-buildvcs=false

rm -rf "$copy" && mkdir -p "$copy"
cp "$pins/go.mod" "$pins/go.sum" "$copy/"
package=$(cd "$copy" && go list -m -f '{{.Dir}}' k8s.io/kubernetes)/pkg/controller/podautoscaler
for file in "$package"/*.go; do
  case $file in *_test.go) ;; *) install -m 644 "$file" "$copy/" ;; esac
done
cp "$here/vectors_test.go" "$copy/"
(cd "$copy" && VECTORS=$copy/lines go test -mod=mod -trimpath -count=1 -run TestVectors . >"$copy/log" 2>&1) || { tail -n 20 "$copy/log" >&2; exit 1; }
version=$(awk '$1 == "require" && $2 == "k8s.io/kubernetes" {print $3; exit} $1 == "k8s.io/kubernetes" {print $2; exit}' "$pins/go.mod")
{
  echo "# Answers of k8s.io/kubernetes $version, pkg/controller/podautoscaler, written by generate.sh."
  echo "# behavior, min, max, scaleUp, scaleDown (window s, selectPolicy or -, then type:value:period s), what runs first, then each step as"
  echo "# ms since the one before:recommended:answer."
  echo "# tolerance, up, down, what runs, target per pod, usage, answer."
  cat "$copy/lines"
} >"$here/vectors.tsv"
echo "$here/vectors.tsv: $(grep -vc '^#' "$here/vectors.tsv") answers of Kubernetes $version"
