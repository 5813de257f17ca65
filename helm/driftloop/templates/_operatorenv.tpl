{{/* The operator's settings: the fields of `driftloop.operator.settings`, one by one. */}}
{{- define "driftloop.operatorEnv" -}}
- name: DRIFTLOOP_OPERATOR_NAMESPACE
  valueFrom: {fieldRef: {fieldPath: metadata.namespace}}
- name: DRIFTLOOP_OPERATOR_IDENTITY
  valueFrom: {fieldRef: {fieldPath: metadata.name}}
- name: DRIFTLOOP_OPERATOR_WATCH_NAMESPACES
  value: {{ toJson .Values.watchNamespaces | quote }}
- name: DRIFTLOOP_OPERATOR_PLATFORM__IMAGES__CONTROLLER
  value: {{ include "driftloop.image" (list $ .Values.images.controller) }}
- name: DRIFTLOOP_OPERATOR_PLATFORM__IMAGES__MONITOR
  value: {{ include "driftloop.image" (list $ .Values.images.monitor) }}
- name: DRIFTLOOP_OPERATOR_PLATFORM__IMAGES__SERVING
  value: {{ include "driftloop.image" (list $ .Values.images.serving) }}
- name: DRIFTLOOP_OPERATOR_PLATFORM__IMAGES__PIPELINE
  value: {{ include "driftloop.image" (list $ .Values.images.pipeline) }}
- name: DRIFTLOOP_OPERATOR_PLATFORM__IMAGES__PULL_POLICY
  value: {{ .Values.images.pullPolicy }}
- name: DRIFTLOOP_OPERATOR_PLATFORM__IMAGES__PULL_SECRETS
  value: {{ toJson .Values.images.pullSecrets | quote }}
- name: DRIFTLOOP_OPERATOR_PLATFORM__STORE__URI
  value: {{ .Values.store.uri | quote }}
- name: DRIFTLOOP_OPERATOR_PLATFORM__STORE__ENDPOINT_URL
  value: {{ .Values.store.endpointUrl | quote }}
- name: DRIFTLOOP_OPERATOR_PLATFORM__STORE__REGION
  value: {{ .Values.store.region | quote }}
- name: DRIFTLOOP_OPERATOR_PLATFORM__STORE__SECRET_NAME
  value: {{ .Values.store.secretName | quote }}
- name: DRIFTLOOP_OPERATOR_PLATFORM__FLUSH_INTERVAL_SECONDS
  value: {{ .Values.flushIntervalSeconds | quote }}
- name: DRIFTLOOP_OPERATOR_PLATFORM__SERVICE_MONITORS
  value: {{ .Values.prometheus.loops | quote }}
- name: DRIFTLOOP_OPERATOR_PLATFORM__API_SERVER_PORTS
  value: {{ toJson .Values.apiServerPorts | quote }}
- name: DRIFTLOOP_OPERATOR_KUBEFLOW_URL
  value: {{ .Values.kubeflow.url | quote }}
- name: DRIFTLOOP_OPERATOR_KUBEFLOW_UI_URL
  value: {{ .Values.kubeflow.uiUrl | quote }}
- name: DRIFTLOOP_OPERATOR_KUBEFLOW_TOKEN_PATH
  value: {{ ternary "/var/run/secrets/kubeflow/pipelines/token" "" (not (empty .Values.kubeflow.tokenAudience)) | quote }}
- name: DRIFTLOOP_OPERATOR_MAX_CONCURRENT_RUNS
  value: {{ .Values.maxConcurrentRuns | quote }}
- name: DRIFTLOOP_OPERATOR_WEBHOOK_URL
  {{- if .Values.webhook.secretName }}
  valueFrom: {secretKeyRef: {name: {{ .Values.webhook.secretName }}, key: url}}
  {{- else }}
  value: {{ .Values.webhook.url | quote }}
  {{- end }}
- name: DRIFTLOOP_OPERATOR_WEBHOOK_TIMEOUT_SECONDS
  value: {{ .Values.webhook.timeoutSeconds | quote }}
- name: DRIFTLOOP_OPERATOR_AVAILABLE_SECONDS
  value: {{ .Values.operator.availableSeconds | quote }}
- name: DRIFTLOOP_OPERATOR_DRAIN_SECONDS
  value: {{ .Values.operator.drainSeconds | quote }}
- name: DRIFTLOOP_OPERATOR_POLL_SECONDS
  value: {{ .Values.operator.pollSeconds | quote }}
- name: DRIFTLOOP_OPERATOR_BUSY_POLL_SECONDS
  value: {{ .Values.operator.busyPollSeconds | quote }}
- name: DRIFTLOOP_OPERATOR_LEASE_SECONDS
  value: {{ .Values.operator.leaseSeconds | quote }}
- name: DRIFTLOOP_OPERATOR_WORKERS
  value: {{ .Values.operator.workers | quote }}
- name: DRIFTLOOP_OPERATOR_METRICS_PORT
  value: {{ .Values.operator.metricsPort | quote }}
- name: DRIFTLOOP_OPERATOR_HEALTH_PORT
  value: {{ .Values.operator.healthPort | quote }}
- name: DRIFTLOOP_OPERATOR_LOG_LEVEL
  value: {{ .Values.operator.logLevel }}
- name: AWS_DEFAULT_REGION
  value: {{ .Values.store.region | quote }}
- name: AWS_REGION
  value: {{ .Values.store.region | quote }}
{{- with .Values.store.endpointUrl }}
- name: AWS_ENDPOINT_URL
  value: {{ . | quote }}
{{- end }}
{{- with .Values.store.secretName }}
- name: AWS_ACCESS_KEY_ID
  valueFrom: {secretKeyRef: {name: {{ . }}, key: AWS_ACCESS_KEY_ID}}
- name: AWS_SECRET_ACCESS_KEY
  valueFrom: {secretKeyRef: {name: {{ . }}, key: AWS_SECRET_ACCESS_KEY}}
{{- end }}
{{- end }}
