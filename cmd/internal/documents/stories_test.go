package documents_test

// story is what is done on one machine, in this order: whole pages, or sections of them.
type story struct {
	name  string
	steps []string
	words map[string]string // what stands in documents in capitals, for the reader to fill in
}

// machines are the ways through the documents.
var machines = []story{
	{name: "first", steps: []string{
		"docs/systemd.md#install-the-files", "README.md#set-it-up", "docs/systemd.md#start-it", "README.md#the-admin-console",
		"docs/systemd.md#stop-it-restart-it-read-secrets-again", "docs/systemd.md#give-it-another-folder-or-variables",
		"docs/run.md", "docs/audit.md", "docs/service-providers.md", "docs/provisioning.md", "docs/keys.md",
		"docs/troubleshooting.md", "docs/backup.md", "docs/upgrade.md",
	}, words: map[string]string{
		"ENTITY_ID": "https://www.okta.com/saml2/service-provider/spabc", "ENV": "l1", "LOGIN": "alice",
		"KEY":        `"$(ssobridge keys list --json | jq -r '.keys[] | select(.state | IN("next", "published")).id')"`,
		"KD2T2QB11D": `"$(ssobridge trace list --person alice --json | jq -r .ref | tail -1)"`,
	}},
	{name: "proxies", steps: []string{"docs/proxies.md#tell-the-bridge-about-the-proxy", "docs/proxies.md#nginx",
		"docs/proxies.md#caddy", "docs/proxies.md#haproxy"}},
	{name: "postgresql", steps: []string{"docs/postgresql.md#make-role-and-database", "docs/postgresql.md#connect-by-tls",
		"docs/postgresql.md#name-several-servers-so-that-one-can-fail", "docs/postgresql.md#back-it-up",
		"docs/postgresql.md#restore"}},
	{name: "try", steps: []string{"docs/try.md"}},
}
