package console

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"ssobridge/idp"
	"ssobridge/idp/directory"
	"ssobridge/idp/mfa"
	"ssobridge/provisioning/mapping"
	"ssobridge/store"
	"ssobridge/web/admin"
)

func personPath(id store.PersonID) string { return peoplePath + "/of/" + url.PathEscape(string(id)) }

// personView is all that is known of somebody.
type personView struct {
	personLists

	Form         form
	Own          string
	ID           store.PersonID
	Entry        directory.Entry
	Gone         bool   // not in the directory, or not for us
	Fault        string // the directory did not answer
	Hits         []personHit
	Access       []personAccess
	Former       []store.SSOUser // users without an assignment
	Groups       []directory.Group
	Sessions     []store.Session
	Factors      []mfa.Factor
	Lockouts     []idp.Lockout
	Locked       *directory.Lockout // by the directory itself; nil: it is not, or can't be read
	Captured     time.Time          // until when assertions are captured; zero: they are not
	Events       []store.Event
	Providers    []store.ServiceProvider
	Admin, Helps bool
}

type personHit struct {
	mapping.Hit
	Who string
}

// personAccess is one client account that the mappings give, with its user.
type personAccess struct {
	admin.Given
	Factor mfa.Policy // what the account asks for beside the password
}

func (k *Console) person(r *request) error {
	f, err := r.newForm(nil, nil)
	if err != nil {
		return err
	}
	return k.showPerson(r, http.StatusOK, f)
}

func (k *Console) showPerson(r *request, status int, f form) error {
	id := r.personOf()
	v := personView{Form: f, Own: personPath(id), ID: id, Admin: r.may(idp.Admin), Helps: r.may(idp.Operator)}
	users, err := k.Store.Ledger().Person(r.ctx(), id)
	if err != nil {
		return fmt.Errorf("read the SSO users of %s: %w", id, err)
	}
	if v.Entry, err = k.Users.Entry(r.ctx(), id); err != nil {
		text := admin.DirectoryFault(err)
		if text == "" || len(users) == 0 && strings.Contains(err.Error(), "bad_data") {
			r.Log(err)
			return r.Missing("person")
		}
		v.Fault = text
		r.Log(err)
	}
	v.Gone = v.Fault == "" && v.Entry.Login == ""
	if v.Gone && len(users) == 0 {
		return r.Missing("person")
	}
	if err := k.listPerson(r, &v, users); err != nil {
		return err
	}
	if v.Sessions, err = k.Sessions.List(r.ctx(), r.scope(), id); err != nil {
		return err
	}
	if v.Factors, err = k.Provider.Factors().List(r.ctx(), id); err != nil {
		return err
	}
	if v.Lockouts, err = k.Provider.LockoutsOf(r.ctx(), id); err != nil {
		return err
	}
	if there, ok := k.Provider.DirectoryLockout(r.ctx(), id); ok && there.Locked {
		v.Locked = &there
	}
	if v.Captured, err = k.Provider.CapturedUntil(r.ctx(), id); err != nil {
		return err
	}
	if v.Events, err = k.Store.Audit().List(r.ctx(), store.Filter{Subject: string(id), Limit: 20}); err != nil {
		return err
	}
	if v.Providers, err = k.Store.ServiceProviders().List(r.ctx()); err != nil {
		return fmt.Errorf("list service providers: %w", err)
	}
	name := cmp.Or(strings.TrimSpace(v.Entry.FirstName+" "+v.Entry.LastName), v.Entry.Login)
	if name == "" && len(users) > 0 {
		name = who(users[0])
	}
	return r.show(status, "people-one", cmp.Or(name, string(id)), v)
}
