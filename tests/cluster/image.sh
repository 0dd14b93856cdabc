#!/usr/bin/env bash
# Makes the project's image from a folder of static programs and gives it to the running cluster.
#
#   tests/cluster/image.sh FOLDER TAG     e.g. image.sh target/image dev -> localhost/signup:dev
#
# Takes: a folder that holds api, worker, operator and inbox (or whatever a test needs), linked statically.
# Gives: localhost/signup:TAG in containerd: FROM scratch, those files in /, user 65532. Does not: build them, nor push anywhere.
set -euo pipefail
source "$(dirname "$0")/settings.sh"
source "$source_dir/images.sh"

[ $# -eq 2 ] || fail "usage: image.sh FOLDER TAG"
require_root
[ -S "$containerd_socket" ] || fail "no containerd at $containerd_socket. Fix: make cluster"
timed "loaded localhost/signup:$2" load_image "signup:$2" "$1"
