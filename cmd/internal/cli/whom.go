package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"ssobridge/cmd/internal/server"
	"ssobridge/idp/directory"
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

// personID finds who is meant: a person_id that the ledger knows, else a login name of the directory. The ledger comes
// first, so that people who left the directory can be named. The id that comes back is the one on record, however it
// was typed.
func personID(ctx context.Context, p *server.App, who string) (store.PersonID, error) {
	who = store.TrimBlanks(who)
	id := store.PersonID(directory.CanonicalID(who))
	rows, err := p.Store.Ledger().Person(ctx, id)
	if err != nil {
		return "", fmt.Errorf("look for person %s: %w", quote(who), err)
	}
	if len(rows) > 0 {
		return id, nil
	}
	e, err := p.Directory.Find(ctx, who)
	if errors.Is(err, directory.ErrNotFound) {
		if read, rerr := p.Directory.Read(ctx, string(id)); rerr == nil && read.DN != "" {
			return store.PersonID(read.ID), nil // somebody without a user yet, by the id that the console and the audit show
		}
	}
	if err != nil {
		return "", directoryError(err, "find the person "+quote(who),
			"write a login name of the directory, or the person id that ssobridge users list shows")
	}
	return store.PersonID(e.ID), nil
}

// userKey names one row of the ledger by person and account as they were typed. A client account that no list knows is
// taken as the ledger spells it for this person.
func userKey(ctx context.Context, p *server.App, who, account string) (store.UserKey, error) {
	if _, err := store.ParseAccountID(store.TrimBlanks(account)); err != nil {
		return store.UserKey{}, badInput(err, "ssobridge users list shows the accounts of each user")
	}
	person, err := personID(ctx, p, who)
	if err != nil {
		return store.UserKey{}, err
	}
	id, err := p.Provisioning.Account(ctx, account)
	if errors.Is(err, store.ErrUnlistedAccount) {
		rows, lerr := p.Store.Ledger().Person(ctx, person)
		if lerr != nil {
			return store.UserKey{}, fmt.Errorf("look for person %s: %w", person, lerr)
		}
		var accounts []store.AccountID
		for _, u := range rows {
			accounts = append(accounts, u.Account)
		}
		own, rerr := store.NewAccountForms(nil, accounts).Resolve(account)
		// the latter: there is no such row, which the caller says
		if rerr == nil || errors.Is(rerr, store.ErrUnlistedAccount) {
			return store.UserKey{Person: person, Account: own}, nil
		}
		err = rerr
	}
	return store.UserKey{Person: person, Account: id}, accountFault(err)
}

// unlistedFlag goes with every command about a client account.
type unlistedFlag struct {
	Unlisted bool `help:"Take a client account that no list knows (yet), in just the letters that you typed."`
}

// account brings an account that was typed to the form in which it is on record; "" stays "". One that no list knows is
// refused: what would be said of it may never be looked at under that spelling.
func resolveAccount(ctx context.Context, p *server.App, text string, unlisted bool) (store.AccountID, error) {
	if text == "" {
		return "", nil
	}
	id, err := p.Provisioning.Account(ctx, text)
	if unlisted && errors.Is(err, store.ErrUnlistedAccount) {
		return id, nil
	}
	return id, accountFault(err)
}

// accountFault is the hint for an account that can't be resolved.
func accountFault(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, store.ErrUnlistedAccount):
		return badInput(err, "ssobridge accounts list --refresh reads the list anew; --unlisted takes the account as you "+
			"typed it")
	case errors.Is(err, store.ErrAmbiguousAccount):
		return badInput(err, "write it in the letters that ssobridge accounts list shows")
	case errors.Is(err, store.ErrBadAccount):
		return badInput(err, "ssobridge accounts list shows them")
	}
	return err
}

// noUser is the mend where a row is not there or can't be changed now.
func noUser(err error, k store.UserKey) error {
	switch {
	case errors.Is(err, store.ErrNotFound):
		return badInput(fmt.Errorf("person %s has no SSO user in account %s", k.Person, k.Account),
			"ssobridge users list shows those there are")
	case errors.Is(err, store.ErrConflict):
		return failed(err, "ssobridge users show "+string(k.Person)+" tells its state")
	}
	return err
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
