package cli

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"ssobridge/certs"
	"ssobridge/cmd/internal/config"
	"ssobridge/cmd/internal/server"
	"ssobridge/idp/metadata"
	"ssobridge/store"
	"ssobridge/web/admin"
)

// maxCertificateFile is far above any certificate.
const maxCertificateFile = 1 << 20

type spAddCmd struct {
	asJSON

	From         string            `arg:"" optional:"" name:"file-or-url" help:"SAML metadata of the service provider: a file, an https address, or - for what is pasted. Without metadata: --entity-id and --acs."`
	Setting      []string          `arg:"" optional:"" name:"key=value" help:"Any setting of sp set, such as encryption=if-published."`
	EntityID     string            `placeholder:"URI" help:"Which service provider, where the metadata describes several, or where there is none."`
	ACS          string            `name:"acs" placeholder:"URL" help:"Without metadata: where Responses are posted (assertion consumer service)."`
	TrustKey     string            `placeholder:"FILE" help:"Certificate (PEM) whose key must have signed the metadata. Without one the signature is not checked."`
	Every        time.Duration     `placeholder:"TIME" help:"With an address: read it again at least so often, 5m to 720h. Default: as the metadata says, at least once a day."`
	Once         bool              `help:"With an address: do not read it again."`
	Name         string            `placeholder:"TEXT" help:"What people see. Default: what the metadata says."`
	Group        []string          `sep:"none" placeholder:"DN" help:"Who may use it: members of this group. Can be given several times. Without one nobody may."`
	NameID       string            `name:"name-id" placeholder:"TEMPLATE" help:"The NameID, such as {mail}. Default: by the format that the metadata asks for."`
	NameIDFormat string            `name:"name-id-format" placeholder:"URN" help:"Its format. Default: what the metadata asks for."`
	Attribute    map[string]string `mapsep:"none" placeholder:"NAME=TEMPLATE" help:"Release this attribute, such as email={mail}, or groups=attr:memberOf for all values; with ;format=uri and ;friendly=TEXT behind it where that is needed. Can be given several times."`
	Requested    bool              `name:"release-requested" help:"Release the attributes that the metadata asks for, under the names by which it asks, as far as it is known what they are."`
	IgnoreEnd    bool              `name:"ignore-valid-until" help:"The end that the metadata names (validUntil) counts for nothing."`
	Replace      bool              `help:"Replace what is known of it: addresses and keys are taken from the metadata, its settings stay."`
	Yes          bool              `short:"y" help:"Save without asking."`
}

// Help is shown by sp add --help.
func (spAddCmd) Help() string {
	return `What was understood of the metadata is shown first, and saved after a yes; without a terminal only --yes saves. Nothing but the metadata is ever fetched. With an address it is read again in the background: other names are taken, other keys and addresses wait for ssobridge sp approve.

The service provider gets nothing but what is named here: no attribute is released by default, and nobody may use it without --group. Any setting of ssobridge sp set can be given behind the metadata, as KEY=VALUE; ssobridge sp set --help lists them.

Examples:

    ssobridge sp add wiki-metadata.xml --name Wiki --group "cn=staff,ou=groups,dc=example,dc=com" --name-id "{mail}" --attribute "displayName={first_name} {last_name}"

    ssobridge sp add https://wiki.example.com/saml/metadata --group "cn=staff,ou=groups,dc=example,dc=com" --yes

    ssobridge sp add wiki-metadata.xml --release-requested encryption=if-published holds_certificates=one

    ssobridge sp add --entity-id https://old.example.com/sp --acs https://old.example.com/acs certificates=old.pem

    ssobridge sp add https://federation.example.org/metadata.xml --entity-id https://wiki.example.com/saml --trust-key federation.pem`
}

// Run shows what the metadata says and registers it.
func (c *spAddCmd) Run(s *invocation, p *server.App) error {
	n, closeFile, err := c.request(s)
	if err != nil {
		return err
	}
	im, err := p.Providers().Import(s.ctx, s.scope(), n)
	if err := errors.Join(err, closeFile()); err != nil {
		return c.importFault(err)
	}
	showImported(s.stdout, im, n.TrustKey != nil)
	if im.Before != nil {
		s.printf("\nChanges to what is registered:\n\n")
		showDifferences(s, im.Changes)
	}
	for _, w := range im.Warnings {
		s.warn("%s\n  %s", w.Detail, actHint(w.Act, w.About))
	}
	if im.Record.HoldsCertificates == "" && !c.Yes && c.From != "-" {
		im.Record.HoldsCertificates = s.askHolds()
	}
	if err := s.confirm(c.Yes, c.From == "-", "Save this?"); err != nil {
		return err
	}
	if err := p.Providers().Save(s.ctx, s.scope(), im, s.event("", "")); err != nil {
		return err
	}
	sp := im.Record
	s.printf("registered %s (%s)\n", sp.EntityID, sp.Name)
	s.unasked(sp)
	resolveWritten(p, s, sp.Groups)
	for _, risk := range p.Providers().Risks(sp) {
		s.warn("%s", risk)
	}
	return s.provider(p, sp.EntityID)
}

// request is what is to be imported. close it after use.
func (c *spAddCmd) request(s *invocation) (n admin.NewProvider, closeFile func() error, err error) {
	closeFile = func() error { return nil }
	n = admin.NewProvider{
		EntityID: c.EntityID, Every: c.Every, Once: c.Once, Name: c.Name, NameID: c.NameID, NameIDFormat: c.NameIDFormat,
		Groups: c.Group, Replace: c.Replace, ACS: c.ACS, ReleaseRequested: c.Requested, IgnoreEnd: c.IgnoreEnd,
	}
	settings := c.Setting
	if c.ACS != "" && c.From != "" && strings.Contains(c.From, "=") { // without metadata, settings come first
		settings, c.From = append([]string{c.From}, settings...), ""
	}
	if n.Settings, err = settingChanges(settings); err != nil {
		return n, closeFile, err
	}
	// As the setting takes them: those that are given take the place of what is there.
	var attributes []admin.Change
	for i, name := range slices.Sorted(maps.Keys(c.Attribute)) {
		key := "attributes"
		if i > 0 || c.Requested {
			key = "attributes+"
		}
		attributes = append(attributes, admin.Change{Key: key, Value: name + "=" + c.Attribute[name]})
	}
	n.Settings = append(attributes, n.Settings...)
	if c.TrustKey != "" {
		if n.TrustKey, err = readTrustKey(c.TrustKey); err != nil {
			return n, closeFile, err
		}
	}
	if c.From == "" {
		return n, closeFile, nil // the rule says what is missing
	}
	if strings.Contains(c.From, "://") {
		n.Address = c.From
		return n, closeFile, nil
	}
	if c.From == "-" {
		n.Document = s.stdin
		return n, closeFile, nil
	}
	file, err := os.Open(c.From)
	if err != nil {
		return n, closeFile, badInput(fmt.Errorf("read %s: %s", c.From, config.PlainCause(err)),
			"name the metadata file that the service provider gave")
	}
	n.Document = file
	return n, file.Close, nil
}

// importFault names the file or address where the metadata itself is at fault.
func (c *spAddCmd) importFault(err error) error {
	e, ok := admin.AsError(err)
	if !ok {
		return err
	}
	if _, ofDocument := errors.AsType[*metadata.Error](err); ofDocument {
		named := *e
		named.Fault = fmt.Sprintf("read the metadata in %s: %s", c.From, e.Fault)
		return &named
	}
	return err
}

// readTrustKey reads one certificate, PEM or DER.
func readTrustKey(file string) (*x509.Certificate, error) {
	data, err := config.ReadFile(file, maxCertificateFile)
	if err != nil {
		return nil, badInput(fmt.Errorf("read the trust key %s: %s", file, config.PlainCause(err)),
			"name the certificate that the publisher of the metadata announces")
	}
	if block, _ := pem.Decode(data); block != nil {
		data = block.Bytes
	}
	cert, err := certs.ParseHolder(data)
	if err != nil {
		return nil, badInput(fmt.Errorf("the trust key %s is no certificate: %w", file, err),
			"give a PEM file with one certificate")
	}
	return cert, nil
}

// showImported prints what was understood.
func showImported(out io.Writer, im admin.Import, trusted bool) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	line := func(name, value string) { fmt.Fprintf(w, "  %s\t%s\n", name, value) }
	said, sp := im.Said, im.Record
	title := "The metadata says:"
	if len(sp.Metadata) == 0 {
		title = "Without metadata:"
	}
	fmt.Fprintf(w, "%s\n\n", title)
	line("entity id", sp.EntityID)
	if said.Entities > 1 {
		line("", fmt.Sprintf("one of %d in the document", said.Entities))
	}
	line("name", said.Provider.Name)
	for _, d := range im.Facts {
		if d.Is != "" && d.Was == "" && d.Field != "default acs" {
			line(strings.ReplaceAll(d.Field, "_", " "), d.Is)
		}
	}
	if len(sp.Certificates) == 0 {
		line("certificate", "none: its requests can't be signed")
	}
	line("signs its requests", map[bool]string{true: "yes", false: "it does not say so"}[sp.AuthnRequestsSigned])
	for _, a := range said.Requested {
		need := "wishes"
		if a.Required {
			need = "needs"
		}
		line(need+" attribute", strings.TrimSpace(a.Name+" "+a.FriendlyName))
	}
	until := "without end"
	if !said.ValidUntil.IsZero() {
		until = said.ValidUntil.UTC().Format(time.RFC3339)
	}
	if sp.Source != nil && sp.Source.NoEnd {
		until = "without end: the one that the metadata names is ignored"
	}
	line("valid until", until)
	switch {
	case len(sp.Metadata) == 0:
	case said.Signed:
		line("signature", "checked with the trust key")
	case !trusted:
		line("signature", "not checked: no trust key was given")
	}
	fmt.Fprintf(w, "\nTo be saved with it:\n\n")
	line("name", sp.Name)
	line("kind", sp.Kind)
	line("NameID", sp.NameID+" ("+sp.NameIDFormat+")")
	for _, a := range sp.Attributes {
		line("attribute", a.Name+" = "+a.Value)
	}
	if len(sp.Attributes) == 0 {
		line("attributes", "none")
	}
	for _, g := range sp.Groups {
		line("group", g)
	}
	if sp.Kind == store.PlainSAML && len(sp.Groups) == 0 {
		line("groups", "none: nobody may use it")
	}
	if sp.Source != nil && sp.Source.URL != "" {
		line("read again from", sp.Source.URL+", first at "+sp.Source.NextAt.Format(time.RFC3339))
	}
	for _, n := range im.Notes {
		line("note", n)
	}
	_ = w.Flush() // fmt.Fprintf to a terminal: nothing sensible can be done about a failure
}

func showDifferences(s *invocation, all []metadata.Difference) {
	for _, d := range all {
		s.printf("  %s\n", d)
	}
	if len(all) == 0 {
		s.printf("  none in addresses, keys and name\n")
	}
}

// confirm asks at a terminal. taken: standard input has been read for something else.
func (s *invocation) confirm(yes, taken bool, question string) error {
	if yes {
		return nil
	}
	if !taken {
		switch strings.ToLower(s.ask(question + " [y/N] ")) {
		case "y", "yes":
			return nil
		}
	}
	hint := "read what is shown above, then confirm with --yes"
	if s.json {
		hint = "read what it shows without --json, then confirm with --yes"
	}
	return badInput(errors.New("not saved: it was not confirmed"), hint)
}
