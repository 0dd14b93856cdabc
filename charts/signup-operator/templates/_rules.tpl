{{/*
The rights of the operator on the pipelines it serves: in a ClusterRole, or in a Role of each watched namespace.
Secrets are read by name and the key that signs links is created; no Secret is ever changed or deleted, and none is listed or watched
but with secrets.access=Watch. RBAC cannot grant the metadata alone.
Server-side apply needs create and patch. Only what an edit of the pipeline takes away is deleted; the rest goes with its owner.
*/}}
{{- define "signup-operator.rules" -}}
- apiGroups: [signup.dev]
  resources: [signuppipelines]
  verbs: [get, list, watch]
- apiGroups: [signup.dev]
  resources: [signuppipelines/status]
  verbs: [patch]
# Demanded of whoever sets an owner reference that blocks deletion, where the API server checks that.
- apiGroups: [signup.dev]
  resources: [signuppipelines/finalizers]
  verbs: [update]
- apiGroups: [""]
  resources: [secrets]
  verbs: [get, create]
{{- if eq .Values.secrets.access "Watch" }}
- apiGroups: [""]
  resources: [secrets]
  verbs: [list, watch]
{{- end }}
# The UID of a pipeline's namespace tells clusters apart where a database says whose it is.
- apiGroups: [""]
  resources: [namespaces]
  verbs: [get]
- apiGroups: [""]
  resources: [configmaps, services, serviceaccounts]
  verbs: [get, list, watch, create, patch]
- apiGroups: [apps]
  resources: [deployments]
  verbs: [get, list, watch, create, patch]
# The number of workers has a field manager of its own.
- apiGroups: [apps]
  resources: [deployments/scale]
  verbs: [patch]
# Whether somebody else sets a number of pods is seen by a watch of all; written is NAME-api alone, with api.autoscaling.mode=Auto.
- apiGroups: [autoscaling]
  resources: [horizontalpodautoscalers]
  verbs: [get, list, watch, create, patch, delete]
# The patch of an annotation makes the kubelet bring a changed ConfigMap to the pod at once.
- apiGroups: [""]
  resources: [pods]
  verbs: [list, watch, patch]
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [networking.k8s.io]
  resources: [networkpolicies, ingresses]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [gateway.networking.k8s.io]
  resources: [httproutes]
  verbs: [get, list, watch, create, patch, delete]
# Whether the Gateways that a pipeline names exist, and have a listener for its host; looked at while its route is not taken.
- apiGroups: [gateway.networking.k8s.io]
  resources: [gateways]
  verbs: [get]
- apiGroups: [monitoring.coreos.com]
  resources: [podmonitors]
  verbs: [get, list, watch, create, patch, delete]
# Those of others on a pipeline's Service are told, and kept.
- apiGroups: [monitoring.coreos.com]
  resources: [servicemonitors]
  verbs: [list, watch]
# Failed probes and mounts of pods that wait stand in no other place.
- apiGroups: [""]
  resources: [events]
  verbs: [list]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end -}}
