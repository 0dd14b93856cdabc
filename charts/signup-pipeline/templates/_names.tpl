{{/* Names and labels, the same in every template. */}}

{{- define "signup-pipeline.name" -}}
{{- .Values.name | default .Release.Name -}}
{{- end -}}

{{- define "signup-pipeline.labels" -}}
app.kubernetes.io/name: signup-pipeline
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{/* What selects the pod of one demo server: dict "root" $ "server" "postgres". */}}
{{- define "signup-pipeline.demo.selector" -}}
app.kubernetes.io/name: signup-pipeline
app.kubernetes.io/instance: {{ .root.Release.Name | quote }}
app.kubernetes.io/component: demo-{{ .server }}
{{- end -}}

{{/* The Service of the api that the operator makes. */}}
{{- define "signup-pipeline.api" -}}
http://{{ include "signup-pipeline.name" . }}-api
{{- end -}}

{{/* The pod's securityContext, without ids where the cluster gives them: dict "root" $ "ids" (list "runAsUser" "runAsGroup") "user" 65532. */}}
{{- define "signup-pipeline.pod-security" -}}
runAsNonRoot: true
{{- if ne (.root.Values.podSecurity | default "Fixed") "Assigned" }}
{{- range .ids }}
{{ . }}: {{ $.user }}
{{- end }}
{{- end }}
seccompProfile: {type: RuntimeDefault}
{{- end -}}
