package console

import (
	"cmp"
	"net/http"
	"net/url"
	"strings"

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
	admin.Person

	Form         form
	Own          string
	Unread       string // why the directory did not say; "": it did
	Hits         []personHit
	Access       []personAccess
	Former       []store.SSOUser // users without an assignment
	Groups       []directory.Group
	Sessions     []store.Session
	Providers    []admin.Provider
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
	p, err := k.People.Get(r.ctx(), r.scope(), id)
	if _, ok := admin.AsError(err); ok {
		r.Log(err)
		return r.Missing("person")
	}
	if err != nil {
		return err
	}
	v := personView{Form: f, Own: personPath(id), Person: p, Admin: r.may(idp.Admin), Helps: r.may(idp.Operator)}
	if p.Fault != nil {
		v.Unread = p.Fault.Line()
		r.Log(p.Fault)
	}
	if err := k.listPerson(r, &v); err != nil {
		return err
	}
	if v.Sessions, err = k.Sessions.List(r.ctx(), r.scope(), id); err != nil {
		return err
	}
	if v.Providers, err = k.Providers.List(r.ctx(), r.scope()); err != nil {
		return err
	}
	name := cmp.Or(strings.TrimSpace(v.Entry.FirstName+" "+v.Entry.LastName), v.Entry.Login)
	if name == "" && len(v.Users) > 0 {
		name = v.Users[0].Name
	}
	return r.show(status, "people-one", cmp.Or(name, string(id)), v)
}
