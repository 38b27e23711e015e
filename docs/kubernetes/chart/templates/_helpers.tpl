{{- define "ssobridge.labels" -}}
app.kubernetes.io/name: ssobridge
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- /* Of a pod, whether it serves or makes the first key. */ -}}
{{- define "ssobridge.pod" -}}
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  # The group of the volume, which the bridge then shares its files with.
  fsGroup: 10001
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile:
    type: RuntimeDefault
automountServiceAccountToken: false
enableServiceLinks: false
{{- end }}

{{- define "ssobridge.container" -}}
image: {{ printf "%s:%s" .Values.image.repository (toString .Values.image.tag) }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
{{- end }}

{{- define "ssobridge.volumes" -}}
- name: config
  configMap:
    name: {{ .Release.Name }}
- name: secrets
  secret:
    secretName: {{ .Values.secretName }}
    defaultMode: 0440
{{- end }}

{{- define "ssobridge.mounts" -}}
- name: config
  mountPath: /etc/ssobridge
  readOnly: true
- name: secrets
  mountPath: /run/secrets/ssobridge
  readOnly: true
- name: state
  mountPath: /var/lib/ssobridge
{{- end }}
