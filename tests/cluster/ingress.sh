# Starts Contour and Envoy: sourced by up.sh, after node.sh.
#
# Takes: a node whose Services answer. Gives: an ingress class `contour` and a Gateway `signup` in the namespace `projectcontour`
# (any namespace may attach), both at the bridge's address, port 80 and, with a certificate for *.test of the cluster's authority, 443.
# Does not: make certificates for other hosts.
#
# Envoy is a process of the host on ports 8080 and 8443 (Contour adds 8000 to a listener's port); the Service `envoy`, of type
# LoadBalancer, brings 80 and 443 there, as a cloud's balancer would.
# shellcheck shell=bash

apply_definitions() {
  kubectl apply --server-side --force-conflicts -f "$manifests/contour.yaml" -f "$manifests/gateway.yaml" >/dev/null || return
  kubectl wait --for condition=Established --timeout 60s -f "$manifests/contour.yaml" -f "$manifests/gateway.yaml" >/dev/null
}

apply_gateway() {
  sed "s/@ADDRESS@/$host_address/" "$source_dir/ingress.yaml" | kubectl apply --server-side -f - >/dev/null || return
  kubectl -n projectcontour create secret tls ingress --cert "$pki/ingress.crt" --key "$pki/ingress.key" --dry-run=client -o yaml |
    kubectl apply --server-side -f - >/dev/null || return
  kubectl -n projectcontour patch service envoy --subresource status --type merge \
    -p "{\"status\": {\"loadBalancer\": {\"ingress\": [{\"ip\": \"$host_address\"}]}}}" >/dev/null
}

start_contour() {
  printf 'gateway: {gatewayRef: {namespace: projectcontour, name: signup}}\n' >"$state/contour.yaml"
  start contour "$bin/contour" serve --kubeconfig "$kubeconfig" --config-path "$state/contour.yaml" --insecure \
    --disable-leader-election --xds-address=127.0.0.1 --xds-port="$xds_port" \
    --http-address=127.0.0.1 --http-port="$contour_metrics_port" --health-address=127.0.0.1 --health-port="$contour_metrics_port" \
    --debug-http-address=127.0.0.1 --debug-http-port="$contour_debug_port" \
    --stats-address=127.0.0.1 --stats-port="$envoy_metrics_port" --ingress-class-name=contour \
    --envoy-service-namespace=projectcontour --envoy-service-name=envoy \
    --envoy-service-http-address="$host_address" --envoy-service-https-address="$host_address"
  wait_until 60 contour curl -sf "http://127.0.0.1:$contour_metrics_port/healthz"
}

start_envoy() {
  "$bin/contour" bootstrap --xds-address=127.0.0.1 --xds-port="$xds_port" --admin-address="$run/envoy.sock" "$state/envoy.json" \
    2>>"$state/log/envoy.log" || return
  start envoy "$bin/envoy" --config-path "$state/envoy.json" --service-cluster signup --service-node signup --log-level warning --base-id 7
  wait_until 60 envoy curl -sf --unix-socket "$run/envoy.sock" http://localhost/ready
}

gateway_programmed() {
  kubectl -n projectcontour wait --for condition=Programmed --timeout 1s gateway/signup
}

ingress_answers() {
  apply_definitions && apply_gateway && start_contour && start_envoy && wait_until 60 contour gateway_programmed
}
