package store

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// AccountForms brings what somebody wrote as a client account to the form in which the account is on record. Rooms
// resolve an id once, where it comes in, and compare byte for byte from there: a check that looks at what was typed
// while another looks at what was meant can be walked around.
//
// The list of client accounts is the record. For an account that it does not name, the mappings and the second-factor
// policies are: an admin wrote those down. A zero AccountForms knows no account.
type AccountForms struct {
	listed, noted accountSet
}

// accountSet finds ids, and those that are equal but for the case of their letters.
type accountSet struct {
	exact  map[AccountID]bool
	folded map[string][]AccountID
}

func newAccountSet(ids []AccountID) accountSet {
	s := accountSet{exact: make(map[AccountID]bool, len(ids)), folded: make(map[string][]AccountID, len(ids))}
	for _, id := range ids {
		if id == "" || s.exact[id] {
			continue
		}
		s.exact[id] = true
		s.folded[foldAccount(id)] = append(s.folded[foldAccount(id)], id)
	}
	return s
}

// foldAccount folds the letters A to Z alone: an AccountID has no others, and what looks like one (U+212A is a K to
// Unicode's folding) never becomes one.
func foldAccount(id AccountID) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + ('a' - 'A')
		}
		return r
	}, string(id))
}

// NewAccountForms takes the accounts of the list, and those that mappings and policies name.
func NewAccountForms(listed, noted []AccountID) *AccountForms {
	f := &AccountForms{listed: newAccountSet(listed)}
	f.noted = newAccountSet(slices.DeleteFunc(slices.Clone(noted), func(id AccountID) bool {
		return len(f.listed.folded[foldAccount(id)]) > 0 // the list says how it is written
	}))
	return f
}

// Resolve returns the recorded form of a client account that somebody wrote: exactly that one, or else the only one
// that differs in the case of its letters alone. Blanks (U+0020, tab, line ends) around it do not count.
//
// ErrBadAccount: it is no account id. ErrUnlistedAccount: no list knows it; the id is returned as it was written, for
// those who take it all the same. ErrAmbiguousAccount: it differs in case from several, and is none of them.
func (f *AccountForms) Resolve(text string) (AccountID, error) {
	id, err := ParseAccountID(TrimTyped(text))
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrBadAccount, err)
	}
	for _, known := range []accountSet{f.listed, f.noted} {
		if known.exact[id] {
			return id, nil
		}
		switch same := known.folded[foldAccount(id)]; len(same) {
		case 0:
		case 1:
			return same[0], nil
		default:
			return id, fmt.Errorf("%w: %s is written like %s, which are different accounts", ErrAmbiguousAccount, id,
				joinAccounts(same))
		}
	}
	return id, fmt.Errorf("%w: %s", ErrUnlistedAccount, id)
}

// TrimTyped takes the blanks (U+0020, tab, line ends) from around what somebody typed or pasted. It leaves every other
// space: one that is part of a text makes it another text, and is refused where none belongs.
func TrimTyped(text string) string { return strings.Trim(text, " \t\r\n") }

// Stored is Resolve for an id that a record holds: one that can't be resolved stays as it is, so that it equals nothing
// but itself.
func (f *AccountForms) Stored(id AccountID) AccountID {
	if own, err := f.Resolve(string(id)); err == nil {
		return own
	}
	return id
}

// Similar are the listed accounts that differ from an id in the case of their letters alone.
func (f *AccountForms) Similar(id AccountID) []AccountID {
	return slices.DeleteFunc(slices.Clone(f.listed.folded[foldAccount(id)]),
		func(other AccountID) bool { return other == id })
}

// Listed tells whether the list of client accounts was ever read.
func (f *AccountForms) Listed() bool { return len(f.listed.exact) > 0 }

// Lists tells whether the list of client accounts has just this id.
func (f *AccountForms) Lists(id AccountID) bool { return f.listed.exact[id] }

func joinAccounts(ids []AccountID) string {
	texts := make([]string, len(ids))
	for i, id := range ids {
		texts[i] = string(id)
	}
	return strings.Join(texts, " and ")
}

// Forms returns the forms in which client accounts are on record now. It reads the whole list: callers keep it until
// the change counter moves.
func (s *Accounts) Forms(ctx context.Context) (*AccountForms, error) {
	f, err := accountForms(ctx, s.db.engine.reader())
	return f, s.db.explain("read how client accounts are written", err)
}

func accountForms(ctx context.Context, q querier) (*AccountForms, error) {
	type row struct {
		id     AccountID
		listed bool
	}
	all, err := collect(ctx, q, func(r scanner) (one row, err error) {
		return one, r.Scan(&one.id, &one.listed)
	}, `
		SELECT id, TRUE FROM accounts
		UNION ALL SELECT DISTINCT account, FALSE FROM mappings WHERE account <> ''
		UNION ALL SELECT DISTINCT account, FALSE FROM mappings_off WHERE account <> ''
		UNION ALL SELECT account, FALSE FROM second_factor_policies`)
	if err != nil {
		return nil, err
	}
	var listed, noted []AccountID
	for _, r := range all {
		if r.listed {
			listed = append(listed, r.id)
		} else {
			noted = append(noted, r.id)
		}
	}
	return NewAccountForms(listed, noted), nil
}
