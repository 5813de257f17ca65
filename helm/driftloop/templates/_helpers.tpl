{{/* Name of everything that the release brings. */}}
{{- define "driftloop.name" -}}
{{- if contains "driftloop" .Release.Name }}{{ .Release.Name | trunc 52 | trimSuffix "-" }}{{ else }}{{ printf "%s-driftloop" .Release.Name | trunc 52 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "driftloop.selector" -}}
app.kubernetes.io/name: driftloop
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: operator
{{- end }}

{{- define "driftloop.labels" -}}
{{ include "driftloop.selector" . }}
{{ include "driftloop.sharedLabels" . }}
{{- end }}

{{/* Of objects that outlive the release, or are nobody's: no instance, by which Argo CD would claim them. */}}
{{- define "driftloop.sharedLabels" -}}
app.kubernetes.io/part-of: driftloop
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{/* Address of an image: (list $ .Values.images.monitor) */}}
{{- define "driftloop.image" -}}
{{- $root := index . 0 }}{{ $image := index . 1 }}
{{- with $root.Values.images.registry }}{{ trimSuffix "/" . }}/{{ end }}{{ $image.repository }}
{{- if $image.digest }}@{{ $image.digest }}{{ else }}:{{ $image.tag | default $root.Chart.AppVersion }}{{ end }}
{{- end }}

{{- define "driftloop.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "driftloop.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{/* What must hold before anything is rendered. */}}
{{- define "driftloop.check" -}}
{{- if not .Values.store.uri }}
{{- fail "The value 'store.uri' must name the object store that all loops share. It is empty. Set it, for example: --set store.uri=s3://bucket/driftloop" }}
{{- end }}
{{- end }}
