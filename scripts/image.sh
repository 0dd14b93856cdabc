#!/usr/bin/env bash
# Makes a container image FROM scratch out of a folder, without a container engine or a registry.
#
#   scripts/image.sh FOLDER NAME:TAG ARCHIVE [USER [COMMAND]]
#
# Takes: buildah; a folder whose files become the image's root; the numeric user, 65532 unless told otherwise.
# Gives: the image as an archive for `docker load`, `kind load image-archive`, `skopeo copy docker-archive:ARCHIVE docker://...`.
# The same files give the same image. Does not: push it anywhere, nor keep anything else.
set -euo pipefail

[ $# -ge 3 ] || { echo "usage: scripts/image.sh FOLDER NAME:TAG ARCHIVE [USER [COMMAND]]" >&2; exit 2; }
folder=$1 name=$2 archive=$3 user=${4:-65532} command=${5:-}
[ -n "$(ls -A "$folder")" ] || { echo "image: $folder is empty" >&2; exit 1; }
for program in "$folder"/*; do
  ! LC_ALL=C readelf -l "$program" 2>/dev/null | grep -q 'Requesting program interpreter' ||
    { echo "image: $program is not linked statically: it cannot run in an image FROM scratch" >&2; exit 1; }
done
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
{ echo 'FROM scratch'; echo 'COPY . /'; echo "USER $user:$user"; [ -z "$command" ] || echo "ENTRYPOINT [\"$command\"]"; } >"$scratch/Dockerfile"
store=(--root "$scratch/storage" --runroot "$scratch/run" --storage-driver vfs)
rm -f "$archive"
{
  buildah "${store[@]}" bud --quiet --isolation chroot --timestamp 0 --file "$scratch/Dockerfile" --tag "$name" "$folder" &&
    buildah "${store[@]}" push --quiet "$name" "docker-archive:$archive:$name"
} >"$scratch/log" 2>&1 || { cat "$scratch/log" >&2; exit 1; }
