# Starts, watches and ends the cluster's processes: sourced by the scripts beside it, after settings.sh.
#
# Takes: names of processes. Gives: one process per name in a session of its own (it outlives the script), its output in
# state/log/NAME.log, its id and start time in run/pid/NAME (so that a reused id is never taken for it).
# Does not: restart what ends, nor touch any process that it did not start.
# shellcheck shell=bash

# Nothing for a process that has ended and only waits to be collected (Z).
start_time_of() { awk '{sub(/.*\) /, ""); if ($1 != "Z") print $20}' "/proc/$1/stat" 2>/dev/null; }

# Prints the id of a running process: pid_of NAME
pid_of() {
  local pid began
  read -r pid began 2>/dev/null <"$run/pid/$1" || return 1
  [ -n "$began" ] && [ "$(start_time_of "$pid")" = "$began" ] && echo "$pid"
}

running() { pid_of "$1" >/dev/null; }

# Starts a program unless it runs already: start NAME PROGRAM ARGUMENTS...
# It records itself before it becomes the program, so that an interrupted script leaves none unknown; and it gets the first
# process as its parent at once, for Envoy asks the kernel to end it together with its parent.
start() {
  local name=$1 file=$run/pid/$1
  shift
  running "$name" && return
  mkdir -p "$run/pid" "$state/log"
  rm -f "$file"
  # shellcheck disable=SC2016 # the inner shell's own variables
  setsid --fork sh -c 'echo "$$ $(cut -d " " -f 22 /proc/$$/stat)" >"$1.new"; mv "$1.new" "$1"; shift; exec "$@"' \
    sh "$file" "$@" </dev/null >>"$state/log/$name.log" 2>&1 9>&-
  until [ -s "$file" ]; do sleep 0.01; done
}

# Ends a process, gently for some seconds and then not: stop NAME [SECONDS] [SIGNAL]
stop() {
  local pid deadline=$((SECONDS + ${2:-10}))
  pid=$(pid_of "$1") || { rm -f "$run/pid/$1"; return 0; }
  kill "-${3:-TERM}" "$pid" 2>/dev/null || true
  while running "$1" && [ $SECONDS -lt $deadline ]; do sleep 0.1; done
  running "$1" && kill -KILL "$pid" 2>/dev/null
  while running "$1"; do sleep 0.1; done
  rm -f "$run/pid/$1"
}

# Waits until a command succeeds, looking five times a second; fails with the process's last words when that process ends
# or the time is over: wait_until SECONDS PROCESS COMMAND...
wait_until() {
  local deadline=$((SECONDS + $1)) process=$2
  shift 2
  until "$@" >/dev/null 2>&1; do
    if [ -n "$process" ] && ! running "$process"; then
      tail -n 20 "$state/log/$process.log" >&2
      say "$process ended; its whole log is $state/log/$process.log" >&2
      return 1
    fi
    if [ $SECONDS -ge $deadline ]; then
      [ -z "$process" ] || tail -n 20 "$state/log/$process.log" >&2
      say "gave up waiting for: $*" >&2
      return 1
    fi
    sleep 0.2
  done
}
