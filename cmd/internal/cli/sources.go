package cli

import (
	"fmt"
	"strings"
	"time"

	"ssobridge/cmd/internal/config"
	"ssobridge/cmd/internal/server"
	"ssobridge/internal/plaintext"
	"ssobridge/web/admin"
)

type sourcesCmd struct {
	List    sourcesListCmd    `cmd:"" help:"List the sources of people beside the directory."`
	Refresh sourcesRefreshCmd `cmd:"" help:"Fetch the key set of a source now, and show its keys."`
	Disable sourcesDisableCmd `cmd:"" help:"Refuse all tokens of a source, and end its sessions."`
	Enable  sourcesEnableCmd  `cmd:"" help:"Take tokens of a source again."`
	Revoke  sourcesRevokeCmd  `cmd:"" help:"Refuse the tokens that a source has made until now, and end its sessions."`
}

// jsonPeopleSource is a source as JSON.
type jsonPeopleSource struct {
	Name     string            `json:"name"`
	Type     string            `json:"type"`
	Issuer   string            `json:"issuer"`
	Subject  string            `json:"subject"`
	JWKSURL  string            `json:"jwks_url,omitempty"`
	Keys     []admin.SourceKey `json:"keys,omitempty"`
	Enabled  bool              `json:"enabled"`
	Disabled *time.Time        `json:"disabled_at,omitempty"`
	Revoked  *time.Time        `json:"revoked_at,omitempty"`
}

type sourcesListCmd struct{ asJSON }

// Help is shown by sources list --help.
func (sourcesListCmd) Help() string {
	return "The sources of the configuration, with what was done with them by command.\n\n" +
		"Example:\n\n    ssobridge sources list"
}

// Run lists them.
func (c *sourcesListCmd) Run(s *invocation, p *server.App) error {
	all, err := p.Sources().List(s.ctx, s.scope())
	if err != nil {
		return err
	}
	if len(all) == 0 && !c.JSON {
		s.printf("there is no source of people beside the directory\n")
		return nil
	}
	t := s.table(c.asJSON, "NAME", "ISSUER", "SUBJECT", "KEYS", "STATE", "REVOKED BEFORE (UTC)")
	for _, n := range all {
		object := jsonPeopleSource{Name: n.Name, Type: n.Type, Issuer: n.Issuer, Subject: n.Subject, JWKSURL: n.JWKS,
			Keys: n.Keys, Enabled: n.DisabledAt.IsZero()}
		keys, state, revoked := n.JWKS, "enabled", "-"
		switch {
		case n.Type == "oidc":
			keys = "by discovery"
		case n.JWKS == "":
			keys = plaintext.Count(len(n.Keys), "pinned key", "pinned keys")
		}
		if !n.DisabledAt.IsZero() {
			state, object.Disabled = "disabled", &n.DisabledAt
		}
		if !n.RevokedAt.IsZero() {
			revoked, object.Revoked = n.RevokedAt.UTC().Format(time.DateTime), &n.RevokedAt
		}
		t.row(object, n.Name, plainText(n.Issuer), n.Subject, plainText(keys), state, revoked)
	}
	return t.end()
}

// sourceArg names a source.
type sourceArg struct {
	Name string `arg:"" placeholder:"SOURCE" help:"The name of the source in the configuration."`
	asJSON
}

// done says what was done with a source.
func (c sourceArg) done(s *invocation, what string) error {
	if c.JSON {
		return s.object(struct {
			Source string `json:"source"`
			Done   string `json:"done"`
		}{c.Name, what})
	}
	s.printf("source %s: %s\n", c.Name, what)
	return nil
}

type sourcesRefreshCmd struct{ sourceArg }

// Help is shown by sources refresh --help.
func (sourcesRefreshCmd) Help() string {
	return "Shows whether the key set can be had, and the keys in it that can be used. A running bridge fetches by itself: " +
		"within a minute for a key that it does not know, every ten minutes else.\n\n" +
		"Example:\n\n    ssobridge sources refresh portal"
}

// Run fetches it.
func (c *sourcesRefreshCmd) Run(s *invocation, p *server.App) error {
	keys, err := p.Sources().Refresh(s.ctx, s.scope(), c.Name)
	if err != nil {
		return err
	}
	t := s.table(c.asJSON, "KID", "ALG")
	for _, k := range keys {
		t.row(k, plainText(k.ID), k.Alg)
	}
	return t.end()
}

type sourcesDisableCmd struct{ sourceArg }

// Help is shown by sources disable --help.
func (sourcesDisableCmd) Help() string {
	return "For an application that must not sign anybody in: all replicas refuse its tokens with the next request, and its " +
		"sessions open nothing. Sessions at Constant Contact go on.\n\nExample:\n\n    ssobridge sources disable portal"
}

// Run disables it.
func (c *sourcesDisableCmd) Run(s *invocation, p *server.App) error {
	if err := p.Sources().SetEnabled(s.ctx, s.scope(), c.Name, false, s.event("", "")); err != nil {
		return err
	}
	return c.done(s, "disabled")
}

type sourcesEnableCmd struct{ sourceArg }

// Help is shown by sources enable --help.
func (sourcesEnableCmd) Help() string {
	return "Takes back sources disable. Tokens that were revoked stay refused.\n\n" +
		"Example:\n\n    ssobridge sources enable portal"
}

// Run enables it.
func (c *sourcesEnableCmd) Run(s *invocation, p *server.App) error {
	if err := p.Sources().SetEnabled(s.ctx, s.scope(), c.Name, true, s.event("", "")); err != nil {
		return err
	}
	return c.done(s, "enabled")
}

type sourcesRevokeCmd struct{ sourceArg }

// Help is shown by sources revoke --help.
func (sourcesRevokeCmd) Help() string {
	return "For a signing key that somebody else had: replace the key first (see the roll-over in docs/signed-launch.md), " +
		"then revoke. Tokens from now on are taken.\n\nExample:\n\n    ssobridge sources revoke portal"
}

// Run revokes them.
func (c *sourcesRevokeCmd) Run(s *invocation, p *server.App) error {
	if err := p.Sources().Revoke(s.ctx, s.scope(), c.Name, s.event("", "")); err != nil {
		return err
	}
	return c.done(s, "its tokens and sessions until now are revoked")
}

type launchCmd struct {
	Test launchTestCmd `cmd:"" help:"Check a launch token and say what each check found. Changes nothing."`
}

type launchTestCmd struct {
	File string `arg:"" placeholder:"FILE" help:"The file with the token."`
	Live bool   `help:"Also take a token that can still be used. Whoever reads it can sign in with it."`
	asJSON
}

// Help is shown by launch test --help.
func (launchTestCmd) Help() string {
	return "For whoever builds the button of a signed launch. Nothing is stored or used up, and whether the token was used is " +
		"not looked at. Exit code 1: it would be refused. The checks behind the time of an expired token are made as of " +
		"its iat.\n\nExample:\n\n    ssobridge launch test token.txt"
}

// jsonLaunchStep is a check of a token as JSON.
type jsonLaunchStep struct {
	Check  string `json:"check"`
	OK     bool   `json:"ok"`
	Found  string `json:"found"`
	Reason string `json:"reason,omitempty"`
}

// jsonLaunchTest is a tested token as JSON.
type jsonLaunchTest struct {
	Steps   []jsonLaunchStep `json:"steps"`
	Taken   bool             `json:"taken"`
	Source  string           `json:"source,omitempty"`
	Person  string           `json:"person_id,omitempty"`
	Login   string           `json:"login,omitempty"`
	Name    string           `json:"name,omitempty"`
	Grants  []jsonGrant      `json:"grants,omitempty"`
	Outside int              `json:"outside,omitempty"` // of what the token gives, what its source may not give
}

type jsonGrant struct {
	Account string `json:"account"`
	Role    string `json:"role"`
	Group   string `json:"group,omitempty"`
}

// Run tests it.
func (c *launchTestCmd) Run(s *invocation, p *server.App) error {
	data, err := config.ReadFile(c.File, 64<<10)
	if err != nil {
		return badInput(fmt.Errorf("read the token: %w", err), "name the file with the token")
	}
	t, err := p.Sources().Test(s.ctx, s.scope(), string(data), c.Live)
	if err != nil {
		return err
	}
	result := jsonLaunchTest{Taken: t.Fault == nil && !t.Off, Source: t.Source, Person: t.Person.ID, Login: t.Person.Login,
		Name: strings.TrimSpace(t.Person.FirstName + " " + t.Person.LastName), Outside: t.Outside}
	for _, step := range t.Steps {
		one, mark := jsonLaunchStep{Check: step.What, OK: true, Found: step.Note}, "ok  "
		if step.Fault != nil {
			one.OK, one.Found, one.Reason, mark = false, step.Fault.Detail, step.Fault.Reason, "FAIL"
		}
		result.Steps = append(result.Steps, one)
		s.printf("%s  %s: %s\n", mark, one.Check, plainText(one.Found))
	}
	for _, g := range t.Person.Grants {
		result.Grants = append(result.Grants, jsonGrant{g.Account, g.Role, g.Group})
		s.printf("      gives %s in account %s\n", g.Role, g.Account)
	}
	if t.Outside > 0 {
		s.printf("      %s outside allow_accounts or allow_roles, and give nothing\n", plaintext.Count(t.Outside, "grant is", "grants are"))
	}
	if t.Off {
		s.printf("FAIL  source: it is disabled, or its tokens of that time were revoked\n")
	}
	if err := s.object(result); err != nil || result.Taken {
		return err
	}
	return failed(fmt.Errorf("the token would be refused"), "correct what stands behind FAIL in the application")
}
