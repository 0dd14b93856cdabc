#!/usr/bin/env bash
# Builds api, worker, operator and inbox as static programs, which run in an image FROM scratch.
#
#   scripts/programs.sh FOLDER [PROFILE]    profile release, unless told otherwise; dev is built in a fraction of the time
#
# Takes: cargo, a C compiler. Gives: a folder with those four files, without their symbols. Does not: make an image.
set -euo pipefail

[ $# -ge 1 ] || { echo "usage: scripts/programs.sh FOLDER [PROFILE]" >&2; exit 2; }
root=$(cd "$(dirname "$0")/.." && pwd)
folder=$1 profile=${2:-release}
programs=(operator api worker inbox)
packages=()
for program in "${programs[@]}"; do packages+=(--package "$program" --bin "$program"); done

# Debian's C library, linked in, resolves names in an empty root too; without an explicit target, build scripts and procedural
# macros would get these flags as well.
target=$(rustc -vV | sed -n 's/^host: //p')
RUSTFLAGS='-C target-feature=+crt-static --cfg getrandom_backend="linux_getrandom"' CARGO_TARGET_DIR=$root/target \
  nice -n 10 cargo build --manifest-path "$root/Cargo.toml" --locked --profile "$profile" --target "$target" "${packages[@]}"
[ "$profile" != dev ] || profile=debug
rm -rf "$folder" && mkdir -p "$folder"
for program in "${programs[@]}"; do strip -o "$folder/$program" "$root/target/$target/$profile/$program"; done
