package documents_test

import (
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
)

const launchLink = public + "/launch/" + account

// register is what README says of Constant Contact and mappings.
const register = `ssobridge sp add-constant-contact --entity-id ` + entityID + ` --environment l1
ssobridge mapping add --group cn=marketing,ou=groups,dc=example,dc=com --role campaign_creator --unlisted --account ` +
	account + `
`

// handOver is what docs/systemd.md says of files that root has made.
const handOver = `chown -R root:ssobridge /etc/ssobridge
chmod -R u=rwX,g=rX,o= /etc/ssobridge
chown -R ssobridge: /var/lib/ssobridge
`

// installed sets a bridge up as README and docs/systemd.md say, without starting it: the machine "first" shows that
// they are right.
func (m *machine) installed(t *testing.T) {
	t.Helper()
	m.unpacked(t)
	m.directory(t)
	m.constantContact(t)
	m.must(`install -m 755 ssobridge /usr/local/bin/
useradd --system --home-dir /var/lib/ssobridge --shell /usr/sbin/nologin ssobridge
install -d -o root -g ssobridge -m 750 /etc/ssobridge
install -d -o ssobridge -g ssobridge -m 700 /var/lib/ssobridge
install -m 644 ssobridge.service /etc/systemd/system/
systemctl daemon-reload
ssobridge init /etc/ssobridge --public-url ` + public + ` --set data_dir=/var/lib/ssobridge
install -m 640 -g ssobridge bind_password partner_secret api_key ldap-ca.crt /etc/ssobridge/`)
	m.edit("/etc/ssobridge/ssobridge.yaml", `
directory:
  preset: openldap
  urls: [ldaps://ldap1.example.com]
  ca_file: ldap-ca.crt
  bind_dn: cn=ssobridge,ou=services,dc=example,dc=com
  base_dn: ou=people,dc=example,dc=com
  group_base_dn: ou=groups,dc=example,dc=com
constant_contact:
  partner_client_id: 0oa1partnerid
  external_provider: example_partner
`)
}

// proxies has nginx, Caddy and HAProxy in front of the bridge, one after the other, by the files of the documents.
func proxies(t *testing.T, m *machine) map[string]func() {
	for _, name := range []string{"nginx", "caddy", "haproxy"} {
		if _, err := os.Stat("/usr/sbin/" + name); err != nil {
			if _, err := os.Stat("/usr/bin/" + name); err != nil {
				t.Skipf("%s is not here", name)
			}
		}
	}
	m.installed(t)
	for _, name := range []string{"nginx.conf", "Caddyfile", "haproxy.cfg"} {
		m.source(t, "docs/proxies/"+name)
	}
	m.must("rm -f /etc/nginx/sites-enabled/default")
	return map[string]func(){
		"docs/proxies.md#tell-the-bridge-about-the-proxy": func() {
			m.must(register + handOver + "systemctl start ssobridge")
		},
		"docs/proxies.md#nginx": func() { through(t, m, "nginx") },
		"docs/proxies.md#caddy": func() { through(t, m, "caddy") },
		"docs/proxies.md#haproxy": func() {
			through(t, m, "haproxy")
			m.must("systemctl stop haproxy")
			otherPort(t, m)
		},
	}
}

// through signs somebody in through a proxy who says to be somewhere else, and sends what a proxy has to pass on.
func through(t *testing.T, m *machine, proxy string) {
	t.Helper()
	b := m.browser(t)
	for _, name := range []string{"X-Forwarded-For", "X-Real-IP", "Forwarded", "X-Forwarded-Host", "X-Forwarded-Proto"} {
		b.header.Set(name, map[string]string{"X-Forwarded-Host": "evil.example.com", "X-Forwarded-Proto": "http",
			"Forwarded": "for=203.0.113.9"}[name])
	}
	b.header.Set("X-Forwarded-For", "203.0.113.9, 127.0.0.1")
	b.signIn(m, launchLink, "alice", password)
	events := m.must("ssobridge audit list --json")
	if !strings.Contains(events, "192.0.2.2") || strings.Contains(events, "203.0.113.9") {
		t.Errorf("%s: the client's address is not that of the connection:\n%s", proxy, events)
	}

	// The longest request that a service provider may send by redirect: RelayState has 8 KiB, three bytes for each.
	long := url.Values{"SAMLRequest": {strings.Repeat("A", 20<<10)}, "RelayState": {strings.Repeat("%", 8<<10)}}
	if a := b.get(public + "/saml/sso?" + long.Encode()); a.status != http.StatusBadRequest ||
		!strings.Contains(a.text, "<code>") {
		t.Errorf("%s: a long request does not come to the bridge: %s", proxy, a)
	}

	if proxy != "caddy" { // whose limit is a megabyte
		m.must(map[string]string{
			"nginx":   "sed --in-place=.kept /large_client_header_buffers/d /etc/nginx/conf.d/ssobridge.conf",
			"haproxy": "sed --in-place=.kept /tune.bufsize/d /etc/haproxy/haproxy.cfg",
		}[proxy] + " && systemctl restart " + proxy)
		a, err := m.browser(t).send(public+"/saml/sso?"+long.Encode(), nil)
		if err == nil && strings.Contains(a.text, "<code>") {
			t.Errorf("%s takes a long request by its defaults as well: %s", proxy, a)
		}
		m.must(map[string]string{
			"nginx":   "mv /etc/nginx/conf.d/ssobridge.conf.kept /etc/nginx/conf.d/ssobridge.conf",
			"haproxy": "mv /etc/haproxy/haproxy.cfg.kept /etc/haproxy/haproxy.cfg",
		}[proxy] + " && systemctl restart " + proxy)
	}

	// Another port is another host, and the page says which.
	b.header.Set("Host", "sso.example.com:8443")
	if a := b.get(public + "/launch"); a.status != http.StatusMisdirectedRequest ||
		!strings.Contains(a.text, "The request asks for sso.example.com:8443, and this service is https://sso.example.com.") {
		t.Errorf("%s: with another Host: %s", proxy, a)
	}

	plain := m.browser(t)
	plain.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	if a := plain.get("http://sso.example.com/launch"); a.status != http.StatusMovedPermanently &&
		a.status != http.StatusPermanentRedirect {
		t.Errorf("%s: http is not redirected: %s", proxy, a)
	}
}

// otherPort has nginx at another port, which public_url names.
func otherPort(t *testing.T, m *machine) {
	t.Helper()
	m.edit("/etc/ssobridge/ssobridge.yaml", "public_url: https://sso.example.com:8443")
	m.must(`sed -i 's/listen 443 ssl/listen 8443 ssl/' /etc/nginx/conf.d/ssobridge.conf
systemctl restart ssobridge nginx`)
	m.browser(t).signIn(m, "https://sso.example.com:8443/launch/"+account, "alice", password)
	m.must(`sed -i 's/Host $http_host/Host $host/' /etc/nginx/conf.d/ssobridge.conf
systemctl restart nginx`)
	if a := m.browser(t).get("https://sso.example.com:8443/launch"); a.status != http.StatusMisdirectedRequest ||
		!strings.Contains(a.text, "The request asks for sso.example.com, and this service is https://sso.example.com:8443.") {
		t.Errorf("without the port in Host: %s", a)
	}
	if log := m.must("journalctl -u ssobridge -o cat"); !strings.Contains(log, "a proxy has to pass the browser's Host") {
		t.Errorf("the log does not say what the proxy does wrong:\n%s", log)
	}
}

// postgresql has the bridge on a PostgreSQL server that speaks TLS, which fails over and is restored.
func postgresql(t *testing.T, m *machine) map[string]func() {
	if _, err := os.Stat("/usr/lib/postgresql/15/bin/initdb"); err != nil {
		t.Skip("PostgreSQL 15 is not here")
	}
	m.installed(t)
	cert, private := m.pki.issue(t, "db1.example.com", "db2.example.com")
	for name, text := range map[string]string{"db-ca.crt": m.pki.pem, "tls.crt": cert, "tls.key": private} {
		m.write("/root/ssobridge/"+name, text)
	}
	m.must(`[ -d /etc/postgresql/15/main ] || pg_createcluster 15 main
systemctl start postgresql@15-main`)
	m.certificate(t, "/etc/ssobridge/", "sso.example.com")
	m.edit("/etc/ssobridge/ssobridge.yaml", "{listen: '0.0.0.0:443', tls: {cert: tls.crt, key: tls.key}}")
	m.must(handOver)
	return map[string]func(){
		"docs/postgresql.md#connect-by-tls": func() {
			m.must(register + "runuser -u ssobridge -- ssobridge check\nsystemctl start ssobridge")
			m.browser(t).signIn(m, launchLink, "alice", password)
			// From another machine nobody gets in without TLS.
			const elsewhere = "PGPASSWORD=choose-a-long-one ip netns exec outside psql -h 192.0.2.1 -U ssobridge -c 'SELECT 1' "
			m.must(elsewhere + "sslmode=require")
			m.refuses(2, "no pg_hba.conf entry", elsewhere+"sslmode=disable")
			m.refuses(2, "no pg_hba.conf entry", elsewhere+"'sslmode=require dbname=postgres'")
		},
		"docs/postgresql.md#name-several-servers-so-that-one-can-fail": func() {
			// The first one is gone.
			m.must(`echo "listen_addresses = '127.0.0.4'" >> /etc/postgresql/15/main/conf.d/ssobridge.conf
systemctl restart postgresql@15-main
systemctl restart ssobridge`)
			m.browser(t).signIn(m, launchLink, "alice", password)
		},
		"docs/postgresql.md#back-it-up": func() {
			m.browser(t).signIn(m, launchLink, "alice", password) // what the dump does not have
		},
		"docs/postgresql.md#restore": func() { m.browser(t).signIn(m, launchLink, "alice", password) },
	}
}

// try has the bridge beside the sandbox, with http on loopback, and a directory of the reader's.
func try(t *testing.T, m *machine) map[string]func() {
	m.unpacked(t)
	m.directory(t)
	sandbox, err := build("sandbox")
	if err != nil {
		t.Fatal(err)
	}
	m.write("/root/ssobridge/sandbox", string(sandbox))
	m.must(`chmod 755 sandbox
nohup ./sandbox --idp-metadata-url http://localhost:8080/saml/metadata >/run/sandbox.log 2>&1 </dev/null &`)
	return map[string]func(){
		"docs/try.md": func() {
			m.until("the bridge is ready", func() error {
				_, err := m.shell("curl --fail --silent http://localhost:8080/readyz")
				return err
			})
			m.browser(t).signIn(m, "http://localhost:8080/launch/"+account, "alice", password)
			if calls := m.must("curl --silent http://127.0.0.1:8090/_sandbox/calls"); !strings.Contains(calls, "users/sso") {
				t.Errorf("the sandbox lists no creation:\n%s", calls)
			}
		},
	}
}
