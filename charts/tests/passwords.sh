# Tests of the passwords that the pipeline's chart signs up with: sourced by ../test.sh.
#
# Takes: the chart; its schema, for the greatest signup.passwordMinLength, which is also the longest password. Gives: the functions
# below. Does not: sign up; the api tests what it accepts.
# shellcheck shell=bash disable=SC2154 # the variables are of test.sh and settings.sh

greatest_minimum() {
  python3 -c 'import json, sys
print(json.load(open(sys.argv[1]))["properties"]["signup"]["properties"]["passwordMinLength"]["maximum"])' \
    "$charts/signup-pipeline/values.schema.json"
}

# Of the request in the input.
password() { sed -n 's/.*"password":"\([^"]*\)".*/\1/p'; }

# The script runs as in the pod, but its wget only notes what it was to send.
the_password_of_helm_test_is_long_enough_for_every_minimum() {
  local stubs=$state/stubs sent
  # shellcheck disable=SC2016 # the script below expands them
  mkdir -p "$stubs" && printf '#!/bin/sh\nprintf "%%s\\n" "$@" >"$SENT"\n' >"$stubs/wget" && chmod +x "$stubs/wget" &&
    PATH=$stubs:$PATH SENT=$state/sent API=http://demo-api DOMAIN=example.com INBOX='' \
      sh -ec "$(cat "$charts/signup-pipeline/files/signup.sh")" || return
  sent=$(password <"$state/sent")
  [ ${#sent} -eq "$(greatest_minimum)" ] || { echo "sent ${#sent} characters, not $(greatest_minimum)"; return 1; }
}

# the_password_in_the_notes_has LENGTH MINIMUM
the_password_in_the_notes_has() {
  local shown
  # shellcheck disable=SC2046 # words, not one argument
  shown=$("$bin/helm" install $(release_of signup-pipeline) "$charts/signup-pipeline" --dry-run=client \
    --values "$tests/values/signup-pipeline/minimal.yaml" --set "signup.passwordMinLength=$2" |
    sed -n '/^NOTES:/,$p' | password) || return
  [ ${#shown} -eq "$1" ] || { echo "shows $shown of ${#shown} characters, not $1, with passwordMinLength $2"; return 1; }
}

the_password_in_the_notes_is_long_enough_for_every_minimum() {
  the_password_in_the_notes_has 13 6 && the_password_in_the_notes_has 14 14 &&
    the_password_in_the_notes_has "$(greatest_minimum)" "$(greatest_minimum)"
}
