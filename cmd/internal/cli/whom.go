package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"ssobridge/cmd/internal/server"
	"ssobridge/internal/plaintext"
	"ssobridge/store"
)

// interactive tells whether standard error is a terminal, where a bar that moves is of use.
func (s *invocation) interactive() bool {
	f, ok := s.terminal.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// personID finds who is meant: a person id that the ledger knows, else a login name of the directory.
func personID(ctx context.Context, p *server.App, who string) (store.PersonID, error) {
	id, err := p.Users().Find(ctx, who)
	if err != nil {
		return "", fmt.Errorf("find the person %s: %w", plaintext.Quote(store.TrimTyped(who)), err)
	}
	return id, nil
}

// unlistedFlag goes with every command about a client account.
type unlistedFlag struct {
	Unlisted bool `help:"Take a client account that no list knows (yet), in just the letters that you typed."`
}

// resolveAccount brings an account that was typed to the form in which it is on record; "" stays "". One that no list
// knows is refused: what would be said of it may never be looked at under that spelling.
func resolveAccount(s *invocation, p *server.App, text string, unlisted bool) (store.AccountID, error) {
	if text == "" {
		return "", nil
	}
	return p.ClientAccounts().Find(s.ctx, s.scope(), text, unlisted)
}

// readInput reads a file that a command was given, or standard input for -.
func (s *invocation) readInput(name string, limit int64) ([]byte, error) {
	r, closeFile, err := s.input(name)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err := errors.Join(err, closeFile()); err != nil {
		return nil, failed(fmt.Errorf("read %s: %w", name, err), "")
	}
	if int64(len(data)) > limit {
		return nil, badInput(fmt.Errorf("%s is larger than %d bytes", name, limit), "give a smaller file")
	}
	return data, nil
}
