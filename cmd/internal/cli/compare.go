package cli

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"ssobridge/cmd/internal/server"
	"ssobridge/web/admin"
)

// maxCapturedFile is far above any Response.
const maxCapturedFile = 4 << 20

type compareCmd struct {
	File    string `arg:"" help:"What the other identity provider sent: XML, the value of SAMLResponse, or the posted form; - for standard input."`
	User    string `required:"" placeholder:"LOGIN" help:"The login name of the person for whom it was sent, as they type it here."`
	SP      string `name:"sp" placeholder:"ENTITY_ID" help:"The service provider. Default: the one that the captured audience names."`
	Account string `placeholder:"ID" help:"The client account, where the person has several."`
	asJSON
}

// Help is shown by compare --help.
func (compareCmd) Help() string {
	return `It holds a Response that another identity provider sent against the preview for the same person, field by field, and names for each difference what decides it here. Nothing is stored, sent or believed, and no signature is checked. Capture the Response with the browser's developer tools: it is the value of SAMLResponse in the form that is posted to the service provider.

Exit code 3 says that fields differ, 1 that the person would be refused.

Examples:

    ssobridge compare response.xml --user alice

    ssobridge compare - --user alice --sp https://wiki.example.com/saml < SAMLResponse.txt`
}

// Run compares.
func (c *compareCmd) Run(s *invocation, p *server.App) error {
	r, closeFile, err := s.input(c.File)
	if err != nil {
		return err
	}
	captured, err := io.ReadAll(io.LimitReader(r, maxCapturedFile+1))
	if closing := closeFile(); err == nil {
		err = closing
	}
	if err != nil {
		return fmt.Errorf("read %s: %w", c.File, err)
	}
	account, err := resolveAccount(s, p, c.Account, true)
	if err != nil {
		return err
	}
	x, err := p.People().Compare(s.ctx, s.scope(), captured, c.User, c.SP, account)
	if err != nil {
		return err
	}
	if c.JSON {
		err = s.object(x)
	} else {
		err = printComparison(s.stdout, x)
	}
	if n := x.Differ(); err == nil && n > 0 {
		s.printf("\n%d of %d fields differ\n", n, len(x.Fields))
		return &commandError{code: exitDiffers, err: errors.New("fields differ"),
			hint: "ssobridge sp set " + shellWord(x.EntityID) + " KEY=VALUE changes a setting; ask the service provider which fields it looks at"}
	}
	return err
}

func printComparison(out io.Writer, x admin.Comparison) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	line := func(format string, args ...any) { fmt.Fprintf(w, format+"\n", args...) }
	line("person\t%s", x.Login)
	line("service provider\t%s", x.EntityID)
	for _, n := range x.Notes {
		line("note\t%s", n)
	}
	line("\n\tFIELD\tCAPTURED\tHERE\tDECIDED BY")
	for _, f := range x.Fields {
		mark := "="
		switch {
		case f.Same:
		case len(f.Theirs) == 0:
			mark = "+"
		case len(f.Ours) == 0:
			mark = "-"
		default:
			mark = "~"
		}
		line("%s\t%s\t%s\t%s\t%s", mark, f.Name, dash(strings.Join(f.Theirs, ", ")), dash(strings.Join(f.Ours, ", ")), f.Why)
	}
	return w.Flush()
}
