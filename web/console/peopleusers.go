package console

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"ssobridge/provisioning"
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
		err = k.provisionNow(r, key)
	case "retry":
		var n int
		n, err = k.Provisioning.RetryUsers(r.ctx(), store.UserFilter{Person: key.Person, Account: key.Account}, r.actor())
		if err == nil && n == 0 {
			err = store.ErrConflict
		}
	case "confirm":
		_, err = k.Provisioning.ConfirmUsers(r.ctx(), []store.UserKey{key}, r.actor())
	case "suspend":
		err = k.Provisioning.SuspendUser(r.ctx(), key, r.actor())
	case "resume":
		err = k.Provisioning.ResumeUser(r.ctx(), key, r.actor())
	default:
		return r.Missing("button")
	}
	var refused *personRefusal
	switch {
	case err == nil:
		return r.done(personPath(key.Person), "user."+word)
	case errors.As(err, &refused), errors.Is(err, store.ErrConflict), errors.Is(err, store.ErrNotFound):
		text := r.text("people.notnow")
		if refused != nil {
			text = refused.text
		}
		r.Log(err)
		f, ferr := r.newForm(nil, map[string]string{"": text})
		if ferr != nil {
			return ferr
		}
		return k.showPerson(r, http.StatusConflict, f)
	}
	return err
}

// personRefusal is a sentence for the admin.
type personRefusal struct{ text string }

func (e *personRefusal) Error() string { return e.text }

// provisionNow asks the gate as the person's own sign-in would: the intention is
// stored, and the worker makes the call first of all that waits.
func (k *Console) provisionNow(r *request, key store.UserKey) error {
	e, err := k.entryOf(r, key.Person)
	if err != nil {
		if text := admin.DirectoryFault(err); text != "" {
			return &personRefusal{text}
		}
		return err
	}
	if e.Problem != "" {
		return &personRefusal{r.text("people.cantsignin", "problem", e.Problem)}
	}
	d, err := k.Provisioning.Decide(r.ctx(), provisioning.Question{Person: e, Account: key.Account, MayCreate: true,
		Ref: r.Ref(), Address: r.Address()})
	if err != nil {
		return fmt.Errorf("provision person %s in account %s: %w", key.Person, key.Account, err)
	}
	if d.Outcome == provisioning.Denied {
		return &personRefusal{r.text("people.denied", "reason", d.Reason, "detail", d.Detail)}
	}
	return k.Store.Audit().Add(r.ctx(), func() store.Event {
		event := r.event("provision-now", string(key.Person))
		event.Account = key.Account
		return event
	}())
}

// adoptUser takes a user that exists at Constant Contact already.
func (k *Console) adoptUser(r *request) error {
	told := provisioning.KnownUser{
		Person: string(r.personOf()), Account: store.TrimBlanks(r.Form["account"]),
		ExternalID: strings.TrimSpace(r.Form["external_id"]),
		LoginName:  strings.TrimSpace(r.Form["login_name"]), Role: r.Form["role"],
	}
	tellings, err := k.Provisioning.PreviewAdoption(r.ctx(), []provisioning.KnownUser{told})
	if err != nil {
		if text := admin.DirectoryFault(err); text != "" {
			return k.adoptFault(r, text)
		}
		return err
	}
	if tellings[0].Fault != "" {
		return k.adoptFault(r, tellings[0].Fault)
	}
	if tellings, err = k.Provisioning.AdoptUsers(r.ctx(), tellings, r.actor()); err != nil {
		return err
	}
	if tellings[0].Fault != "" {
		return k.adoptFault(r, tellings[0].Fault)
	}
	return r.done(personPath(store.PersonID(told.Person)), "adopted")
}

func (k *Console) adoptFault(r *request, text string) error {
	f, err := r.newForm(r.Form, map[string]string{"": text})
	if err != nil {
		return err
	}
	return k.showPerson(r, http.StatusUnprocessableEntity, f)
}
