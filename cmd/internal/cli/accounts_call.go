package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"ssobridge/cmd/internal/server"
	"ssobridge/store"
	"ssobridge/web/admin"
)

type accountsCallCmd struct {
	asJSON

	unlistedFlag

	Account string   `arg:"" help:"The client account."`
	Method  string   `arg:"" enum:"GET,POST,PUT,PATCH,DELETE" help:"${enum}."`
	Path    string   `arg:"" help:"Path of the V3 API, such as /contacts."`
	Query   []string `placeholder:"KEY=VALUE" help:"A query parameter; can be given several times."`
	Body    string   `placeholder:"FILE" help:"A file with the JSON body; - for standard input."`
	Yes     bool     `help:"Do not ask before a call that writes."`
}

// Help is shown by accounts call --help.
func (accountsCallCmd) Help() string {
	return `Off unless constant_contact.operations lists method and path. Each call takes one of the day's budget and leaves an audit event with method, path and a hash of the body.

Example:

    ssobridge accounts call a07e1lxqqqo0 GET /contacts --query limit=10`
}

const maxCallBody = 256 << 10

// Run makes the call.
func (c *accountsCallCmd) Run(s *invocation, p *server.App) error {
	in := admin.CallInput{Method: c.Method, Path: c.Path, Query: c.Query}
	if c.Body != "" {
		body, err := s.readInput(c.Body, maxCallBody)
		if err != nil {
			return err
		}
		in.Body = string(body)
	}
	return s.withAccount(p, c.Account, c.Unlisted, func(id store.AccountID) error {
		accounts := p.ClientAccounts()
		if err := accounts.CheckCall(s.scope(), id, in); err != nil {
			return err
		}
		if in.Writes() {
			if err := s.confirm(c.Yes, c.Body == "-", fmt.Sprintf("%s %s in account %s: this writes. Send it?", c.Method, c.Path,
				id)); err != nil {
				return err
			}
		}
		answer, err := accounts.Call(s.ctx, s.scope(), id, in, actor(s.environ))
		if err != nil {
			return err
		}
		s.printf("%s\n", bytes.TrimSpace(answer))
		out := struct {
			Answer any `json:"answer"` // as it came; text where it is no JSON
		}{string(answer)}
		if json.Valid(answer) {
			out.Answer = json.RawMessage(answer)
		}
		return s.object(out)
	})
}

type accountsUnsubscribeCmd struct {
	asJSON

	unlistedFlag

	Account string   `arg:"" help:"The client account."`
	Address []string `arg:"" optional:"" help:"Addresses, at most 500."`
	File    string   `placeholder:"FILE" help:"A file with one address a line; - for standard input."`
	Source  string   `enum:"Account,Contact,System" default:"Account" help:"Who asked for it: ${enum}."`
	Reason  string   `placeholder:"TEXT" help:"At most 255 characters."`
	Yes     bool     `help:"Do not ask."`
}

// Help is shown by accounts unsubscribe --help.
func (accountsUnsubscribeCmd) Help() string {
	return "Example:\n\n    ssobridge accounts unsubscribe a07e1lxqqqo0 someone@example.com"
}

// Run unsubscribes.
func (c *accountsUnsubscribeCmd) Run(s *invocation, p *server.App) error {
	addresses := c.Address
	if c.File != "" {
		data, err := s.readInput(c.File, maxCallBody)
		if err != nil {
			return err
		}
		addresses = append(addresses, strings.Fields(string(data))...)
	}
	in := admin.UnsubscribeInput{Addresses: addresses, Source: c.Source, Reason: c.Reason}
	if err := in.Check(); err != nil {
		return err
	}
	return s.withAccount(p, c.Account, c.Unlisted, func(id store.AccountID) error {
		if err := s.confirm(c.Yes, c.File == "-", fmt.Sprintf("Unsubscribe %d addresses in account %s?", len(addresses),
			id)); err != nil {
			return err
		}
		n, err := p.ClientAccounts().Unsubscribe(s.ctx, s.scope(), id, in, actor(s.environ))
		if err != nil {
			return err
		}
		s.printf("unsubscribed %d\n", n)
		return s.object(struct {
			ID           store.AccountID `json:"account"`
			Unsubscribed int             `json:"unsubscribed"`
		}{id, n})
	})
}
