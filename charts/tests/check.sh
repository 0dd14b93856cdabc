# Runs tests and counts them: sourced by ../test.sh and ../test-cluster.sh.
#
# Takes: `state`, a temporary folder. Gives: one line per test, and the output of those that failed. Does not: stop at one.
# shellcheck shell=bash disable=SC2154 # the variables are of the script that sources this one

passed=0 failed=0

# Runs a test and tells how it went: check FUNCTION ARGUMENTS...
check() {
  if "$@" >"$state/output" 2>&1; then
    passed=$((passed + 1))
    printf 'ok      %s\n' "${*//_/ }"
  else
    failed=$((failed + 1))
    printf 'FAILED  %s\n' "${*//_/ }"
    head -n 60 "$state/output" | cut -c -300 | sed 's/^/        /'
  fi
}

# Fails when a test did.
count() {
  printf '%d tests passed, %d failed\n' $passed $failed
  [ $failed -eq 0 ]
}
