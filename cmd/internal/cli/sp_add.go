package cli

import (
	"cmp"
	"context"
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

	"ssobridge/cmd/internal/config"
	"ssobridge/idp"
	"ssobridge/store"
)

// maxCertificateFile is far above any certificate.
const maxCertificateFile = 1 << 20

type spAddCmd struct {
	From         string            `arg:"" name:"file-or-url" help:"SAML metadata of the service provider: a file, an https address, or - for what is pasted."`
	EntityID     string            `placeholder:"URI" help:"Which service provider, where the metadata describes several."`
	TrustKey     string            `placeholder:"FILE" help:"Certificate (PEM) whose key must have signed the metadata. Without one the signature is not checked."`
	Every        time.Duration     `placeholder:"TIME" help:"With an address: read it again at least so often, 5m to 720h. Default: as the metadata says, at least once a day."`
	Once         bool              `help:"With an address: do not read it again."`
	Name         string            `placeholder:"TEXT" help:"What people see. Default: what the metadata says."`
	Group        []string          `sep:"none" placeholder:"DN" help:"Who may use it: members of this group. Can be given several times. Without one nobody may."`
	NameID       string            `name:"name-id" placeholder:"TEMPLATE" help:"The NameID, such as {mail}. Default: by the format that the metadata asks for."`
	NameIDFormat string            `name:"name-id-format" placeholder:"URN" help:"Its format. Default: what the metadata asks for."`
	Attribute    map[string]string `mapsep:"none" placeholder:"NAME=TEMPLATE" help:"Release this attribute, such as email={mail}, or groups=attr:memberOf for all values. Can be given several times."`
	Replace      bool              `help:"Replace what is known of it: addresses and keys are taken from the metadata, its settings stay."`
	Yes          bool              `short:"y" help:"Save without asking."`
}

// Help is shown by sp add --help.
func (spAddCmd) Help() string {
	return `What was understood of the metadata is shown first, and saved after a yes; without a terminal only --yes saves. Nothing but the metadata is ever fetched. With an address it is read again in the background: other names are taken, other keys and addresses wait for ssobridge sp approve.

The service provider gets nothing but what is named here: no attribute is released by default, and nobody may use it without --group.

Examples:

    ssobridge sp add wiki-metadata.xml --name Wiki --group "cn=staff,ou=groups,dc=example,dc=com" --name-id "{mail}" --attribute "displayName={first_name} {last_name}"

    ssobridge sp add https://wiki.example.com/saml/metadata --group "cn=staff,ou=groups,dc=example,dc=com" --yes

    ssobridge sp add https://federation.example.org/metadata.xml --entity-id https://wiki.example.com/saml --trust-key federation.pem`
}

// Run shows what the metadata says and registers it.
func (c *spAddCmd) Run(s *invocation) (err error) {
	p, err := s.open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	remote := strings.Contains(c.From, "://")
	if (c.Every != 0 || c.Once) && !remote {
		return badInput(errors.New("--every and --once are for an address, and this is none"), "leave them out")
	}
	if c.Every != 0 && (c.Once || c.Every < 5*time.Minute || c.Every > 720*time.Hour) {
		return badInput(fmt.Errorf("--every %s can't be", c.Every), "write 5m to 720h, and not beside --once")
	}
	o := idp.ReadOptions{EntityID: c.EntityID, AllowLoopbackHTTP: p.Config.Metadata.AllowLoopbackHTTP, Now: s.now()}
	if c.TrustKey != "" {
		if o.TrustKey, err = readTrustKey(c.TrustKey); err != nil {
			return err
		}
	}
	im, err := c.read(s, p, remote, o)
	if err != nil {
		return err
	}
	sp, before, notes, err := c.record(s, p, im, remote, o.TrustKey)
	if err != nil {
		return err
	}
	if err := p.checkProvider(sp, "the service provider can't be registered:"); err != nil {
		return err
	}
	showImported(s.stdout, im, sp, append(im.Notes, notes...), o.TrustKey != nil)
	if before != nil {
		s.printf("\nChanges to what is registered:\n\n")
		showDifferences(s, idp.Differences(*before, sp))
	}
	if err := s.confirm(c.Yes, c.From == "-", "Save this?"); err != nil {
		return err
	}
	if err := p.AddProvider(s.ctx, sp, c.Replace, s.event("sp-add", sp.EntityID)); err != nil {
		return err
	}
	s.printf("registered %s (%s)\n", sp.EntityID, sp.Name)
	p.resolveWritten(s, sp.Groups)
	for _, risk := range p.nameIDRisks(sp) {
		s.printf("warning: %s\n", risk)
	}
	return nil
}

// read reads the metadata from wherever it is, as a stream.
func (c *spAddCmd) read(s *invocation, p *Parts, remote bool, o idp.ReadOptions) (idp.Imported, error) {
	var from io.Reader
	switch {
	case c.From == "-":
		from = s.stdin
	case remote:
		if err := p.Fetcher.Check(c.From); err != nil {
			return idp.Imported{}, badInput(err, "give an https address, or a file")
		}
		body, err := p.Fetcher.Open(s.ctx, c.From)
		if err != nil {
			return idp.Imported{}, failed(err, "try it from this machine, or give a file")
		}
		defer body.Close()
		from = body
	default:
		file, err := os.Open(c.From)
		if err != nil {
			return idp.Imported{}, badInput(fmt.Errorf("read %s: %s", c.From, config.PlainCause(err)), "name the metadata file that the service provider gave")
		}
		defer file.Close()
		from = file
	}
	im, err := idp.ReadMetadata(from, o)
	var faults *idp.MetadataError
	switch {
	case errors.As(err, &faults):
		hint := "ask the service provider for its SAML 2.0 metadata"
		if c.EntityID == "" && strings.Contains(err.Error(), "entityID") {
			hint = "--entity-id URI chooses one of several"
		}
		return im, badInput(fmt.Errorf("read the metadata in %s: %w", c.From, err), hint)
	case err != nil:
		return im, failed(fmt.Errorf("read the metadata in %s: %s", c.From, config.PlainCause(err)), "try again, or give a file")
	}
	return im, nil
}

// record makes what would be saved. before is what is registered now, nil for nothing.
func (c *spAddCmd) record(s *invocation, p *Parts, im idp.Imported, remote bool, trust *x509.Certificate) (sp store.ServiceProvider, before *store.ServiceProvider, notes []string, err error) {
	sp = im.Provider
	old, err := p.Store.ServiceProviders().Get(s.ctx, sp.EntityID)
	switch {
	case err == nil && !c.Replace:
		return sp, nil, nil, registered(sp.EntityID)
	case err == nil:
		sp, notes = im.Replacing(old)
		before = &old
	case !errors.Is(err, store.ErrNotFound):
		return sp, nil, nil, fmt.Errorf("look for service provider %s: %w", sp.EntityID, err)
	}
	sp.Name = cmp.Or(c.Name, sp.Name, sp.EntityID)
	sp.NameID = cmp.Or(c.NameID, sp.NameID)
	sp.NameIDFormat = cmp.Or(c.NameIDFormat, sp.NameIDFormat)
	if len(c.Group) > 0 {
		sp.Groups = c.Group
	}
	if len(c.Attribute) > 0 {
		sp.Attributes = nil
		for _, name := range slices.Sorted(maps.Keys(c.Attribute)) {
			sp.Attributes = append(sp.Attributes, store.Attribute{Name: name, NameFormat: formatBasic, Value: c.Attribute[name]})
		}
	}
	now := s.now().UTC()
	sp.Source = nil
	if remote && !c.Once || !im.ValidUntil.IsZero() {
		sp.Source = &store.Source{ReadAt: now, ValidUntil: im.ValidUntil}
	}
	if remote && !c.Once {
		sp.Source.URL, sp.Source.EveryAtMost = c.From, c.Every
		sp.Source.NextAt = im.NextRefresh(now, c.Every, 0)
		if trust != nil {
			sp.Source.TrustKey = trust.Raw
		}
	}
	return sp, before, notes, nil
}

// readTrustKey reads one certificate, PEM or DER.
func readTrustKey(file string) (*x509.Certificate, error) {
	data, err := config.ReadFile(file, maxCertificateFile)
	if err != nil {
		return nil, badInput(fmt.Errorf("read the trust key %s: %s", file, config.PlainCause(err)), "name the certificate that the publisher of the metadata announces")
	}
	if block, _ := pem.Decode(data); block != nil {
		data = block.Bytes
	}
	cert, err := x509.ParseCertificate(data)
	if err != nil {
		return nil, badInput(fmt.Errorf("the trust key %s is no certificate: %w", file, err), "give a PEM file with one certificate")
	}
	return cert, nil
}

// showImported prints what was understood.
func showImported(out io.Writer, im idp.Imported, sp store.ServiceProvider, notes []string, trusted bool) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	line := func(name, value string) { fmt.Fprintf(w, "  %s\t%s\n", name, value) }
	fmt.Fprintf(w, "The metadata says:\n\n")
	line("entity id", sp.EntityID)
	if im.Entities > 1 {
		line("", fmt.Sprintf("one of %d in the document", im.Entities))
	}
	line("name", im.Provider.Name)
	// Against nothing, everything it has is a difference.
	for _, d := range idp.Differences(store.ServiceProvider{Name: sp.Name}, im.Provider) {
		if d.Is != "" && d.Was == "" && d.Field != "default acs" {
			line(strings.ReplaceAll(d.Field, "_", " "), d.Is)
		}
	}
	if len(sp.Certificates) == 0 {
		line("certificate", "none: its requests can't be signed")
	}
	line("signs its requests", map[bool]string{true: "yes", false: "it does not say so"}[sp.AuthnRequestsSigned])
	for _, a := range im.Requested {
		need := "wishes"
		if a.Required {
			need = "needs"
		}
		line(need+" attribute", strings.TrimSpace(a.Name+" "+a.FriendlyName))
	}
	until := "without end"
	if !im.ValidUntil.IsZero() {
		until = im.ValidUntil.UTC().Format(time.RFC3339)
	}
	line("valid until", until)
	switch {
	case im.Signed:
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
	for _, n := range notes {
		line("note", n)
	}
	_ = w.Flush() // fmt.Fprintf to a terminal: nothing sensible can be done about a failure
}

func showDifferences(s *invocation, all []idp.Difference) {
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
	return badInput(errors.New("not saved: nobody said yes"), "look at what is shown above, then give --yes")
}

// registered says that there is one already.
func registered(entityID string) error {
	return badInput(fmt.Errorf("service provider %s is registered already", entityID), "give --replace to replace it")
}

// provider reads a service provider for a command. Blanks around its entityID come from pasting; all else has to be as
// it was registered.
func (p *Parts) provider(ctx context.Context, entityID string) (store.ServiceProvider, error) {
	entityID = store.TrimBlanks(entityID)
	sp, err := p.Store.ServiceProviders().Get(ctx, entityID)
	if !errors.Is(err, store.ErrNotFound) {
		return sp, err
	}
	fault := fmt.Errorf("there is no service provider %s", quote(entityID))
	if all, err := p.Store.ServiceProviders().List(ctx); err == nil {
		if near, ok := idp.NearestProvider(all, entityID); ok {
			return sp, badInput(fault, "did you mean "+near+"? An entity id is compared letter by letter")
		}
	}
	return sp, badInput(fault, "ssobridge sp list shows all")
}

func noProvider(entityID string) error {
	return badInput(fmt.Errorf("there is no service provider %s", quote(entityID)), "ssobridge sp list shows all")
}
