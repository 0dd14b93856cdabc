# Gives container images to containerd without a registry: sourced by node.sh and image.sh, after settings.sh.
#
# Takes: a folder whose files become the image's root. Gives: an image named localhost/NAME:TAG in containerd's namespace k8s.io.
# Does not: pull anything.
# shellcheck shell=bash

containers() { ctr --address "$containerd_socket" --namespace k8s.io "$@"; }

has_image() { [ -n "$(containers images ls -q "name==$1")" ]; }

# load_image NAME:TAG FOLDER [USER [COMMAND]]
load_image() {
  local archive imported=1
  archive=$(mktemp -d "$run/image.XXXXXX") || return
  "$root/scripts/image.sh" "$2" "localhost/$1" "$archive/image.tar" "${@:3}" &&
    containers images import "$archive/image.tar" >"$archive/log" 2>&1 && imported=0
  [ $imported -eq 0 ] || cat "$archive/log" >&2
  rm -rf "$archive"
  return $imported
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
