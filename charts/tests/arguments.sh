# Does the operator take the command line that the chart gives it? Sourced by ../test.sh.
#
# Takes: target/debug/operator, and the golden files. Gives: the function below. Does not: start the operator; `--help` as the
# last argument ends it after all others were parsed.
# shellcheck shell=bash disable=SC2154 # the variables are of test.sh and settings.sh

# arguments_of NAME: those of the first operator, one a line
arguments_of() {
  awk '/^ *command: \[\/operator\]$/ {inside = 1; next}
    inside && /^ *env:$/ {exit}
    inside && sub(/^ *- -/, "-")
    inside && /^ *- run$/ {print "run"}' "$tests/golden/signup-operator/$1.yaml"
}

the_operator_takes_the_arguments_of() {
  local arguments
  mapfile -t arguments < <(arguments_of "$1")
  if [ "${arguments[0]}" != run ] || [ ${#arguments[@]} -lt 5 ]; then
    echo "found no arguments: ${arguments[*]}"
    return 1
  fi
  "$root/target/debug/operator" "${arguments[@]}" --help
}
