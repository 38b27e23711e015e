package console

import (
	"errors"

	"ssobridge/idp/directory"
	"ssobridge/internal/plaintext"
	"ssobridge/store"
)

// What an address or a form of the console names is brought to its recorded form here, before anything looks at it.

// personOf is the person whom a page's address names.
func (r *request) personOf() store.PersonID { return personNamed(r.Param("person")) }

// personNamed is the one form of a person id that came in.
func personNamed(text string) store.PersonID {
	return store.PersonID(directory.CanonicalID(store.TrimTyped(plaintext.Cut(text, 200))))
}

// accountNamed is the client account that a text names. One that no list knows is taken as it is written: the ledger
// and the audit may hold rows of it, which are compared byte for byte. ErrBadAccount and ErrAmbiguousAccount of the
// store.
func (k *Console) accountNamed(r *request, text string) (store.AccountID, error) {
	return k.ClientAccounts.Find(r.ctx(), r.scope(), plaintext.Cut(text, 400), true)
}

// accountFiltered is accountNamed for a filter: "" where none is named, or none that can be.
func (k *Console) accountFiltered(r *request, text string) (store.AccountID, error) {
	if store.TrimTyped(text) == "" {
		return "", nil
	}
	id, err := k.accountNamed(r, text)
	if errors.Is(err, store.ErrBadAccount) || errors.Is(err, store.ErrAmbiguousAccount) {
		return "", nil
	}
	return id, err
}
