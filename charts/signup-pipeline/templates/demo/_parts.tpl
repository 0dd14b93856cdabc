{{/* What the demo servers have in common. All take: dict "root" $ "server" "postgres". */}}

{{- define "signup-pipeline.demo.metadata" -}}
name: {{ include "signup-pipeline.name" .root }}-demo-{{ .server }}
namespace: {{ .root.Release.Namespace | quote }}
labels:
  {{- include "signup-pipeline.labels" .root | nindent 2 }}
  app.kubernetes.io/component: demo-{{ .server }}
annotations:
  signup.dev/not-for-production: a demo server; its data ends with its pod
{{- end -}}

{{/* Given, or the one that the Secret has (so that an upgrade changes nothing), or a new one. */}}
{{- define "signup-pipeline.demo.password" -}}
{{- if .root.Values.demo.password -}}
{{- .root.Values.demo.password -}}
{{- else -}}
{{- $secret := lookup "v1" "Secret" .root.Release.Namespace (printf "%s-demo-%s" (include "signup-pipeline.name" .root) .server) -}}
{{- if dig "data" "password" "" $secret -}}
{{- $secret.data.password | b64dec -}}
{{- else -}}
{{- randAlphaNum 32 -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "signup-pipeline.demo.pod-security" -}}
{{- $user := (index .root.Values.demo .server).user | int -}}
{{- include "signup-pipeline.pod-security" (dict "root" .root "ids" (list "runAsUser" "runAsGroup" "fsGroup") "user" $user) -}}
{{- end -}}

{{- define "signup-pipeline.demo.container-security" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{/* One replica, replaced whole, with the pod's template indented below: the head of each Deployment. */}}
{{- define "signup-pipeline.demo.deployment" -}}
replicas: 1
strategy: {type: Recreate}
selector:
  matchLabels:
    {{- include "signup-pipeline.demo.selector" . | nindent 4 }}
template:
  metadata:
    labels:
      {{- include "signup-pipeline.demo.selector" . | nindent 6 }}
  spec:
    automountServiceAccountToken: false
    enableServiceLinks: false
    {{- with .root.Values.imagePullSecrets }}
    imagePullSecrets:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    securityContext:
      {{- include "signup-pipeline.demo.pod-security" . | nindent 6 }}
{{- end -}}

{{/* Reached from its namespace alone, Redis by the operator too wherever it runs, and reaches nothing. */}}
{{- define "signup-pipeline.demo.network-policy" -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  {{- include "signup-pipeline.demo.metadata" . | nindent 2 }}
spec:
  podSelector:
    matchLabels:
      {{- include "signup-pipeline.demo.selector" . | nindent 6 }}
  policyTypes: [Ingress, Egress]
  ingress:
    - from:
        - podSelector: {}
        {{- if eq .server "redis" }}
        - namespaceSelector: {} # the operator, which reads the depth of the queues
          podSelector: {matchLabels: {app.kubernetes.io/name: signup-operator}}
        {{- end }}
{{- end -}}
