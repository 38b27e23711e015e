package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"ssobridge/cmd/internal/server"
	"ssobridge/idp"
	"ssobridge/idp/directory"
	"ssobridge/provisioning"
	"ssobridge/store"
	"ssobridge/web/admin"
)

type previewCmd struct {
	User    string `required:"" placeholder:"LOGIN" help:"The login name, as the person types it."`
	SP      string `required:"" name:"sp" placeholder:"ENTITY_ID" help:"The service provider, as sp list shows it."`
	Account string `placeholder:"ID" help:"The client account, where the person has several."`
	JSON    bool   `name:"json" help:"Print JSON."`
}

// Help is shown by preview --help.
func (previewCmd) Help() string {
	return `It shows the assertion that the person would get by a launch, built by the code that builds real ones, and beside each value the setting, template or directory attribute that gave it. The assertion is marked as a preview, is not signed and its time is over, so nobody takes it for one. Nothing is stored or sent, no password is asked, and nobody but the directory is called.

Exit code 1 says that the person would be refused, and the error says why.

Examples:

    ssobridge preview --user alice --sp https://wiki.example.com/saml

    ssobridge preview --user alice --sp https://www.okta.com/saml2/service-provider/spabc --account a07e1lxqqqo0 --json`
}

// Previewed is what preview prints.
type Previewed struct {
	Login   string          `json:"login"`
	Account store.AccountID `json:"account,omitempty"`
	Role    store.Role      `json:"role,omitempty"`
	Notes   []string        `json:"notes,omitempty"` // what stands in the way, or comes first
	idp.AssertionPreview
}

// Run prints the preview.
func (c *previewCmd) Run(s *invocation, p *server.App) error {
	// Of an account that no list knows, the gate says whether it is the person's.
	account, err := resolveAccount(s.ctx, p, c.Account, true)
	if err != nil {
		return err
	}
	x, err := PreviewAssertion(s.ctx, p, c.User, c.SP, account)
	if err != nil {
		return err
	}
	if c.JSON {
		enc := json.NewEncoder(s.stdout)
		enc.SetIndent("", "  ")
		enc.SetEscapeHTML(false) // XML is easier to read so
		err = enc.Encode(x)
	} else {
		err = x.print(s.stdout)
	}
	if err == nil && x.Refused != "" {
		return failed(fmt.Errorf("the sign-in would be refused: %s", x.Refused), "ssobridge sp show prints the record, ssobridge keys list the keys")
	}
	return err
}

// PreviewAssertion shows the assertion that a person would get at a service provider,
// with the reason for each value. It only reads.
func PreviewAssertion(ctx context.Context, p *server.App, login, entityID string, account store.AccountID) (Previewed, error) {
	var x Previewed
	registered, err := p.Providers().Get(ctx, admin.Everything(), entityID)
	if err != nil {
		return x, err
	}
	sp := registered.ServiceProvider
	person, err := p.Directory.Find(ctx, login)
	if err != nil {
		return x, directoryError(err, "find the person "+quote(login), "write the login name as the person types it")
	}
	x.Login = person.Login
	if person.Problem != "" {
		x.Notes = append(x.Notes, fmt.Sprintf("the directory does not let this person sign in: %s", person.Problem))
	}
	if !sp.Enabled {
		x.Notes = append(x.Notes, "sign-ins to this service provider are switched off")
	}
	d, note, err := previewDecision(ctx, p, sp, person, account)
	if err != nil {
		return x, err
	}
	if note != "" {
		x.Notes = append(x.Notes, note)
	}
	x.Account, x.Role = d.Assignment.Account, d.Assignment.Role
	x.AssertionPreview, err = p.IdP.PreviewAssertion(ctx, sp, person, d, sources(p))
	if err != nil {
		return x, failed(err, "mend the person's data in the directory, or the template by ssobridge sp set")
	}
	return x, nil
}

// previewDecision asks who the person would be at this service provider. A person who
// would not pass is an error that says why.
func previewDecision(ctx context.Context, p *server.App, sp store.ServiceProvider, person directory.Entry, account store.AccountID) (d provisioning.Decision, note string, err error) {
	refused := func(reason provisioning.Reason, detail string) error {
		text := fmt.Sprintf("%s would be refused at %s: %s", person.Login, sp.EntityID, reason)
		if detail != "" {
			text += ": " + detail
		}
		return failed(errors.New(text), "ssobridge explain --user "+person.Login+" shows groups and mappings")
	}
	if sp.Kind != store.ConstantContact {
		if account != "" {
			return d, "", badInput(fmt.Errorf("--account %s: %s is not Constant Contact and knows no client accounts", account, sp.EntityID), "leave --account out")
		}
		in, err := p.IdP.InGroups(ctx, person, sp.Groups)
		if err != nil {
			return d, "", err
		}
		if !in {
			return d, "", refused(provisioning.NotInGroup, "in none of its groups")
		}
		return provisioning.Decision{Outcome: provisioning.Granted}, "", nil
	}
	d, err = p.Provisioning.Preview(ctx, provisioning.Question{Person: person, Account: account, MayCreate: true})
	if err != nil {
		return d, "", err
	}
	switch d.Outcome {
	case provisioning.Granted:
		return d, "", nil
	case provisioning.Wait:
		return d, "the user at Constant Contact is not there yet: it is created first", nil
	case provisioning.Choose:
		var ids []string
		for _, c := range d.Choices {
			ids = append(ids, string(c.Account))
		}
		return d, "", badInput(fmt.Errorf("%s has several client accounts: %s", person.Login, strings.Join(ids, ", ")), "name one by --account")
	}
	return d, "", refused(d.Reason, d.Detail)
}

// sources says what fills the placeholders of templates.
func sources(p *server.App) map[string]string {
	all := map[string]string{
		"account":     "the client account of the mapping",
		"key":         "derived from person and client account",
		"external_id": "the user's external_id (configuration provisioning.external_id when it was created)",
		"login_name":  "the user's login name (configuration provisioning.login_name when it was created)",
	}
	for name, attribute := range p.Directory.Sources() {
		all[name] = "directory attribute " + attribute
	}
	return all
}

func (x Previewed) print(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	line := func(format string, args ...any) { fmt.Fprintf(w, format+"\n", args...) }
	line("PREVIEW\tnot signed, not sent, not valid")
	line("person\t%s", x.Login)
	line("service provider\t%s", x.EntityID)
	if x.Account != "" {
		line("client account\t%s\t%s", x.Account, x.Role)
	}
	for _, n := range x.Notes {
		line("note\t%s", n)
	}
	line("would be signed\t%s", x.Signed)
	line("would be encrypted\t%s", x.Encrypted)
	line("\nVALUE\tIS\tBECAUSE OF")
	for _, v := range x.Values {
		line("%s\t%s\t%s", v.Name, strings.Join(v.Values, ", "), v.Why)
	}
	for _, v := range x.Left {
		line("%s\t(left out)\t%s", v.Name, v.Why)
	}
	line("\nASSERTION")
	if err := w.Flush(); err != nil {
		return err
	}
	_, err := io.WriteString(out, x.XML)
	return err
}
