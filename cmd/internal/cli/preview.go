package cli

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"ssobridge/cmd/internal/server"
	"ssobridge/web/admin"
)

type previewCmd struct {
	User    string `required:"" placeholder:"LOGIN" help:"The login name as the person types it, SOURCE:LOGIN for somebody of a source, or the person id."`
	SP      string `required:"" name:"sp" placeholder:"ENTITY_ID" help:"The service provider, as sp list shows it."`
	Account string `placeholder:"ID" help:"The client account, where the person has several."`
	asJSON
}

// Help is shown by preview --help.
func (previewCmd) Help() string {
	return `It shows the assertion that the person would get by a launch, built by the code that builds real ones, and beside each value the setting, template or directory attribute that gave it. The assertion is marked as a preview, is not signed and its time is over, so nobody takes it for one. Nothing is stored or sent, no password is asked, and nobody but the directory is called. Of people of other sources it is what their last token gives.

Exit code 1 says that the person would be refused, and the error says why.

Examples:

    ssobridge preview --user alice --sp https://wiki.example.com/saml

    ssobridge preview --user alice --sp https://www.okta.com/saml2/service-provider/spabc --account a07e1lxqqqo0 --json`
}

// Run prints the preview.
func (c *previewCmd) Run(s *invocation, p *server.App) error {
	// Of an account that no list knows, the gate says whether it is the person's.
	account, err := resolveAccount(s, p, c.Account, true)
	if err != nil {
		return err
	}
	x, err := p.People().Preview(s.ctx, admin.Everything(), c.User, c.SP, account)
	if err != nil {
		return err
	}
	if c.JSON {
		err = s.object(x)
	} else {
		err = printPreview(s.stdout, x)
	}
	if err == nil && x.Refused != "" {
		return failed(fmt.Errorf("the sign-in would be refused: %s", x.Refused),
			"ssobridge sp show prints the record, ssobridge keys list the keys")
	}
	return err
}

func printPreview(out io.Writer, x admin.Previewed) error {
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
