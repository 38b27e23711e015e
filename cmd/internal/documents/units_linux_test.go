package documents_test

import (
	"strings"
	"testing"
)

// units: systemd finds no fault in ours, and the service can write what it has to and nothing else (row DOC-07).
func (m *machine) units(t *testing.T) {
	t.Helper()
	out := m.must("systemd-analyze verify /etc/systemd/system/ssobridge*.{service,timer} 2>&1")
	if strings.Contains(out, "ssobridge") {
		t.Errorf("systemd-analyze verify:\n%s", out)
	}
	m.must("sed 's/^Restart=.*/Restart=maybe/' /etc/systemd/system/ssobridge.service >/run/broken.service")
	if out := m.must("systemd-analyze verify /run/broken.service 2>&1 || true"); !strings.Contains(out, "maybe") {
		t.Errorf("systemd-analyze verify takes a broken unit:\n%s", out)
	}
	// In the namespace and as the user of the running service.
	const inside = `nsenter --target "$(systemctl show --property MainPID --value ssobridge)" --mount ` +
		`setpriv --reuid ssobridge --regid ssobridge --clear-groups `
	for _, folder := range []string{"/var/lib/ssobridge", "/var/log/ssobridge"} {
		m.must(inside + "sh -c 'echo a >" + folder + "/probe && rm " + folder + "/probe'")
	}
	// Not by permissions alone: these let everybody write for a moment.
	for folder, mode := range map[string]string{"/etc/ssobridge": "750", "/var/lib": "755",
		"/var/backups/ssobridge": "700", "/usr/local/bin": "755", "/opt": "755"} {
		m.must("chmod 777 " + folder)
		m.refuses(1, "", inside+"test -w "+folder)
		m.must("chmod " + mode + " " + folder)
	}
	m.refuses(2, "Permission denied", "mkdir -p /home/somebody && "+inside+"ls /home")
}
