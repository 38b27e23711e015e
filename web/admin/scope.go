package admin

import (
	"slices"

	"ssobridge/store"
)

// Scope is the client accounts that a caller may see and change. Its zero value is none of them.
type Scope struct {
	everything bool
	accounts   []store.AccountID
}

// Everything is the scope of somebody who may see all client accounts, and what belongs to none of them.
func Everything() Scope { return Scope{everything: true} }

// Accounts is the scope of somebody who may see these client accounts alone.
func Accounts(ids ...store.AccountID) Scope { return Scope{accounts: slices.Clone(ids)} }

// Includes tells whether a client account is within the scope.
func (s Scope) Includes(id store.AccountID) bool {
	return s.everything || slices.Contains(s.accounts, id)
}

// whole refuses a caller whose scope is not everything. Keys, service providers, the audit log and the settings serve
// all client accounts: who may see some of them must neither change these nor learn from them of the others.
func (s Scope) whole() error {
	if s.everything {
		return nil
	}
	return &Error{Kind: Forbidden, Fault: "this concerns all client accounts, and you may only see some of them"}
}
