package console

import (
	"net/http"
	"strings"

	"ssobridge/store"
	"ssobridge/web/admin"
)

// changeUser is one button of one SSO user.
func (k *Console) changeUser(r *request) error {
	account, err := k.accountNamed(r, r.Form["account"])
	if err != nil {
		r.Log(err)
		return r.Missing("client account")
	}
	key := store.UserKey{Person: r.personOf(), Account: account}
	word := r.Form["do"]
	switch word {
	case "provision":
		err = k.Users.Create(r.ctx(), r.scope(), key, r.event("", ""))
	case "again":
		err = k.Users.CreateAgain(r.ctx(), r.scope(), key, r.event("", ""))
	case "retry":
		err = k.Users.RetryOne(r.ctx(), r.scope(), key, r.actor())
	case "confirm":
		_, err = k.Users.Confirm(r.ctx(), r.scope(), []store.UserKey{key}, r.actor())
	case "suspend":
		err = k.Users.Suspend(r.ctx(), r.scope(), key, r.actor())
	case "resume":
		err = k.Users.Resume(r.ctx(), r.scope(), key, r.actor())
	default:
		return r.Missing("button")
	}
	if err == nil {
		return r.done(personPath(key.Person), "user."+word)
	}
	f, _, err := r.refusedForm(err, nil)
	if err != nil {
		return err
	}
	return k.showPerson(r, http.StatusConflict, f) // the page offered what the person's or the user's state does not allow
}

// adoptUser takes a user that exists at Constant Contact already.
func (k *Console) adoptUser(r *request) error {
	person := r.personOf()
	_, err := k.Users.AdoptOne(r.ctx(), r.scope(), admin.KnownUser{
		Person: string(person), Account: store.TrimTyped(r.Form["account"]),
		ExternalID: strings.TrimSpace(r.Form["external_id"]), LoginName: strings.TrimSpace(r.Form["login_name"]),
		Role: r.Form["role"],
	}, r.actor())
	if err == nil {
		return r.done(personPath(person), "adopted")
	}
	f, status, err := r.refusedForm(err, nil)
	if err != nil {
		return err
	}
	return k.showPerson(r, status, f)
}

// stateKind is the kind of state that a user of the ledger is in.
func stateKind(state store.State) string {
	switch state {
	case store.Active:
		return "ok"
	case store.Conflict, store.Refused, store.Unknown:
		return "bad"
	case store.Suspended, store.Assumed:
		return "warn"
	}
	return "info"
}
