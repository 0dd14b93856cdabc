# Makes container images without a registry and gives them to containerd: sourced by node.sh and image.sh, after settings.sh.
#
# Takes: a folder whose files become the image's root. Gives: an image named localhost/NAME:TAG in containerd's namespace k8s.io.
# Does not: pull or keep anything else; buildah's storage is a temporary folder.
# shellcheck shell=bash

containers() { ctr --address "$containerd_socket" --namespace k8s.io "$@"; }

has_image() { [ -n "$(containers images ls -q "name==$1")" ]; }

# load_image NAME:TAG FOLDER USER [COMMAND]
load_image() {
  local name=localhost/$1 folder=$2 scratch
  scratch=$(mktemp -d "$run/image.XXXXXX") || return
  { echo 'FROM scratch'; echo 'COPY . /'; echo "USER $3:$3"; [ -z "${4:-}" ] || echo "ENTRYPOINT [\"$4\"]"; } >"$scratch/Dockerfile"
  local store=(--root "$scratch/storage" --runroot "$scratch/run" --storage-driver vfs)
  local done=1
  {
    buildah "${store[@]}" bud --quiet --isolation chroot --timestamp 0 --file "$scratch/Dockerfile" --tag "$name" "$folder" &&
      buildah "${store[@]}" push --quiet "$name" "docker-archive:$scratch/image.tar:$name" &&
      containers images import "$scratch/image.tar" && done=0
  } >"$scratch/log" 2>&1
  [ $done -eq 0 ] || cat "$scratch/log" >&2
  rm -rf "$scratch"
  return $done
}

# The program that holds a pod's namespaces.
load_pause_image() {
  local folder
  has_image localhost/pause:1 && return
  folder=$(mktemp -d "$run/pause.XXXXXX") || return
  gcc -static -Os -Wall -Werror -o "$folder/pause" "$source_dir/pause.c" && strip "$folder/pause" &&
    load_image pause:1 "$folder" 65535 /pause || return
  rm -rf "$folder"
}
