# Makes the cluster's certificates and kubeconfig files: sourced by up.sh, after settings.sh.
#
# Takes: openssl. Gives: state/pki/NAME.crt and NAME.key for every part, signed by one authority, and state/kubeconfig (the
# administrator) with one kubeconfig per part in state/kubeconfigs. Does not: renew; they last ten years, a test cluster does not.
# shellcheck shell=bash

pki=$state/pki

# Signs a certificate: issue NAME SUBJECT USAGE [SUBJECT_ALTERNATIVE_NAMES]
issue() {
  local extensions="basicConstraints=CA:FALSE\nkeyUsage=critical,digitalSignature,keyEncipherment\nextendedKeyUsage=$3\n"
  [ -z "${4:-}" ] || extensions+="subjectAltName=$4\n"
  openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -subj "$2" -keyout "$pki/$1.key" -out "$pki/$1.csr" 2>/dev/null || return
  openssl x509 -req -in "$pki/$1.csr" -CA "$pki/ca.crt" -CAkey "$pki/ca.key" -CAcreateserial -days 3650 \
    -extfile <(printf '%b' "$extensions") -out "$pki/$1.crt" 2>/dev/null || return
  rm "$pki/$1.csr"
}

authority() {
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -days 3650 -subj "/CN=signup test cluster" \
    -addext 'keyUsage=critical,keyCertSign,cRLSign' -keyout "$pki/ca.key" -out "$pki/ca.crt" 2>/dev/null
}

# Writes a kubeconfig that holds its certificate, so that the file can be copied: write_kubeconfig FILE CERTIFICATE_NAME
write_kubeconfig() {
  install -m 600 /dev/null "$1" && cat >"$1" <<EOF
apiVersion: v1
kind: Config
clusters:
  - name: signup
    cluster:
      server: https://$host_address:$api_port
      certificate-authority-data: $(base64 -w0 "$pki/ca.crt")
users:
  - name: $2
    user:
      client-certificate-data: $(base64 -w0 "$pki/$2.crt")
      client-key-data: $(base64 -w0 "$pki/$2.key")
contexts:
  - name: signup
    context: {cluster: signup, user: $2}
current-context: signup
EOF
}

make_certificates() {
  [ ! -e "$pki/complete" ] || return 0
  mkdir -p "$pki" "$state/kubeconfigs" && authority || return
  issue api-server "/CN=kube-apiserver" serverAuth \
    "IP:127.0.0.1,IP:$service_address,IP:$host_address,DNS:localhost,DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,DNS:kubernetes.default.svc.$cluster_domain" || return
  issue api-server-to-kubelet "/O=system:masters/CN=kube-apiserver-kubelet-client" clientAuth || return
  issue front-proxy "/CN=front-proxy" clientAuth || return
  issue kubelet-server "/O=system:nodes/CN=system:node:$node_name" serverAuth "IP:$host_address,DNS:$node_name" || return
  issue servers "/CN=servers" serverAuth "IP:$host_address,DNS:postgres.test,DNS:redis.test" || return
  issue ingress "/CN=ingress" serverAuth "DNS:*.test,DNS:*.smoke.test" || return
  issue administrator "/O=system:masters/CN=administrator" clientAuth || return
  issue kubelet "/O=system:nodes/CN=system:node:$node_name" clientAuth || return
  local part
  for part in kube-controller-manager kube-scheduler kube-proxy; do issue $part "/CN=system:$part" clientAuth || return; done
  openssl ecparam -genkey -name prime256v1 -noout -out "$pki/service-accounts.key" || return
  openssl ec -in "$pki/service-accounts.key" -pubout -out "$pki/service-accounts.pub" 2>/dev/null || return
  write_kubeconfig "$kubeconfig" administrator
  for part in kubelet kube-controller-manager kube-scheduler kube-proxy; do write_kubeconfig "$state/kubeconfigs/$part" $part; done
  touch "$pki/complete"
}
