{{/* Names are cut so that the longest child (`-metrics`) stays within 63 characters. */}}
{{- define "lifeboat.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 40 | trimSuffix "-" -}}
{{- end }}

{{- define "lifeboat.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains (include "lifeboat.name" .) .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "lifeboat.name" .) | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end }}

{{- define "lifeboat.selector" -}}
app.kubernetes.io/name: {{ include "lifeboat.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "lifeboat.labels" -}}
{{ include "lifeboat.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "lifeboat.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{- define "lifeboat.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{ .Values.serviceAccount.name | default (include "lifeboat.fullname" .) }}
{{- else -}}
{{ required "serviceAccount.name: name the ServiceAccount to use, or set serviceAccount.create" .Values.serviceAccount.name }}
{{- end -}}
{{- end }}

{{/* What `lifeboat operator --settings` reads: exactly the fields of `Settings` in src/workload/settings.rs. */}}
{{- define "lifeboat.settings" -}}
image: {{ include "lifeboat.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
postgresImage: {{ .Values.workers.postgresImage | quote }}
allowedImages: {{ .Values.workers.allowedImages | default list | toJson }}
defaultMajor: {{ .Values.workers.defaultMajor }}
runAsUser: {{ .Values.workers.runAsUser | toJson }}
fsGroup: {{ .Values.workers.fsGroup | toJson }}
imagePullSecrets: {{ .Values.workers.imagePullSecrets | default list | toJson }}
env: {{ .Values.workers.env | default dict | toJson }}
resources: {{ .Values.workers.resources | toJson }}
{{- if .Values.admission.enabled }}
admission: {{ include "lifeboat.fullname" . | quote }}
{{- end }}
approval: {{ .Values.migrations.approval }}
sharedServers: {{ .Values.sharedServers | default list | toJson }}
{{- end }}

{{/*
Everything the operator may do (K36). No Secrets, no ConfigMaps, no exec, no wildcard.
Status is applied (patch). Jobs are never changed, only created and deleted. NetworkPolicies are those of drills and
rehearsals. A MigrationRun is patched for its finalizer; RestoreDrills are created for the gate of one, and deleted after it.
*/}}
{{- define "lifeboat.rules" -}}
- apiGroups: [lifeboat.dev]
  resources: [backupstores, backuppolicies, backups, restoredrills, migrationruns, migrationapprovals]
  verbs: [get, list, watch]
- apiGroups: [lifeboat.dev]
  resources: [backups]
  verbs: [create]
- apiGroups: [lifeboat.dev]
  resources: [restoredrills]
  verbs: [create, delete]
- apiGroups: [lifeboat.dev]
  resources: [migrationruns]
  verbs: [patch]
- apiGroups: [lifeboat.dev]
  resources: [backupstores/status, backuppolicies/status, backups/status, restoredrills/status, migrationruns/status]
  verbs: [patch, update]
- apiGroups: [batch]
  resources: [jobs]
  verbs: [get, list, watch, create, delete]
- apiGroups: [networking.k8s.io]
  resources: [networkpolicies]
  verbs: [create, patch, delete]
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, watch]
- apiGroups: [""]
  resources: [pods/log]
  verbs: [get]
- apiGroups: ["", events.k8s.io]
  resources: [events]
  verbs: [create, patch, list]
{{- end }}
