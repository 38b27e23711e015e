package cli

import (
	"strings"
	"time"

	"ssobridge/cmd/internal/server"
	"ssobridge/internal/plaintext"
	"ssobridge/store"
)

type sessionsCmd struct {
	List sessionsListCmd `cmd:"" help:"List the live sessions of a person."`
	End  sessionsEndCmd  `cmd:"" help:"End all sessions of a person, at once."`
}

// jsonSession is a session as JSON. Its token is known to the browser alone.
type jsonSession struct {
	Person      store.PersonID `json:"person_id"`
	Login       string         `json:"login"`
	Since       time.Time      `json:"authenticated_at"`
	LastUsed    time.Time      `json:"last_used"`
	ConsoleUsed *time.Time     `json:"console_last_used,omitempty"`
	Ends        time.Time      `json:"ends_at"`
	Methods     []string       `json:"methods"`
}

type sessionsListCmd struct {
	Who string `arg:"" placeholder:"PERSON|LOGIN" help:"Person id or login name."`
	asJSON
}

// Help is shown by sessions list --help.
func (sessionsListCmd) Help() string {
	return "Sessions with the bridge, the last used first, up to 100. Sessions at service providers are not known here." +
		"\n\nExample:\n\n    ssobridge sessions list alice"
}

// Run lists them.
func (c *sessionsListCmd) Run(s *invocation, p *server.App) error {
	person, err := p.Sessions().Find(s.ctx, c.Who)
	if err != nil {
		return err
	}
	all, err := p.Sessions().List(s.ctx, s.scope(), person)
	if err != nil {
		return err
	}
	if len(all) == 0 {
		s.printf("person %s has no session\n", person)
		return nil
	}
	t := s.table(c.asJSON, "PERSON", "LOGIN", "SINCE (UTC)", "LAST USED (UTC)", "ENDS (UTC)", "METHODS")
	for _, n := range all {
		object := jsonSession{
			Person: n.Person, Login: n.Login, Since: n.AuthenticatedAt, LastUsed: n.SeenAt, Ends: n.EndsAt, Methods: n.Methods,
		}
		if !n.ConsoleAt.IsZero() {
			object.ConsoleUsed = &n.ConsoleAt
		}
		at := func(at time.Time) string { return at.UTC().Format(time.DateTime) }
		t.row(object, n.Person, plainText(n.Login), at(n.AuthenticatedAt), at(n.SeenAt), at(n.EndsAt),
			strings.Join(n.Methods, ", "))
	}
	return t.end()
}

type sessionsEndCmd struct {
	Who string `arg:"" placeholder:"PERSON|LOGIN" help:"Person id or login name."`
	asJSON
}

// Help is shown by sessions end --help.
func (sessionsEndCmd) Help() string {
	return "The person has to log in again in every browser; sign-ins under way end too. Sessions at service providers " +
		"go on. Whoever should not get in again has to be disabled in the directory, or suspended (users suspend).\n\n" +
		"Examples:\n\n    ssobridge sessions end alice\n\n    ssobridge sessions end 5f2c9a1e-0000-1111-2222-333344445555"
}

// Run ends them.
func (c *sessionsEndCmd) Run(s *invocation, p *server.App) error {
	person, err := p.Sessions().Find(s.ctx, c.Who)
	if err != nil {
		return err
	}
	n, err := p.Sessions().End(s.ctx, s.scope(), person, s.event("", ""))
	if err != nil {
		return err
	}
	if c.JSON {
		return s.object(struct {
			Person store.PersonID `json:"person_id"`
			Ended  int            `json:"ended"`
		}{person, n})
	}
	s.printf("ended %s of person %s\n", plaintext.Count(n, "session", "sessions"), person)
	return nil
}
