package cli

import (
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"ssobridge/cmd/internal/server"
	"ssobridge/store"
	"ssobridge/web/admin"
)

type spSheetCmd struct {
	EntityID string `arg:"" optional:"" help:"Its entity id, as sp list shows it. Default: that of Constant Contact."`
	asJSON
}

// Help is shown by sp sheet --help.
func (spSheetCmd) Help() string {
	return "Nothing in it is secret. The console has it as Hand-over sheet.\n\nExamples:\n\n    ssobridge sp sheet > " +
		"handover.txt\n\n    ssobridge sp sheet https://wiki.example.com/saml"
}

// jsonSheet is the hand-over sheet as JSON.
type jsonSheet struct {
	Date         time.Time         `json:"date"`
	EntityID     string            `json:"entity_id"`
	SSO          string            `json:"sso_url"`
	Metadata     string            `json:"metadata_url"`
	Provider     *jsonSheetFor     `json:"service_provider,omitempty"`
	Contact      []string          `json:"contact"`
	Certificates []jsonCertificate `json:"certificates"`
	// Questions are what the service provider has to confirm or to tell.
	Questions []admin.SheetQuestion `json:"questions"`
}

type jsonSheetFor struct {
	EntityID   string            `json:"entity_id"`
	NameID     string            `json:"name_id"`
	Format     string            `json:"name_id_format"`
	Attributes map[string]string `json:"attributes"`
	Signed     []string          `json:"signed"`
}

type jsonCertificate struct {
	Key         string    `json:"key"`
	State       string    `json:"state"`
	Fingerprint string    `json:"fingerprint_sha256"`
	NotAfter    time.Time `json:"not_after"`
	PEM         string    `json:"pem"`
	Note        string    `json:"note,omitempty"`
}

// Run prints it.
func (c *spSheetCmd) Run(s *invocation, p *server.App) error {
	sheet, err := p.Handover().Sheet(s.ctx, s.scope(), c.EntityID)
	if err != nil {
		return err
	}
	if c.JSON {
		return s.object(toJSONSheet(sheet))
	}
	return printSheet(s, sheet)
}

// signedParts are what is signed for a service provider.
func signedParts(sp *store.ServiceProvider) (parts []string) {
	if sp.SignResponse {
		parts = append(parts, "response")
	}
	if sp.SignAssertion {
		parts = append(parts, "assertion")
	}
	return parts
}

func toJSONSheet(sheet admin.Sheet) jsonSheet {
	j := jsonSheet{
		Date: sheet.Date, EntityID: sheet.EntityID, SSO: sheet.SSO, Metadata: sheet.Metadata,
		Contact: append([]string{}, sheet.Contact...), Certificates: []jsonCertificate{},
		Questions: sheet.Questions(),
	}
	if sp := sheet.Provider; sp != nil {
		j.Provider = &jsonSheetFor{sp.EntityID, sp.NameID, sp.NameIDFormat, map[string]string{}, signedParts(sp)}
		for _, a := range sp.Attributes {
			j.Provider.Attributes[a.Name] = a.Value
		}
	}
	for _, key := range sheet.Certificates {
		j.Certificates = append(j.Certificates,
			jsonCertificate{key.ID, key.State, key.Fingerprint, key.NotAfter, key.PEM(), key.SheetNote()})
	}
	return j
}

func printSheet(s *invocation, sheet admin.Sheet) error {
	w := tabwriter.NewWriter(s.stdout, 0, 0, 2, ' ', 0)
	line := func(name, value string) { fmt.Fprintf(w, "%s:\t%s\n", name, plainText(value)) }
	line("Date", sheet.Date.UTC().Format(time.DateOnly))
	line("Our entity ID", sheet.EntityID)
	line("SSO address (HTTP-Redirect and HTTP-POST)", sheet.SSO)
	line("Our metadata", sheet.Metadata)
	if sp := sheet.Provider; sp != nil {
		line("For", sp.EntityID)
		line("NameID", sp.NameID)
		line("NameID format", sp.NameIDFormat)
		for _, a := range sp.Attributes {
			line("Attribute", a.Name+" = "+a.Value)
		}
		line("What is signed", strings.Join(signedParts(sp), " and "))
	} else {
		line("Constant Contact", "not registered yet")
	}
	for _, contact := range sheet.Contact {
		line("Contact", contact)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if len(sheet.Contact) == 0 {
		fmt.Fprintln(s.stderr, "hint: set metadata.technical_contact_mail so that they know whom to contact")
	}
	s.printf("\nPlease confirm what is on record, and tell us the rest\n")
	for _, q := range sheet.Questions() {
		s.printf("- %s\n", q.Text)
		for _, known := range q.Known {
			s.printf("  on record: %s\n", plainText(known))
		}
	}
	for _, key := range sheet.Certificates {
		s.printf("\nSigning certificate %s (%s, %s)\nFingerprint (SHA-256): %s\nValid until: %s UTC\n", key.ID, key.State,
			key.Algorithm, key.Fingerprint, key.NotAfter.UTC().Format(time.DateTime))
		if note := key.SheetNote(); note != "" {
			s.printf("Please note: %s\n", note)
		}
		s.printf("%s", key.PEM())
	}
	return nil
}
