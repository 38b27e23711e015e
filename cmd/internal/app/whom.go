package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"ssobridge/store"
)

// interactive tells whether standard error is a terminal, where a bar that moves is of use.
func (s *session) interactive() bool {
	f, ok := s.stderr.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// personID finds who is meant: a person_id that the ledger knows, else a login name of the directory. The ledger comes first, so that
// people who left the directory can be named.
func (p *Parts) personID(ctx context.Context, who string) (store.PersonID, error) {
	rows, err := p.Store.Ledger().Person(ctx, store.PersonID(who))
	if err != nil {
		return "", fmt.Errorf("look for person %s: %w", quote(who), err)
	}
	if len(rows) > 0 {
		return store.PersonID(who), nil
	}
	e, err := p.Directory.Find(ctx, who)
	if err != nil {
		return "", directoryError(err, "find the person "+quote(who), "write a login name of the directory, or the person id that ssobridge users list shows")
	}
	return store.PersonID(e.ID), nil
}

// userKey names one row of the ledger by person and account as they were typed.
func (p *Parts) userKey(ctx context.Context, who, account string) (store.UserKey, error) {
	id, err := store.ParseAccountID(account)
	if err != nil {
		return store.UserKey{}, badInput(err, "ssobridge users list shows the accounts of each user")
	}
	person, err := p.personID(ctx, who)
	return store.UserKey{Person: person, Account: id}, err
}

// accountFlag reads an optional account.
func accountFlag(text string) (store.AccountID, error) {
	if text == "" {
		return "", nil
	}
	id, err := store.ParseAccountID(text)
	if err != nil {
		return "", badInput(err, "ssobridge accounts list shows them")
	}
	return id, nil
}

// noUser is the mend where a row is not there or can't be changed now.
func noUser(err error, k store.UserKey) error {
	switch {
	case errors.Is(err, store.ErrNotFound):
		return badInput(fmt.Errorf("person %s has no SSO user in account %s", k.Person, k.Account), "ssobridge users list shows those there are")
	case errors.Is(err, store.ErrConflict):
		return failed(err, "ssobridge users show "+string(k.Person)+" tells its state")
	}
	return err
}

// readInput reads a file that a command was given, or standard input for -.
func (s *session) readInput(name string, limit int64) ([]byte, error) {
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
