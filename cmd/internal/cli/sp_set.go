package cli

import (
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"ssobridge/cmd/internal/config"
	"ssobridge/cmd/internal/server"
	"ssobridge/idp"
	"ssobridge/idp/metadata"
	"ssobridge/internal/plaintext"
	"ssobridge/web/admin"
)

type spShowCmd struct {
	asJSON

	EntityID string `arg:"" help:"Its entity id, as sp list shows it."`
	Metadata bool   `help:"Print the metadata that it was imported from instead."`
}

// Help is shown by sp show --help.
func (spShowCmd) Help() string {
	return `Every setting is shown as sp set takes it, then where the metadata comes from and what waits for approval.

Examples:

    ssobridge sp show https://wiki.example.com/saml

    ssobridge sp show https://wiki.example.com/saml --metadata`
}

// Run shows it.
func (c *spShowCmd) Run(s *invocation, p *server.App) error {
	sp, err := p.Providers().Get(s.ctx, s.scope(), c.EntityID)
	if err != nil {
		return err
	}
	if c.Metadata {
		if len(sp.Metadata) == 0 {
			return failed(fmt.Errorf("%s was not registered by metadata", sp.EntityID),
				"sp add FILE --replace takes its metadata in")
		}
		return s.metadata("", sp.Metadata, nil)
	}
	if c.JSON {
		return s.object(toJSONProviderSettings(sp))
	}
	w := tabwriter.NewWriter(s.stdout, 0, 0, 2, ' ', 0)
	line := func(name, value string) { fmt.Fprintf(w, "%s\t%s\n", name, value) }
	line("entity_id", sp.EntityID)
	line("kind", sp.Kind)
	for _, k := range idp.Settings() {
		values := shownSetting(k, sp)
		if len(values) == 0 {
			line(k.Name, "-")
		}
		for i, v := range values {
			name := k.Name
			if i > 0 {
				name = ""
			}
			line(name, v)
		}
	}
	line("signs its requests", fmt.Sprint(sp.AuthnRequestsSigned))
	for _, l := range sp.Logout {
		line("logout", l.URL)
	}
	line("changed", sp.UpdatedAt.UTC().Format(time.RFC3339))
	if err := w.Flush(); err != nil {
		return err
	}
	return showSource(s, p, sp)
}

// jsonProviderSettings is all that is known of a service provider as JSON.
type jsonProviderSettings struct {
	jsonProvider

	Settings map[string][]string `json:"settings"` // as sp set takes them
	Signs    bool                `json:"signs_requests"`
	Logout   []string            `json:"logout,omitempty"`
	Source   *jsonSource         `json:"source,omitempty"` // none: it was registered without metadata
}

// jsonSource is where its metadata come from.
type jsonSource struct {
	URL        string    `json:"url,omitempty"`
	ReadAt     time.Time `json:"read_at,omitzero"`
	ValidUntil time.Time `json:"valid_until,omitzero"`
	NextAt     time.Time `json:"next_at,omitzero"`
	Fault      string    `json:"fault,omitempty"`
	PendingAt  time.Time `json:"pending_at,omitzero"` // since when changes wait for approval
}

func toJSONProviderSettings(sp admin.Provider) jsonProviderSettings {
	j := jsonProviderSettings{jsonProvider: toJSONProvider(sp), Settings: map[string][]string{},
		Signs: sp.AuthnRequestsSigned}
	for _, k := range idp.Settings() {
		j.Settings[k.Name] = append([]string{}, shownSetting(k, sp)...)
	}
	for _, l := range sp.Logout {
		j.Logout = append(j.Logout, l.URL)
	}
	if src := sp.Source; src != nil {
		j.Source = &jsonSource{src.URL, src.ReadAt, src.ValidUntil, src.NextAt, src.Fault, time.Time{}}
		if len(src.Pending) > 0 {
			j.Source.PendingAt = src.PendingAt
		}
	}
	return j
}

// shownSetting is a setting as it is shown: certificates by their fingerprints.
func shownSetting(k idp.Setting, sp admin.Provider) []string {
	switch k.Name {
	case "certificates":
		return certificateLines(sp.Certificates)
	case "encryption_keys":
		var values []string
		for _, e := range sp.EncryptionKeys {
			values = append(values, metadata.CertificateLine(e.Certificate))
		}
		return values
	}
	return k.Show(sp.ServiceProvider)
}

func certificateLines(all [][]byte) []string {
	var lines []string
	for _, der := range all {
		lines = append(lines, metadata.CertificateLine(der))
	}
	return lines
}

func showSource(s *invocation, p *server.App, sp admin.Provider) error {
	src := sp.Source
	if src == nil {
		return nil
	}
	at := func(t time.Time) string {
		if t.IsZero() {
			return "-"
		}
		return t.UTC().Format(time.RFC3339)
	}
	w := tabwriter.NewWriter(s.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "\nmetadata from\t%s\n", dash(src.URL))
	fmt.Fprintf(w, "last good copy\t%s\n", at(src.ReadAt))
	fmt.Fprintf(w, "valid until\t%s\n", at(src.ValidUntil))
	if src.URL != "" {
		trust := "none: the signature is not checked"
		if len(src.TrustKey) > 0 {
			trust = metadata.CertificateLine(src.TrustKey)
		}
		fmt.Fprintf(w, "trust key\t%s\n", trust)
		fmt.Fprintf(w, "read again at\t%s\n", at(src.NextAt))
		fmt.Fprintf(w, "last fault\t%s\n", dash(strings.ReplaceAll(src.Fault, "\n", " ")))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if len(src.Pending) == 0 {
		return nil
	}
	s.printf("\nThese changes wait for approval since %s (ssobridge sp approve %s):\n\n", at(src.PendingAt), sp.EntityID)
	review, err := p.Providers().Review(s.ctx, s.scope(), sp.EntityID)
	if err != nil {
		return failed(fmt.Errorf("read the metadata that waits: %w", err), "ssobridge sp refresh "+sp.EntityID)
	}
	showDifferences(s, review.Changes)
	return nil
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

type spSetCmd struct {
	asJSON

	EntityID string   `arg:"" help:"Its entity id, as sp list shows it."`
	Setting  []string `arg:"" name:"key=value" help:"What to change; KEY+=VALUE adds to a list, KEY-=VALUE takes from it."`
}

// Help is shown by sp set --help. It names every setting.
func (spSetCmd) Help() string {
	var b strings.Builder
	b.WriteString("All changes are made together, or none of them. An empty value puts the default back.\n\nSettings:\n\n")
	for _, k := range idp.Settings() {
		values := k.Values
		if k.File {
			values = "FILE with " + values
		}
		if k.List {
			values += ", list"
		}
		fmt.Fprintf(&b, "    %s (%s): %s\n\n", k.Name, values, k.Help)
	}
	b.WriteString(`Examples:

    ssobridge sp set https://wiki.example.com/saml name=Wiki encryption=if-published

    ssobridge sp set https://wiki.example.com/saml "groups+=cn=staff,ou=groups,dc=example,dc=com" certificates+=wiki.pem`)
	return b.String()
}

// Run changes the settings.
func (c *spSetCmd) Run(s *invocation, p *server.App) error {
	changes, err := settingChanges(c.Setting)
	if err != nil {
		return err
	}
	var keys []string
	for _, change := range changes {
		keys = append(keys, change.Key)
	}
	after, err := p.Providers().Set(s.ctx, s.scope(), c.EntityID, changes, s.event("", ""))
	if err != nil {
		return err
	}
	s.printf("changed %s: %s\n", after.EntityID, strings.Join(keys, " "))
	resolveWritten(p, s, after.Groups)
	for _, risk := range p.Providers().Risks(after) {
		s.warn("%s", risk)
	}
	return s.provider(p, after.EntityID)
}

// settingChanges are the changes that KEY=VALUE name. The value of a certificate is a file.
func settingChanges(settings []string) (changes []admin.Change, err error) {
	files := map[string]bool{}
	for _, k := range idp.Settings() {
		files[k.Name] = k.File
	}
	for _, setting := range settings {
		key, value, ok := strings.Cut(setting, "=")
		if !ok || key == "" {
			return nil, badInput(fmt.Errorf("%s is no KEY=VALUE", plaintext.Quote(setting)),
				"ssobridge sp set --help names the keys")
		}
		// What is removed is named by its fingerprint.
		if files[strings.TrimSuffix(key, "+")] && value != "" {
			data, err := config.ReadFile(value, maxCertificateFile)
			if err != nil {
				return nil, badInput(fmt.Errorf("%s: read %s: %s", key, value, config.PlainCause(err)),
					"name a PEM file with the certificate")
			}
			value = string(data)
		}
		changes = append(changes, admin.Change{Key: key, Value: value})
	}
	return changes, nil
}
