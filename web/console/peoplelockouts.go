package console

import (
	"net/http"
	"strings"

	"ssobridge/idp"
	"ssobridge/internal/plaintext"
	"ssobridge/store"
)

const lockoutsPath = peoplePath + "/lockouts"

// lockouts lists who is locked out after wrong passwords.
func (k *Console) lockouts(r *request) error {
	f, err := r.newForm(nil, nil)
	if err != nil {
		return err
	}
	return k.showLockouts(r, http.StatusOK, f)
}

func (k *Console) showLockouts(r *request, status int, f form) error {
	all, err := k.Lockouts.List(r.ctx(), r.scope())
	if err != nil {
		return err
	}
	return r.show(status, "people-lockouts", r.text("lockouts.title"), struct {
		Form  form
		All   []idp.Lockout
		Helps bool
	}{f, all, r.may(idp.Operator)})
}

// liftLockout gives tries back, as the command lockouts lift does.
func (k *Console) liftLockout(r *request) error {
	who := strings.TrimSpace(plaintext.Cut(r.Form["who"], 300))
	back := lockoutsPath
	if r.Form["back"] == "person" {
		back = personPath(store.PersonID(who))
	}
	l, err := k.Lockouts.Lift(r.ctx(), r.scope(), who, r.event("", ""))
	switch {
	case err == nil && l.Left < l.Limit:
		return r.done(back, "liftedpart")
	case err == nil:
		return r.done(back, "lifted")
	}
	f, status, err := r.refusedForm(err, map[string]string{"who": "who"})
	if err != nil {
		return err
	}
	return k.showLockouts(r, status, f)
}
