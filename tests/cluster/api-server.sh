#!/usr/bin/env bash
# Stops the test cluster's API server and starts it again: trouble on purpose, for the tests.
#
#   tests/cluster/api-server.sh kill      ends it at once, as a crash does: connections break
#   tests/cluster/api-server.sh pause     lets it stand still: connections stay, and nothing is answered
#   tests/cluster/api-server.sh resume    lets a paused one go on
#   tests/cluster/api-server.sh start     starts it unless it runs, and waits until it answers
#
# Takes: root, the running cluster. Gives: the trouble. Does not: end it by itself; `resume` and `start` do.
set -euo pipefail
source "$(dirname "$0")/settings.sh"
# shellcheck source=/dev/null
for part in processes certificates control-plane; do source "$source_dir/$part.sh"; done

require_root
case "${1:-}" in
  kill) stop kube-apiserver 5 KILL ;;
  pause) kill -STOP "$(pid_of kube-apiserver)" ;;
  resume) kill -CONT "$(pid_of kube-apiserver)" ;;
  start) api_answers ;;
  *) fail "usage: api-server.sh kill | pause | resume | start" ;;
esac
