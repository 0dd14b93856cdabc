{{/*
The spec of the pipeline: the values that are not the chart's own, with the demo servers where a setting is absent.
With the demo inbox, links lead to where the port-forward of NOTES.txt listens.
What is still missing then is refused here, because it is known to be wrong before the API server is asked.
*/}}
{{- define "signup-pipeline.spec" -}}
{{- $name := include "signup-pipeline.name" . -}}
{{- $spec := omit .Values "global" "name" "labels" "annotations" "test" "demo" | deepCopy -}}
{{- if and .Values.demo.postgres.enabled (not .Values.database) -}}
{{- $_ := set $spec "database" (dict "secretRef" (dict "name" (printf "%s-demo-postgres" $name))) -}}
{{- end -}}
{{- if and .Values.demo.redis.enabled (not .Values.redis) -}}
{{- $_ := set $spec "redis" (dict "secretRef" (dict "name" (printf "%s-demo-redis" $name))) -}}
{{- end -}}
{{- if and .Values.demo.inbox.enabled (not .Values.mail) -}}
{{- $smtp := dict "host" (printf "%s-demo-inbox" $name) "port" 1025 "tls" "None" -}}
{{- $_ := set $spec "mail" (dict "from" "no-reply@example.com" "smtp" $smtp) -}}
{{- if not (or .Values.expose (dig "publicURL" "" (.Values.verification | default dict))) -}}
{{- $verification := merge (dict "publicURL" "http://127.0.0.1:8080") ($spec.verification | default dict) -}}
{{- $_ := set $spec "verification" $verification -}}
{{- end -}}
{{- end -}}
{{- if not $spec.database -}}
{{- fail "database is missing; set database.secretRef.name, or demo.postgres.enabled: true to try the pipeline" -}}
{{- end -}}
{{- if not $spec.redis -}}
{{- fail "redis is missing; set redis.secretRef.name, or demo.redis.enabled: true to try the pipeline" -}}
{{- end -}}
{{- if not $spec.mail -}}
{{- fail "mail is missing; set mail.from and mail.smtp.host, or demo.inbox.enabled: true to try the pipeline" -}}
{{- end -}}
{{- $host := dig "host" "" ($spec.expose | default dict) -}}
{{- if not (or (dig "publicURL" "" ($spec.verification | default dict)) (and $host (not (hasPrefix "*" $host)))) -}}
{{- fail "the links in the mails need an address; set verification.publicURL or expose.host (without *)" -}}
{{- end -}}
{{- toYaml $spec -}}
{{- end -}}
