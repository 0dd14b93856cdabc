# Asks the pipeline that deploy.sh puts on the test cluster: sourced by deploy.sh and test.sh, after settings.sh.
#
# Takes: the running cluster. Gives: the functions below; those that answer a question do so by their exit code.
# Does not: change anything but by signing up.
# shellcheck shell=bash disable=SC2154,SC2034 # variables of settings.sh, and for the scripts that source this one

api_host=signup.test
inbox_host=inbox.test

helm() { KUBECONFIG=$kubeconfig "$bin/helm" "$@"; }

# Prints a field of the pipeline: pipeline_field JSONPATH
pipeline_field() { kubectl -n demo get signuppipeline demo --output "jsonpath={$1}"; }

# holds CONDITION
holds() { [ "$(pipeline_field ".status.conditions[?(@.type==\"$1\")].status")" = True ]; }

# The operator has seen the newest edit.
pipeline_is_current() { [ "$(pipeline_field .status.observedGeneration)" = "$(pipeline_field .metadata.generation)" ]; }

# Why the pipeline is not in use yet, in the operator's words.
first_unmet() {
  local condition
  for condition in Ready Exposed ConfigApplied; do
    holds "$condition" && continue
    echo "$condition: $(pipeline_field ".status.conditions[?(@.type==\"$condition\")].message")"
    return
  done
  echo "waiting for the ingress to answer"
}

# Sends a request through the ingress and prints the status code: request HOST PATH [CURL_ARGUMENT...]
request() {
  curl -s --max-time 10 --output /dev/null --write-out '%{http_code}' -H "Host: $1" "http://$host_address$2" "${@:3}"
}

# A link without parameters is answered by the api itself (400), and by the ingress alone with 404 or 503.
ingress_answers_readily() { [ "$(request $api_host /v1/verify_email)" = 400 ] && [ "$(request $inbox_host /)" = 200 ]; }

# Prints the status code: sign_up USERNAME [HOST]
sign_up() {
  request "${2:-$api_host}" /v1/create_user --data \
    "{\"username\": \"$1\", \"full_name\": \"Ann Example\", \"email\": \"$1@example.com\", \"password\": \"correct horse\"}"
}

# Prints the links of all mails to a user, one a line: links_to USERNAME
links_to() {
  curl -sf --max-time 10 -H "Host: $inbox_host" "http://$host_address/messages.json" | /usr/bin/python3 -c '
import json, re, sys
recipient = sys.argv[1] + "@example.com"
for mail in json.load(sys.stdin):
    if recipient in mail["to"]:
        print(re.search(r"http://\S+", mail["text"]).group())
' "$1"
}
