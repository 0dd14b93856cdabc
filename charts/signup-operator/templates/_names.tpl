{{/* Names, labels and the image, the same in every template. */}}

{{- define "signup-operator.name" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/*
A process works in all namespaces or in one, so each watched namespace has a Deployment, and a Lease of the same name:
dict "root" $ "watched" "shop". A hash of the whole name ends one that is cut, so that no two namespaces share it.
*/}}
{{- define "signup-operator.deployment" -}}
{{- $name := printf "%s-%s" (include "signup-operator.name" .root) .watched | trimSuffix "-" -}}
{{- if gt (len $name) 63 -}}
{{- printf "%s-%s" (trunc 54 $name) (sha256sum $name | trunc 8) -}}
{{- else -}}
{{- $name -}}
{{- end -}}
{{- end -}}

{{- define "signup-operator.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (ternary (include "signup-operator.name" .) "default" .Values.serviceAccount.create) -}}
{{- end -}}

{{/* What never changes during the life of a release. */}}
{{- define "signup-operator.selector" -}}
app.kubernetes.io/name: signup-operator
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{- define "signup-operator.labels" -}}
{{ include "signup-operator.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "signup-operator.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{- printf "%s@%s" .repository .digest -}}
{{- else -}}
{{- printf "%s:%s" .repository (.tag | default $.Chart.AppVersion) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Of every pod: the cluster gives the ids where podSecurity is Assigned. */}}
{{- define "signup-operator.pod-security" -}}
runAsNonRoot: true
{{- if ne (.Values.podSecurity | default "Fixed") "Assigned" }}
runAsUser: 65532
runAsGroup: 65532
{{- end }}
seccompProfile: {type: RuntimeDefault}
{{- end -}}
